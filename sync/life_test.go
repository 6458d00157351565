package sync_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"flette/internal/jwk"
	"flette/model"
	"flette/store"
	"flette/sync"
)

var boss = model.Roles(model.RoleSupervisor)

// pushed is the whole answer of a push.
func (tb *tablet) pushed(entries ...signed) *sync.PushResult {
	tb.w.t.Helper()
	raw := make([][]byte, len(entries))
	for i := range entries {
		raw[i] = entries[i].jws
	}
	out, err := tb.w.e.Push(tb.w.t.Context(), sync.PushRequest{Tenant: tb.w.tenant, Device: tb.id, Actor: tb.actor, Entries: raw, Checkpoint: tb.check})
	if err != nil {
		tb.w.t.Fatal(err)
	}
	tb.check = string(out.Checkpoint)
	return out
}

func (tb *tablet) order() string {
	tb.w.t.Helper()
	if o := tb.pushed().Order; o != nil {
		return o.Do
	}
	return ""
}

func (tb *tablet) device() sync.DeviceStatus {
	tb.w.t.Helper()
	d, err := tb.w.e.DeviceStatus(tb.w.t.Context(), tb.w.tenant, tb.id)
	if err != nil {
		tb.w.t.Fatal(err)
	}
	return d
}

func (w *world) release(ids ...model.EntryID) {
	w.t.Helper()
	for _, id := range ids {
		if _, err := w.e.Settle(w.t.Context(), w.tenant, id, model.ActRelease, "sonja", boss, model.Reason{Code: "checked"}); err != nil {
			w.t.Fatalf("release: %v", err)
		}
	}
}

// The order of a revoked device is in every answer, the same one; the tablet's word that it
// has obeyed is kept, once; nothing undoes a revocation.
func TestWipeOrder(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.nurse("anne"), w.nurse("berit")
	if o := a.order(); o != "" {
		t.Fatalf("a device in good standing is told %q", o)
	}
	e := a.score(w.persons[0], memory, 2)
	if _, err := w.e.Revoke(t.Context(), w.tenant, a.id, "lost"); err != nil {
		t.Fatal(err)
	}
	out := a.pushed(e)
	want(t, out.Results, "quarantined device-revoked")
	o := out.Order
	if o == nil || o.Do != sync.OrderWipe || len(o.ID) != 16 || o.Why == "" {
		t.Fatalf("order %+v", o)
	}
	_, err := w.e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: a.id, Actor: a.actor})
	var revoked *sync.RevokedError
	if !errors.As(err, &revoked) || revoked.Order != *o {
		t.Fatalf("pull: %v, %+v", err, revoked)
	}
	_, _, err = w.e.IssueLease(t.Context(), sync.LeaseGrant{Tenant: w.tenant, Device: a.id, Actor: a.actor, Roles: model.Roles(model.RoleNurse)})
	if !errors.As(err, &revoked) || revoked.Order != *o {
		t.Fatalf("login: %v", err)
	}
	say := func(tb *tablet, id string, refused int64) error {
		_, err := w.e.Wiped(t.Context(), sync.Wiping{Tenant: w.tenant, Device: tb.id, Actor: tb.actor, Order: id, Refused: refused})
		return err
	}
	if err := say(a, "another", 0); !errors.Is(err, sync.ErrOrder) {
		t.Errorf("a wrong order was acknowledged: %v", err)
	}
	if err := say(b, o.ID, 0); !errors.Is(err, sync.ErrOrder) {
		t.Errorf("another device's order was acknowledged: %v", err)
	}
	w.now += hour
	first := w.now
	for range 3 {
		if err := say(a, o.ID, 2); err != nil {
			t.Fatal(err)
		}
		w.now += hour
	}
	d := a.device()
	if d.Wiped != first || d.WipedRefused != 2 || d.Diary.Contact != sync.ContactWiped {
		t.Errorf("wiped %d, want %d; %+v", d.Wiped, first, d.Diary)
	}
	// A copy of the tablet that never obeyed is still told to.
	if o := a.pushed().Order; o == nil || o.Do != sync.OrderWipe {
		t.Errorf("order after the acknowledgement: %+v", o)
	}
	again, err := w.e.Revoke(t.Context(), w.tenant, a.id, "found again")
	if err != nil || again.State != sync.DeviceRevoked || again.Reason != "lost" || again.Wiped != first {
		t.Errorf("a second revocation: %+v, %v", again, err)
	}
	// What was handed in is not lost.
	w.release(e.id)
	if got := shown(t, w.unit(w.persons[0], memory)); got != `{"score":2}` {
		t.Errorf("shown %s", got)
	}
}

// A tablet is copied whole; both copies sign and push. Everything is kept, the fork is told
// in every answer, and the guided way ends with a clean new device and all entries in effect.
func TestCloneAndReplace(t *testing.T) {
	w := newWorld(t, 2)
	a := w.nurse("anne")
	p, q := w.persons[0], w.persons[1]
	want(t, a.push(a.score(p, "score/vision", 1)), "applied")
	copied := *a
	clone := &copied
	mine := []signed{a.score(p, memory, 2), a.score(p, "score/assist_toilet", 3)}
	theirs := []signed{clone.score(q, memory, 4), clone.score(q, "score/assist_toilet", 5)}
	want(t, a.push(mine...), "applied", "applied")
	if o := a.order(); o != "" {
		t.Fatalf("one tablet alone is told %q", o)
	}
	want(t, clone.push(theirs...), "quarantined seq-fork", "quarantined seq-fork")
	for name, tb := range map[string]*tablet{"tablet": a, "clone": clone} {
		if o := tb.order(); o != sync.OrderReEnrol {
			t.Errorf("%s is told %q", name, o)
		}
	}
	late := a.score(p, "score/hearing", 1)
	want(t, a.push(late), "quarantined device-forked")
	waits := a.score(p, "score/assist_eating", 2) // still in the outbox when it enrols anew

	code, _, err := w.e.InviteReplacement(t.Context(), w.tenant, "tablet of anne", a.id)
	if err != nil {
		t.Fatal(err)
	}
	if a.device().State != sync.DeviceActive {
		t.Fatal("the invitation alone shut the device out")
	}
	old := *a
	a.enrol(code)
	if a.id == old.id || old.device().ReplacedBy != a.id || old.device().State != sync.DeviceRevoked {
		t.Fatalf("old %+v, new %s", old.device().Device, a.id)
	}
	a.login(model.RoleNurse)
	// The outbox goes out as it was signed, by the old key, under the new lease.
	want(t, a.push(waits), "quarantined device-revoked")
	want(t, a.push(a.score(p, "score/assist_dressing", 1)), "applied")
	if o := a.order(); o != "" {
		t.Errorf("the new device is told %q", o)
	}
	if o := clone.order(); o != sync.OrderReEnrol {
		t.Errorf("the copy is told %q", o)
	}
	more := clone.score(q, "score/vision", 2)
	want(t, clone.push(more), "quarantined device-revoked")
	w.release(theirs[0].id, theirs[1].id, late.id, waits.id, more.id)
	for unit, score := range map[model.Unit]string{memory: `{"score":2}`, "score/assist_toilet": `{"score":3}`, "score/hearing": `{"score":1}`, "score/assist_eating": `{"score":2}`} {
		if got := shown(t, w.unit(p, unit)); got != score {
			t.Errorf("%s shows %s", unit, got)
		}
	}
	for unit, score := range map[model.Unit]string{memory: `{"score":4}`, "score/assist_toilet": `{"score":5}`, "score/vision": `{"score":2}`} {
		if got := shown(t, w.unit(q, unit)); got != score {
			t.Errorf("%s shows %s", unit, got)
		}
	}
	if c := a.device().Chain; c.Forked || len(c.Missing) != 0 || c.Last != 1 {
		t.Errorf("the new chain: %+v", c)
	}
	// The copy turns out to be in strange hands: it is told to erase what it holds.
	if _, err := w.e.Revoke(t.Context(), w.tenant, old.id, "stolen copy"); err != nil {
		t.Fatal(err)
	}
	if o := clone.order(); o != sync.OrderWipe {
		t.Errorf("the stolen copy is told %q", o)
	}
}

func TestReplaceWhatCannotBe(t *testing.T) {
	w := newWorld(t, 0)
	a := w.tablet("anne", model.RoleNurse)
	if _, _, err := w.e.InviteReplacement(t.Context(), w.tenant, "x", model.DeviceID{1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown device: %v", err)
	}
	all, err := w.e.Devices(t.Context(), w.tenant, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if d.Kind == sync.KindDesk {
			if _, _, err := w.e.InviteReplacement(t.Context(), w.tenant, "x", d.ID); !errors.Is(err, sync.ErrDesk) {
				t.Errorf("the desk: %v", err)
			}
		}
	}
	// A device that was revoked for another reason stays so.
	if _, err := w.e.RevokeCompromised(t.Context(), w.tenant, a.id, "stolen"); err != nil {
		t.Fatal(err)
	}
	code, _, err := w.e.InviteReplacement(t.Context(), w.tenant, "x", a.id)
	if err != nil {
		t.Fatal(err)
	}
	old := *a
	a.enrol(code)
	if d := old.device(); d.Reason != "stolen" || d.ReplacedBy != a.id || d.Standing().Do != sync.OrderWipe || !d.Compromised {
		t.Errorf("%+v", d.Device)
	}
	// A place is taken once: there is no code for it any more.
	var p *model.Problem
	if _, _, err := w.e.InviteReplacement(t.Context(), w.tenant, "x", old.id); !errors.As(err, &p) || p.Pointer != "/replaces" || !strings.Contains(p.Detail, a.id.String()) {
		t.Errorf("a device that was replaced: %v", err)
	}
}

// Of two codes for one place, the first that is used gets it; the other makes nothing.
func TestTwoCodesForOnePlace(t *testing.T) {
	w := newWorld(t, 0)
	a := w.tablet("anne", model.RoleNurse)
	old := *a
	var codes [2]string
	for i := range codes {
		var err error
		if codes[i], _, err = w.e.InviteReplacement(t.Context(), w.tenant, "x", old.id); err != nil {
			t.Fatal(err)
		}
	}
	a.enrol(codes[0])
	if _, err := w.e.Enrol(t.Context(), sync.Enrolment{Tenant: w.tenant, Code: codes[1], Key: w.tablet("stig", model.RoleNurse).newKey()}); !errors.Is(err, sync.ErrInvite) {
		t.Errorf("the second code: %v", err)
	}
	if d := old.device(); d.ReplacedBy != a.id {
		t.Errorf("replaced by %s", d.ReplacedBy)
	}
}

// enrol gives the tablet a new key and a new id.
func (tb *tablet) enrol(code string) {
	tb.w.t.Helper()
	public := tb.newKey()
	d, err := tb.w.e.Enrol(tb.w.t.Context(), sync.Enrolment{Tenant: tb.w.tenant, Code: code, Key: public})
	if err != nil {
		tb.w.t.Fatal(err)
	}
	tb.id, tb.seq, tb.prev, tb.cursor = d.ID, 0, "", ""
}

func (tb *tablet) newKey() jwk.PublicKey {
	tb.w.t.Helper()
	var seed [32]byte
	_, _ = tb.w.rand.Read(seed[:])
	tb.key = ed25519.NewKeyFromSeed(seed[:])
	public, err := jwk.New(tb.key.Public().(ed25519.PublicKey))
	if err != nil {
		tb.w.t.Fatal(err)
	}
	return public
}

// rotation is what a tablet asks for that changes its key to the new one at its present seq.
func (tb *tablet) rotation(public jwk.PublicKey) sync.Rotation {
	return sync.Rotation{Tenant: tb.w.tenant, Device: tb.id, Actor: tb.actor, Old: tb.device().JKT, New: public, LastSeq: tb.seq}
}

func (tb *tablet) rotate() {
	tb.w.t.Helper()
	r := tb.rotation(tb.newKey())
	if _, err := tb.w.e.RotateKey(tb.w.t.Context(), r); err != nil {
		tb.w.t.Fatal(err)
	}
}

// What stands against an entry is a matter of when it was signed and when it came, for every
// way in which a device's authority can end; none of them loses it (S14).
func TestAuthorityOverTime(t *testing.T) {
	const (
		applied = "applied"
		lease   = "quarantined lease-expired"
		retired = "quarantined key-retired"
		gone    = "quarantined device-revoked"
	)
	expire := func(a *tablet) { a.w.now += 13 * hour }
	rotate := func(a *tablet) { a.rotate() }
	revoke := func(a *tablet) {
		if _, err := a.w.e.Revoke(a.w.t.Context(), a.w.tenant, a.id, "lost"); err != nil {
			a.w.t.Fatal(err)
		}
	}
	compromise := func(a *tablet) {
		if _, err := a.w.e.RevokeCompromised(a.w.t.Context(), a.w.tenant, a.id, "stolen"); err != nil {
			a.w.t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		end  func(*tablet)
		// signed before, arrived before; signed before, arrived after; signed after, with the
		// key from before and with the one from after.
		before, between, afterOld, afterNew string
		note                                string // in the problem of the last one that was quarantined
	}{
		{"nothing", func(*tablet) {}, applied, applied, applied, applied, ""},
		{"expired", expire, applied, applied, lease, lease, "logs in again"},
		{"rotated", rotate, applied, applied, retired, applied, "gave this key up"},
		{"revoked", revoke, applied, gone, gone, gone, "a supervisor can release"},
		{"compromised", compromise, applied, gone, gone, gone, "strangers may hold its key"},
		{"expired, then rotated", func(a *tablet) { expire(a); a.login(model.RoleNurse); rotate(a) }, applied, applied, retired, applied, "gave this key up"},
		{"rotated, then expired", func(a *tablet) { rotate(a); expire(a) }, applied, applied, retired, lease, ""},
		{"rotated, then revoked", func(a *tablet) { rotate(a); revoke(a) }, applied, gone, retired, gone, ""},
		{"rotated twice", func(a *tablet) { rotate(a); rotate(a) }, applied, applied, retired, applied, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1)
			a, p := w.nurse("anne"), w.persons[0]
			want(t, a.push(a.score(p, memory, 1)), c.before)
			w.now += min_
			waits := a.score(p, "score/vision", 2)
			old := *a
			c.end(a)
			w.now += min_
			// The chain goes on; one entry of it with each key.
			old.lease = a.lease
			byOld := old.score(p, "score/hearing", 3)
			a.seq, a.prev = old.seq, old.prev
			byNew := a.score(p, "score/assist_eating", 4)
			want(t, a.push(waits), c.between)
			res := a.push(byOld, byNew)
			want(t, res, c.afterOld, c.afterNew)
			note := ""
			for _, r := range res {
				if r.Problem != nil {
					note = r.Problem.Detail
				}
			}
			if !strings.Contains(note, c.note) {
				t.Errorf("told: %s", note)
			}
			// Whatever was held can take effect, and verify (at the end) holds for every key.
			var held []model.EntryID
			for _, o := range []struct {
				e       signed
				outcome string
			}{{waits, c.between}, {byOld, c.afterOld}, {byNew, c.afterNew}} {
				if o.outcome != applied {
					held = append(held, o.e.id)
				}
			}
			w.release(held...)
			for unit, score := range map[model.Unit]string{"score/vision": `{"score":2}`, "score/hearing": `{"score":3}`, "score/assist_eating": `{"score":4}`} {
				if got := shown(t, w.unit(p, unit)); got != score {
					t.Errorf("%s shows %s", unit, got)
				}
			}
		})
	}
}
