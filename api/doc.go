// Package api is Flette over HTTP: it authenticates, decodes strictly, calls the engine
// (package sync) and encodes. It decides nothing. The contract is mobile-contract/openapi.yaml;
// a test holds every exchange and the list of routes against it.
//
// Start with [New], then [Server.Serve]. routes.go is the list of routes with who may call
// each; everything that is not there is refused.
//
// Promises, cited as H1.. in code and tests:
//
//	H1  Default deny: a route names the credentials and the roles that may call it; what
//	    roles exist beside them, or no role, gets 403.
//	H2  The tenant comes from the credential alone. No part of a URL or body can name another,
//	    so other tenants' things are simply not there (404).
//	H3  A nurse sees the own caseload; a person outside it is not there (404), so that nobody
//	    learns who receives care.
//	H4  Nothing of the framework's memory leaves a handler: every string is a copy, and no
//	    handler in routes.go ever sees the framework.
//	H5  A body is read raw under a cap, decoded under a cap and parsed strictly: no duplicate,
//	    unknown, missing or null members, exact names, UTF-8.
//	H6  Every answer that is not a success is a problem document with a code of the contract.
//	    It never holds internal text, and its detail never repeats what was sent.
//	H7  The access log holds method, route pattern, status, duration, request id and the id of
//	    the device or actor: no URL, query, header, body, name or token.
//	H8  Messages with two readings are refused with 400 and the connection is closed: see front.go.
//	H9  A request that is refused with a 4xx has had no effect.
//	H10-H13 What works and what waits is bounded, takes turns and is told when to come back: see queue.go.
//	H14 Idle and slow connections keep nobody out: see conns.go.
//
// # Behind a proxy
//
// No forwarded header is trusted. Set Options.External to the address that clients use: DPoP
// proofs are made for it (`htu`). The enrolment limit then counts the proxy as one address.
package api
