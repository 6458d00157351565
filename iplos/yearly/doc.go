// Package yearly makes the yearly IPLOS extract of a municipality: two shipments, identity
// (KPR_IDE) and subject matter (KPR_IPL), which the register joins by brukerNr.
//
// Start with [Run]. It is a function of the journal up to a position, the data year, the
// persons' cards and the organisation tree: the same input gives the same bytes, however much
// was pushed since. It holds one person at a time.
//
// The official schema 3.7 is not public. [Own] is our own format, version 1, described by
// schema.xsd; whoever has the official one writes another [Format].
//
// # Which registrations are of the year (R73)
//
// What carries a date of its own (a decision, a start, a score that was assessed on another day)
// counts by that date, whenever it was registered; anything else when it was registered by 31
// December. A correction, void, reinstate or decision speaks
// of what was there, and counts whenever it was signed: mistakes are mended in the window of
// January.
//
// # What is left out, and said (R2, R50, R55, R76)
//
// Persons who may not be sent to the target, who died before the year, or of whom nothing is to
// be told; services that did not run in the year or that the users of the register would drop.
// [Report] counts and lists them by brukerNr, with a code: it is the same before sending.
package yearly
