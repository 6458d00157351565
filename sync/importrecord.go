package sync

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// newImporter is the device that signs what an operator takes over from a former system. Its
// key follows from the desk's: it is the same server that vouches. It is a device of its own,
// because nobody at the review desk has seen what it signs (R107).
func newImporter(key ed25519.PrivateKey) (*desk, error) {
	seed := sha256.Sum256(append([]byte("flette/import/1\n"), key.Seed()...))
	return newSigner(ed25519.NewKeyFromSeed(seed[:]), KindImport, "import key", "flette import")
}

// RecordInput is one line of an import into the records of persons: one service, diagnosis,
// stay, measure of coercion or pause of a service, or one variable that a person has once.
type RecordInput struct {
	Line     int
	Number   string     // identity number of a person who is known here
	Section  string     // "service", "diagnosis", "stay", "coercion" or "pause"; "" with Path
	Ref      string     // the id in the former system: the same person and ref is the same service in every file
	Path     model.Unit // of a variable that a person has once, such as "score/vision", instead of Section and Ref
	Service  string     // of a pause or stay: ref of its service, which is imported already; "" for none
	Unit     string     // of the provider: id or local code of an organisation unit, "" for none
	UnitFrom string     // YYYY-MM-DD
	Items    []RecordItem
}

// RecordItem is the value of one unit.
type RecordItem struct {
	Group   string            // "" for the service or diagnosis itself, otherwise "grant" and so on
	Value   jsontext.Value    // as the catalogue has it
	Columns map[string]string // pointer into the value -> column of the file
}

// RecordSource says for the record what was imported and by whom.
type RecordSource struct {
	Actor  model.ActorID
	SHA256 string // of the file, hexadecimal
}

// RecordsImported counts units of records: each value of a line is one.
type RecordsImported struct {
	Lines   int   `json:"lines"`
	New     int   `json:"new"`
	Changed int   `json:"changed"` // imported before with another value
	Same    int   `json:"same"`
	Kept    int   `json:"kept"`       // registered or withdrawn here since: the import does not touch it
	KeptAt  []int `json:"kept_lines"` // the first lines with one that was kept
}

const (
	maxImportProblems = 1000 // lines that are told
	importBatch       = 200  // lines of one update
	checkBatch        = 1000 // lines of one view
	maxKeptLines      = 100
)

// ImportRecords judges all lines, then enters them. ImportProblems.
func (e *Engine) ImportRecords(ctx context.Context, tenant model.TenantID, src RecordSource, in []RecordInput) (RecordsImported, error) {
	done, err := e.CheckRecords(ctx, tenant, Each(in))
	if err != nil || done.New+done.Changed == 0 {
		return done, err
	}
	return e.EnterRecords(ctx, tenant, src, Each(in))
}

// CheckRecords judges all lines, counts what EnterRecords would do and stores nothing.
// ImportProblems.
func (e *Engine) CheckRecords(ctx context.Context, tenant model.TenantID, in Lines[RecordInput]) (RecordsImported, error) {
	done := RecordsImported{KeptAt: []int{}}
	ts, err := e.tenant(tenant)
	if err != nil {
		return done, err
	}
	var j judging
	err = batches(in, checkBatch, func(part []RecordInput) error {
		return e.st.View(ctx, tenant, func(v store.View) error {
			im, err := e.recordImporter(v, ts)
			if err != nil {
				return err
			}
			for i := range part {
				if first, twice := j.add(part[i].key(), part[i].Line); twice {
					im.duplicate(&part[i], first)
				}
				if _, _, err := im.line(&part[i]); err != nil {
					return err
				}
			}
			done.add(im.done)
			return j.batch(im.problems)
		})
	})
	return done, j.verdict(err)
}

// EnterRecords enters lines that CheckRecords has judged, as signed entries of the import key,
// in batches, each whole or not at all. What stands in the record already is left alone: the
// same file may be entered again, after a crash or by mistake. ImportProblems of a line that the
// record does not take any more; the batches before it stay.
func (e *Engine) EnterRecords(ctx context.Context, tenant model.TenantID, src RecordSource, in Lines[RecordInput]) (RecordsImported, error) {
	done := RecordsImported{KeptAt: []int{}}
	ts, err := e.tenant(tenant)
	if err != nil {
		return done, err
	}
	err = batches(in, importBatch, func(lines []RecordInput) error {
		part, err := e.importBatch(ctx, ts, tenant, src, lines)
		done.add(part)
		return err
	})
	return done, err
}

func (e *Engine) importBatch(ctx context.Context, ts *tenantState, tenant model.TenantID, src RecordSource, in []RecordInput) (RecordsImported, error) {
	now := e.o.Now()
	var done RecordsImported
	var b *batch
	_, err := e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		im, err := e.recordImporter(tx, ts)
		if err != nil {
			return err
		}
		b = &batch{e: e, ts: ts, tx: tx, received: now}
		for i := range in {
			person, changes, err := im.line(&in[i])
			if err != nil {
				return err
			}
			if len(im.problems) > 0 {
				return im.problems
			}
			if len(changes) == 0 {
				continue
			}
			a := deskAct{
				person: person, actor: src.Actor, roles: model.Roles(model.RoleSupervisor), act: model.ActRegister, changes: changes, by: ts.importer,
				reason: &model.Reason{Code: "import", Text: "taken over from a former system, file sha256 " + src.SHA256},
			}
			if err := b.enter(ts, tenant, a, now); err != nil {
				return err
			}
		}
		done = im.done
		return b.finish()
	})
	if err != nil {
		return done, err
	}
	ts.hub.touched(b.about, b.settled)
	return done, nil
}

// enter signs an act of the server and takes it. What would land in quarantine is an error:
// nobody signed it but us, a moment ago.
func (b *batch) enter(ts *tenantState, tenant model.TenantID, a deskAct, now model.Millis) error {
	c, err := b.e.deskSign(b.tx, ts, a, now)
	if err != nil {
		return err
	}
	c.authority(ts, tenant, now)
	b.e.checkValues(c)
	if c.problem != nil {
		return c.problem
	}
	var res Result
	if err := b.take(c, &res); err != nil {
		return err
	}
	if res.Problem != nil {
		return res.Problem
	}
	// The next one is signed in the same update and reads its place in the chain there.
	return b.tx.PutChain(c.jws.Device, *b.chains[c.jws.Device])
}

func (r *RecordsImported) add(o RecordsImported) {
	r.Lines, r.New, r.Changed, r.Same, r.Kept = r.Lines+o.Lines, r.New+o.New, r.Changed+o.Changed, r.Same+o.Same, r.Kept+o.Kept
	r.KeptAt = append(r.KeptAt, o.KeptAt[:min(len(o.KeptAt), maxKeptLines-len(r.KeptAt))]...)
}

// recordImport is one pass over lines.
type recordImport struct {
	e        *Engine
	ts       *tenantState
	v        store.View
	now      model.Millis
	units    map[string]string // id and local code -> id
	problems ImportProblems
	done     RecordsImported
}

func (e *Engine) recordImporter(v store.View, ts *tenantState) (*recordImport, error) {
	im := &recordImport{e: e, ts: ts, v: v, now: e.o.Now(), done: RecordsImported{KeptAt: []int{}}}
	var err error
	im.units, err = unitsByName(v)
	return im, err
}

func (im *recordImport) problem(line int, code, pointer, format string, args ...any) {
	im.problems = append(im.problems, &LineProblem{Line: line, Problem: *model.Problemf(code, pointer, format, args...)})
}

// key tells lines of a file apart.
func (in *RecordInput) key() lineKey {
	parts := []string{in.Number, in.Section, in.Ref, string(in.Path)}
	if in.Section == pauseGroup {
		parts = append(parts, in.Service)
	}
	return lineKeyOf(strings.Join(parts, "\n"))
}

func (im *recordImport) duplicate(in *RecordInput, first int) {
	if in.Path != "" {
		im.problem(in.Line, "duplicate-variable", "/variable", "line %d has the same person and variable; keep the newer registration", first)
		return
	}
	im.problem(in.Line, "duplicate-ref", "/ref", "line %d has the same person and ref (or without one the same dates); each service, diagnosis, stay, measure or pause has a ref of its own", first)
}

const pauseGroup = "pause"

// base is the path of what a line is about. ok is false when it belongs to a service that is
// not there.
func (im *recordImport) base(person model.PersonID, in *RecordInput) (path, service string, ok bool, err error) {
	if in.Service != "" {
		service = importedID(im.ts.keys, person, "service", in.Service)
		s, err := im.v.Unit(person, model.Unit("service/"+service))
		if err != nil || s == nil {
			return "", "", false, err
		}
	}
	switch {
	case in.Path != "":
		return string(in.Path), "", true, nil
	case in.Section == pauseGroup:
		return "service/" + service + "/" + pauseGroup + "/" + importedID(im.ts.keys, person, pauseGroup, in.Service+"\n"+in.Ref), service, true, nil
	}
	return in.Section + "/" + importedID(im.ts.keys, person, in.Section, in.Ref), service, true, nil
}

// atService puts the id of its service into a stay.
func atService(value jsontext.Value, service string) (jsontext.Value, error) {
	stay, err := catalogue.Decode[catalogue.Stay](value)
	if err != nil {
		return nil, err
	}
	stay.Service = service
	return json.Marshal(stay)
}

// line judges a line and says what it changes in the record.
func (im *recordImport) line(in *RecordInput) (model.PersonID, []model.Change, error) {
	im.done.Lines++
	hash := im.ts.keys.Index("person-number", in.Number)
	ref, err := store.Get[store.PersonIndex](im.v, hex.EncodeToString(hash[:]))
	if errors.Is(err, store.ErrNotFound) {
		im.problem(in.Line, "unknown-person", "/number", "no person here has this identity number; import persons first")
		return model.PersonID{}, nil, nil
	}
	if err != nil {
		return model.PersonID{}, nil, err
	}
	items := in.Items
	if in.Unit != "" {
		unit, ok := im.units[in.Unit]
		if !ok {
			im.problem(in.Line, "unknown-unit", "/unit", "no organisation unit has this id or local code; import units first")
			return ref.Person, nil, nil
		}
		value, err := json.Marshal(catalogue.Provider{Unit: unit, From: catalogue.Date(in.UnitFrom)})
		if err != nil {
			return ref.Person, nil, err
		}
		items = append(items[:len(items):len(items)], RecordItem{Group: "provider", Value: value, Columns: map[string]string{"": "unit"}})
	}
	base, service, ok, err := im.base(ref.Person, in)
	if err != nil {
		return ref.Person, nil, err
	}
	if !ok {
		im.problem(in.Line, "unknown-service", "/service", "the person has no service with this ref; import services first, with the same refs")
		return ref.Person, nil, nil
	}
	if in.Section == "stay" && service != "" {
		items = slices.Clone(items)
		if items[0].Value, err = atService(items[0].Value, service); err != nil {
			return ref.Person, nil, err
		}
	}
	var changes []model.Change
	kept := false
	for i := range items {
		unit := model.Unit(strings.TrimSuffix(base+"/"+items[i].Group, "/"))
		if p := im.e.o.Catalogue.Validate(unit, items[i].Value, im.now); p != nil {
			im.misfit(in.Line, &items[i], p)
			continue
		}
		s, err := im.v.Unit(ref.Person, unit)
		if err != nil {
			return ref.Person, nil, err
		}
		switch over, how := im.compare(s, items[i].Value); how {
		case importSame:
			im.done.Same++
		case importKept:
			im.done.Kept++
			kept = true
		default:
			if len(over) > 0 {
				im.done.Changed++
			} else {
				im.done.New++
			}
			changes = append(changes, model.Change{Unit: unit, Value: items[i].Value, Over: over})
		}
	}
	if kept && len(im.done.KeptAt) < maxKeptLines {
		im.done.KeptAt = append(im.done.KeptAt, in.Line)
	}
	return ref.Person, changes, nil
}

// misfit puts what the catalogue says of a value at the column that it came from.
func (im *recordImport) misfit(line int, item *RecordItem, p *model.Problem) {
	column, ok := item.Columns[p.Pointer]
	if !ok {
		column = item.Columns[""]
	}
	detail := p.Detail
	if p.Rule != "" {
		detail += " (" + p.Rule + ")"
	}
	im.problem(line, p.Code, "/"+column, "%s", detail)
}

const (
	importNew = iota
	importSame
	importKept
)

// compare says what becomes of a value. Only what the import key alone has said is changed
// by a later file: a nurse's or supervisor's word is newer than that of the former system.
func (im *recordImport) compare(s *model.UnitState, value []byte) (over []model.EntryID, how int) {
	if s == nil {
		return nil, importNew
	}
	if h := s.Shown(); h == nil {
		return nil, importKept // it was withdrawn
	} else if bytes.Equal(h.Value, value) || (model.Policy{}).Equal(h.Value, value) {
		return nil, importSame
	}
	for i := range s.Heads {
		if s.Heads[i].Device != im.ts.importer.id {
			return nil, importKept
		}
		over = append(over, s.Heads[i].ID)
	}
	return over, importNew
}

// importedID is the id of a service or diagnosis of a former system: always the same, so that
// a file can be imported again. It says nothing of the ref.
func importedID(k Keys, person model.PersonID, section, ref string) string {
	sum := k.Index("imported-"+section, person.String()+"\n"+ref)
	var id uuid.UUID
	copy(id[:], sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return id.String()
}

// unitsByName maps ids and local codes of organisation units to ids.
func unitsByName(v store.View) (map[string]string, error) {
	units, err := store.List[store.OrgUnit](v, "", "", 0)
	out := map[string]string{"": ""}
	for _, u := range units {
		out[u.ID] = u.ID
		if u.Local != "" {
			out[u.Local] = u.ID
		}
	}
	return out, err
}
