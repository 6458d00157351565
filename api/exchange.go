package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// push hands signed entries to the engine and its judgements back, one for one.
func push(c *call) (answer, error) {
	var in contract.PushRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	limits := c.s.limits()
	if len(in.Entries) > limits.Entries {
		return answer{}, c.s.tooLarge()
	}
	diary, f := c.diary(in.Diary)
	if f != nil {
		return answer{}, f
	}
	r := sync.PushRequest{
		Tenant: c.who.tenant, Device: c.who.lease.Device, JKT: c.who.lease.JKT, Actor: c.who.actor,
		Entries: make([][]byte, len(in.Entries)), Checkpoint: in.Checkpoint, Diary: diary,
	}
	for i, e := range in.Entries {
		r.Entries[i] = []byte(e)
	}
	result, err := c.engine().Push(c.ctx, r)
	if err != nil {
		return answer{}, err
	}
	out := contract.PushResponse{
		Epoch: result.Epoch, Checkpoint: string(result.Checkpoint), Limits: limits,
		Results: make([]contract.PushResult, len(result.Results)), Order: orderView(result.Order),
	}
	for i := range result.Results {
		out.Results[i] = resultView(i, &result.Results[i])
	}
	if out.Lease, err = c.renew(in.Diary); err != nil {
		// What was pushed is durable: that must reach the tablet, with or without a lease.
		c.s.o.Log.Warn("lease not renewed", "request", c.ex.id, "error", err)
	}
	return answer{status: http.StatusOK, value: out}, nil
}

func (c *call) diary(in *contract.Diary) (*store.Diary, *failure) {
	if in == nil {
		return nil, nil
	}
	switch {
	case in.Outbox < 0 || in.Outbox > maxSafe:
		return nil, failAt("invalid-member", "/diary/outbox", "The outbox counts from 0 to 9007199254740991.")
	case len(in.App) > 100:
		return nil, failAt("invalid-member", "/diary/app", "The name of the app is at most 100 bytes.")
	case len(in.LastError) > 200:
		return nil, failAt("invalid-member", "/diary/last_error", "The last error is at most 200 bytes.")
	}
	d := &store.Diary{Outbox: in.Outbox, Oldest: in.Oldest, App: in.App, LastError: in.LastError}
	if in.Wall != 0 {
		d.SkewMs = int64(in.Wall - model.MillisOf(c.now))
	}
	return d, nil
}

// renew gives a nearer clock anchor while the session lasts and the device is trusted.
func (c *call) renew(d *contract.Diary) (*contract.Lease, error) {
	claims := c.who.lease
	old, err := c.engine().Lease(c.who.tenant, claims.Device, claims.Actor, claims.ID)
	if err != nil {
		return nil, err
	}
	var wall model.Millis
	if d != nil {
		wall = d.Wall
	}
	fresh, renewed, err := c.engine().RenewLease(c.who.tenant, old, wall)
	if err != nil || !renewed {
		return nil, err
	}
	device, err := c.engine().Device(c.ctx, c.who.tenant, claims.Device)
	if err != nil || device.State != sync.DeviceActive || device.JKT != claims.JKT {
		return nil, err
	}
	l, err := c.leaseView(fresh, claims.JKT)
	if err != nil {
		return nil, err
	}
	return &l, nil
}

const (
	maxPull = 1000
	maxWait = 60
)

// pull sends a page of what changed in the caseload, or waits for news.
func pull(c *call) (answer, error) {
	limit, f := c.number("limit", 0, 1, maxPull)
	if f != nil {
		return answer{}, f
	}
	wait, f := c.number("wait", 0, 0, maxWait)
	if f != nil {
		return answer{}, f
	}
	r := sync.PullRequest{
		Tenant: c.who.tenant, Device: c.who.lease.Device, Actor: c.who.actor, JKT: c.who.lease.JKT,
		Cursor: c.text("cursor"), Limit: int(limit),
	}
	var page *sync.PullPage
	var err error
	if wait == 0 {
		page, err = c.engine().Pull(c.ctx, r)
	} else {
		// No longer than the lease: what comes later is not for a session that has ended.
		ctx, cancel := context.WithTimeout(c.s.polls, min(time.Duration(wait)*time.Second, c.s.o.Limits.Wait, c.who.lease.ExpiresAt.Time().Sub(c.now)))
		defer cancel()
		// Who waits for news does not work: each page is made in its turn, the first in the one at hand.
		first := true
		r.Turn = func() (func(), error) {
			if !first {
				if f := c.enter(); f != nil {
					return nil, f
				}
			}
			first = false
			return c.leave, nil
		}
		page, err = c.engine().PullWait(ctx, r)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = fail("unknown-device", "")
	}
	if err != nil {
		return answer{}, err
	}
	out := contract.PullResponse{
		Epoch: page.Epoch, Items: make([]contract.PullItem, len(page.Items)), Cursor: page.Cursor,
		More: page.More, Checkpoint: string(page.Checkpoint),
	}
	for i := range page.Items {
		if out.Items[i], err = c.s.pullItem(c.who.tenant, &page.Items[i]); err != nil {
			return answer{}, err
		}
	}
	return answer{status: http.StatusOK, value: out}, nil
}

func (s *Server) pullItem(tenant model.TenantID, it *sync.PullItem) (contract.PullItem, error) {
	out := contract.PullItem{Position: it.Position, Person: it.Person}
	switch {
	case it.Removed:
		out.Type = contract.ItemScopeRemove
	case it.Added != nil:
		card, err := s.visitCard(tenant, it.Added, it)
		if err != nil {
			return out, err
		}
		out.Type, out.Card = contract.ItemScopeAdd, &card
	case it.Card != nil:
		card, err := s.visitCard(tenant, it.Card, it)
		if err != nil {
			return out, err
		}
		out.Type, out.Card = contract.ItemCard, &card
	case it.Decision != nil:
		out.Type, out.Decision = contract.ItemDecision, decisionNews(it)
	case it.Settled != nil:
		state := sync.StateClosed
		if it.Settled.Act == model.ActRelease {
			state = sync.StateReleased
		}
		out.Type = contract.ItemQuarantine
		out.Settled = &contract.SettledNews{Entry: it.Settled.Entry, State: state, Reason: it.Settled.Reason}
	case it.Late != nil:
		out.Type = contract.ItemLate
		out.Late = &contract.LateNews{Entry: it.Late.Entry, Code: it.Late.Code, Received: it.Late.Received}
	default:
		view := unitView(it.Person, it.Unit)
		out.Type, out.Unit = contract.ItemUnit, &view
	}
	return out, nil
}

// visitCard is the card of somebody in a caseload, who may be visited today.
func (s *Server) visitCard(tenant model.TenantID, p *store.Person, it *sync.PullItem) (contract.PersonCard, error) {
	card, err := s.personCard(tenant, p)
	if it.Until != 0 {
		card.Until = &it.Until
	}
	card.Visit = it.Visit
	return card, err
}

func decisionNews(it *sync.PullItem) *contract.DecisionNews {
	d := &contract.DecisionNews{
		Entry: it.Entry, Actor: it.Decision.Actor, Reason: it.Decision.Reason,
		Units: []model.Unit{}, Over: []model.EntryID{},
	}
	for i := range it.Decision.Changes {
		d.Units = append(d.Units, it.Decision.Changes[i].Unit)
		d.Over = append(d.Over, it.Decision.Changes[i].Over...)
	}
	return d
}
