package sync_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
	"flette/sync"
)

func v2(e *model.Entry) { e.V, e.App = 2, "tablet/3.1" }

func (w *world) restart(o sync.Options) {
	w.t.Helper()
	if err := w.st.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.options = o
	w.open()
}

func (w *world) recheck(wanted int) {
	w.t.Helper()
	n, err := w.e.Recheck(w.t.Context(), w.tenant)
	if err != nil || n != wanted {
		w.t.Errorf("judged anew: %d took effect, want %d; %v", n, wanted, err)
	}
}

// Both versions take effect, mixed in one chain; the desk signs the newest.
func TestVersionsSideBySide(t *testing.T) {
	w := newWorld(t, 1)
	a, p := w.nurse("anne"), w.persons[0]
	one := a.score(p, memory, 1)
	two := a.entry(p, model.ActRegister, []model.Change{scoreChange(memory, 2, one.id)}, v2)
	three := a.score(p, memory, 3, two.id)
	want(t, a.push(one, two, three), "applied", "applied", "applied")
	if got := shown(t, w.unit(p, memory)); got != `{"score":3}` {
		t.Errorf("shown %s", got)
	}
	want(t, a.push(one, two, three), "duplicate", "duplicate", "duplicate")
}

// Nobody makes an entry of one version into one of another: the signature is over its bytes.
func TestDowngrade(t *testing.T) {
	w := newWorld(t, 1)
	a, p := w.nurse("anne"), w.persons[0]
	e := a.entry(p, model.ActRegister, []model.Change{scoreChange(memory, 2)}, v2)
	part := strings.Split(string(e.jws), ".")
	payload, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		t.Fatal(err)
	}
	lower := strings.Replace(string(payload), `"v":2,"app":"tablet/3.1"`, `"v":1`, 1)
	if lower == string(payload) {
		t.Fatal("nothing was changed")
	}
	part[1] = base64.RawURLEncoding.EncodeToString([]byte(lower))
	want(t, a.push(signed{jws: []byte(strings.Join(part, "."))}), "refused bad-signature")
	want(t, a.push(e), "applied")
	want(t, a.push(e), "duplicate")
}

// A server that knows only version 1 keeps version 2; after an upgrade it takes effect at the
// time at which it was signed, and what something else stands against says so.
func TestUpgradeJudgesAnew(t *testing.T) {
	w := newWorldWith(t, 2, sync.Options{Newest: 1})
	a := w.tablet("anne", model.RoleNurse)
	p, other := w.persons[0], w.persons[1]
	w.assign("anne", p)
	w.now += min_
	signedAt := w.now
	good := a.entry(p, model.ActRegister, []model.Change{scoreChange(memory, 2)}, v2)
	stray := a.entry(other, model.ActRegister, []model.Change{scoreChange(memory, 2)}, v2)
	wrong := a.entry(p, model.ActRegister, []model.Change{{Unit: "score/vision", Value: jsontext.Value(`{"score":7}`)}}, v2)
	newest := a.entry(p, model.ActRegister, []model.Change{scoreChange("score/hearing", 2)}, func(e *model.Entry) { e.V = 99 })
	byHand := a.entry(p, model.ActRegister, []model.Change{scoreChange("score/assist_toilet", 3)}, v2)
	w.now += 3 * hour
	unknown := "quarantined unknown-version"
	want(t, a.push(good, stray, wrong, newest, byHand), unknown, unknown, unknown, unknown, unknown)
	w.recheck(0)
	settle := func(id model.EntryID) error {
		_, err := w.e.Settle(t.Context(), w.tenant, id, model.ActRelease, "sonja", boss, model.Reason{Code: "checked"})
		return err
	}
	if err := settle(good.id); err != sync.ErrNotReleasable {
		t.Errorf("released before the upgrade: %v", err)
	}
	w.mustVerify()

	w.restart(sync.Options{})
	if err := settle(byHand.id); err != nil {
		t.Errorf("release by hand: %v", err)
	}
	w.recheck(1)
	w.recheck(0)
	state := w.unit(p, memory)
	if got := shown(t, state); got != `{"score":2}` || state.Heads[0].Stamp.TEff != signedAt || state.Heads[0].Stamp.Class != model.ClockA {
		t.Errorf("shown %s, stamp %+v, signed at %d", got, state.Heads[0].Stamp, signedAt)
	}
	for _, c := range []struct {
		e     signed
		state string
		says  string
	}{
		{good, sync.StateReleased, ""}, {byHand, sync.StateReleased, ""}, {stray, sync.StateOpen, "out-of-scope"},
		{wrong, sync.StateOpen, "score-out-of-range"}, {newest, sync.StateOpen, fmt.Sprintf("it knows 1 to %d", model.ContractVersion)},
	} {
		item, err := w.e.QuarantineItem(t.Context(), w.tenant, c.e.id)
		if err != nil || item.State != c.state || item.Code != sync.CodeUnknownVersion || !strings.Contains(item.Detail, c.says) {
			t.Errorf("%+v, %v; want %s and %q", item, err, c.state, c.says)
		}
	}
	if err := settle(stray.id); err != nil {
		t.Errorf("a supervisor lets the stray one through: %v", err)
	}
	if err := settle(newest.id); err != sync.ErrNotReleasable {
		t.Errorf("a version that nobody knows was released: %v", err)
	}
	want(t, a.push(good), "duplicate unknown-version")
}

// What was signed after the session and in a version that the server did not know waits for
// the upgrade and for the login, whichever is last.
func TestUpgradeAndLogin(t *testing.T) {
	for _, loginLast := range []bool{true, false} {
		w := newWorldWith(t, 1, sync.Options{Newest: 1})
		a, p := w.nurse("anne"), w.persons[0]
		w.now += 13 * hour
		e := a.entry(p, model.ActRegister, []model.Change{scoreChange(memory, 2)}, v2)
		wrong := a.entry(p, model.ActRegister, []model.Change{scoreChange("score/vision", 7)}, v2)
		want(t, a.push(e, wrong), "quarantined unknown-version", "quarantined unknown-version")
		if !loginLast {
			if n := a.login(model.RoleNurse); n != 0 {
				t.Errorf("the login let %d through that nobody can read", n)
			}
		}
		w.restart(sync.Options{})
		w.recheck(0)
		item, err := w.e.QuarantineItem(t.Context(), w.tenant, e.id)
		if err != nil || !strings.Contains(item.Detail, "lease-expired") {
			t.Errorf("%+v, %v", item, err)
		}
		if n := a.login(model.RoleNurse); n != 1 {
			t.Errorf("the login let %d through", n)
		}
		if got := shown(t, w.unit(p, memory)); got != `{"score":2}` {
			t.Errorf("shown %s", got)
		}
		if n := a.login(model.RoleNurse); n != 0 {
			t.Errorf("the second login let %d through", n)
		}
	}
}

// Below the floor nothing is lost: a supervisor releases it, or the floor comes down; the
// tablet is told to update, until it has.
func TestFloor(t *testing.T) {
	w := newWorldWith(t, 1, sync.Options{Floor: 2})
	a, p := w.nurse("anne"), w.persons[0]
	old := a.score(p, memory, 1)
	out := a.pushed(old)
	want(t, out.Results, "quarantined version-retired")
	if out.Order == nil || out.Order.Do != sync.OrderUpdate {
		t.Fatalf("order %+v", out.Order)
	}
	if d := a.device(); sync.Explain(&d, w.now).Code != "below-floor" {
		t.Errorf("explained as %+v", sync.Explain(&d, w.now))
	}
	second := a.score(p, "score/vision", 2)
	want(t, a.push(second), "quarantined version-retired")
	w.release(old.id)
	out = a.pushed(a.entry(p, model.ActRegister, []model.Change{scoreChange("score/hearing", 2)}, v2))
	want(t, out.Results, "applied")
	if out.Order != nil {
		t.Errorf("order after the update: %+v", out.Order)
	}
	w.recheck(0)
	w.restart(sync.Options{})
	w.recheck(1)
	if got := shown(t, w.unit(p, "score/vision")); got != `{"score":2}` {
		t.Errorf("shown %s", got)
	}
	for _, o := range []sync.Options{{Newest: model.ContractVersion + 1}, {Floor: model.ContractVersion + 1}, {Newest: 1, Floor: 2}} {
		o.Store, o.Rand, o.Now = w.st, w.rand, func() model.Millis { return 0 }
		o.Keys = func(model.TenantID) (sync.Keys, error) { return w.keys, nil }
		if _, err := sync.New(o); err == nil {
			t.Errorf("an engine with newest %d and floor %d", o.Newest, o.Floor)
		}
	}
}

// An entry of a later version that cannot be placed waits where somebody sees it, and can be closed.
func TestUnplacedLaterVersion(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	e := a.signRaw(fmt.Appendf(nil, `{"v":99,"tenant":"testvik","whom":"somebody"}`))
	want(t, a.push(e), "quarantined unknown-version")
	w.recheck(0)
	if _, err := w.e.Settle(t.Context(), w.tenant, e.id, model.ActClose, "sonja", boss, model.Reason{Code: "nobody"}); err != nil {
		t.Error(err)
	}
}
