// Package cms packs a message for one recipient: signed by the sender, then encrypted to the
// recipient's certificate (Cryptographic Message Syntax).
//
// [Encrypt] makes AuthEnvelopedData (RFC 5083) with AES-256-GCM (RFC 5084) and carries the
// content key by RSA-OAEP with SHA-256 (RFC 4055, RFC 3560). [Sign] makes SignedData (RFC
// 5652) with SHA-256 and the content inside. [Pack] does one after the other.
//
// The encoder is our own because the libraries at hand put GCM into EnvelopedData, which RFC
// 5084 forbids and OpenSSL refuses; it knows this one shape and nothing else. Signing is done
// by github.com/smallstep/pkcs7.
package cms
