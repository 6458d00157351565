// Package check holds HTTP exchanges against the contract: hand [Checker.Exchange] what was
// sent and what came back, or wrap a client's transport with [Checker.Transport], and every
// departure from openapi.yaml is an error that names the route and the member.
//
// A request that the server accepted must be one that the contract allows; a request that it
// refused may be anything, but then the answer must be a problem whose code the contract
// lists for that route and status. Every answer must fit, down to unknown members.
//
// It is made for tests: schemas are compiled once and a check takes microseconds, so that
// whole suites run with it on.
package check
