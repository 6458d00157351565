package sync_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"flette/internal/seal"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// unreadable signs entries of which this server reads the frame only: a correct without a
// reason, an unknown member, and a later version.
func (tb *tablet) unreadable(person model.PersonID) []signed {
	tb.w.t.Helper()
	raw := func(old, with string) signed {
		e := tb.entry(person, model.ActRegister, []model.Change{scoreChange(memory, 4)})
		j, err := model.ParseJWS(e.jws)
		if err != nil || !bytes.Contains(j.Payload, []byte(old)) {
			tb.w.t.Fatalf("%s is not in %s: %v", old, j.Payload, err)
		}
		e = tb.signRaw(bytes.Replace(j.Payload, []byte(old), []byte(with), 1))
		tb.prev = e.id.String()
		return e
	}
	return []signed{
		raw(`"act":"register"`, `"act":"correct"`), raw(`"act":`, `"colour":1,"act":`), raw(`"v":1`, `"v":99,"mood":1.5`),
	}
}

// The seq, the actor and the person of an entry that cannot be read count: no gap, no fork, in
// the person's history, and the same answer for ever, in any order and batching.
func TestAnUnreadableEntryKeepsItsPlace(t *testing.T) {
	keys, err := seal.Generate("testvik")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		tb := &shortWorld{TB: t, rt: rt}
		defer tb.end()
		w := startWorld(tb, keys, sync.Options{}, 1)
		a, p := w.nurse("anne"), w.persons[0]
		all := []signed{a.score(p, memory, 2)}
		all = append(all, a.unreadable(p)...)
		held := all[1:4:4]
		codes := map[model.EntryID]string{held[0].id: "reason-required", held[1].id: "invalid-payload", held[2].id: "unknown-version"}
		all = append(all, a.score(p, "score/vision", 3))
		for rest := rapid.Permutation(all).Draw(rt, "order"); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
			for _, r := range a.push(rest[:n]...) {
				if code := codes[r.ID]; code != "" && (r.Outcome != "quarantined" || r.Problem.Code != code) || code == "" && r.Outcome != "applied" {
					rt.Fatalf("%+v, want %q", r, code)
				}
			}
			rest = rest[n:]
		}
		for range 2 {
			again := outcomes(a.push(all...))
			if !slices.Equal(again, []string{"duplicate", "duplicate reason-required", "duplicate invalid-payload", "duplicate unknown-version", "duplicate"}) {
				rt.Fatalf("again %q", again)
			}
			w.mustVerify()
			for _, e := range held {
				item, err := w.e.QuarantineItem(t.Context(), w.tenant, e.id)
				if err != nil || item.Person != p || item.Actor != a.actor {
					rt.Fatalf("%+v, %v", item, err)
				}
				if item.State != sync.StateOpen {
					continue
				}
				sup, reason := model.Roles(model.RoleSupervisor), model.Reason{Code: "registered-anew"}
				if _, err := w.e.Settle(t.Context(), w.tenant, e.id, model.ActRelease, "sonja", sup, reason); err != sync.ErrNotReleasable {
					rt.Fatalf("release: %v", err)
				}
				if _, err := w.e.Settle(t.Context(), w.tenant, e.id, model.ActClose, "sonja", sup, reason); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if err := w.st.View(t.Context(), w.tenant, func(v store.View) error {
			c, err := v.Chain(a.id)
			if err != nil || c.Last != 5 || len(c.Missing) != 0 || c.Forked || c.Broken != 0 {
				rt.Fatalf("chain %+v, %v", c, err)
			}
			past, _, err := w.e.PersonHistory(v, p, "", -1, 100)
			if err != nil || len(past) != 8 { // five and their three closes
				rt.Fatalf("%d in history, %v", len(past), err)
			}
			for _, x := range past {
				at := slices.IndexFunc(all, func(e signed) bool { return e.id == x.ID })
				if code := codes[x.ID]; code != x.Code || (x.Entry == nil) != (code != "") || (x.Outcome == store.Quarantined) != (code != "") ||
					at >= 0 && (x.Seq != int64(at+1) || x.Actor != a.actor) {
					rt.Fatalf("history %+v", x)
				}
			}
			return nil
		}); err != nil {
			rt.Fatal(err)
		}
	})
}

// A frame that names another device or tenant places nothing, and a seq that was taken is a
// fork whoever can read it.
func TestAFrameOfSomebodyElseDoesNotCount(t *testing.T) {
	w := newWorld(t, 1)
	a, b, p := w.nurse("anne"), w.nurse("berit"), w.persons[0]
	unread := func(f func(*model.Entry)) signed {
		e := model.Entry{V: 99, Tenant: w.tenant, Device: a.id, Seq: 1, Actor: a.actor, Clock: model.ClockNone, Person: p}
		f(&e)
		return a.sign(e)
	}
	foreign := []signed{
		unread(func(e *model.Entry) { e.Device = b.id }),
		unread(func(e *model.Entry) { e.Tenant = "nabovik" }),
		unread(func(e *model.Entry) { e.Person = model.PersonID{} }),
	}
	code := "quarantined unknown-version"
	want(t, a.push(foreign...), code, code, code)
	for _, e := range foreign {
		item, err := w.e.QuarantineItem(t.Context(), w.tenant, e.id)
		if err != nil || !item.Person.IsZero() || item.Actor != "" {
			t.Errorf("%+v, %v", item, err)
		}
		if _, err := w.e.Settle(t.Context(), w.tenant, e.id, model.ActClose, "sonja", model.Roles(model.RoleSupervisor), model.Reason{Code: "nobody"}); err != nil {
			t.Error(err)
		}
	}
	want(t, a.push(a.score(p, memory, 2)), "applied")
	want(t, a.push(unread(func(*model.Entry) {})), code)
	want(t, a.push(a.score(p, memory, 3)), "quarantined device-forked")
}
