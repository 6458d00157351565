// Package submit keeps the ledger of what was sent to the register: which file, when, what
// the register answered, and what takes its place (domain: 3.7, R75).
//
// Start with [Prepare], which files a shipment, and [Send], which sends it through a function
// that the caller gives. [Load] reads the ledger, [Feedback] files what the register says
// later, [Yearly] says what is due in the window of January, [VerifyLedger] replays it all.
//
// # Promises
//
//	U1  A submission never changes; what happens to it is a chain of events, each with the hash of the one before it.
//	U2  That a request goes out is written before it goes out. A lost answer, or a process that died, leaves the submission unknown, never prepared.
//	U3  Sending again sends the same bytes under the same id. What was accepted is not sent again.
//	U4  Event messages of a target go in the order of their serials; none passes one that is not accepted.
//	U5  One shipment of a kind and data year stands at a time; the next one names the one that it replaces (R75).
//	U6  The ledger holds no content: what the register quoted is sealed.
package submit
