// Package sync is the engine between tablets and the store: it verifies and judges signed
// entries, merges them, issues leases and receipts, and hands out what changed in a caseload.
//
// The folder is named for what it does, and so is the package; the few files that also need
// the standard library's package of that name import it as gosync.
//
// Start with [New], then [Engine.Push] and [Engine.Pull]; [Engine.Snapshot] is the first load,
// [Engine.Subscribe] tells of news.
//
// # Invariants
//
//	S1  Nothing is answered before it is durable: a result of applied, conflict or quarantined means that the exact bytes are on disk.
//	S2  An entry is judged once. The same id again gives the first outcome, for ever.
//	S3  The only refusal is of bytes that no enrolled key of the tenant signed. Everything else is kept.
//	S4  An entry takes effect wholly or not at all.
//	S5  One bad entry never keeps another from its own judgement.
//	S6  The state of a unit is a function of the set of effective entries and their stamps (package conflict), not of the order or batching in which they came.
//	S7  No clock of a tablet can cause a refusal, and none moves an entry outside [lease issued, received].
//	S8  A pull page and its cursor come from one snapshot: who applies pages in order misses nothing in the caseload.
//	S9  Every answer carries a checkpoint that covers all that it acknowledges.
//	S10 A person with an unsettled entry, review or finding stays visible to somebody.
//	S11 Signatures are verified before any lock is held.
//	S12 A checkpoint or cursor is continued only when the journal it saw is proven to be a beginning of ours, in this life or a former one.
//	S13 Nothing is judged for a device that the store does not know: it enrols again and hands in everything.
//	S14 Any key that a device was ever enrolled with makes an entry authentic. What becomes of the device afterwards (revoked,
//	    replaced, another key, an old contract version) can hold an entry back for a person, and never refuses or undoes one.
//	S15 A snapshot ends with the cursor of its beginning: who pulls from there has all that was committed meanwhile.
//	S16 A commit wakes those who have one of its persons, and nobody else; who is woken and pulls misses nothing.
//
// # What an acknowledgement promises
//
// A tablet MAY forget an entry's outbox copy when its result is applied, conflict, duplicate
// or quarantined and the answer's checkpoint has been stored. It MUST keep acknowledged
// entries for the configured window, because a server restored from a backup will ask for
// what lies above its provable size. It MUST NOT drop an entry because of an HTTP error, and
// it MUST show a refused entry to its user. The server MUST NOT answer with one of the four
// words unless the entry is in the journal at the given position, and MUST NOT ever change or
// drop the bytes at that position.
package sync
