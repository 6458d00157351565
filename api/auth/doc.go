// Package auth decides whom a request speaks for. It knows header strings and claims, and
// nothing of the HTTP framework, so that every rule here is a plain function under test.
//
// Three credentials exist:
//
//   - the access token of a user, a JWT from a configured issuer ([Verifier]) or from the
//     server's own break-glass issuer ([Issue], [OwnIssuer]);
//   - the lease token that the server signs for (device, actor) ([IssueLease], [LeaseVerifier]);
//   - the DPoP proof (RFC 9449), by which a device shows its key with every request
//     ([ProofVerifier]).
//
// [Guard] puts them together for a request. Start there.
//
// Promises, cited as A1.. in code and tests:
//
//	A1  A key only ever verifies under its own algorithm: no algorithm is taken from a token
//	    without an allow-list and a typed key, so `none` and HMAC with a public key do not exist.
//	A2  Signed text has one reading: canonical base64url, strict JSON, no duplicate members,
//	    `crit` refused, `typ` exact, so that no token can serve as another kind of token.
//	A3  `kid` is looked up in a map and used for nothing else; jku, x5u and jwk in a token are ignored.
//	A4  A token bound to a key (`cnf`) is worthless without a proof by that key.
//	A5  A proof fits one method, one URL, one token, one short time, once.
//	A6  An expired lease is told apart from a bad one: it may still hand in its work.
//	A7  What a client learns is one of five fixed sentences; the reason goes to the log through
//	    [Reason], and holds no part of a token.
//	A8  Memory and work caused by strangers are bounded, and nothing they send can displace
//	    what enrolled devices rely on.
//	A9  Nothing that is returned or kept shares memory with the header strings that came in:
//	    the framework reuses theirs.
package auth
