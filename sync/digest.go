package sync

import (
	"context"
	"slices"

	"flette/model"
	"flette/store"
)

// DigestRequest says what a tablet holds, to find out whether it is what the store shows.
type DigestRequest struct {
	Tenant  model.TenantID
	Device  model.DeviceID
	Actor   model.ActorID
	JKT     string // as in PullRequest
	Cursor  string // of the tablet's last pull page
	Persons []PersonDigest
}

// PersonDigest is what a tablet holds of one person (model.PersonDigest).
type PersonDigest struct {
	Person model.PersonID
	Digest string
}

// DigestReport is the verdict, read from one snapshot. Who is in none of the lists is right.
type DigestReport struct {
	Position int64            // journal size it was read at
	Differ   []model.PersonID // wrong: load the person anew
	Behind   []model.PersonID // changed after the cursor: pull first, then ask again
	Missing  []model.PersonID // in the caseload and not named
	Extra    []model.PersonID // named and not in the caseload
}

// MaxDigests bounds a request: its cost is the units of the persons named.
const MaxDigests = 1000

// Digest compares what a tablet holds with what the store shows. ErrCursor, ErrCursorGone,
// ErrRevoked; store.ErrNotFound for an unknown device; a *model.Problem for a person named twice.
func (e *Engine) Digest(ctx context.Context, r DigestRequest) (*DigestReport, error) {
	ts, err := e.tenant(r.Tenant)
	if err != nil {
		return nil, err
	}
	out := &DigestReport{}
	err = e.st.View(ctx, r.Tenant, func(v store.View) error {
		if err := mayFetch(v, r.Device, r.JKT); err != nil {
			return err // before anything is said of the cursor, like a pull: the order goes first
		}
		c, err := decodeCursor(ts.keys, r.Tenant, r.Device, r.Actor, r.Cursor)
		if err == nil && c.mark {
			err = ErrCursor
		}
		if err != nil {
			return err
		}
		if err := c.check(v); err != nil {
			return err
		}
		caseload, err := e.Caseload(v, r.Actor, e.o.Now())
		if err != nil {
			return err
		}
		*out = DigestReport{Position: v.Size()}
		return out.compare(v, c, caseload, r.Persons)
	})
	return out, err
}

func (out *DigestReport) compare(v store.View, c *cursor, caseload []model.PersonID, held []PersonDigest) error {
	named := map[model.PersonID]bool{}
	for _, h := range held {
		if named[h.Person] {
			return model.Problemf("invalid-member", "/persons", "a person is named twice")
		}
		named[h.Person] = true
		if !slices.Contains(caseload, h.Person) {
			out.Extra = append(out.Extra, h.Person)
			continue
		}
		news, err := v.PersonPositions(h.Person, c.position-1, 1)
		if err != nil {
			return err
		}
		// While a caseload is being sent, nobody knows how much of it the tablet has.
		if c.moving || len(news) > 0 {
			out.Behind = append(out.Behind, h.Person)
			continue
		}
		digest, err := digestOf(v, h.Person)
		if err != nil {
			return err
		}
		if digest != h.Digest {
			out.Differ = append(out.Differ, h.Person)
		}
	}
	for _, p := range caseload {
		if !named[p] {
			out.Missing = append(out.Missing, p)
		}
	}
	return nil
}

// digestOf sums up what the store shows of a person.
func digestOf(v store.View, person model.PersonID) (string, error) {
	d := model.NewPersonDigest()
	err := v.Units(person, "", "", func(s *model.UnitState) bool {
		d.Unit(s.Unit, s.Class, len(s.Heads), func(i int) model.EntryID { return s.Heads[i].ID })
		return true
	})
	return d.Sum(), err
}
