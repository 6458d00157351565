package sim

import (
	"errors"
	"fmt"

	"flette/internal/jwk"
	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
)

// lifeActions: keys that change, tablets that are replaced, blocks and emergency access.
var lifeActions = []action{
	{"rotate-key", 5, (*world).rotate},
	{"replace", 4, (*world).replace},
	{"block", 5, (*world).block},
	{"lift-block", 4, (*world).liftBlock},
	{"break-glass", 8, (*world).breakGlass},
}

// twins are the other tablets of the same device.
func (w *world) twins(t *tablet) (out []*tablet) {
	for _, c := range w.tablets {
		if c != t && c.c.ID() == t.c.ID() {
			out = append(out, c)
		}
	}
	return out
}

func (w *world) rotate() string {
	t := w.ready()
	if t.stored.Lease == nil || !t.remembered() || len(w.twins(t)) > 0 {
		return ""
	}
	if t.next == nil {
		t.next = w.signer()
	}
	t.copied = nil // a copy of before is a clone that the rotation shuts out: see enrol-anew
	return t.finishKey()
}

// finishKey asks for the change of key until it is known to be done, or refused for good.
func (t *tablet) finishKey() string {
	if t.next == nil {
		return ""
	}
	err := t.c.RotateKey(background, t.next)
	t.crashed()
	t.newKey()
	t.w.note(t, err)
	if client.CodeOf(err) != "" && !errors.Is(err, errDisk) && !t.stored.Rotating {
		t.next = nil // the server will not
	}
	return fmt.Sprintf("%s: new key: %v", t.name, err)
}

// newKey takes the new key in hand when the saved state says that it is in force.
func (t *tablet) newKey() {
	if t.next == nil {
		return
	}
	public, err := jwk.New(t.next.Public())
	t.w.must(err)
	if t.stored.JKT == public.Thumbprint() {
		t.key, t.next, t.copied = t.next, nil, nil
	}
}

// replace gives a tablet, often one of two that are one device, a new key and id; the other
// one is out of use from then on.
func (w *world) replace() string {
	t := w.ready()
	for _, c := range w.tablets {
		if !c.gone && len(w.twins(c)) > 0 && w.chance(0.7) {
			t = c
		}
	}
	old := t.c.ID()
	if !t.remembered() || t.next != nil {
		return ""
	}
	invite, err := again(w, func() (string, error) {
		in, err := w.boss().InviteReplacement(background, "ny "+t.name, old)
		if err != nil {
			return "", err
		}
		return in.Code, nil
	})
	w.must(err)
	key, twins := w.signer(), w.twins(t)
	for range 20 {
		t.disk = diskFine
		if _, err = t.c.Replace(background, key, invite, ""); err == nil {
			break
		}
	}
	t.copied = nil
	for _, c := range twins {
		c.gone = c.gone || w.o.revoked[old]
	}
	if err != nil {
		t.gone = t.gone || w.o.revoked[old] // the server has done it, and the tablet cannot hear of it
		return fmt.Sprintf("%s: %v", t.name, err)
	}
	t.key = key
	w.count(fmt.Sprintf("replaced, twins: %v", len(twins) > 0))
	return t.name + "; " + w.loginOf(t, t.owner)
}

func (w *world) someone() model.ActorID {
	if w.chance(0.15) {
		return supervisors[1] // the first one has to see everything at the end
	}
	return pick(w, w.tablets).owner
}

func (w *world) setBlock(lift bool) string {
	r := contract.BlockRequest{Person: pick(w, w.persons), Lift: lift, Reason: *reason("conflict-of-interest")}
	if w.chance(0.7) {
		r.Actor = w.someone()
	}
	if from := pick(w, []model.Millis{0, 0, 0, -hour, hour}); from != 0 {
		from += w.serverNow()
		r.From = &from
	}
	_, err := again(w, func() (*contract.BlockResponse, error) { return w.boss().Block(background, r) })
	w.must(err)
	return fmt.Sprintf("%q from %s", r.Actor, r.Person.String()[:8])
}

func (w *world) block() string { return w.setBlock(false) }

func (w *world) liftBlock() string { return w.setBlock(true) }

// breakGlass takes a person in an emergency, and mostly writes about the person at once.
func (w *world) breakGlass() string {
	t := w.ready()
	who := pick(w, w.persons)
	ask := contract.BreakGlassRequest{Person: &who, Reason: *reason("emergency")}
	if minutes := int64(pick(w, []int{0, 5, 1440})); minutes > 0 {
		ask.Minutes = &minutes
	}
	_, err := t.c.BreakGlass(background, ask)
	w.note(t, err)
	if err != nil {
		return fmt.Sprintf("%s: %s", t.name, client.CodeOf(err))
	}
	u := w.unit(who)
	return w.pull(t) + "; " + w.signed(t, who, model.ActRegister, []model.Change{{Unit: u, Value: w.value(u)}}, nil)
}
