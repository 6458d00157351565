package sync

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"flette/conflict"
	"flette/model"
	"flette/store"
)

// Errors of a decision.
var (
	// ErrHeadsMoved means that the unit's heads are no longer those that were looked at.
	ErrHeadsMoved = errors.New("sync: the heads of the unit have changed since they were read")
	// ErrNoReview means that nothing is to be decided: the review is closed, and not by a
	// decision that another one could undo.
	ErrNoReview = errors.New("sync: the review is closed")
)

// ReviewStatus is a review with the unit it asks about.
type ReviewStatus struct {
	store.Review
	Merged   *model.UnitState
	OpenedAt model.Millis
}

// HeadSet is the name of the heads that a reader saw: the ETag of a review.
func (r *ReviewStatus) HeadSet() string {
	sum := conflict.HeadSet(r.Merged.Heads)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// decidable reports whether a decision makes sense: the review is open, or what is shown is
// itself a decision, which another one undoes.
func (r *ReviewStatus) decidable() bool {
	h := r.Merged.Shown()
	return r.State == StateOpen || h != nil && h.Act == model.ActDecide
}

// Review reads one review. store.ErrNotFound.
func (e *Engine) Review(v store.View, id string) (*ReviewStatus, error) {
	r, err := store.Get[store.Review](v, id)
	if err != nil {
		return nil, err
	}
	s, err := v.Unit(r.Person, r.Unit)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, store.ErrNotFound
	}
	out := &ReviewStatus{Review: r, Merged: s}
	if l, err := v.Entry(r.Opened); err == nil {
		out.OpenedAt = l.Stamp.Hi
	}
	return out, nil
}

// Reviews lists reviews: the open ones in the order they were opened (after is an opaque
// key from the last call, "" at first), or all by id. next is "" at the end.
func (e *Engine) Reviews(v store.View, state, after string, limit int) (out []*ReviewStatus, next string, err error) {
	var ids []string
	if state == StateOpen {
		open, err := store.List[store.OpenReview](v, "", after, limit)
		if err != nil {
			return nil, "", err
		}
		for _, o := range open {
			ids = append(ids, o.ID)
			next = o.DocKey()
		}
	} else {
		all, err := store.List[store.Review](v, "", after, limit)
		if err != nil {
			return nil, "", err
		}
		for _, r := range all {
			next = r.ID
			if state == "" || r.State == state {
				ids = append(ids, r.ID)
			}
		}
		if len(all) < limit {
			next = ""
		}
	}
	for _, id := range ids {
		r, err := e.Review(v, id)
		if err != nil {
			return nil, "", err
		}
		out = append(out, r)
	}
	if state == StateOpen && len(ids) < limit {
		next = ""
	}
	return out, next, nil
}

// Decision is a supervisor's choice through the api.
type Decision struct {
	Tenant  model.TenantID
	Review  string
	HeadSet string // as read: the decision holds for these heads only
	Actor   model.ActorID
	Roles   model.Roles
	Choose  *model.EntryID // one of the heads, or
	Value   []byte         // another value
	Reason  model.Reason
}

// Decide closes a review by a decide entry that names all heads. ErrHeadsMoved, ErrNoReview,
// store.ErrNotFound; a *model.Problem when the value or the choice cannot be.
func (e *Engine) Decide(ctx context.Context, d Decision) (*PushResult, error) {
	ts, err := e.tenant(d.Tenant)
	if err != nil {
		return nil, err
	}
	var act deskAct
	err = e.st.View(ctx, d.Tenant, func(v store.View) error {
		r, err := e.Review(v, d.Review)
		if err != nil {
			return err
		}
		act, err = decideAct(d, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return e.deskPush(ctx, d.Tenant, ts, act, func(tx store.Tx) error {
		// Once more inside the update: nobody comes between reading and deciding.
		r, err := e.Review(tx, d.Review)
		if err != nil {
			return err
		}
		_, err = decideAct(d, r)
		return err
	})
}

// decideAct makes the act from the heads as they are, or says why it cannot.
func decideAct(d Decision, r *ReviewStatus) (deskAct, error) {
	if strings.Trim(d.HeadSet, `"`) != r.HeadSet() {
		return deskAct{}, ErrHeadsMoved
	}
	if !r.decidable() {
		return deskAct{}, ErrNoReview
	}
	value := d.Value
	over := make([]model.EntryID, len(r.Merged.Heads))
	for i := range r.Merged.Heads {
		h := &r.Merged.Heads[i]
		over[i] = h.ID
		if d.Choose != nil && *d.Choose == h.ID {
			value = h.Value
		}
	}
	if len(value) == 0 {
		return deskAct{}, model.Problemf("invalid-member", "/choose", "choose one of the heads, or give a value")
	}
	return deskAct{
		person: r.Person, actor: d.Actor, roles: d.Roles, act: model.ActDecide, reason: &d.Reason,
		changes: []model.Change{{Unit: r.Unit, Value: jsontext.Value(value), Over: over}},
	}, nil
}

// DecideEntry applies a decide entry that the actor's own device signed. The heads must
// still be those of headSet.
func (e *Engine) DecideEntry(ctx context.Context, tenant model.TenantID, review, headSet string, actor model.ActorID, compact []byte) (*PushResult, error) {
	err := e.st.View(ctx, tenant, func(v store.View) error {
		r, err := e.Review(v, review)
		if err != nil {
			return err
		}
		if strings.Trim(headSet, `"`) != r.HeadSet() {
			return ErrHeadsMoved
		}
		if !r.decidable() {
			return ErrNoReview
		}
		j, err := model.ParseJWS(compact)
		if err != nil {
			return err
		}
		en, err := model.DecodeEntry(j.Payload)
		if err != nil {
			return err
		}
		if en.Act != model.ActDecide || en.Person != r.Person || len(en.Changes) != 1 || en.Changes[0].Unit != r.Unit {
			return model.Problemf("invalid-member", "/entry", "the entry must decide this unit of this person and nothing else")
		}
		for i := range r.Merged.Heads {
			if !slices.Contains(en.Changes[0].Over, r.Merged.Heads[i].ID) {
				return model.Problemf("invalid-member", "/entry", "the entry must name all heads of the review in over")
			}
		}
		if en.Actor != actor {
			return model.Problemf("invalid-member", "/entry", "the entry must be signed by the one who sends it")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// A head that arrives between the check and the update is not in the entry's over, so the
	// review stays open with class 6: late, but never hidden.
	return e.Push(ctx, PushRequest{Tenant: tenant, Entries: [][]byte{compact}})
}
