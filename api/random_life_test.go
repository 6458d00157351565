package api

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"flette/mobile-contract/client"
	"flette/model"
	"flette/store"
)

// flaky loses requests and answers of everything but logins, as its dice say.
type flaky struct {
	http.RoundTripper
	dice *rand.Rand
	calm bool
}

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	fate := f.dice.IntN(10)
	if f.calm || r.URL.Path == "/v1/leases" {
		fate = 9
	}
	if fate == 0 {
		return nil, fmt.Errorf("no network")
	}
	res, err := f.RoundTripper.RoundTrip(r)
	if fate == 1 && err == nil {
		_ = res.Body.Close() // the answer is lost on purpose
		return nil, fmt.Errorf("answer lost")
	}
	return res, err
}

// A tablet signs, pushes, pulls, changes its key, restarts and is left alone in any order,
// over a network that loses requests and answers. In the end everything that it signed is in
// effect: nothing refused, nothing signed with a key of another seq, nothing lost.
func TestAnyLifeOfATablet(t *testing.T) {
	h := newHouse(t, noLimits)
	for seed := range uint64(4) {
		dice := rand.New(rand.NewPCG(seed, 25))
		name := fmt.Sprint("nurse-", seed)
		h.assign(testvik, name, h.people[testvik]...)
		wire := &flaky{RoundTripper: h.http.Transport, dice: dice, calm: true}
		keyOf := func(n int) ed25519.PrivateKey {
			sum := sha256.Sum256(fmt.Appendf(nil, "life %d key %d", seed, n))
			return ed25519.NewKeyFromSeed(sum[:])
		}
		keys := []ed25519.PrivateKey{keyOf(0)}
		a := h.rig(keys[0])
		a.cfg.HTTP = &http.Client{Transport: wire}
		var err error
		a.Tablet, err = client.New(a.cfg)
		must(t, err)
		a.work(name)
		wire.calm = false
		signed := map[model.EntryID]bool{}
		counts := map[string]int{}
		// The key that a change was begun with is begun with again.
		var next ed25519.PrivateKey
		rotated := func() error {
			if next == nil {
				next = keyOf(len(keys))
				keys = append(keys, next)
			}
			err := a.RotateKey(background, next)
			if err == nil {
				next = nil
			}
			return err
		}
		for step := range 150 {
			what := []string{"sign", "sign", "sign", "push", "pull", "rotate", "restart", "wait", "login"}[dice.IntN(9)]
			switch what {
			case "sign":
				unit := model.Unit(fmt.Sprintf("service/bbbbbbbb-0000-4000-8000-%06x%06x", seed, step))
				id, err := a.Sign(h.people[testvik][dice.IntN(4)], model.ActRegister, []model.Change{{Unit: unit, Value: jsontext.Value(`{"type":"15"}`)}}, client.SignOptions{})
				must(t, err)
				signed[id] = true
			case "push":
				_, _ = a.Push(background) // it may fail, and is tried again
			case "pull":
				_, _ = a.Pull(background)
			case "rotate":
				_ = rotated()
			case "restart":
				again, err := a.again(keys...)
				must(t, err)
				a = again
			case "wait":
				h.advance(time.Duration(dice.IntN(300)) * time.Minute)
			case "login":
				_, _ = a.Login(background, h.token(testvik, name, nurse))
			}
			counts[what]++
		}
		wire.calm = true
		if next != nil {
			err := rotated()
			if client.CodeOf(err) == "lease-expired" || client.CodeOf(err) == "lease-not-bound" {
				err = nil // it was not made, and goes on with the old key
			}
			must(t, err)
		}
		if _, err := a.Login(background, h.token(testvik, name, nurse)); err != nil {
			t.Fatalf("seed %d: login: %v", seed, err)
		}
		if _, err := a.Push(background); err != nil {
			t.Fatalf("seed %d: the last push: %v", seed, err)
		}
		a.login(name) // lets through what was signed after a session had ended
		if len(a.Outbox()) != 0 || len(a.Refused()) != 0 {
			t.Errorf("seed %d: %d in the outbox, %d refused", seed, len(a.Outbox()), len(a.Refused()))
		}
		must(t, h.engine.Store().View(background, testvik, func(v store.View) error {
			for at := range v.Size() {
				l, err := v.Entry(at)
				if err != nil {
					return err
				}
				if signed[l.ID] && l.Code != "" && l.Code != "lease-expired" {
					t.Errorf("seed %d: seq %d is %s", seed, l.Seq, l.Code)
				}
				delete(signed, l.ID)
			}
			return nil
		}))
		if len(signed) != 0 {
			t.Errorf("seed %d: %d entries are not in the journal", seed, len(signed))
		}
		d, err := h.engine.DeviceStatus(background, testvik, a.ID())
		must(t, err)
		if d.Held != 0 || d.Chain.Last != int64(counts["sign"]) || len(d.Chain.Missing) != 0 || d.Chain.Broken != 0 {
			t.Errorf("seed %d: %d held, chain %+v of %d entries", seed, d.Held, d.Chain, counts["sign"])
		}
		if len(d.Retired) == 0 || counts["restart"] == 0 {
			t.Errorf("seed %d: %d keys given up, steps %v: too tame", seed, len(d.Retired), counts)
		}
	}
}
