package conflict

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"flette/model"
)

// compareHeads puts the greatest head first (M8). A decision comes before everything that
// it has not seen: a late entry must not undo it unasked. An entry that has seen the
// decision overwrites it and so never meets it here.
func compareHeads(a, b model.Head) int {
	if x, y := a.Act == model.ActDecide, b.Act == model.ActDecide; x != y {
		if x {
			return -1
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(b.Stamp.TEff, a.Stamp.TEff),
		slices.Compare(b.Device[:], a.Device[:]),
		cmp.Compare(b.Seq, a.Seq),
		compareIDs(b.ID, a.ID),
	)
}

// classify fills Class and Late from the heads.
func classify(s *model.UnitState, p model.Policy) {
	s.Class, s.Late = model.ClassSingle, false
	for i := range s.Heads {
		a := &s.Heads[i]
		if a.OverVoid || a.Reset {
			s.Class = max(s.Class, model.ClassStatus)
		}
		for j := range i {
			b := &s.Heads[j]
			if s.Class < model.ClassDecision {
				s.Class = max(s.Class, pair(a, b, p))
			}
			// Neither had seen the other. The one that reached us later is older: it came
			// after something that outranks it in time was shown.
			if (a.Position > b.Position) != (a.Stamp.TEff > b.Stamp.TEff) && a.Position != b.Position && a.Stamp.TEff != b.Stamp.TEff {
				s.Late = true
			}
		}
	}
}

// pair says how two heads relate; see the table in the package comment.
func pair(a, b *model.Head, p model.Policy) model.Class {
	switch {
	case p.Equal(a.Value, b.Value):
		return model.ClassAgree
	case a.Act == model.ActDecide || b.Act == model.ActDecide:
		return model.ClassDecision
	case p.Terminal:
		return model.ClassStatus
	case clocksInDoubt(a.Stamp, b.Stamp):
		return model.ClassClock
	case p.Score && scoresClash(a.Value, b.Value), !p.Score && p.Significant:
		return model.ClassClinical
	}
	return model.ClassMinor
}

// scoresClash reports whether two different scores matter (R84): the line between 2 and 3
// parts managing alone from needing a person (R16). 9, which says that the question does not
// apply, is more than two steps from everything else.
// Values that are no scores cannot be weighed, so a person does.
func scoresClash(a, b []byte) bool {
	x, ok := model.ScoreOf(a)
	y, ok2 := model.ScoreOf(b)
	if !ok || !ok2 {
		return true
	}
	lo, hi := min(x, y), max(x, y)
	return lo <= 2 && hi >= 3 || hi-lo >= 2
}

// markResets marks heads that say Nei without date beside a Ja (domain.md 1.5). A decision
// has weighed what it stands on; what it has not seen is class 6 already.
func markResets(heads []model.Head, p model.Policy) {
	for i := range heads {
		h := &heads[i]
		if h.Act == model.ActDecide || h.Reset {
			continue
		}
		h.Reset = slices.ContainsFunc(heads, func(o model.Head) bool { return p.Resets(h.Value, o.Value) })
	}
}

// HeadSet names a set of heads whatever their order: the ETag of a review, so that a
// decision is made on the heads that were on the screen.
func HeadSet(heads []model.Head) [32]byte {
	ids := make([]model.EntryID, len(heads))
	for i := range heads {
		ids[i] = heads[i].ID
	}
	slices.SortFunc(ids, compareIDs)
	h := sha256.New()
	h.Write([]byte("flette/heads/1\n"))
	for i := range ids {
		h.Write(ids[i][:])
	}
	var sum [32]byte
	h.Sum(sum[:0])
	return sum
}

// ReviewID is the id of the one review that a unit of a person can have open: 22
// characters of base64url, the same whatever order entries came in (M10).
func ReviewID(person model.PersonID, unit model.Unit) string {
	sum := sha256.Sum256([]byte("flette/review/1\n" + person.String() + "\n" + string(unit)))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:22]
}
