package kpr

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"flette/model"
	"flette/store"
)

// story plays a municipality of a few persons against the register's ledger, by dice. Each step
// changes something and tells the register, as one run after the other would.
type story struct {
	*rand.Rand
	ledger *ledger
	rules  Rules
	people []*player
	wrong  int // R88: services that were moved to whom they belong
	late   int // R89: numbers that came late
}

// player is a person of a story.
type player struct {
	subject Subject
	bruker  Bruker
}

func newStory(r *rand.Rand) *story {
	s := &story{Rand: r, ledger: newLedger(), rules: testRules()}
	for n := range 1 + r.IntN(3) {
		id := model.PersonID(s.uuid())
		p := &player{subject: Subject{Person: id}, bruker: Bruker{
			PatientGUID: id.String(), BrukerNr: fmt.Sprint(n + 1 + r.IntN(1_000_000)), District: pick(r, "", "00", "03", "121212"),
		}}
		p.bruker.FID, p.bruker.TypeID = s.identity()
		s.people = append(s.people, p)
	}
	return s
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func (s *story) uuid() uuid.UUID {
	var u uuid.UUID
	for i := range u {
		u[i] = byte(s.Uint32())
	}
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return u
}

// identity is one as Resolve shows them; numbers of other countries have no form.
func (s *story) identity() (fid, typeID string) {
	switch s.IntN(4) {
	case 0:
		return fmt.Sprintf("%02d%02d%02d", 1+s.IntN(28), 1+s.IntN(12), s.IntN(100)), typeOther
	case 1:
		return s.text(), pick(s.Rand, "4", "5", "6", "7", "8")
	case 2:
		return someDUF, "10"
	}
	return synFNR, "1"
}

// text is anything that checkText lets pass, often what XML gives a meaning.
func (s *story) text() string {
	special := []rune(`<>&"'` + "=;%[]!- \u00a0\u200f\u0301æøåÆØÅßΩж中\U0001f600\U0010fffd")
	for {
		var b strings.Builder
		for range 1 + s.IntN(pick(s.Rand, 3, 20, 100)) {
			if s.IntN(3) > 0 {
				b.WriteRune(rune('a' + s.IntN(26)))
			} else {
				b.WriteRune(pick(s.Rand, special...))
			}
		}
		if checkText("", "", b.String()) == nil {
			return b.String()
		}
	}
}

func (s *story) day() Dated {
	return Dated{fmt.Sprintf("%d-%02d-%02d", pick(s.Rand, 2015, 2021, 2025, 2026, 2026, 2026, 2027), 1+s.IntN(12), 1+s.IntN(28)),
		model.Millis(1_600_000_000_000 + s.Int64N(160_000_000_000))}
}

// dayAfter is up to three months later.
func (s *story) dayAfter(d Dated) Dated {
	at, err := time.Parse(time.DateOnly, d.Date)
	if err != nil {
		return s.day()
	}
	return Dated{at.AddDate(0, 0, s.IntN(90)).Format(time.DateOnly), d.At + 1}
}

func (s *story) service() Service {
	out := Service{
		ID: s.uuid().String(), OrgRule: pick(s.Rand, OrgShall, OrgCan, OrgShallNot), Start: s.day(),
		Type: pick(s.Rand, "1", "2", "3", "4", "5", "7", "8", "9", "11", "15", "17", "18", "19", "20", "21", "22", "25", "29", "12", "6", ""),
	}
	if s.IntN(4) == 0 {
		out.Start, out.Rolling, out.GrantFrom, out.GrantTo = Dated{}, true, s.day(), s.day()
	}
	for range s.IntN(3) {
		s.provider(&out)
	}
	return out
}

func (s *story) provider(x *Service) {
	x.Providers = append(x.Providers, Provider{Unit: "u" + pick(s.Rand, orgA, orgB, orgC, ""), From: s.day().Date, At: model.Millis(s.IntN(1000))})
}

// step changes one thing in the municipality.
func (s *story) step() {
	p := pick(s.Rand, s.people...)
	list := &p.subject.Services
	if len(*list) == 0 {
		*list = append(*list, s.service())
		return
	}
	at := s.IntN(len(*list))
	x := &(*list)[at]
	switch s.IntN(14) {
	case 0, 1:
		*list = append(*list, s.service())
	case 2:
		x.Start = s.day()
	case 3, 4:
		x.End = s.day() // at times before the start
	case 5:
		x.End = Dated{}
	case 6:
		x.Pauses = append(x.Pauses, Pause{ID: s.uuid().String(), From: s.dayAfter(x.Start)})
	case 7, 8:
		for i := range x.Pauses {
			x.Pauses[i].To = pick(s.Rand, Dated{}, s.day(), s.dayAfter(x.Pauses[i].From))
		}
	case 9:
		s.provider(x)
	case 10:
		x.Rejected = !x.Rejected
	case 11:
		x.Type = pick(s.Rand, "15", "18", "29", "6")
	case 12:
		moved := *x
		*list = slices.Delete(*list, at, at+1)
		to := pick(s.Rand, s.people...)
		to.subject.Services = append(to.subject.Services, moved)
		if to != p {
			s.wrong++
		}
	case 13:
		if p.bruker.TypeID == typeOther {
			s.late++
		}
		p.bruker.FID, p.bruker.TypeID = s.identity()
	}
	if s.IntN(40) == 0 {
		p.subject.Death = s.day().Date
	}
}

// tell sends what is new and returns the messages, each cut off after a few notifications.
func (s *story) tell() []Message {
	var lines []Line
	for _, p := range s.people {
		mark := MarkOf(p.bruker, func(x string) string { return hash(x)[:32] })
		for _, n := range s.ledger.send(p.subject.Person, Desired(p.subject, s.rules), mark) {
			lines = append(lines, Line{n, p.bruker})
		}
	}
	var out []Message
	for part := range slices.Chunk(lines, 1+s.IntN(12)) {
		m := message(nil)
		m.Target, m.Vendor, m.Version, m.LocalID = pick(s.Rand, Test, Production), s.text(), s.text(), s.uuid().String()
		m.Lines = part
		for range s.IntN(3) {
			m.Contacts = append(m.Contacts, store.Contact{Type: fmt.Sprint(1 + s.IntN(19)), Name: s.text(), Email: s.text(), Phone: pick(s.Rand, "", s.text())})
		}
		out = append(out, m)
	}
	return out
}

// stories plays until there are n messages, and fails when something that makes a message
// never happened.
func stories(t *testing.T, r *rand.Rand, n int) [][]byte {
	t.Helper()
	var files [][]byte
	seen := map[string]int{}
	for len(files) < n {
		s := newStory(r)
		for range 3 + r.IntN(25) {
			s.step()
			if r.IntN(2) == 0 {
				continue
			}
			for _, m := range s.tell() {
				files = append(files, written(t, m))
				for _, l := range m.Lines {
					seen[l.Status]++
					seen[l.Kind]++
					seen["type-"+l.Type]++
				}
			}
		}
		all := slices.Clone(s.ledger.all)
		for i := range all { // of two persons that one after the other had a service
			all[i].EventKey = all[i].Person.String() + " " + all[i].EventKey
		}
		checkChain(t, all)
		seen["R88"] += s.wrong
		seen["R89"] += s.late
	}
	for _, what := range []string{"N", "M", "C", "TjenesteStart", "TjenesteSlutt", "TjenesteutforerEndret", "MidlertidigStoppFra", "MidlertidigStoppTil", "type-8", "type-29", "R88", "R89"} {
		if seen[what] < n/100 {
			t.Errorf("%d messages hold only %d of %s", n, seen[what], what)
		}
	}
	return files[:n]
}
