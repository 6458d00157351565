// Package store is the port between the sync engine and the databases that can hold a
// tenant. Drivers (store/bolt, store/postgres) implement [Store]; package storetest is the
// one conformance suite that every driver passes.
//
// # Guarantees
//
//	G1   Updates that share a person are serialised.
//	G2   An Update is all or nothing, and durable before it returns.
//	G3   An entry id is inserted at most once per person: AppendEntry of a known id fails with ErrExists.
//	G4   Positions are dense and strictly increasing in commit order: who has seen n has seen all below n.
//	G5   A View is one snapshot, including the size of the journal.
//	G6   The function given to Update may run again after a rollback, so it must depend on its Tx alone.
//	G7   A View opened after Update returned sees that update.
//	G8   The epoch of a tenant changes when its store is restored or re-created.
//	G9   Both engines store the same encodings, so the same history gives the same bytes (see codec.go).
//	G10  Limits are those of package model and the same everywhere: a document of at most MaxDocBytes, a key of at most MaxKeyBytes.
//
// # What is kept
//
// The log holds every accepted or quarantined entry at its position, with the exact bytes
// that were signed. Everything else that mentions entries is derived and can be rebuilt
// from the log: the indexes by device and by person, the unit states, the tree hashes,
// reviews, findings and quarantine items. Documents ([Doc]) hold what does not come from
// entries: persons, devices, organisation units, caseloads, extracts.
//
// Drivers add a checksum to every stored value and verify it at every read: bbolt itself
// checks only its meta pages, and a silently flipped bit must never become a score.
package store
