package client

import (
	"maps"
	"slices"

	contract "flette/mobile-contract"
	"flette/model"
)

// caseload is the tablet's view: what the server sent, and on top of it what this tablet
// has signed since. It is kept small: without values when the tablet is lean.
type caseload map[model.PersonID]*person

type person struct {
	card  *contract.PersonCard
	gone  bool // scope.remove came, or the time is over, while entries about the person still wait (T8)
	loose bool // here because of own work only: the server has sent nothing about the person
	units map[model.Unit]*unit
}

type unit struct {
	position int64
	class    model.Class
	late     bool
	review   string
	heads    []head  // as the server sent them, the shown one first
	own      []write // signed here and not acknowledged yet, oldest first
	ahead    bool    // heads has own work that was acknowledged and not sent since
}

type head struct {
	id   model.EntryID
	view *contract.HeadView // nil when lean
}

type write struct {
	head
	over []model.EntryID
}

func (c caseload) unit(p model.PersonID, u model.Unit, create bool) *unit {
	who := c[p]
	if who == nil {
		if !create {
			return nil
		}
		who = &person{loose: true}
		c[p] = who
	}
	if who.units == nil {
		who.units = map[model.Unit]*unit{}
	}
	at := who.units[u]
	if at == nil && create {
		at = &unit{}
		who.units[u] = at
	}
	return at
}

// seen lists the heads that the user sees: own work first, newest first, then what the
// server sent and own work has not replaced.
func (u *unit) seen() []head {
	if u == nil {
		return nil
	}
	if len(u.own) == 0 {
		return u.heads
	}
	covered := func(id model.EntryID) bool {
		return slices.ContainsFunc(u.own, func(w write) bool { return slices.Contains(w.over, id) })
	}
	var out []head
	for _, w := range slices.Backward(u.own) {
		if !covered(w.id) {
			out = append(out, w.head)
		}
	}
	for _, h := range u.heads {
		// After a lost answer the server may show what still waits here.
		waits := slices.ContainsFunc(u.own, func(w write) bool { return w.id == h.id })
		if !waits && !covered(h.id) {
			out = append(out, h)
		}
	}
	return out
}

// settle moves own work out of the waiting list. Taken work becomes what the server is known
// to have, unless the server has sent a state since that accounts for it: after a lost answer
// that comes first, and says which value is shown. Quarantined or refused work is no longer
// shown.
func (u *unit) settle(id model.EntryID, taken bool, position *int64) {
	i := slices.IndexFunc(u.own, func(w write) bool { return w.id == id })
	if i < 0 {
		return
	}
	w := u.own[i]
	u.own = slices.Delete(u.own, i, i+1)
	sent := slices.ContainsFunc(u.heads, func(h head) bool { return h.id == id })
	if !taken || sent || u.position > 0 && position != nil && u.position >= *position {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(u.heads), func(h head) bool { return slices.Contains(w.over, h.id) })
	u.heads, u.ahead = append([]head{w.head}, kept...), true
}

// ahead reports whether a unit shows what the server has acknowledged and not sent since.
func (c caseload) ahead() bool {
	for _, who := range c {
		for _, u := range who.units {
			if u.ahead {
				return true
			}
		}
	}
	return false
}

// receive takes the server's state of the unit; work that still waits stays on top.
func (u *unit) receive(v *contract.UnitView, lean bool) {
	u.ahead = false
	u.position, u.class, u.late, u.review = v.Position, v.Class, v.Late, v.Review
	u.heads = make([]head, len(v.Heads))
	for i := range v.Heads {
		u.heads[i].id = v.Heads[i].Entry
		if !lean {
			h := v.Heads[i]
			u.heads[i].view = &h
		}
	}
}

// record puts the changes of an own entry into the view.
func (c caseload) record(e *model.Entry, id model.EntryID, lean bool) {
	if !e.Act.Sets() {
		return
	}
	for _, ch := range e.Changes {
		w := write{head: head{id: id}, over: ch.Over}
		if !lean {
			w.view = &contract.HeadView{
				Entry: id, Act: e.Act, Actor: e.Actor, Device: e.Device,
				Stamp: model.Stamp{Wall: e.Wall}, Value: slices.Clone(ch.Value),
			}
		}
		u := c.unit(e.Person, ch.Unit, true)
		u.own = append(u.own, w)
	}
}

// apply takes one item of a page.
func (c caseload) apply(it *contract.PullItem, waits func(model.PersonID) bool, lean bool) {
	switch it.Type {
	case contract.ItemScopeAdd:
		who := c[it.Person]
		if who == nil {
			who = &person{}
			c[it.Person] = who
		}
		who.card, who.gone, who.loose = it.Card, false, false
	case contract.ItemScopeRemove:
		c.purge(it.Person, waits(it.Person))
	case contract.ItemCard:
		if who := c[it.Person]; who != nil {
			who.card = it.Card
		}
	case contract.ItemUnit:
		if it.Unit != nil {
			c.unit(it.Person, it.Unit.Unit, true).receive(it.Unit, lean)
			c[it.Person].loose = false
		}
	}
	// News of decisions and settlements is for the user; types of tomorrow are ignored.
}

// replace puts a whole person in the place of what was held, with the work that still waits on top.
func (c caseload) replace(p model.PersonID, items []contract.PullItem, lean bool) {
	fresh := &person{}
	fresh.units = map[model.Unit]*unit{}
	if old := c[p]; old != nil {
		for path, u := range old.units {
			if len(u.own) > 0 {
				fresh.units[path] = &unit{own: u.own}
			}
		}
	}
	c[p] = fresh
	for i := range items {
		c.apply(&items[i], func(model.PersonID) bool { return true }, lean)
	}
}

// purge forgets a person, or only hides the person while entries still wait (T8).
func (c caseload) purge(p model.PersonID, waits bool) {
	if who := c[p]; who != nil && waits {
		who.gone = true
	} else {
		delete(c, p)
	}
}

// digest sums up what the server sent about a person.
func (p *person) digest() string {
	d := model.NewPersonDigest()
	for _, path := range slices.Sorted(maps.Keys(p.units)) {
		u := p.units[path]
		d.Unit(path, u.class, len(u.heads), func(i int) model.EntryID { return u.heads[i].id })
	}
	return d.Sum()
}
