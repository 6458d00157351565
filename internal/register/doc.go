// Package register sends messages to the health registers' intake over HTTPS.
//
// [Client.Send] sends one message and says what became of it: [Accepted], [Rejected],
// [Unknown] (the request was out and no answer can be believed) or [NotSent] (nothing left
// this machine). It keeps nothing; who calls keeps the ledger.
//
// Two ways are known. "slash" is FHI's SLASH API (github.com/folkehelseinstituttet/
// Fhi.Slash.Public, 2025): the message encrypted under a fresh key, the key under the newest of
// the API's public keys, and hash, key and message type inside the DPoP proof. "process" is
// the earlier POST /message/process, which takes a CMS package. Both ask HelseID for a token
// that is bound to a key (RFC 9449).
package register
