package kpr

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"flette/model"
	"flette/store"
)

// Errors of Run.
var (
	// ErrNothingToSend means that the register has everything; nothing was stored (K3).
	ErrNothingToSend = errors.New("kpr: nothing to send")
	errMoved         = errors.New("kpr: the ledger moved")
)

const (
	// MaxLines is the number of notifications after which a message ends, and MaxBytes what
	// its file may take: sealed it has to fit into one document of the store
	// (store.MaxDocBytes, in base64), and the register takes 15 MB. The next run goes on.
	MaxLines = 4000
	MaxBytes = store.MaxDocBytes / 3 * 2
	// maxExcluded is how many persons an extract lists; Counts has the whole number.
	maxExcluded = 2000

	personPage = 200
	attempts   = 5
	// reportingBegan is the first day of continuous reporting.
	reportingBegan = "2021-01-01"
)

// ledgerLock is a person that nobody is: updates that name it are serialised (G1), so two
// runs cannot both extend the chain.
var ledgerLock = model.PersonID{'k', 'p', 'r', '-', 'l', 'e', 'd', 'g', 'e', 'r', 0, 0, 0, 0, 0, 1}

// Options of Run, Preview and Resend.
type Options struct {
	Target  string       // Production or Test
	Now     model.Millis // of the run: store.Extract.Created, and the default of To
	By      string       // who runs it
	Vendor  string       // leverandor
	System  string       // navnEPJ
	Version string       // versjonEPJ
	From    string       // first day of reporting, "" for 2021-01-01
	To      string       // last day of events, "" for the UTC date of Now
	Types   []string     // service types on continuous reporting, nil for all valid ones
	Max     int          // notifications in a message, 0 for MaxLines

	MaxBytes int // of a file, 0 for MaxBytes

	// Position is the size at which the journal is read, 0 for all of it. It never goes back
	// behind the last message of the target. AsOf gives the view at a size, as sync.Engine does.
	Position int64
	AsOf     func(v store.View, size int64) store.View

	Progress func(persons int) // after each person, may be nil

	// Open, Seal and Index are those of seal.Keys. Index hashes identities for the ledger
	// (K7): after its key was changed every event would look corrected.
	Open  func(sealed []byte, ad string) ([]byte, error)
	Seal  func(plain []byte, ad string) ([]byte, error)
	Index func(kind, value string) [32]byte
}

func (o Options) complete() (Options, error) {
	if o.Target != Production && o.Target != Test {
		return o, model.Problemf("kpr-target", "/target", "the target is %s or %s", Production, Test)
	}
	if o.Open == nil || o.Seal == nil || o.Index == nil {
		return o, errors.New("kpr: Options needs Open, Seal and Index")
	}
	if o.Position < 0 || o.Position > 0 && o.AsOf == nil {
		return o, model.Problemf("kpr-position", "/position", "the position is a number of entries")
	}
	if o.From == "" {
		o.From = reportingBegan
	}
	if o.To == "" {
		// Oslo is ahead of UTC: an event of today is at worst held two hours too long.
		o.To = o.Now.Time().Format(time.DateOnly)
	}
	if !realDate(o.From) || !realDate(o.To) || o.To < o.From {
		return o, model.Problemf("kpr-period", "/period", "the period is two dates YYYY-MM-DD, the first not after the second")
	}
	if o.Max <= 0 || o.Max > MaxLines {
		o.Max = MaxLines
	}
	if o.MaxBytes <= 0 || o.MaxBytes > MaxBytes {
		o.MaxBytes = MaxBytes
	}
	return o, nil
}

// Run makes the next message of a tenant and target and stores its notifications, the
// extract with the sealed file, and the chain's new end, all in one update. It returns the
// extract and the file in clear. A message holds at most Options.Max notifications, and fewer
// when they take more than MaxBytes; call again until ErrNothingToSend.
//
// Errors: ErrNothingToSend; a *model.Problem with a code of Message.Check (the municipality
// has to mend something), "kpr-message-invalid" (internal), "kpr-target", "kpr-period",
// "kpr-position" or "kpr-busy" (other runs went ahead all the time); errors of the store.
//
// It reads every person who has a service or was ever reported, person by person, in one
// view. That is simple and right, also when units, numbers or the day change without any
// entry; a run holds one person's record at a time and the lines of one message.
func Run(ctx context.Context, st store.Store, tenant model.TenantID, opt Options) (store.Extract, []byte, error) {
	opt, err := opt.complete()
	if err != nil {
		return store.Extract{}, nil, err
	}
	for attempt := 0; attempt < attempts; {
		d := draft{opt: opt}
		if err := st.View(ctx, tenant, func(v store.View) error { return d.plan(ctx, v) }); err != nil {
			return store.Extract{}, nil, err
		}
		extract, file, err := d.write(ctx)
		if err != nil {
			return store.Extract{}, nil, err
		}
		if len(file) > opt.MaxBytes && len(d.lines) > 1 {
			opt.Max = len(d.lines) / 2
			continue
		}
		attempt++
		_, err = st.Update(ctx, tenant, []model.PersonID{ledgerLock}, func(tx store.Tx) error {
			return d.store(tx, extract)
		})
		if err == nil {
			return extract, file, nil
		}
		if !errors.Is(err, errMoved) {
			return store.Extract{}, nil, err
		}
	}
	return store.Extract{}, nil, model.Problemf("kpr-busy", "", "other extracts of the same target kept going ahead; try again")
}

// draft is a run before it is stored.
type draft struct {
	opt      Options
	tenant   store.Tenant
	position int64
	at       model.Millis // notifikasjonTid
	before   Head
	after    Head
	lines    []Line
	excluded []store.Excluded
	counts   map[string]int
}

func (d *draft) plan(ctx context.Context, v store.View) error {
	v, err := d.opt.at(v)
	if err != nil {
		return err
	}
	d.tenant, d.position, d.at = v.Tenant(), v.Size(), v.Tenant().Created
	d.counts = map[string]int{}
	if d.position > 0 {
		e, err := v.Entry(d.position - 1)
		if err != nil {
			return err
		}
		d.at = e.Stamp.Hi
	}
	if d.before, err = readHead(v, d.opt.Target); err != nil {
		return err
	}
	if d.position < d.before.Position {
		return model.Problemf("kpr-position", "/position", "the register was told what stood at %d entries; a message cannot go back behind that", d.before.Position)
	}
	d.after = d.before
	d.after.Resume, d.after.Position = model.PersonID{}, d.position
	if err := d.scan(ctx, v, d.before.Resume); err != nil {
		return err
	}
	if len(d.lines) == 0 && !d.before.Resume.IsZero() {
		// The rest of the last round had nothing: begin a new round.
		d.excluded, d.counts = nil, map[string]int{}
		if err := d.scan(ctx, v, model.PersonID{}); err != nil {
			return err
		}
	}
	if len(d.lines) == 0 {
		return ErrNothingToSend
	}
	return nil
}

// scan fills the message. Where it is full inside a person, the next one begins with this
// person again: what is in the ledger by then is not told twice.
func (d *draft) scan(ctx context.Context, v store.View, after model.PersonID) error {
	return eachPerson(ctx, v, d.opt, after, func(o outcome) (bool, error) {
		if o.excluded != nil {
			d.counts["excluded"]++
			if len(d.excluded) < maxExcluded {
				d.excluded = append(d.excluded, *o.excluded)
			}
		}
		for _, p := range o.pending {
			if len(d.lines) == d.opt.Max {
				d.after.Resume = after
				d.counts["persons"]++
				return false, nil
			}
			// The extract's id depends on the lines, so write fills it in.
			n := d.after.link(d.tenant.ID, p, d.at, "")
			d.lines = append(d.lines, Line{n, o.bruker})
			count(d.counts, p)
		}
		if len(o.pending) > 0 {
			d.counts["persons"]++
		}
		if after = o.person; len(d.lines) == d.opt.Max {
			d.after.Resume = after
			return false, nil
		}
		return true, nil
	})
}

// count keeps the numbers that are compared with the register's own view (domain: receipts).
func count(counts map[string]int, p Pending) {
	counts[p.Status]++
	counts[string(p.Event.Kind)]++
	counts["type-"+p.Event.Type]++
}

func (d *draft) write(ctx context.Context) (store.Extract, []byte, error) {
	first, last := &d.lines[0], &d.lines[len(d.lines)-1]
	id := guid("flette/kpr/extract/1", string(d.tenant.ID), d.opt.Target, fmt.Sprint(first.Serial), first.GUID, last.GUID)
	for i := range d.lines {
		d.lines[i].Extract = id
	}
	file, err := render(ctx, d.tenant, d.opt, id, d.lines)
	if err != nil {
		return store.Extract{}, nil, err
	}
	sum := sha256.Sum256(file)
	sealed, err := d.opt.Seal(file, extractAD(id))
	if err != nil {
		return store.Extract{}, nil, err
	}
	return store.Extract{
		ID: id, Format: Format, Target: d.opt.Target, Position: d.position, From: first.Serial, To: last.Serial,
		Created: d.opt.Now, By: d.opt.By, SHA256: hex.EncodeToString(sum[:]), Excluded: d.excluded, Counts: d.counts, File: sealed,
	}, file, nil
}

// at shows the journal at the position.
func (o Options) at(v store.View) (store.View, error) {
	if o.Position == 0 {
		return v, nil
	}
	if o.Position > v.Size() {
		return nil, model.Problemf("kpr-position", "/position", "the journal is not that long")
	}
	return o.AsOf(v, o.Position), nil
}

// extractAD is the associated data under which an extract's file is sealed.
func extractAD(id string) string { return "extract|" + id + "|1" }

// render writes and checks a message (K4).
func render(ctx context.Context, t store.Tenant, opt Options, localID string, lines []Line) ([]byte, error) {
	m := Message{
		Target: opt.Target, Vendor: opt.Vendor, System: opt.System, Version: opt.Version,
		LocalID: localID, Kommune: t.Kommune, Contacts: t.Contacts, Lines: lines,
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		return nil, err
	}
	if err := Validate(ctx, b.Bytes()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (d *draft) store(tx store.Tx, extract store.Extract) error {
	head, err := readHead(tx, d.opt.Target)
	if err != nil {
		return err
	}
	if head != d.before {
		return errMoved
	}
	for i := range d.lines {
		n := d.lines[i].Notification
		if err := store.Put(tx, n); err != nil {
			return err
		}
		if err := store.Put(tx, Newest(n)); err != nil {
			return err
		}
	}
	if err := store.Put(tx, d.after); err != nil {
		return err
	}
	return store.Put(tx, extract)
}

func readHead(v store.View, target string) (Head, error) {
	h, err := store.Get[Head](v, target)
	if errors.Is(err, store.ErrNotFound) {
		return Head{Target: target}, nil
	}
	return h, err
}
