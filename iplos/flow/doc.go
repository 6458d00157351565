// Package flow says where a person's services stand: which step of application, decision,
// start, end and complaint each has reached, and what waits for somebody. Everything is a
// pure function of the merged record and a day, so it is the same wherever it is computed;
// nothing of it is stored.
//
// A status that is Ja or Nei with a date (waiting list, round-the-clock offer, rehabilitation
// outside an institution) is a machine of its own: see [StatusOf].
package flow
