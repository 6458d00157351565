// Package model holds the nouns of Flette: the signed entry and its changes,
// unit paths, clock stamps, heads and unit states, leases, persons and the
// records that a store keeps.
//
// Start with [ParseJWS] and [DecodeEntry]: they turn the bytes a tablet signed
// into an [Entry], strictly, so that signed data has exactly one reading.
//
// The package does no I/O, reads no clock and imports no other package of ours.
// Subpackage ident knows national identifiers; subpackage catalogue knows what
// IPLOS lets a unit hold.
package model
