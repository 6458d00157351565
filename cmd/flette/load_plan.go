package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/google/uuid"

	"flette/model"
	"flette/model/catalogue"
	"flette/model/ident"
	"flette/sync"
)

// loadPlan says what a population of tablets does. Everything that follows from it and
// nothing else is a pure function here: keys, persons, and what every entry says.
type loadPlan struct {
	Tablets int           `json:"tablets"`
	Entries int           `json:"entries"` // signed offline, per tablet
	Changes int           `json:"changes"` // in an entry
	Steady  int           `json:"steady"`  // entries of one change, pushed one by one, per tablet
	Offline time.Duration `json:"-"`
	Seed    uint64        `json:"seed"`
}

const (
	loadCaseload  = 8  // own persons of a tablet
	loadShared    = 20 // one entry in so many is about a person whom the next tablet visits too
	loadKeyDomain = "flette/load/1\n"
)

// changes is what the plan signs in all.
func (p loadPlan) changes() int64 {
	return int64(p.Tablets) * (int64(p.Entries)*int64(p.Changes) + int64(p.Steady))
}

// actor is the user of a tablet.
func (p loadPlan) actor(tablet int) model.ActorID {
	return model.ActorID(fmt.Sprintf("load-%05d", tablet))
}

// key of a tablet: of the seed, so that none has to be kept. salt tells runs apart, because
// a key is enrolled once.
func (p loadPlan) key(tablet int, salt string) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "%s%d %d %s", loadKeyDomain, p.Seed, tablet, salt))
	return ed25519.NewKeyFromSeed(seed[:])
}

// address is an IPv4 address of the loopback network for a tablet: on the machine of the
// server every tablet comes from an address of its own, as tablets do.
func address(tablet int) [4]byte {
	n := uint32(tablet) + 2
	return [4]byte{127, byte(1 + n>>16&0x7f), byte(n >> 8), byte(n)}
}

// persons in all.
func (p loadPlan) persons() int { return p.Tablets * loadCaseload }

// caseload lists the persons of a tablet: its own, then one that it shares with the next.
func (p loadPlan) caseload(tablet int) []int {
	out := make([]int, 0, loadCaseload+1)
	for i := range loadCaseload {
		out = append(out, tablet*loadCaseload+i)
	}
	if p.Tablets > 1 {
		out = append(out, (tablet+1)%p.Tablets*loadCaseload)
	}
	return out
}

// people makes the persons from first on, up to n of them.
func (p loadPlan) people(first, n int) []sync.PersonInput {
	out := make([]sync.PersonInput, 0, n)
	for i := first; i < min(first+n, p.persons()); i++ {
		// 300 numbers of a birth date, then the next date.
		born := time.Date(1925, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, i/300)
		number, ok := ident.SyntheticFNR(born, i%300)
		if !ok {
			continue
		}
		out = append(out, sync.PersonInput{Line: i + 1, Number: number, Name: fmt.Sprintf("Oppdiktet Last %d", i), Kommune: demoKommune, Test: true})
	}
	return out
}

// work is one entry of the plan: about whom, and what.
type work struct {
	person  int
	changes []model.Change // without what they replace
}

// random is a source of its own for every entry: an entry can be made without those before.
func (p loadPlan) random(tablet, entry int) *mathrand.Rand {
	return mathrand.New(mathrand.NewPCG(p.Seed, uint64(tablet)<<32|uint64(uint32(entry))))
}

// offline is the k-th entry that a tablet signs without coverage.
func (p loadPlan) offline(tablet, k int) work {
	r := p.random(tablet, k)
	w := work{person: tablet*loadCaseload + k%loadCaseload}
	if p.Tablets > 1 && (tablet+k)%loadShared == 0 {
		w.person = (tablet + 1) % p.Tablets * loadCaseload
	}
	// A visit: its time, then scores in no order, then more times when there is room.
	w.changes = []model.Change{loadTime(r, k)}
	units := scoreUnits()
	for _, u := range r.Perm(len(units))[:min(p.Changes-1, len(units))] {
		w.changes = append(w.changes, score(units[u], 1+r.IntN(5)))
	}
	for len(w.changes) < p.Changes {
		w.changes = append(w.changes, loadTime(r, k))
	}
	return w
}

// steady is the k-th entry of one change, after the offline ones.
func (p loadPlan) steady(tablet, k int) work {
	r := p.random(tablet, p.Entries+k)
	return work{person: tablet*loadCaseload + k%loadCaseload, changes: []model.Change{loadTime(r, k)}}
}

// loadTime is a time registration of some minutes; its unit is new every time.
func loadTime(r *mathrand.Rand, k int) model.Change {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:8], r.Uint64())
	binary.BigEndian.PutUint64(u[8:], r.Uint64())
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	start := model.MillisOf(demoDay) + model.Millis(k)*3_600_000%(7*24*3_600_000)
	return set("time/"+u.String(), catalogue.Time{Start: start, Stop: start + model.Millis(1+r.IntN(45))*60_000, Kind: "direct"})
}
