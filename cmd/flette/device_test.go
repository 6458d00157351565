package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// deviceHouse is a data folder with one municipality and two tablets that have pushed.
func deviceHouse(t *testing.T) (dir string, devices []model.DeviceID) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	flette(t, dir, 0, "tenant", "add", "--id", "testvik", "--name", "Testvik kommune", "--kommune", "9999")
	a, err := openApp(appOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, actor := range []model.ActorID{"anne", "berit"} {
		n, err := newNurse(t.Context(), a, "testvik", actor)
		if err == nil {
			err = n.push(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, n.device)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, devices
}

// flette runs a command on a data folder and gives what it says on both outputs.
func flette(t *testing.T, dir string, code int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if got := run(t.Context(), append(args, "--data", dir), &output{&out, &out}); got != code {
		t.Fatalf("flette %q: exit code %d, want %d: %s", args, got, code, out.String())
	}
	return out.String()
}

func TestDeviceVerbs(t *testing.T) {
	dir, ids := deviceHouse(t)
	anne, berit := ids[0].String(), ids[1].String()
	has := func(text string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(text, p) {
				t.Errorf("%q is not in\n%s", p, text)
			}
		}
	}
	tenant := "--tenant=testvik"
	has(flette(t, dir, 0, "device", "explain", tenant, anne), "behind: It has not fetched anything yet", "last contact", "push", "nettbrett-anne")
	has(flette(t, dir, 1, "device", "explain", tenant, model.DeviceID{9}.String()), "there is no tablet with this id")
	has(flette(t, dir, 2, "device", "explain", tenant, "nettbrett"), "UUID in lower case")

	has(flette(t, dir, 0, "device", "revoke", tenant, anne, "--reason", "lost"), "revoked "+anne)
	has(flette(t, dir, 0, "device", "revoke", tenant, anne, "--reason", "stolen", "--compromised"), "revoked "+anne)
	has(flette(t, dir, 0, "device", "list", tenant), "wipe ordered", "revoked")
	has(flette(t, dir, 0, "device", "list", tenant, "--json"), `"wipe": "ordered"`, `"compromised": true`, `"code": "behind"`)
	has(flette(t, dir, 0, "device", "explain", tenant, anne), "revoked: It is revoked, and has not said", "next: Bring it", "wipe: ", "strangers may sign")
	a, err := openApp(appOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	d, err := a.engine.DeviceStatus(t.Context(), "testvik", ids[0])
	if err == nil {
		_, err = a.engine.Wiped(t.Context(), sync.Wiping{Tenant: "testvik", Device: ids[0], Actor: "anne", Order: d.Standing().ID})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	has(flette(t, dir, 0, "device", "list", tenant), "wipe acknowledged")
	has(flette(t, dir, 0, "device", "explain", tenant, anne, "--json"), `"code": "wiped"`, `"sentence": "It is revoked, and said at `)

	has(flette(t, dir, 0, "device", "invite", tenant, "--label", "tablet 7", "--replaces", berit), "code ")
	has(flette(t, dir, 1, "device", "invite", tenant, "--label", "tablet 7", "--replaces", model.DeviceID{9}.String()), "there is no tablet with this id")
	has(flette(t, dir, 2, "device", "invite", tenant, "--label", "tablet 7", "--replaces", "berit"), "--replaces: the id of a tablet is a UUID")
	has(flette(t, dir, 2, "serve", "--contract-floor", "4"), "--contract-floor: a number from 0 to 3")
}

// The server writes the diaries that wait when it stops, and judges anew what waited for it
// when it starts.
func TestServerKeepsDiaries(t *testing.T) {
	dir, ids := deviceHouse(t)
	a, err := openApp(appOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	page, err := a.engine.Pull(t.Context(), sync.PullRequest{Tenant: "testvik", Device: ids[0], Actor: "anne"})
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	a.flushing(ended)
	if err := a.view(t.Context(), "testvik", func(v store.View) error {
		y, err := store.Get[store.Diary](v, ids[0].String())
		if y.Contact != sync.ContactPull || y.Pulled == 0 || y.Cursor != page.Position {
			t.Errorf("diary %+v", y)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := a.recheck(t.Context()); err != nil {
		t.Error(err)
	}
}
