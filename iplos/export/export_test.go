package export

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"flette/internal/sheet"
	"flette/model"
	"flette/store"
	"flette/store/bolt"
)

const tenant model.TenantID = "skogvik"

// town has two persons in two units, the first with a record that means harm.
func town(t *testing.T) store.Store {
	t.Helper()
	ctx := context.Background()
	st, err := bolt.Open(t.TempDir(), bolt.Options{NewEpoch: func() string { return "epoch" }, InitialMmapSize: 1 << 24})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := st.CreateTenant(ctx, store.Tenant{ID: tenant, Name: "Skogvik", Kommune: "9999", Format: 1}); err != nil {
		t.Fatal(err)
	}
	at := model.MillisOf(time.Date(2026, 6, 1, 22, 30, 0, 0, time.UTC)) // past midnight in Norway
	const service = "service/0190a000-0000-7000-8000-00000000000a"
	records := []map[string]string{{
		"score/vision":           `{"score":3,"note":"=HYPERLINK(\"http://x\")"}`,
		"health/nutrition":       `{"weight_loss":"1"}`,
		"diagnosis/" + anID:      `{"code_system":"ICPC-2","code":"P70","name":"-1+1;\"x\"\n@SUM(A1)"}`,
		service:                  `{"type":"15","local":"=1"}`,
		service + "/application": `{"date":"2026-01-02"}`,
		service + "/grant":       `{"date":"2026-01-03","minutes_per_week":330}`,
		service + "/start":       `{"date":"2026-02-01"}`,
		service + "/provider":    `{"unit":"sone","from":"2026-02-01"}`,
	}, {
		service:            `{"type":"1"}`,
		service + "/grant": `{"date":"2025-01-03","rejected":true}`,
	}}
	if _, err := st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		err := store.Put(tx, store.OrgUnit{ID: "sone", Name: "Sone", OrgNumber: []store.OrgNumber{{Number: "312345676", From: "2000-01-01"}}})
		for i, units := range records {
			p := store.Person{ID: model.PersonID{15: byte(i + 1), 6: 0x40, 8: 0x80}, BrukerNr: int64(i + 1), IDType: "1", Kommune: "9999", Unit: []string{"sone", "other"}[i], Test: true}
			err = errors.Join(err, store.Put(tx, p))
			for path, value := range units {
				err = errors.Join(err, tx.PutUnit(p.ID, &model.UnitState{Unit: model.Unit(path), Heads: []model.Head{{
					Act: model.ActRegister, Actor: "anne", Value: []byte(value), Stamp: model.Stamp{TEff: at},
				}}}))
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return st
}

const anID = "0190a000-0000-7000-8000-00000000000b"

func write(st store.Store, o Options) (text string, r *Report, err error) {
	var b bytes.Buffer
	o.Table = func(columns ...string) Table { return sheet.New(&b, columns...) }
	err = st.View(context.Background(), tenant, func(v store.View) (err error) {
		r, err = Write(context.Background(), v, o)
		return err
	})
	return strings.TrimPrefix(b.String(), "\ufeff"), r, err
}

func TestSheets(t *testing.T) {
	st := town(t)
	const first, second = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
	found := func(_ store.View, p model.PersonID) ([]Finding, error) {
		return []Finding{{store.Finding{Rule: "R49", Severity: "M", Person: p, Unit: "service/x", Detail: "late", Owner: "sone", Since: 1_780_000_000_000}, "open"}}, nil
	}
	who := func(p *store.Person) (store.Identity, error) {
		return store.Identity{Number: fmt.Sprint("0182410123", p.BrukerNr), Name: "+Oppdiktet", BirthDate: "1941-02-01", Sex: "2"}, nil
	}
	for _, c := range []struct {
		name string
		o    Options
		want []string // lines after the heading
	}{
		{"persons", Options{Sheet: "persons"}, []string{"1;" + first + ";sone;9999;;1;Ja;;;;", "2;" + second + ";other;9999;;1;Ja;;;;"}},
		{"who they are", Options{Sheet: "persons", Identity: who, Units: map[string]bool{"other": true}}, []string{"2;" + second + ";other;9999;;1;Ja;01824101232;'+Oppdiktet;1941-02-01;2"}},
		{"registrations", Options{Sheet: "registrations"}, []string{
			"1;" + first + ";diagnosis/" + anID + ";diagnosis;code_system;ICPC-2;2026-06-02 00:30;register;anne",
			"1;" + first + ";diagnosis/" + anID + ";diagnosis;code;P70;2026-06-02 00:30;register;anne",
			"1;" + first + ";diagnosis/" + anID + ";diagnosis;name;\"'-1+1;\"\"x\"\"", "@SUM(A1)\";2026-06-02 00:30;register;anne",
			"1;" + first + ";health/nutrition;nutrition_q_weight_loss;weight_loss;1;2026-06-02 00:30;register;anne",
			"1;" + first + ";score/vision;sense_vision;score;3;2026-06-02 00:30;register;anne",
			"1;" + first + ";score/vision;sense_vision;note;\"'=HYPERLINK(\"\"http://x\"\")\";2026-06-02 00:30;register;anne",
		}},
		{"none of that day", Options{Sheet: "registrations", To: "2026-06-01"}, nil},
		{"services", Options{Sheet: "services"}, []string{
			"1;" + first + ";0190a000-0000-7000-8000-00000000000a;15;2026-01-02;2026-01-03;;;Nei;Nei;330;;2026-02-01;;;;sone;312345676",
			"2;" + second + ";0190a000-0000-7000-8000-00000000000a;1;;2025-01-03;;;Ja;Nei;;;;;;;;",
		}},
		{"before it began", Options{Sheet: "services", To: "2026-01-31"}, []string{"2;" + second + ";0190a000-0000-7000-8000-00000000000a;1;;2025-01-03;;;Ja;Nei;;;;;;;;"}},
		{"findings", Options{Sheet: "findings", Findings: found, Units: map[string]bool{"sone": true}}, []string{"1;" + first + ";R49;M;service/x;late;sone;2026-05-28;open"}},
		{"findings since later", Options{Sheet: "findings", Findings: found, From: "2026-05-29"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, r, err := write(st, c.o)
			if err != nil {
				t.Fatal(err)
			}
			heading, rest, _ := strings.Cut(text, "\r\n")
			if want := "bruker_nr;person;" + strings.Join(kinds[c.o.Sheet].columns, ";"); heading != want {
				t.Errorf("heading %q", heading)
			}
			got := strings.ReplaceAll(rest, "\r\n", "\n")
			if want := strings.Join(append(c.want, ""), "\n"); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			rows := csv.NewReader(strings.NewReader(text))
			rows.Comma = ';'
			all, err := rows.ReadAll()
			if err != nil || len(all) != r.Rows+1 {
				t.Errorf("%d rows are told, %d read: %v", r.Rows, len(all)-1, err)
			}
			for _, row := range all {
				for _, cell := range row {
					if strings.HasPrefix(cell, "=") || strings.HasPrefix(cell, "-") || strings.HasPrefix(cell, "+") || strings.HasPrefix(cell, "@") {
						t.Errorf("%q is run as a formula", cell)
					}
				}
			}
		})
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	st := town(t)
	for code, o := range map[string]Options{
		"export-sheet":    {Sheet: "secrets"},
		"export-position": {Sheet: "persons", Position: 1},
		"export-period":   {Sheet: "persons", From: "2026-02-30"},
	} {
		_, _, err := write(st, o)
		var p *model.Problem
		if !errors.As(err, &p) || p.Code != code {
			t.Errorf("%s: %v", code, err)
		}
	}
	if _, _, err := write(st, Options{Sheet: "persons", From: "2026-02-02", To: "2026-02-01"}); err == nil {
		t.Error("a period backwards is taken")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := st.View(context.Background(), tenant, func(v store.View) error {
		_, err := Write(ctx, v, Options{Sheet: "persons", Table: func(columns ...string) Table { return sheet.New(&bytes.Buffer{}, columns...) }})
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled export gives %v", err)
	}
}
