package yearly

import (
	"bytes"
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/jacoelho/xsd"

	"flette/iplos/kpr"
	"flette/model"
	"flette/store"
	"flette/store/bolt"
)

const tenant model.TenantID = "skogvik"

var signedAt = model.MillisOf(time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC))

// town is a municipality with persons and the units that a merge would give.
type town struct {
	t     testing.TB
	st    store.Store
	units map[model.PersonID][]*model.UnitState
}

func newTown(t testing.TB) *town {
	t.Helper()
	st, err := bolt.Open(t.TempDir(), bolt.Options{NewEpoch: func() string { return "epoch" }, InitialMmapSize: 1 << 24})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := st.CreateTenant(context.Background(), store.Tenant{ID: tenant, Name: "Skogvik", Kommune: "9999", Format: 1}); err != nil {
		t.Fatal(err)
	}
	return &town{t, st, map[model.PersonID][]*model.UnitState{}}
}

// add stores a person with number n; @a to @f in paths are ids.
func (w *town) add(n int, number string, values map[string]jsontext.Value) {
	w.t.Helper()
	p := store.Person{ID: model.PersonID{15: byte(n), 14: byte(n >> 8), 6: 0x40, 8: 0x80}, BrukerNr: int64(n), IDType: "1", Test: true, Kommune: "9999"}
	var err error
	if p.Sealed, err = json.Marshal(store.Identity{Number: number, Name: "Navnløs", BirthDate: "1941-02-01", Sex: "2"}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.st.Update(context.Background(), tenant, nil, func(tx store.Tx) error { return store.Put(tx, p) }); err != nil {
		w.t.Fatal(err)
	}
	for _, path := range slices.Sorted(maps.Keys(values)) {
		unit := path
		if at := strings.IndexByte(path, '@'); at >= 0 {
			unit = path[:at] + "0190a000-0000-7000-8000-00000000000" + path[at+1:at+2] + path[at+2:]
		}
		w.units[p.ID] = append(w.units[p.ID], &model.UnitState{Unit: model.Unit(unit), Heads: []model.Head{{
			Act: model.ActRegister, Value: values[path], Stamp: model.Stamp{TEff: signedAt},
		}}})
	}
}

func (w *town) run(o Options) (ide, ipl string, r *Report, err error) {
	w.t.Helper()
	o.Target, o.Open = kpr.Test, func(sealed []byte, _ string) ([]byte, error) { return sealed, nil }
	o.Units = func(_ store.View, p model.PersonID, _ int64, _ func(model.Act, model.Millis, []byte) bool) ([]*model.UnitState, error) {
		return w.units[p], nil
	}
	var a, b bytes.Buffer
	err = w.st.View(context.Background(), tenant, func(v store.View) (err error) {
		r, err = Run(context.Background(), v, o, &a, &b)
		return err
	})
	return a.String(), b.String(), r, err
}

const anybody = "01824101236"

func TestCases(t *testing.T) {
	text, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name              string
		Year              int
		Units             map[string]jsontext.Value
		Want, Never       []string
		Excluded, Dropped map[string]int
	}
	if err := json.Unmarshal(text, &cases, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			w := newTown(t)
			w.add(7, anybody, c.Units)
			ide, ipl, r, err := w.run(Options{Year: c.Year})
			if err != nil {
				t.Fatal(err)
			}
			valid(t, ide, ipl)
			for _, part := range c.Want {
				if !strings.Contains(ipl, part) {
					t.Errorf("no %s in\n%s", part, ipl)
				}
			}
			for _, part := range append(c.Never, anybody, "Navnl") {
				if strings.Contains(ipl, part) {
					t.Errorf("%s is in\n%s", part, ipl)
				}
			}
			if c.Excluded == nil {
				c.Excluded = map[string]int{}
			}
			if c.Dropped == nil {
				c.Dropped = map[string]int{}
			}
			if !maps.Equal(r.Excluded, c.Excluded) || !maps.Equal(r.Dropped, c.Dropped) {
				t.Errorf("left out %v and %v, want %v and %v", r.Excluded, r.Dropped, c.Excluded, c.Dropped)
			}
			left := 0
			for _, n := range []map[string]int{r.Excluded, r.Dropped} {
				for _, m := range n {
					left += m
				}
			}
			if left != len(r.Left) || r.Unlisted != 0 {
				t.Errorf("%d are counted, %d listed", left, len(r.Left))
			}
			if sent := strings.Contains(ide, anybody); sent != (len(c.Excluded) == 0) || r.Persons == 0 == sent {
				t.Errorf("identity sent: %t, excluded %v", sent, c.Excluded)
			}
		})
	}
}

// valid holds both shipments against the schema.
func valid(t *testing.T, shipments ...string) {
	t.Helper()
	engine, err := xsd.Compile(context.Background(), xsd.Bytes("schema.xsd", Schema))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range shipments {
		if err := engine.Validate(context.Background(), strings.NewReader(text)); err != nil {
			t.Errorf("not of the schema: %v\n%s", err, text)
		}
	}
}

// R2: who may not go to the target is listed and in neither shipment; both name the same persons.
func TestExcludedPersons(t *testing.T) {
	w := newTown(t)
	service := map[string]jsontext.Value{"service/@a": jsontext.Value(`{"type":"15"}`), "service/@a/start": jsontext.Value(`{"date":"2026-01-01"}`)}
	w.add(1, anybody, service)
	w.add(2, "01824101237", service) // a wrong digit
	w.add(3, "17855834553", service)
	ide, ipl, r, err := w.run(Options{Year: 2026})
	if err != nil {
		t.Fatal(err)
	}
	valid(t, ide, ipl)
	if r.Persons != 2 || r.Services["15"] != 2 || len(r.Left) != 1 || r.Left[0].BrukerNr != 2 || r.Left[0].Rule != "R2" {
		t.Errorf("%+v", r)
	}
	for _, n := range []string{`brukerNr="1"`, `brukerNr="3"`} {
		if !strings.Contains(ide, n) || !strings.Contains(ipl, n) {
			t.Errorf("%s is not in both", n)
		}
	}
	if strings.Contains(ide+ipl, `brukerNr="2"`) {
		t.Error("an excluded person is sent")
	}
}

// R73: the municipality of the data year stands at the head, when it is another than today's.
func TestHead(t *testing.T) {
	w := newTown(t)
	ide, ipl, r, err := w.run(Options{Year: 2019, Kommune: "9901"})
	if err != nil || r.Kommune != "9901" || !strings.Contains(ide, `aar="2019" kommuneNr="9901"`) || !strings.Contains(ipl, `aar="2019" kommuneNr="9901"`) {
		t.Errorf("%v %+v\n%s", err, r, ide)
	}
	valid(t, ide, ipl)
	for _, o := range []Options{{Year: 2005}, {Year: 0}, {Year: 2026, Position: 1}} {
		if _, _, _, err := w.run(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// R73: with a list of municipalities nothing is reported on one that did not exist in the data year.
func TestMunicipalityOfTheYear(t *testing.T) {
	w := newTown(t)
	_, err := w.st.Update(context.Background(), tenant, nil, func(tx store.Tx) error {
		for _, d := range []store.Doc{
			store.ReferenceList{Name: store.Municipalities, Seq: 1},
			store.ReferenceRow{List: 1, Number: "3020", From: "2020-01-01", To: "2023-12-31", Successor: "3207"},
			store.ReferenceRow{List: 1, Number: "3207", From: "2024-01-01"},
		} {
			if err := store.Put(tx, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		year    int
		kommune string
		want    string
	}{
		{2023, "3020", ""}, {2024, "3207", ""}, {2024, "", ""}, {2024, "9900", ""}, // the tenant's own is 9999, which stands for none
		{2024, "3020", "3020 did not exist in 2024"}, {2023, "3207", "3207 did not exist in 2023"}, {2024, "0401", "has no municipality 0401"},
	} {
		_, _, r, err := w.run(Options{Year: c.year, Kommune: c.kommune})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d %s: %+v, %v", c.year, c.kommune, r, err)
		}
	}
}

// R73: what counts for a year.
func TestCounts(t *testing.T) {
	r := &run{last: "2026-12-31"}
	at := func(y int, m time.Month, d, h int) model.Millis {
		return model.MillisOf(time.Date(y, m, d, h, 0, 0, 0, time.UTC))
	}
	for _, c := range []struct {
		act    model.Act
		signed model.Millis
		value  string
		want   bool
	}{
		{model.ActRegister, at(2026, 12, 31, 22), `{"score":3}`, true},
		{model.ActRegister, at(2026, 12, 31, 23), `{"score":3}`, false}, // past midnight in Norway
		{model.ActRegister, at(2027, 1, 5, 9), `{"score":3,"assessed":"2026-12-30"}`, true},
		{model.ActRegister, at(2026, 12, 1, 9), `{"score":3,"assessed":"2027-01-01"}`, false},
		{model.ActRegister, at(2027, 1, 5, 9), `{"date":"2026-12-31"}`, true},
		{model.ActRegister, at(2026, 12, 5, 9), `{"date":"2027-01-01","minutes_per_week":60}`, false},
		{model.ActRegister, at(2027, 1, 5, 9), `{"type":"15"}`, true},
		{model.ActRegister, at(2027, 1, 5, 9), `{"type":"24","start":"2027-01-02"}`, false},
		{model.ActRegister, at(2027, 1, 5, 9), `{"month":"2026-12"}`, true},
		{model.ActRegister, at(2027, 1, 5, 9), `{"month":"2027-01"}`, false},
		{model.ActRegister, at(2027, 1, 5, 9), `{"code":"1"}`, false},
		{model.ActConfirm, at(2027, 1, 5, 9), `{"score":3}`, false},
		{model.ActCorrect, at(2027, 1, 5, 9), `{"score":3}`, true},
		{model.ActVoid, at(2027, 1, 5, 9), ``, true},
		{model.ActDecide, at(2027, 1, 5, 9), `{"score":3}`, true},
	} {
		if got := r.counts(c.act, c.signed, []byte(c.value)); got != c.want {
			t.Errorf("%s %s %s: %t", c.act, c.signed.RFC3339(), c.value, got)
		}
	}
}
