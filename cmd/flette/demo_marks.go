package main

import (
	"time"

	"flette/model"
	"flette/model/catalogue"
)

// Marks of the entries that the story comes back to.
const (
	markLow     = "memory-2" // nurse 1 at 9:00
	markHigh    = "memory-4" // nurse 2 at 10:30, without having seen it
	markOpenA   = "toilet-1" // nurse 5
	markOpenB   = "toilet-5" // nurse 6: left for the visitor to decide
	markAhead   = "ahead"    // nurse 7 at 9:00, whose tablet says 12:00
	markAfter   = "after"    // nurse 8 at 10:00
	markBad     = "bad"      // nurse 4: a score of 6
	markAnew    = "anew"     // nurse 4: the same, put right
	markStart   = "start"    // nurse 9: a start before its decision
	markCorrect = "correct"  // nurse 9: the start, corrected
	markProv    = "provider" // nurse 11: the service moves to another zone
	memory      = model.Unit("score/assist_memory")
	toilet      = model.Unit("score/assist_toilet")
	hygiene     = model.Unit("score/assist_personal_hygiene")
	hearing     = model.Unit("score/hearing")
)

// Tablets of the story, counted from 0, and the persons that two of them visit.
const (
	tabletFirst, tabletSecond = 0, 1
	tabletLost                = 2
	tabletBad                 = 3
	tabletOpenA, tabletOpenB  = 4, 5
	tabletAhead, tabletAfter  = 6, 7
	tabletFinding             = 8
	tabletProvider            = 10

	personShared   = tabletFirst
	personBad      = tabletBad
	personOpen     = tabletOpenA
	personAhead    = tabletAhead
	personFinding  = tabletFinding
	personProvider = tabletProvider
)

// aheadBy is what the clock of one tablet is wrong by.
const aheadBy = 3 * time.Hour

// shared lists who visits a person beside its own nurse.
var shared = map[int]int{tabletSecond: personShared, tabletOpenB: personOpen, tabletAfter: personAhead}

// special says which scores the story has for itself.
func special(p int, unit model.Unit) bool {
	switch p {
	case personShared:
		return unit == memory
	case personBad:
		return unit == hearing
	case personOpen:
		return unit == toilet
	case personAhead:
		return unit == hygiene
	}
	return false
}

func (w *planner) specials() {
	one := func(mark string, at time.Time, tablet, person int, c ...model.Change) planned {
		return planned{at: at, tablet: tablet, person: person, visit: w.id(), act: model.ActRegister, changes: c, mark: mark}
	}
	w.d.morning = append(w.d.morning,
		one(markLow, clockAt(9, 0), tabletFirst, personShared, score(memory, 2)),
		one(markHigh, clockAt(10, 30), tabletSecond, personShared, score(memory, 4)),
		one(markOpenA, clockAt(9, 5), tabletOpenA, personOpen, score(toilet, 1)),
		one(markOpenB, clockAt(10, 5), tabletOpenB, personOpen, score(toilet, 5)),
		one(markAhead, clockAt(9, 0), tabletAhead, personAhead, score(hygiene, 2)),
		one(markAfter, clockAt(10, 0), tabletAfter, personAhead, score(hygiene, 1)),
		one(markBad, clockAt(9, 40), tabletBad, personBad, score(hearing, 6)))
	corrected := one(markCorrect, clockAt(13, 30), tabletFinding, personFinding,
		set("service/"+w.d.services[personFinding]+"/start", catalogue.Start{Date: "2026-10-19"}))
	corrected.act, corrected.reason = model.ActCorrect, &model.Reason{Code: "typing-error", Text: "oppdiktet"}
	w.d.afternoon = append(w.d.afternoon, corrected,
		one(markAnew, clockAt(13, 0), tabletBad, personBad, score(hearing, 5)),
		one(markProv, clockAt(13, 15), tabletProvider, personProvider,
			set("service/"+w.d.services[personProvider]+"/provider", catalogue.Provider{Unit: w.units["sor"], From: "2026-11-16"})))
}

// skewOf is what a tablet's wall clock is wrong by.
func skewOf(tablet int) time.Duration {
	if tablet == tabletAhead {
		return aheadBy
	}
	return 0
}
