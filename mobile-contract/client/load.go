package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	contract "flette/mobile-contract"
	"flette/model"
)

// LoadReport says what a load brought.
type LoadReport struct {
	Persons int                 // whole persons
	Items   int                 // in them
	Cuts    int                 // times the stream was cut and went on
	Anew    bool                // a mark was not good any more: the load began again
	Pulled  bool                // the server has no snapshots: a pull did it
	News    []contract.PullItem // late entries that wait, and what became of quarantined ones
}

// errCut says that a stream stopped before its end.
var errCut = errors.New("client: the snapshot was cut off")

// Load fetches the whole caseload as a stream, today's visits first. Every person is there to
// be used as soon as they are complete; the cursor is kept at the end (T14). A cut stream
// goes on after its last mark, as often as it brings somebody; after an error Load may be
// called again and goes on too. Where the server has no snapshots it is a Pull.
func (t *Tablet) Load(ctx context.Context) (*LoadReport, error) {
	t.net.Lock()
	report := &LoadReport{}
	err := t.load(ctx, report)
	t.net.Unlock()
	if noRoute(err) {
		pulled, err := t.Pull(ctx)
		report.Pulled, report.News = true, pulled.News
		return report, err
	}
	if err != nil {
		return report, t.failed(err)
	}
	return report, nil
}

func noRoute(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed)
}

func (t *Tablet) load(ctx context.Context, report *LoadReport) error {
	for fruitless := 1; ; fruitless++ {
		before := report.Persons
		err := t.loadOnce(ctx, report)
		switch code := CodeOf(err); {
		case err == nil || ctx.Err() != nil:
			return err
		case !report.Anew && (code == "cursor-gone" || code == "invalid-cursor" || code == "epoch-changed"):
			report.Anew = true
			t.mu.Lock()
			t.mark, t.loaded = "", nil
			t.mu.Unlock()
			continue
		case !errors.Is(err, errCut):
			return err
		}
		report.Cuts++
		if report.Persons > before {
			fruitless = 0
			continue
		}
		if fruitless >= t.cfg.Tries {
			return err
		}
		if err := t.call.wait(ctx, fruitless, 0); err != nil {
			return err
		}
	}
}

// loadOnce reads one stream.
func (t *Tablet) loadOnce(ctx context.Context, report *LoadReport) error {
	query := url.Values{}
	t.mu.Lock()
	if t.mark != "" {
		query.Set("after", t.mark)
	}
	t.mu.Unlock()
	var who model.PersonID
	var items []contract.PullItem
	return t.lines(ctx, query, func(l *contract.SnapshotLine) error {
		switch l.Type {
		case contract.LineBegin:
		case contract.LineMark:
			t.mu.Lock()
			defer t.mu.Unlock()
			report.News = append(report.News, newsIn(items)...)
			if !who.IsZero() {
				t.view.replace(who, items, t.cfg.Lean)
				report.Persons++
				report.Items += len(items)
			}
			if t.loaded == nil {
				t.loaded = map[model.PersonID]bool{}
			}
			t.mark, t.loaded[who] = l.After, true
			who, items = model.PersonID{}, nil
		case contract.LineEnd:
			report.News = append(report.News, newsIn(items)...)
			return t.loadEnd(l)
		default:
			if l.Type == contract.ItemScopeAdd {
				who, items = l.Person, nil // after a cut inside a person, the person comes again
			}
			items = append(items, l.PullItem)
		}
		return nil
	})
}

// loadEnd takes the cursor, and forgets who is not in the caseload any more.
func (t *Tablet) loadEnd(l *contract.SnapshotLine) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	cp, err := t.check(l.Checkpoint, l.Epoch)
	if err != nil {
		return err
	}
	for p := range t.view {
		if !t.loaded[p] {
			t.view.purge(p, t.waiting[p] > 0)
		}
	}
	t.cursor, t.mark, t.loaded = l.Cursor, "", nil
	t.viewEpoch = l.Epoch
	t.whole = true
	t.pulled(cp)
	t.forget()
	return t.save()
}

// lines hands each line of a snapshot to fn, the last one with the epoch of the first. The
// error wraps errCut when the stream stops before its end.
func (t *Tablet) lines(ctx context.Context, query url.Values, fn func(*contract.SnapshotLine) error) error {
	t.mu.Lock()
	if err := t.ready(); err != nil {
		t.mu.Unlock()
		return err
	}
	token := t.s.Lease.Token
	t.mu.Unlock()
	var body io.ReadCloser
	if _, err := t.call.do(ctx, request{
		method: http.MethodGet, path: "/v1/sync/snapshot", query: query, scheme: "DPoP", token: token, safe: true, out: &body,
	}); err != nil {
		return err
	}
	defer body.Close()
	const maxLine = 16 << 20
	in := bufio.NewScanner(body)
	in.Buffer(nil, maxLine)
	in.Split(wholeLines)
	epoch := ""
	for in.Scan() {
		var l contract.SnapshotLine
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			return fmt.Errorf("%w: a line of the snapshot: %w", ErrAnswer, err)
		}
		if l.Type == contract.LineBegin {
			epoch = l.Epoch
		}
		end := l.Type == contract.LineEnd
		if end {
			l.Epoch = epoch
		}
		if err := fn(&l); err != nil || end {
			return err
		}
	}
	return errors.Join(errCut, in.Err())
}

// wholeLines splits at line feeds; what follows the last one was cut off.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	advance, token, err = bufio.ScanLines(data, atEOF)
	if atEOF && advance == len(data) && (len(data) == 0 || data[len(data)-1] != '\n') {
		return advance, nil, err
	}
	return advance, token, err
}
