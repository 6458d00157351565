// Package conflict is the merge: it says what one unit of one person is worth, given the
// entries that name it, and when a person has to decide. Everything is a pure function; the
// package reads no clock, no store and no configuration.
//
// Start with [Rebuild], the definition: a state is a function of the SET of accepted
// entries of the unit. [Apply] gives the same state from the state before and one more
// entry, usually without looking at history. [Interval] turns a tablet's claims about time
// into the stamp that orders heads. [Fates] tells for history what became of each entry.
//
// # Words
//
// A set-act (register, confirm, correct, decide) gives the unit a value. It names in Over
// the heads that its author saw and replaces; nothing else decides what came after what.
//
//   - An entry is voided when an effective void names it. A void is effective unless an
//     effective reinstate names it, a reinstate unless an effective void names it. A void
//     that names a void does nothing: the way back is a reinstate.
//   - x is overwritten when an effective set-entry reaches x along Over, through any
//     entries, voided or not, and through the name of an entry that has not arrived.
//   - Heads are the set-entries that are neither voided nor overwritten. Void and reinstate
//     may carry Over, what their author saw; they overwrite nothing with it.
//   - Shown is the greatest head by (is a decision, t_eff, device, seq, entry id).
//   - A state is late when some head is older in t_eff than another one and yet took effect
//     at a later position: it came after something that outranks it in time was shown.
//
// # Classes
//
// Each pair of heads has a class and some heads have one by themselves; the greatest class
// is the class of the unit (6 before 5 before 4 ... before 0). From 3 up a person decides.
//
//	6 decision  a pair that differs and holds a decision: the decision had not seen the other
//	            head, or there are two decisions. The decision stays shown.
//	5 status    a head written on top of an entry whose void had not seen that head; a head
//	            that says Nei without date over, or beside, a Ja (domain.md 1.5); a pair that
//	            differs in a unit that ends something (service end, death). The first two
//	            hold for a single head too.
//	4 clock     would be 3 or 2, but the time intervals overlap or a head has clock class C:
//	            which came later is not known (R82)
//	3 clinical  a pair of scores on both sides of the 2|3 line, two or more steps apart, or 9
//	            against 1-5; a pair that differs in any other significant unit (R84)
//	2 minor     a pair that differs otherwise, such as scores 3 and 4
//	1 agree     a pair that is equal by the unit's rule (R92), also when one is a decision
//	0 single    one head, or none because everything was voided
//
// # Invariants
//
// Cited by number in code and tests.
//
//	M1  Order independence: any order and any batching of the same entries gives the same
//	    state, but for Position and Late, which tell of the order itself.
//	M2  Idempotence: an entry that comes twice counts once.
//	M3  Associativity: merging sets in any grouping gives the same state.
//	M4  Apply equals Rebuild, byte for byte, after every entry.
//	M5  Nothing is lost: every set-entry is a head, overwritten or voided.
//	M6  The shown value is never an overwritten or a voided one.
//	M7  Clock claims move t_eff only inside [lo, hi] and never change the set of heads.
//	M8  Ties are broken by device, seq and entry id, so the greatest head is unique.
//	M9  A decision over all heads closes; a head that it had not seen opens again; voiding
//	    the decision restores what was there before.
//	M10 Review ids depend on person and unit alone.
//
// # Caveats
//
// Entry ids are hashes over content that includes Over and Target, so real entries cannot
// form cycles. Forged test input can: entries in a cycle of voids and reinstates take no
// effect, and entries in a cycle of Over overwrite each other. The outcome is still a
// function of the set.
package conflict
