package main

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"flette/internal/jwk"
	contract "flette/mobile-contract/client"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// visitProgram lets two nurses visit everybody offline: visit DIR TENANT [NURSE NURSE]. They disagree about
// the memory of each person (a review), and give each person practical help (a message).
func visitProgram(ctx context.Context, a *app, tenant model.TenantID, args []string) (err error) {
	var persons []store.Person
	var units []store.OrgUnit
	err = a.view(ctx, tenant, func(v store.View) error {
		persons, err = store.List[store.Person](v, "", "", 0)
		if err == nil {
			units, err = store.List[store.OrgUnit](v, "", "", 0)
		}
		return err
	})
	if err != nil {
		return err
	}
	nurses := []string{"anne", "berit"}
	if len(args) > 2 {
		nurses = args[2:]
	}
	for i, actor := range nurses {
		n, err := newNurse(ctx, a, tenant, model.ActorID(actor))
		if err != nil {
			return err
		}
		for j, p := range persons {
			changes := []model.Change{{Unit: "score/assist_memory", Value: fmt.Appendf(nil, `{"score":%d}`, 2+2*i)}}
			if i == 0 && len(units) > 0 {
				changes = append(changes, service(j, units[0].ID)...)
			}
			if err := n.sign(p.ID, changes); err != nil {
				return err
			}
		}
		if err := n.push(ctx); err != nil {
			return err
		}
	}
	return nil
}

// signProgram signs one change as a supervisor: sign DIR TENANT ACTOR BRUKERNR ACT UNIT [VALUE]. It
// is over what is shown, or takes it back without a value.
func signProgram(ctx context.Context, a *app, tenant model.TenantID, args []string) (err error) {
	n, err := newNurse(ctx, a, tenant, model.ActorID(args[2]))
	if err != nil {
		return err
	}
	c := model.Change{Unit: model.Unit(args[5])}
	var person model.PersonID
	err = a.view(ctx, n.tenant, func(v store.View) error {
		persons, err := store.List[store.Person](v, "", "", 0)
		for _, p := range persons {
			if fmt.Sprint(p.BrukerNr) == args[3] {
				person = p.ID
			}
		}
		if err != nil {
			return err
		}
		s, err := v.Unit(person, c.Unit)
		if head := s.Shown(); head != nil {
			c.Over = []model.EntryID{head.ID}
		}
		return err
	})
	if err != nil {
		return err
	}
	e := model.Entry{Person: person, Act: model.Act(args[4]), Changes: []model.Change{c}}
	if len(args) > 6 {
		e.Changes[0].Value = jsontext.Value(args[6])
	} else {
		e.Changes[0].Over, e.Changes[0].Target = nil, &c.Over[0]
	}
	if e.Act != model.ActRegister {
		e.Reason = &model.Reason{Code: "wrong-person"}
	}
	if err := n.signEntry(model.ContractVersion, e); err != nil {
		return err
	}
	return n.push(ctx)
}

func service(n int, unit string) []model.Change {
	id := fmt.Sprintf("service/bbbbbbbb-0000-4000-8000-%012x", n)
	var out []model.Change
	for _, c := range [][2]string{
		{"", `{"type":"15"}`}, {"/grant", `{"date":"2026-05-01"}`}, {"/start", `{"date":"2026-05-01"}`},
		{"/provider", `{"unit":"` + unit + `","from":"2026-05-01"}`},
	} {
		out = append(out, model.Change{Unit: model.Unit(id + c[0]), Value: jsontext.Value(c[1])})
	}
	return out
}

// nurse signs as a tablet does.
type nurse struct {
	a      *app
	tenant model.TenantID
	key    ed25519.PrivateKey
	device model.DeviceID
	actor  model.ActorID
	lease  model.Lease
	seq    int64
	prev   string
	outbox [][]byte
}

func newNurse(ctx context.Context, a *app, tenant model.TenantID, actor model.ActorID) (*nurse, error) {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, actor)
	n := &nurse{a: a, tenant: tenant, actor: actor, key: ed25519.NewKeyFromSeed(seed)}
	public, err := jwk.New(n.key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	code, _, err := a.engine.Invite(ctx, tenant, "nettbrett-"+string(actor))
	if err != nil {
		return nil, err
	}
	d, err := a.engine.Enrol(ctx, sync.Enrolment{Tenant: tenant, Code: code, Key: public})
	if err != nil {
		return nil, err
	}
	n.device = d.ID
	n.lease, _, err = a.engine.IssueLease(ctx, sync.LeaseGrant{
		Tenant: tenant, Device: d.ID, Actor: actor, Roles: model.Roles(model.RoleSupervisor), Wall: a.engine.Now(),
	})
	return n, err
}

// rotate gives her tablet another key.
func (n *nurse) rotate(ctx context.Context) error {
	key := ed25519.NewKeyFromSeed(append([]byte("another"), n.key.Seed()[7:]...))
	var public [2]jwk.PublicKey
	for i, k := range []ed25519.PrivateKey{n.key, key} {
		p, err := jwk.New(k.Public().(ed25519.PublicKey))
		if err != nil {
			return err
		}
		public[i] = p
	}
	_, err := n.a.engine.RotateKey(ctx, sync.Rotation{Tenant: n.tenant, Device: n.device, Old: public[0].Thumbprint(), New: public[1], LastSeq: n.seq})
	n.key = key
	return err
}

func (n *nurse) sign(person model.PersonID, changes []model.Change) error {
	return n.signAs(model.ContractVersion, person, changes)
}

// signAs signs in a version of the contract, which may be one that nobody knows yet.
func (n *nurse) signAs(v int, person model.PersonID, changes []model.Change) error {
	return n.signEntry(v, model.Entry{Person: person, Act: model.ActRegister, Changes: changes})
}

// signEntry fills in who and when.
func (n *nurse) signEntry(v int, e model.Entry) error {
	n.seq++
	e.V, e.App, e.Catalogue, e.Tenant, e.Device, e.Seq, e.Prev = v, "visit/1", "unknown", n.tenant, n.device, n.seq, n.prev
	e.Actor, e.Lease, e.Clock, e.Wall = n.actor, n.lease.ID, model.ClockMonotonic, n.lease.IssuedAt
	jws, id, err := contract.SignEntry(n.key, &e)
	n.prev = id.String()
	n.outbox = append(n.outbox, []byte(jws))
	return err
}

func (n *nurse) push(ctx context.Context) error {
	out, err := n.a.engine.Push(ctx, sync.PushRequest{Tenant: n.tenant, Device: n.device, Actor: n.actor, Entries: n.outbox})
	if err != nil {
		return err
	}
	for _, r := range out.Results {
		if r.Outcome != "applied" && r.Outcome != "conflict" {
			return fmt.Errorf("an entry is %s: %v", r.Outcome, r.Problem)
		}
	}
	return nil
}
