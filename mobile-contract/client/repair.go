package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	contract "flette/mobile-contract"
	"flette/model"
)

// RepairReport says what was wrong with the view.
type RepairReport struct {
	Checked int
	Loaded  []model.PersonID // were wrong or missing, and are right now
	Purged  []model.PersonID // were not in the caseload
}

// maxDigests is what one request takes; tests lower it.
var maxDigests = 1000

// Repair compares the view with the server's, person by person, and puts right what differs:
// a person who is wrong or missing is loaded anew, one who is not in the caseload is purged
// (T8). It touches nobody else. Without a view it is a Load; where the server compares no
// digests it is one too.
func (t *Tablet) Repair(ctx context.Context) (*RepairReport, error) {
	report := &RepairReport{}
	for try := 0; ; try++ {
		t.mu.Lock()
		begun := t.cursor != ""
		t.mu.Unlock()
		behind, err := 0, error(nil)
		if begun {
			behind, err = t.repair(ctx, report)
		}
		code := CodeOf(err)
		switch {
		case !begun || noRoute(err) || code == "cursor-gone" || code == "invalid-cursor" || code == "epoch-changed":
			_, err = t.Load(ctx)
			return report, err
		case err != nil:
			return report, t.failed(err)
		case behind == 0:
			return report, nil
		case try >= t.cfg.Tries:
			return report, nil // somebody is written about all the time: the next repair finds out
		}
		if _, err := t.Pull(ctx); err != nil {
			return report, err
		}
	}
}

// repair asks once. It returns how many persons a pull has to bring up to date first.
func (t *Tablet) repair(ctx context.Context, report *RepairReport) (behind int, err error) {
	t.net.Lock()
	defer t.net.Unlock()
	verdict, checked, err := t.compare(ctx)
	if err != nil {
		return 0, err
	}
	report.Checked = checked
	for _, p := range slices.Concat(verdict.Differ, verdict.Missing) {
		switch err := t.reload(ctx, p); {
		case err == nil:
			report.Loaded = append(report.Loaded, p)
		case CodeOf(err) != "not-found": // left the caseload meanwhile
			return 0, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range verdict.Extra {
		if who := t.view[p]; who != nil && !who.gone {
			t.view.purge(p, t.waiting[p] > 0)
			report.Purged = append(report.Purged, p)
		}
	}
	return len(verdict.Behind), t.save()
}

// compare asks for a verdict on everybody, in parts that the server takes.
func (t *Tablet) compare(ctx context.Context) (*contract.DigestResponse, int, error) {
	t.mu.Lock()
	if err := t.ready(); err != nil {
		t.mu.Unlock()
		return nil, 0, err
	}
	token, cursor := t.s.Lease.Token, t.cursor
	held := []contract.PersonDigest{}
	for p, who := range t.view {
		// Who is here only because own work waits was never sent.
		if who.card != nil || who.sent() {
			held = append(held, contract.PersonDigest{Person: p, Digest: who.digest()})
		}
	}
	t.mu.Unlock()
	slices.SortFunc(held, func(a, b contract.PersonDigest) int { return bytes.Compare(a.Person[:], b.Person[:]) })
	var all *contract.DigestResponse
	for first := true; first || len(held) > 0; first = false {
		n := min(len(held), maxDigests)
		var part contract.DigestResponse
		if _, err := t.call.do(ctx, request{
			method: http.MethodPost, path: "/v1/sync/digest", scheme: "DPoP", token: token, safe: true, out: &part,
			in: contract.DigestRequest{Cursor: cursor, Persons: held[:n:n]},
		}); err != nil {
			return nil, 0, err
		}
		held = held[n:]
		if all == nil {
			all = &part
			continue
		}
		all.Differ, all.Behind = append(all.Differ, part.Differ...), append(all.Behind, part.Behind...)
		all.Extra = append(all.Extra, part.Extra...)
		all.Missing = slices.DeleteFunc(all.Missing, func(p model.PersonID) bool { return !slices.Contains(part.Missing, p) })
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return all, len(t.view), nil
}

// reload puts one person anew in the place of what is held.
func (t *Tablet) reload(ctx context.Context, p model.PersonID) error {
	for try := 1; ; try++ {
		var items []contract.PullItem
		err := t.lines(ctx, url.Values{"person": {p.String()}}, func(l *contract.SnapshotLine) error {
			switch l.Type {
			case contract.LineBegin:
				return nil
			case contract.LineEnd:
				t.mu.Lock()
				defer t.mu.Unlock()
				cp, err := t.check(l.Checkpoint, l.Epoch)
				if err != nil {
					return err
				}
				t.pulled(cp)
				t.view.replace(p, items, t.cfg.Lean)
				return nil
			}
			if l.Person != p {
				return fmt.Errorf("%w: the snapshot is of somebody else", ErrAnswer)
			}
			items = append(items, l.PullItem)
			return nil
		})
		if !errors.Is(err, errCut) || try >= t.cfg.Tries || ctx.Err() != nil {
			return err
		}
		if err := t.call.wait(ctx, try, 0); err != nil {
			return err
		}
	}
}

// sent reports whether the server has sent anything about the person.
func (p *person) sent() bool {
	for _, u := range p.units {
		if len(u.heads) > 0 || u.class != 0 {
			return true
		}
	}
	return false
}
