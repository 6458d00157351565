// Package kpr writes the KPR event message 56.0.0 from the merged record.
//
// Start with [Run]: it reads one snapshot, compares what should be reported ([Desired])
// with what has been reported (the ledger of store.Notification), and stores the difference
// as the next message. [Resend] writes old notifications again, [Preview] shows what a run
// would send and what it would leave out, and why; [VerifyLedger] replays what was sent.
//
// # What one notification is
//
// An event (start, end, change of provider, pause from, pause to) has a key that never
// changes. Its first notification has status N, a change M, a withdrawal C; M and C point at
// the N (R87). An event that comes back after a C starts over with a new N. Every
// notification carries the serial number and GUID chain of its tenant and target, so the
// register sees a gap.
//
// # Promises
//
//	K1  Serials of a tenant and target rise by one without gaps, and each notification names the GUID before it; the first names the all-zero GUID.
//	K2  A GUID is a function of tenant, target, person, event, its content and its previous notification: a run repeated on a restored store gives the GUIDs it gave before.
//	K3  A run that finds nothing changed stores nothing (ErrNothingToSend).
//	K4  No message is stored that our schema, its chain rules or its content controls refuse.
//	K5  A synthetic, flagged or wrong number never leaves for production, and a real one never leaves for test (R2).
//	K6  A record with an error that only a person can mend (end before start, wrong number) freezes: what was reported stays reported until somebody mends it.
//	K7  The ledger holds no identity number: what it needs to see a change of identity is a keyed hash.
//
// # Time
//
// hendelseRegTid is when the event was registered, notifikasjonTid is when the last journal
// entry of the frozen position was received; both are written in UTC. Events dated after
// [Options.To] wait until that day (R55).
package kpr
