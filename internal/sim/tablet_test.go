package sim

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"flette/mobile-contract/client"
	"flette/model"
)

var background = context.Background()

// tablet is a real client in a hand: its storage, its clocks, its network, and who holds it.
type tablet struct {
	w     *world
	name  string
	owner model.ActorID // who has it on most days
	key   crypto.Signer
	c     *client.Tablet

	next crypto.Signer // stored beside the key while a change of key is not known to be done

	stored  *client.State // on its disk
	copied  *client.State // an older backup of its disk
	disk    diskFault
	offline model.Millis // until then, true time
	weather weather

	boot  model.Millis // true time
	base  model.Millis // true time at which the wall clock was last set
	ahead model.Millis // wall clock minus true time, then
	drift float64      // of the wall clock; 1e-6 is a second in eleven days

	latest model.Millis // server's time that it was ever sure of

	signed   []client.Pending               // all that this disk ever said is saved
	told     map[model.EntryID]string       // receipts that arrived
	received map[model.EntryID]model.Millis // when the server had the entry, by the newest of them
	owes     map[model.EntryID]bool         // acknowledged, lost by the server in its last restore, and held here then
	gone     bool                           // revoked, or out of use
}

type diskFault int

const (
	diskFine diskFault = iota
	diskFull           // saving fails and nothing is kept
	diskDies           // what was saved is kept, and then the power goes
)

var errDisk = errors.New("sim: the tablet's disk failed")

func (t *tablet) down() bool { return t.w.now < t.offline }

func (t *tablet) wall() time.Time {
	since := t.w.now - t.base
	at := t.w.now + t.ahead + model.Millis(float64(since)*t.drift)
	return at.Time()
}

// setWall is somebody, or the network, who sets the wall clock.
func (t *tablet) setWall(at model.Millis) { t.ahead, t.base = at-t.w.now, t.w.now }

func (t *tablet) config() client.Config {
	return client.Config{
		URL: baseURL, HTTP: &http.Client{Transport: t}, Key: t.key, Wall: t.wall,
		Mono:  func() time.Duration { return time.Duration(t.w.now-t.boot) * time.Millisecond },
		Sleep: t.w.sleep, Rand: t.w.bytes, App: "sim/1", Save: t.save, Tries: 2,
		Batch: int(t.w.seed % 4), Page: []int{0, 1, 3, 50}[t.w.seed/4%4],
		Encoding: []string{client.EncodingNone, client.EncodingGzip, client.EncodingZstd}[t.w.seed/16%3],
	}
}

// save is the tablet's disk.
func (t *tablet) save(s *client.State) error {
	if t.disk == diskFull {
		t.disk = diskFine
		t.w.count("disk full")
		return errDisk
	}
	kept := *s
	kept.Outbox, kept.Refused, kept.Kept = slices.Clone(s.Outbox), slices.Clone(s.Refused), slices.Clone(s.Kept)
	t.stored = &kept
	if t.disk == diskDies {
		return errDisk // the caller reboots
	}
	return nil
}

// newTablet enrols a tablet and gives its owner a caseload.
func (w *world) newTablet(owner model.ActorID) *tablet {
	t := &tablet{w: w, name: fmt.Sprintf("t%d", len(w.tablets)), owner: owner, told: map[model.EntryID]string{}, received: map[model.EntryID]model.Millis{}, boot: w.now, base: w.now}
	t.key = w.signer()
	w.tablets = append(w.tablets, t)
	w.enrol(t)
	if len(w.o.cases[owner]) == 0 {
		var persons []model.PersonID
		for _, p := range w.persons {
			if w.chance(0.7) {
				persons = append(persons, p)
			}
		}
		if len(persons) > 0 {
			w.assign(owner, persons, 0, 0, false)
		}
	}
	_ = t.login(owner)
	_, _ = t.c.Pull(background)
	return t
}

// signer makes a key of one of the two kinds.
func (w *world) signer() crypto.Signer {
	var seed [32]byte
	_, _ = w.bytes.Read(seed[:])
	if w.chance(0.3) {
		key, err := ecdsa.ParseRawPrivateKey(p256, seed[:])
		w.must(err)
		return key
	}
	return ed25519.NewKeyFromSeed(seed[:])
}

// enrol spends a code. An answer that is lost must not leave the tablet stuck: the same code
// and key again give the same device.
func (w *world) enrol(t *tablet) {
	var err error
	t.c, err = client.New(t.config())
	w.must(err)
	invite, err := again(w, func() (string, error) {
		in, err := w.boss().Invite(background, "nettbrett "+t.name)
		if err != nil {
			return "", err
		}
		return in.Code, nil
	})
	w.must(err)
	_, err = again(w, func() (bool, error) {
		_, err := t.c.Enrol(background, tenant, invite, "")
		return true, err
	})
	w.must(err)
}

// again repeats a call of the office until an answer arrives.
func again[T any](w *world, call func() (T, error)) (T, error) {
	for range 20 {
		v, err := call()
		var answer *client.Error
		if err == nil || errors.As(err, &answer) && answer.Status < 500 && answer.Status != http.StatusTooManyRequests {
			return v, err
		}
	}
	var zero T
	return zero, errors.New("sim: the office never gets an answer")
}

var supervisors = []model.ActorID{"sonja", "sverre"}

func rolesOf(a model.ActorID) model.Roles {
	if slices.Contains(supervisors, a) {
		return model.Roles(model.RoleSupervisor | model.RoleNurse)
	}
	return model.Roles(model.RoleNurse)
}

// login logs a user in on the tablet.
func (t *tablet) login(actor model.ActorID) error {
	t.ages()
	_, err := t.c.Login(background, t.w.login(actor, rolesOf(actor)))
	return err
}

// reboot loads what the disk holds; the monotonic clock starts anew.
func (t *tablet) reboot() { t.wake(t.stored) }

// wake starts the tablet on a state, by way of the bytes that a file would hold.
func (t *tablet) wake(from *client.State) {
	text, err := json.Marshal(from)
	t.w.must(err)
	var kept, used client.State
	t.w.must(json.Unmarshal(text, &kept))
	t.w.must(json.Unmarshal(text, &used))
	t.disk, t.boot, t.stored = diskFine, t.w.now, &kept
	t.newKey()
	t.c, err = client.Restore(t.config(), &used)
	t.w.must(err)
}

// crashed reports whether a call ended in the death of the tablet, and brings it back.
func (t *tablet) crashed() bool {
	if t.disk != diskDies {
		return false
	}
	t.w.count("tablet died while saving")
	t.reboot()
	return true
}

// sign makes an entry; the error is the tablet's own.
func (t *tablet) sign(who model.PersonID, kind model.Act, changes []model.Change, why *model.Reason) (model.EntryID, error) {
	id, err := t.c.Sign(who, kind, changes, client.SignOptions{Reason: why})
	if err != nil && !errors.Is(err, errDisk) {
		return id, err
	}
	if t.stored != nil {
		t.note(wrong(changes))
	}
	t.crashed()
	return id, err
}

// note books what the disk holds beyond what it held before.
func (t *tablet) note(bad string) {
	for _, p := range t.stored.Outbox {
		if slices.ContainsFunc(t.signed, func(q client.Pending) bool { return q.ID == p.ID }) {
			continue
		}
		t.signed = append(t.signed, p)
		if bad != "" {
			t.w.badValue[p.ID] = bad
		}
		t.w.signedAt[p.ID] = moment{t.w.serverNow(), t.w.jumps}
	}
}

// honest checks C and T2: what the disk said is saved is waiting, or was shown to have
// arrived by an answer that did arrive.
func (t *tablet) honest() {
	t.ages()
	outbox, refused := t.c.Outbox(), t.c.Refused()
	for _, p := range t.signed {
		waits := slices.ContainsFunc(outbox, func(q client.Pending) bool { return q.ID == p.ID && q.JWS == p.JWS })
		kept := slices.ContainsFunc(t.stored.Kept, func(q client.Kept) bool { return q.ID == p.ID && q.JWS == p.JWS })
		seen := slices.ContainsFunc(refused, func(q client.Pending) bool { return q.ID == p.ID })
		outcome, told := t.told[p.ID]
		switch {
		case !waits && !kept && !told:
			t.w.fail("C", "%s no longer holds entry %d, for which no receipt came", t.name, p.Seq)
		case seen && outcome != "refused":
			t.w.fail("C", "%s shows entry %d as refused, it was %s", t.name, p.Seq, outcome)
		case !waits && !kept && outcome == "refused" && !seen:
			t.w.fail("C", "%s hides refused entry %d", t.name, p.Seq)
		}
	}
	// A receipt is one of the life that the tablet last pushed to.
	positions := t.w.o.byID
	if t.stored.Epoch != t.w.o.epoch {
		positions = t.w.o.former[t.stored.Epoch]
	}
	for _, k := range t.stored.Kept {
		at, known := positions[k.ID]
		if !known || int64(at) != k.Position {
			t.w.fail("C", "%s holds a receipt for entry %d at %d that the journal does not know", t.name, k.Seq, k.Position)
		}
	}
	t.stillOwes()
}
