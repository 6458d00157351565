// Package flow says where a person's services stand: which step of application, decision,
// start, end and complaint each has reached, and what waits for somebody. Everything is a
// pure function of the merged record and a day, so it is the same wherever it is computed;
// nothing of it is stored.
package flow
