package sim

import (
	"bytes"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"flette/model"
)

// The merge of the protocol's section 5 once more, over the whole set of entries of a unit
// and without any regard for speed: every question is asked of the set each time.

// act is what one entry that took effect says about one unit.
type act struct {
	id        model.EntryID
	position  int64
	kind      model.Act
	device    model.DeviceID
	seq       int64
	actor     model.ActorID
	stamp     model.Stamp
	value     []byte
	over      []model.EntryID
	target    model.EntryID
	mayDecide bool
}

func (a *act) sets() bool { return a.kind != model.ActVoid && a.kind != model.ActReinstate }

type history []act

func (h history) find(id model.EntryID) *act {
	for i := range h {
		if h[i].id == id {
			return &h[i]
		}
	}
	return nil
}

// voids lists the voids and reinstates in force that name an entry.
func (h history) against(x *act, kind model.Act) (out []*act) {
	for i := range h {
		by := &h[i]
		if by.kind == kind && by.target == x.id && h.inForce(by) && (x.kind != model.ActDecide || by.mayDecide) {
			out = append(out, by)
		}
	}
	return out
}

// inForce: a registration until it is voided, a void until it is reinstated, a reinstate
// until it is voided. A void of a void says nothing.
func (h history) inForce(x *act) bool {
	if x.kind == model.ActVoid {
		return len(h.against(x, model.ActReinstate)) == 0
	}
	return len(h.against(x, model.ActVoid)) == 0
}

// sees says whether an entry reaches another one along over, through any entries.
func (h history) sees(from *act, id model.EntryID, been map[model.EntryID]bool) bool {
	if been[from.id] {
		return false
	}
	been[from.id] = true
	for _, o := range from.over {
		if o == id {
			return true
		}
		if next := h.find(o); next != nil && h.sees(next, id, been) {
			return true
		}
	}
	return false
}

func (h history) heads() (out []*act) {
	for i := range h {
		x := &h[i]
		if !x.sets() || !h.inForce(x) {
			continue
		}
		overwritten := slices.ContainsFunc(h, func(y act) bool {
			return y.sets() && y.id != x.id && h.inForce(&y) && h.sees(&y, x.id, map[model.EntryID]bool{})
		})
		if !overwritten {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b *act) int {
		if greater(a, b) {
			return -1
		}
		return 1
	})
	return out
}

// greater: (is a decision, t_eff, device, seq, entry id).
func greater(a, b *act) bool {
	switch x, y := a.kind == model.ActDecide, b.kind == model.ActDecide; {
	case x != y:
		return x
	case a.stamp.TEff != b.stamp.TEff:
		return a.stamp.TEff > b.stamp.TEff
	case a.device != b.device:
		return bytes.Compare(a.device[:], b.device[:]) > 0
	case a.seq != b.seq:
		return a.seq > b.seq
	}
	return bytes.Compare(a.id[:], b.id[:]) > 0
}

// unitKind says how values of a unit are compared. The table is the sim's own; a test holds
// it against the catalogue.
type unitKind int

const (
	kindScore unitKind = iota
	kindMinor
	kindWeighty
	kindYesNo // weighty, and Ja to Nei without a date is a question
	kindEnd   // weighty, and ends something
)

func kindOf(u model.Unit) unitKind {
	switch {
	case strings.HasPrefix(string(u), "score/"):
		return kindScore
	case u == "status/waiting_list" || u == "status/round_the_clock":
		return kindYesNo
	case u == "person/death_date" || strings.HasSuffix(string(u), "/end"):
		return kindEnd
	case u == "person/household" || strings.HasPrefix(string(u), "time/") || strings.HasPrefix(string(u), "remark/"):
		return kindMinor
	}
	return kindWeighty
}

type yesNo struct {
	Code string `json:"code"`
	Date string `json:"date"`
}

func value(raw []byte) (v any) {
	if err := json.Unmarshal(raw, &v); err != nil {
		return err.Error()
	}
	return v
}

func scoreOf(raw []byte) int {
	var v struct {
		Score int `json:"score"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return -1
	}
	return v.Score
}

func equalValues(k unitKind, a, b []byte) bool {
	if k == kindScore {
		return scoreOf(a) == scoreOf(b)
	}
	return reflect.DeepEqual(value(a), value(b))
}

func (a *act) yesNo() (v yesNo) {
	if err := json.Unmarshal(a.value, &v); err != nil {
		return yesNo{}
	}
	return v
}

func (a *act) isJa() bool { return a.yesNo().Code == "1" }

// bareNei: Nei without date, by somebody who gave no reason.
func (a *act) bareNei() bool {
	v := a.yesNo()
	return v.Code == "2" && v.Date == "" && (a.kind == model.ActRegister || a.kind == model.ActConfirm)
}

// classOf judges the heads.
func (h history) classOf(u model.Unit) model.Class {
	heads, k := h.heads(), kindOf(u)
	class := model.ClassSingle
	for _, x := range heads {
		if h.onWithdrawn(x) || k == kindYesNo && h.closesJa(x, heads) {
			class = max(class, model.ClassStatus)
		}
		for _, y := range heads {
			if x != y {
				class = max(class, clash(k, x, y))
			}
		}
	}
	return class
}

func clash(k unitKind, a, b *act) model.Class {
	switch {
	case equalValues(k, a.value, b.value):
		return model.ClassAgree
	case a.kind == model.ActDecide || b.kind == model.ActDecide:
		return model.ClassDecision
	case k == kindEnd:
		return model.ClassStatus
	case doubtful(a.stamp) || doubtful(b.stamp) || overlap(a.stamp, b.stamp):
		return model.ClassClock
	case k == kindMinor:
		return model.ClassMinor
	case k == kindScore:
		x, y := scoreOf(a.value), scoreOf(b.value)
		if x > y {
			x, y = y, x
		}
		if y-x < 2 && (x > 2 || y < 3) {
			return model.ClassMinor
		}
	}
	return model.ClassClinical
}

func doubtful(s model.Stamp) bool { return s.Class == model.ClockC }

// overlap: the moments that two stamps leave possible have one in common.
func overlap(a, b model.Stamp) bool {
	bounds := func(s model.Stamp) (lo, hi model.Millis) {
		return min(max(s.T-s.U, s.Lo), s.Hi), min(max(s.T+s.U, s.Lo), s.Hi)
	}
	al, ah := bounds(a)
	bl, bh := bounds(b)
	return max(al, bl) <= min(ah, bh)
}

// onWithdrawn: the head was written on something that is voided, and nobody who voided it had
// seen the head. A decision has weighed that.
func (h history) onWithdrawn(x *act) bool {
	if x.kind == model.ActDecide {
		return false
	}
	return slices.ContainsFunc(x.over, func(id model.EntryID) bool {
		below := h.find(id)
		if below == nil || !below.sets() || h.inForce(below) {
			return false
		}
		return !slices.ContainsFunc(h.against(below, model.ActVoid), func(v *act) bool {
			return h.sees(v, x.id, map[model.EntryID]bool{})
		})
	})
}

// closesJa: Nei without date beside a Ja, or on top of one that nobody with a reason ended.
func (h history) closesJa(x *act, heads []*act) bool {
	beside := slices.ContainsFunc(heads, func(y *act) bool { return y.isJa() })
	if v := x.yesNo(); beside && x.kind != model.ActDecide && v.Code == "2" && v.Date == "" {
		return true
	}
	return x.bareNei() && h.standsOnJa(x, map[model.EntryID]bool{})
}

func (h history) standsOnJa(x *act, been map[model.EntryID]bool) bool {
	for _, id := range x.over {
		below := h.find(id)
		if below == nil || been[id] {
			continue
		}
		been[id] = true
		if below.sets() && h.inForce(below) {
			if below.isJa() {
				return true
			}
			if !below.bareNei() {
				continue
			}
		}
		if h.standsOnJa(below, been) {
			return true
		}
	}
	return false
}
