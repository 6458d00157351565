package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"flette/iplos/export"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// Whatever is interrupted half-way leaves neither a file nor a part of one, nor a trace or a message
// in the store.
func TestInterruptedExtractsLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	a, err := openApp(appOptions{Dir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	const id model.TenantID = "testvik"
	contacts := []store.Contact{}
	for _, kind := range []string{"1", "15", "16", "17"} {
		contacts = append(contacts, store.Contact{Type: kind, Name: "Test", Email: "t@testvik.example"})
	}
	if err := a.createTenant(t.Context(), store.Tenant{ID: id, Name: "Testvik", Kommune: "9999", Contacts: contacts}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := a.engine.ImportPersons(t.Context(), id, []sync.PersonInput{
		{Line: 1, Number: "01814000008", Name: "Oppdiktet Gran", Kommune: "9999"}, {Line: 2, Number: "02814000047", Name: "Oppdiktet Furu", Kommune: "9999"},
	}); err != nil {
		t.Fatal(err)
	}
	n, err := newNurse(t.Context(), a, id, "anne")
	if err != nil {
		t.Fatal(err)
	}
	err = a.view(t.Context(), id, func(v store.View) error {
		docs, err := store.List[store.Person](v, "", "", 0)
		for i, p := range docs {
			err = errors.Join(err, n.sign(p.ID, service(i, "")[:3]))
		}
		return err
	})
	if err := errors.Join(err, n.push(t.Context())); err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]func(ctx context.Context, out string) error{
		"yearly": func(ctx context.Context, out string) error {
			_, err := extractYearlyOp.run(ctx, a, yearlyRun{Tenant: id, Target: "test", Year: 2026, Dir: out})
			return err
		},
		"message": func(ctx context.Context, _ string) error {
			_, err := extractRunOp.run(ctx, a, extractRun{Tenant: id, Target: "test"})
			return err
		},
		"sheet": func(ctx context.Context, out string) error {
			_, err := exportWriteOp.run(ctx, a, exportWrite{Tenant: id, Sheet: "services", Out: filepath.Join(out, "s.csv")})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(dir, name)
			ctx, cancel := context.WithCancel(t.Context())
			told := ""
			ctx = context.WithValue(ctx, progressKey{}, progressFunc(func(tenant model.TenantID, done, of int64) {
				told += fmt.Sprintf("%s %d/%d ", tenant, done, of)
				cancel()
			}))
			if err := run(ctx, out); problemOf(err).Code != "interrupted" {
				t.Errorf("it ends with %v", err)
			}
			if told[:len("testvik 1/2 ")] != "testvik 1/2 " {
				t.Errorf("progress %q", told)
			}
			if files, err := os.ReadDir(out); len(files) > 0 || err != nil && !os.IsNotExist(err) {
				t.Errorf("it left %v, %v", files, err)
			}
			if err := a.view(t.Context(), id, func(v store.View) error {
				x, err := store.List[store.Extract](v, "", "", 0)
				y, err2 := store.List[export.Trace](v, "", "", 0)
				if len(x)+len(y) > 0 {
					t.Errorf("it stored %d messages, %d traces", len(x), len(y))
				}
				return errors.Join(err, err2)
			}); err != nil {
				t.Error(err)
			}
		})
	}
}
