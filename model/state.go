package model

// Class says how the heads of a unit relate (protocol: merge).
type Class int8

const (
	ClassSingle   Class = 0 // one head (or none)
	ClassAgree    Class = 1 // several heads, equal by the unit's rule
	ClassMinor    Class = 2 // differ, in a unit of low significance
	ClassClinical Class = 3 // differ where it matters: review
	ClassClock    Class = 4 // 2 or 3, but the order in time is not known: review, no preselection
	ClassStatus   Class = 5 // concurrent with void, end, death, or Ja to Nei without date: review
	ClassDecision Class = 6 // a head that an earlier decision had not seen: review
)

// NeedsReview reports whether a person has to decide.
func (c Class) NeedsReview() bool { return c >= ClassClinical }

// Head is an entry that set a unit and that no effective entry has overwritten.
type Head struct {
	ID       EntryID
	Position int64 // where the entry took effect in the journal
	Act      Act
	Actor    ActorID
	Device   DeviceID
	Seq      int64
	Stamp    Stamp
	Value    []byte // raw JSON as signed
	// Reset is set when this head says Nei without date over an active Ja (domain.md 1.5).
	Reset bool
	// OverVoid is set when this head names, in over, an entry that is voided and whose void
	// had not seen this head: the author wrote on top of something withdrawn meanwhile.
	OverVoid bool
}

// UnitState is the merged state of one unit of one person: a pure function of the accepted
// entries that name the unit. Heads are sorted, the shown value first.
type UnitState struct {
	Unit     Unit
	Position int64 // journal position of the last change to this state
	Class    Class
	Late     bool      // a head arrived after something that outranks it in time was shown
	Heads    []Head    // Heads[0] is shown; empty when everything was voided
	Missing  []EntryID // named in over, not arrived yet, sorted
	// Tangled is set once a void, a reinstate or a missing predecessor touched the unit: the
	// next change is then computed from the unit's whole history instead of from the heads.
	Tangled bool
}

// Shown returns the head that everyone sees now, or nil.
func (s *UnitState) Shown() *Head {
	if s == nil || len(s.Heads) == 0 {
		return nil
	}
	return &s.Heads[0]
}
