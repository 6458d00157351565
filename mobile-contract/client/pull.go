package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	contract "flette/mobile-contract"
	"flette/model"
)

// PullReport says what a pull brought.
type PullReport struct {
	Pages int
	Items int
	News  []contract.PullItem // decisions, settlements, and entries of others that wait for a supervisor
	Anew  bool                // the view was dropped and loaded from the start
}

// Pull fetches pages until there are no more. Every page is applied whole, with its cursor
// (T7); after an error the pages before it are kept and the next Pull goes on from there.
func (t *Tablet) Pull(ctx context.Context) (*PullReport, error) { return t.pull(ctx, 0) }

// Wait is a Pull that the server holds back up to so many seconds until there is news.
func (t *Tablet) Wait(ctx context.Context, seconds int) (*PullReport, error) {
	return t.pull(ctx, seconds)
}

func (t *Tablet) pull(ctx context.Context, wait int) (*PullReport, error) {
	t.net.Lock()
	defer t.net.Unlock()
	report := &PullReport{}
	t.mu.Lock()
	if t.cursor == "" && (t.loaded != nil || t.view.ahead()) {
		// An unfinished Load that nobody goes on with, or work acknowledged before the first
		// pull: that one brings everybody anyway.
		t.dropView()
	}
	t.mu.Unlock()
	for {
		more, err := t.pullOne(ctx, report, wait)
		if err == nil && more {
			wait = 0
			continue
		}
		if code := CodeOf(err); !report.Anew && (code == "epoch-changed" || code == "cursor-gone" || code == "invalid-cursor") {
			t.mu.Lock()
			t.dropView()
			t.mu.Unlock()
			report.Anew = true
			continue
		}
		if err != nil {
			return report, t.failed(err)
		}
		return report, nil
	}
}

func (t *Tablet) pullOne(ctx context.Context, report *PullReport, wait int) (more bool, err error) {
	t.mu.Lock()
	if err := t.ready(); err != nil {
		t.mu.Unlock()
		return false, err
	}
	token, cursor := t.s.Lease.Token, t.cursor
	t.mu.Unlock()
	query := url.Values{}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	if t.cfg.Page > 0 {
		query.Set("limit", strconv.Itoa(t.cfg.Page))
	}
	if wait > 0 {
		query.Set("wait", strconv.Itoa(wait))
	}
	var page contract.PullResponse
	if _, err := t.call.do(ctx, request{
		method: http.MethodGet, path: "/v1/sync/pull", query: query, scheme: "DPoP", token: token, safe: true, out: &page,
	}); err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	cp, err := t.check(page.Checkpoint, page.Epoch)
	if err != nil {
		return false, err
	}
	if page.More && page.Cursor == cursor {
		return false, fmt.Errorf("%w: the cursor stands still", ErrAnswer)
	}
	if cursor != "" && page.Epoch != t.viewEpoch && t.view.ahead() {
		// The store was put back, perhaps to before own work that the view takes for known.
		t.dropView()
		report.Anew = true
		return true, nil
	}
	t.viewEpoch = page.Epoch
	waits := func(p model.PersonID) bool { return t.waiting[p] > 0 }
	for i := range page.Items {
		if t.forgot(&page.Items[i]) {
			continue
		}
		t.view.apply(&page.Items[i], waits, t.cfg.Lean)
	}
	report.News = append(report.News, newsIn(page.Items)...)
	t.cursor = page.Cursor
	t.pulled(cp)
	if !page.More {
		t.whole = true
		t.forget()
	}
	report.Pages++
	report.Items += len(page.Items)
	return page.More, t.save()
}

// forgot reports whether the item is a unit of somebody whom the tablet has forgotten because
// the time was over, while the server's clock was set back and has it that they are held: one
// unit is no record, and who is forgotten comes back whole, by scope.add.
func (t *Tablet) forgot(it *contract.PullItem) bool {
	who := t.view[it.Person]
	return it.Type == contract.ItemUnit && t.whole && (who == nil || who.loose)
}

// Audit asks the server to prove that its journal now continues the held checkpoint: that
// nothing acknowledged was changed or taken out. The error is ErrRewound when it cannot.
func (t *Tablet) Audit(ctx context.Context) error {
	t.net.Lock()
	defer t.net.Unlock()
	t.mu.Lock()
	if err := t.ready(); err != nil {
		t.mu.Unlock()
		return err
	}
	token, held := t.s.Lease.Token, t.held
	t.mu.Unlock()
	get := func(path string, query url.Values, out any) error {
		_, err := t.call.do(ctx, request{method: http.MethodGet, path: path, query: query, scheme: "DPoP", token: token, safe: true, out: out})
		return err
	}
	var now contract.CheckpointResponse
	if err := get("/v1/journal/checkpoint", nil, &now); err != nil {
		return t.failed(err)
	}
	t.mu.Lock()
	cp, err := t.check(now.Checkpoint, now.Epoch)
	t.mu.Unlock()
	if err != nil || held.text == "" || held.size == 0 || held.epoch != cp.epoch || held.size == cp.size {
		return err
	}
	var proof contract.ConsistencyProof
	if err := get("/v1/journal/consistency", url.Values{
		"from": {strconv.FormatInt(held.size, 10)}, "to": {strconv.FormatInt(cp.size, 10)},
	}, &proof); err != nil {
		return t.failed(err)
	}
	var path tlog.TreeProof
	for _, h := range proof.Proof {
		hash, err := tlog.ParseHash(h)
		if err != nil {
			return errors.Join(ErrAnswer, err)
		}
		path = append(path, hash)
	}
	if tlog.CheckTree(path, cp.size, cp.root, held.size, held.root) != nil {
		return &RewoundError{Epoch: held.epoch, Held: held.size, Got: cp.size}
	}
	return nil
}

// newsIn lists the items that are for the user to read.
func newsIn(items []contract.PullItem) (news []contract.PullItem) {
	for i := range items {
		switch items[i].Type {
		case contract.ItemDecision, contract.ItemQuarantine, contract.ItemLate:
			news = append(news, items[i])
		}
	}
	return news
}
