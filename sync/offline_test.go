package sync_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"

	"flette/internal/seal"
	"flette/model"
	"flette/sync"
)

// newServerKeys gives the tenant new lease and cursor keys, and keeps the old ones for what
// they made, as an operator does who changes the key file.
func (w *world) newServerKeys() {
	w.t.Helper()
	must := func(err error) {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	path := filepath.Join(w.t.TempDir(), "testvik.keys")
	must(w.keys.Save(path))
	raw, err := os.ReadFile(path)
	must(err)
	for _, member := range []string{"lease", "cursor"} {
		var f map[string]jsontext.Value
		must(json.Unmarshal(raw, &f))
		handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(f[member])))
		must(err)
		m := keyset.NewManagerFromHandle(handle)
		id, err := m.Add(prf.HMACSHA256PRFKeyTemplate())
		must(err)
		must(m.SetPrimary(id))
		handle, err = m.Handle()
		must(err)
		var fresh bytes.Buffer
		must(insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&fresh)))
		raw = bytes.Replace(raw, f[member], fresh.Bytes(), 1)
	}
	must(os.WriteFile(path, raw, 0o600))
	rotated, err := seal.Load(path, w.tenant)
	must(err)
	if rotated.LeaseKeyID() == w.keys.LeaseKeyID() || rotated.CursorKeyID() == w.keys.CursorKeyID() {
		w.t.Fatal("the keys are the old ones")
	}
	w.keys = rotated
}

// A tablet is sixty days without coverage. Meanwhile the server gets new keys and learns a
// new version of the contract, the app is updated, and others work on the same persons. Then
// it hands in everything, its nurse logs in, and it goes on where it was.
func TestSixtyDaysOffline(t *testing.T) {
	w := newWorldWith(t, 3, sync.Options{Newest: 1})
	a, b := w.nurse("anne"), w.nurse("berit")
	units := []model.Unit{memory, "score/vision", "score/hearing"}
	a.pull(100)
	cursor := a.cursor
	var outbox, others []signed
	inSession, version2 := 0, 0
	for day := range 60 {
		if day == 30 {
			w.newServerKeys()
			w.restart(sync.Options{})
		}
		morning := w.now
		for i, p := range w.persons {
			w.now += hour
			edit := func(*model.Entry) {}
			if day >= 31 { // the app was updated on the way: it has no server to ask
				edit = v2
				version2++
			}
			outbox = append(outbox, a.entry(p, model.ActRegister, []model.Change{scoreChange(units[i], 1+day%5, previous(outbox, 3)...)}, edit))
			if w.now <= a.lease.ExpiresAt {
				inSession++
			}
		}
		if day%7 == 0 {
			b.login(model.RoleNurse)
			others = append(others, b.score(w.persons[0], "score/assist_toilet", 1+day%5, previous(others, 1)...))
			want(t, b.push(others[len(others)-1]), "applied")
		}
		w.now = morning + 24*hour
	}
	if inSession != 3 || version2 == 0 || len(outbox) != 180 {
		t.Fatalf("%d signed in the session, %d of version 2, %d in all", inSession, version2, len(outbox))
	}

	held := 0
	for len(outbox) > 0 {
		n := min(50, len(outbox))
		for i, r := range a.push(outbox[:n]...) {
			switch {
			case r.Outcome == "applied":
			case r.Outcome == "quarantined" && r.Problem.Code == sync.CodeLeaseExpired:
				held++
			default:
				t.Fatalf("entry %d: %+v", i, r)
			}
			if off := r.Stamp.TEff - r.Stamp.Wall; off > sec || off < -sec || r.Stamp.Class != model.ClockA {
				t.Fatalf("entry %d: stamp %+v", i, r.Stamp)
			}
		}
		outbox = outbox[n:]
	}
	if held != 177 {
		t.Errorf("%d wait for the login, want 177", held)
	}
	d := a.device()
	if e := sync.Explain(&d, w.now); e.Code != "waits-for-login" || d.ForLogin != held {
		t.Errorf("before the login: %+v", e)
	}
	w.mustVerify()
	if n := a.login(model.RoleNurse); n != held {
		t.Errorf("the login let %d through", n)
	}
	for i, p := range w.persons {
		if got := shown(t, w.unit(p, units[i])); got != `{"score":5}` { // day 59
			t.Errorf("person %d shows %s", i, got)
		}
	}

	// The cursor of day 0, made with the old key, goes on: news, and not everything again.
	a.cursor = cursor
	seen := map[model.Unit]bool{}
	for _, it := range a.pull(50) {
		if it.Added != nil || it.Removed {
			t.Errorf("the caseload was sent again: %+v", it)
		}
		if it.Unit != nil {
			seen[it.Unit.Unit] = true
		}
	}
	if len(seen) != 4 || !seen["score/assist_toilet"] {
		t.Errorf("units in the pull: %v", seen)
	}
	if d := a.device(); len(d.Chain.Missing) != 0 || d.Chain.Last != 180 || d.Held != 0 || d.Diary.Contract != 2 {
		t.Errorf("%+v, %+v", d.Chain, d.Diary)
	}
	if d := a.device(); !sync.Explain(&d, w.now).InSync {
		t.Errorf("in the end: %+v", sync.Explain(&d, w.now))
	}
	want(t, a.push(a.entry(w.persons[0], model.ActRegister, []model.Change{scoreChange("score/assist_eating", 2)}, v2)), "applied")
}

// previous names the entry n before the next one, when there is one.
func previous(all []signed, n int) []model.EntryID {
	if len(all) < n {
		return nil
	}
	return []model.EntryID{all[len(all)-n].id}
}
