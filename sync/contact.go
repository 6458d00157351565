package sync

import (
	"context"
	"errors"
	"maps"
	"slices"
	gosync "sync"

	"flette/model"
	"flette/store"
)

// Kinds of contact in a device's diary.
const (
	ContactPush   = "push"
	ContactPull   = "pull"
	ContactLease  = "lease"
	ContactWiped  = "wiped"
	ContactRotate = "rotate"
)

// A call that writes anyway writes its contact in the same update. A pull must not pay for a
// commit, and must not fail because the disk is full: what it adds to the diary waits here
// until [Engine.Flush]. It can be lost, with the process, and never more than that.
type contacts struct {
	mu      gosync.Mutex
	waiting map[model.DeviceID]store.Diary
}

// note adds news of a device.
func (c *contacts) note(news store.Diary) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[model.DeviceID]store.Diary{}
	}
	c.waiting[news.Device] = mergeDiary(c.waiting[news.Device], news)
}

// over gives a stored diary with what waits on top; nil when nothing is known.
func (c *contacts) over(id model.DeviceID, stored *store.Diary) *store.Diary {
	c.mu.Lock()
	news, ok := c.waiting[id]
	c.mu.Unlock()
	if !ok {
		return stored
	}
	if stored != nil {
		news = mergeDiary(*stored, news)
	}
	return &news
}

// mergeDiary puts what was seen later over what was seen before. What a tablet says of itself
// comes with pushes only, and is not in news.
func mergeDiary(d, news store.Diary) store.Diary {
	d.Device = news.Device
	if news.At >= d.At && news.Contact != "" {
		d.At, d.Contact, d.Actor = news.At, news.Contact, news.Actor
	}
	if news.Pulled >= d.Pulled && news.Pulled != 0 {
		d.Pulled, d.Cursor = news.Pulled, news.Cursor
	}
	if news.Login >= d.Login && news.Login != 0 {
		d.Login, d.LeaseEnds = news.Login, news.LeaseEnds
	}
	if news.ProblemAt >= d.ProblemAt && news.ProblemAt != 0 {
		d.Problem, d.ProblemAt = news.Problem, news.ProblemAt
	}
	if news.Contact == ContactPush {
		d.Pushed = max(d.Pushed, news.At)
	}
	d.Pushed = max(d.Pushed, news.Pushed)
	if news.PushErrAt >= d.PushErrAt && news.PushErrAt != 0 {
		d.PushError, d.PushErrAt = news.PushError, news.PushErrAt
	}
	d.Contract = max(d.Contract, news.Contract)
	return d
}

func diaryOf(v store.View, id model.DeviceID) (store.Diary, error) {
	d, err := store.Get[store.Diary](v, id.String())
	if errors.Is(err, store.ErrNotFound) {
		return store.Diary{Device: id}, nil
	}
	return d, err
}

func putDiary(tx store.Tx, news store.Diary) error {
	d, err := diaryOf(tx, news.Device)
	if err != nil {
		return err
	}
	return store.Put(tx, mergeDiary(d, news))
}

// keepDiary notes a push, and what the tablet said of itself: without a word from it, what it
// said last stands. taken entries of its outbox are acknowledged by this very push. It
// returns the diary as it is now.
func keepDiary(tx store.Tx, r PushRequest, signed int, taken int64, received model.Millis) (store.Diary, error) {
	d, err := diaryOf(tx, r.Device)
	if err != nil {
		return d, err
	}
	if said := r.Diary; said != nil {
		d.Outbox, d.Oldest, d.SkewMs, d.App, d.LastError = said.Outbox, said.Oldest, said.SkewMs, said.App, said.LastError
		if d.Outbox = max(0, d.Outbox-taken); d.Outbox == 0 {
			d.Oldest = 0
		}
	}
	if signed != 0 {
		d.Contract = signed // also downwards: an app can be rolled back
	}
	d = mergeDiary(d, store.Diary{Device: r.Device, At: received, Contact: ContactPush, Actor: r.Actor})
	return d, store.Put(tx, d)
}

// NoteProblem keeps the code of a problem that a device was answered with, for its page.
// contact is the kind of call, "" for another than a contact: what is wrong with pushes is not
// put right by a pull that goes well.
func (e *Engine) NoteProblem(tenant model.TenantID, device model.DeviceID, contact, code string) {
	ts, err := e.tenant(tenant)
	if err != nil {
		return
	}
	news := store.Diary{Device: device, Problem: code, ProblemAt: e.o.Now()}
	if contact == ContactPush {
		news.PushError, news.PushErrAt = code, news.ProblemAt
	}
	ts.contacts.note(news)
}

// Flush writes the diary entries that wait in memory. Call it now and then, and at the end.
// What cannot be written waits on.
func (e *Engine) Flush(ctx context.Context) error {
	var all error
	e.tenants.Range(func(id, ts any) bool {
		all = errors.Join(all, e.flush(ctx, id.(model.TenantID), &ts.(*tenantState).contacts))
		return true
	})
	return all
}

func (e *Engine) flush(ctx context.Context, tenant model.TenantID, c *contacts) error {
	c.mu.Lock()
	waiting := maps.Clone(c.waiting)
	c.mu.Unlock()
	if len(waiting) == 0 {
		return nil
	}
	_, err := e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		for _, id := range slices.SortedFunc(maps.Keys(waiting), func(a, b model.DeviceID) int { return slices.Compare(a[:], b[:]) }) {
			if err := putDiary(tx, waiting[id]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, written := range waiting {
		if c.waiting[id] == written {
			delete(c.waiting, id)
		}
	}
	return nil
}
