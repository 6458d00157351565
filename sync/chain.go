package sync

import (
	"sort"

	"flette/model"
	"flette/store"
)

// maxGaps bounds what a chain says about missing entries, and so what every push of the
// device reads and writes again. A tablet that leaves more holes than that is broken or
// hostile; its neighbouring gaps are then told as one. So a gap may name an entry that is
// here, and none that is missing is ever left out. Both ends of a gap are always missing.
const maxGaps = 1000

// linkChain adds an entry to a chain. idAt gives the entry first received with a seq.
func linkChain(ch *store.Chain, seq int64, id model.EntryID, prev string, idAt func(int64) (model.EntryID, bool, error)) error {
	switch {
	case seq == ch.Last+1:
		if ch.Last > 0 && prev != ch.LastID.String() {
			breakAt(ch, seq)
		}
	case seq > ch.Last+1:
		ch.Missing = boundGaps(append(ch.Missing, store.Gap{From: ch.Last + 1, To: seq - 1}))
	default:
		var err error
		if ch.Missing, err = fillGap(ch.Missing, seq, idAt); err != nil {
			return err
		}
		before, ok, err := idAt(seq - 1)
		if err != nil {
			return err
		}
		if ok && prev != before.String() {
			breakAt(ch, seq)
		}
	}
	if seq > ch.Last {
		ch.Last, ch.LastID = seq, id
	}
	return nil
}

func breakAt(ch *store.Chain, seq int64) {
	if ch.Broken == 0 || seq < ch.Broken {
		ch.Broken = seq
	}
}

// maxTrim bounds how many entries beside a new one are looked up, on each side.
const maxTrim = 64

// fillGap removes seq from the gaps, in place, and with it the entries beside it that are here:
// neighbouring gaps may have been told as one.
func fillGap(gaps []store.Gap, seq int64, idAt func(int64) (model.EntryID, bool, error)) ([]store.Gap, error) {
	i := sort.Search(len(gaps), func(i int) bool { return gaps[i].To >= seq })
	if i == len(gaps) || gaps[i].From > seq {
		return gaps, nil
	}
	below, above := store.Gap{From: gaps[i].From, To: seq - 1}, store.Gap{From: seq + 1, To: gaps[i].To}
	for range maxTrim {
		if below.To <= below.From { // one alone is missing: it is an end
			break
		}
		if _, here, err := idAt(below.To); err != nil || !here {
			if err != nil {
				return gaps, err
			}
			break
		}
		below.To--
	}
	for range maxTrim {
		if above.From >= above.To {
			break
		}
		if _, here, err := idAt(above.From); err != nil || !here {
			if err != nil {
				return gaps, err
			}
			break
		}
		above.From++
	}
	switch hasBelow, hasAbove := below.From <= below.To, above.From <= above.To; {
	case hasBelow && hasAbove:
		gaps = append(gaps, store.Gap{})
		copy(gaps[i+1:], gaps[i:])
		gaps[i], gaps[i+1] = below, above
		return boundGaps(gaps), nil
	case hasBelow:
		gaps[i] = below
	case hasAbove:
		gaps[i] = above
	default:
		gaps = append(gaps[:i], gaps[i+1:]...)
	}
	return gaps, nil
}

// boundGaps tells the two gaps with the fewest entries between them as one when there are too many.
func boundGaps(gaps []store.Gap) []store.Gap {
	if len(gaps) <= maxGaps {
		return gaps
	}
	at, least := 1, int64(-1)
	for i := 1; i < len(gaps); i++ {
		if between := gaps[i].From - gaps[i-1].To; least < 0 || between < least {
			at, least = i, between
		}
	}
	gaps[at-1].To = gaps[at].To
	return append(gaps[:at], gaps[at+1:]...)
}
