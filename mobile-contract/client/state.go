package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"

	contract "flette/mobile-contract"
	"flette/model"
)

// State is what must survive a restart of the tablet. The key is not in it: it stays where
// keys are kept and is handed to [Restore].
type State struct {
	Tenant     model.TenantID  `json:"tenant"`
	Device     model.DeviceID  `json:"device"`
	Epoch      string          `json:"epoch"` // life of the store that the kept positions are of
	JournalKey string          `json:"journal_key"`
	Seq        int64           `json:"seq"`  // of the newest signed entry
	Prev       string          `json:"prev"` // its id
	Lease      *contract.Lease `json:"lease,omitzero"`
	Rebooted   bool            `json:"rebooted,omitzero"` // the monotonic clock does not reach back to the lease
	Skew       model.Millis    `json:"skew,omitzero"`     // wall clock minus the server's when the lease came
	Checkpoint string          `json:"checkpoint,omitzero"`
	ServerTime model.Millis    `json:"server_time,omitzero"` // the last that the server gave
	Outbox     []Pending       `json:"outbox"`               // oldest first
	Refused    []Pending       `json:"refused,omitzero"`     // for a person to see (T4)
	Kept       []Kept          `json:"kept,omitzero"`        // acknowledged, for a rewound server (T5)

	Handovers []string `json:"handovers,omitzero"` // by the keys that were given up, oldest first (T12)

	JKT      string          `json:"jkt,omitzero"`      // thumbprint of the key in force
	Rotating bool            `json:"rotating,omitzero"` // a change of key was begun and is not known to be done
	Order    *contract.Order `json:"order,omitzero"`    // what the server wants done
	Wiped    string          `json:"wiped,omitzero"`    // id of the wipe order that was obeyed
}

// Pending is one signed entry.
type Pending struct {
	ID     model.EntryID  `json:"id"`
	Seq    int64          `json:"seq"`
	Person model.PersonID `json:"person"`
	Wall   model.Millis   `json:"wall"`
	JWS    string         `json:"jws"`
	Code   string         `json:"code,omitzero"` // of a refused entry
	Age    int            `json:"age,omitzero"`  // how many times the tablet was enrolled anew since it was signed
}

// Kept is an acknowledged entry and its place in the journal.
type Kept struct {
	Pending
	Position int64        `json:"position"`
	Received model.Millis `json:"received,omitzero"` // by the server's clock
	Told     model.Millis `json:"told,omitzero"`     // when the receipt came, by the wall clock
}

func (p Pending) decode() (*model.Entry, model.EntryID, error) {
	j, err := model.ParseJWS([]byte(p.JWS))
	if err != nil {
		return nil, model.EntryID{}, err
	}
	e, err := model.DecodeEntry(j.Payload)
	return e, j.ID, err
}

func (t *Tablet) save() error {
	if t.cfg.Save == nil {
		return nil
	}
	if err := t.cfg.Save(&t.s); err != nil {
		return fmt.Errorf("client: save: %w", err)
	}
	return nil
}

// Restore makes a tablet from saved state after a restart. Its monotonic clock does not reach
// back to the lease, and its view is empty until the next pull but for work that waits. cfg.Key
// is the key whose thumbprint is State.JKT. ErrWiped when it has obeyed a wipe order.
func Restore(cfg Config, s *State) (*Tablet, error) {
	if s.Wiped != "" {
		return nil, ErrWiped
	}
	if cfg.Key == nil {
		return nil, ErrKey
	}
	t, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if s.JKT != "" && s.JKT != t.call.prove.public.Thumbprint() {
		return nil, fmt.Errorf("%w: the state is of another key", ErrKey)
	}
	t.s, t.s.Rebooted = *s, true
	if t.verifier, err = note.NewVerifier(s.JournalKey); err != nil {
		return nil, fmt.Errorf("%w: journal key", ErrCheckpoint)
	}
	if s.Checkpoint != "" {
		if t.held, err = openCheckpoint(s.Checkpoint, t.verifier, s.Tenant); err != nil {
			return nil, err
		}
	}
	for _, p := range t.s.Outbox {
		t.waiting[p.Person]++
	}
	if s.Lease != nil {
		t.viewOf = s.Lease.Actor
	}
	t.dropView()
	return t, nil
}

// SaveFile returns a Save that replaces one file whole: written beside, synced, renamed. It
// rewrites the outbox each time, which is fine for the hundreds of entries of a long shift.
func SaveFile(path string) func(*State) error {
	return func(s *State) (err error) {
		body, err := json.Marshal(s, json.Deterministic(true))
		if err != nil {
			return err
		}
		f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
		if err != nil {
			return err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, ignoreGone(os.Remove(f.Name())))
			}
		}()
		if _, err = f.Write(body); err == nil {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if err = os.Rename(f.Name(), path); err != nil {
			return err
		}
		dir, err := os.Open(filepath.Dir(path))
		if err != nil {
			return err
		}
		return errors.Join(dir.Sync(), dir.Close())
	}
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// LoadFile reads what SaveFile wrote.
func LoadFile(path string) (*State, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s State
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("client: %s: %w", path, err)
	}
	return &s, nil
}
