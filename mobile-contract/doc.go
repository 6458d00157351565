// Package contract is the mobile contract: what a tablet and the server say to each other.
//
// openapi.yaml (OpenAPI 3.1) is the reviewed source of truth; schemas/ holds the JSON
// Schemas of everything signed or sent; vectors/ holds signed examples that name their
// outcome class. All of it is embedded, so that server, tests, command line and a vendor's
// conformance run read the same bytes. The types in this package are the same shapes for Go.
//
// Package client (mobile-contract/client) is a complete tablet-side client: keys, leases,
// DPoP, outbox, push and pull.
package contract
