// Package export writes sheets (CSV) of a municipality's own record for its own use: persons,
// their current registrations, services, findings and time. Nothing of it is for the register.
//
// Start with [Write]. A sheet is a function of the journal up to a position, the period and the
// unit, and of what is not in the journal (cards of persons, organisation): the same input gives
// the same bytes. One person is held at a time. Columns keep their names and order: new ones come at the end.
//
// A sheet names persons by brukerNr and id. Identity number and name stand in the sheet persons
// alone, and only when [Options.Identity] opens them. Findings are those of now: they are no
// part of the journal.
package export
