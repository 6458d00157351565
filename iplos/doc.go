// Package iplos holds what the register wants of the merged record: rules and their
// findings, the arithmetic of hours, time registrations against granted hours, and the
// organisation number of a service.
//
// Start with [New]: its [Engine.Apply] is the function that the sync engine calls inside
// every update, [Engine.Live] answers what depends on today's date or on the organisation
// tree, and [Engine.Verify] recomputes a person and lists the differences. [AllRules] is
// the table of rules for documentation and for the desk.
//
// # Stored and live findings
//
// A finding is stored when it follows from the person's entries and the person document
// alone. So it changes only when one of those does, and recomputing it later gives the
// same answer. Rules that also read the calendar or the organisation tree (Rule.Live) are
// never stored: a decision runs out at midnight without any entry. Two more inputs are
// taken to be constant for a tenant: [Settings], and the birth date, which is sealed and
// therefore handed in as a function. Rules that need it say so (Rule.Birth); Verify leaves
// them out when it has no key to the birth dates.
//
// After a change of a person document call Apply with no touched units: that evaluates
// everything but the time registrations, whose findings only change owner.
//
// # Cost
//
// Apply reads the sections that a rule about the touched units names, and never walks the
// time registrations of a person: those are found through the index documents that it
// keeps (see timeindex.go). The one exception is a person with a death date, whose visits
// are compared with it (R84).
package iplos
