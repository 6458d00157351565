package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"flette/api"
	"flette/iplos"
	"flette/iplos/kpr"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
)

// apiExtracts gives the api what package iplos/kpr does.
type apiExtracts struct{ a *app }

var _ api.Extracts = apiExtracts{}

// Run makes the next message.
func (x apiExtracts) Run(ctx context.Context, t model.TenantID, target string, by model.ActorID) (store.Extract, error) {
	e, err := x.a.Run(ctx, t, target, string(by))
	return e, extractError(err)
}

// Resend writes notifications again.
func (x apiExtracts) Resend(ctx context.Context, t model.TenantID, s api.Selection) (api.Resent, error) {
	file, err := x.a.Resend(ctx, t, s.Target, "", kpr.Selection{
		Extract: s.Extract, FromSerial: s.FromSerial, ToSerial: s.ToSerial,
		FromDate: s.FromDate, ToDate: s.ToDate, Person: s.Person,
	})
	if err != nil {
		return api.Resent{}, extractError(err)
	}
	out := api.Resent{File: file}
	out.From, out.To, err = kpr.Serials(file)
	return out, err
}

// File opens the file of a message.
func (x apiExtracts) File(ctx context.Context, t model.TenantID, id string) ([]byte, error) {
	return x.a.File(ctx, t, id)
}

// extractCodes is what the contract calls the problems of package kpr.
var extractCodes = map[string]string{
	"kpr-busy":            "overloaded",
	"kpr-target":          "invalid-member",
	"kpr-period":          "invalid-member",
	"kpr-position":        "invalid-member",
	"kpr-selection":       "invalid-member",
	"kpr-contact-missing": "contacts-missing",
	"kpr-contact-type":    "extract-invalid",
	"kpr-kommune":         "extract-invalid",
	"kpr-text":            "extract-invalid",
	"kpr-message-invalid": "extract-invalid",
}

// extractError gives a failure of an extract the code that the contract has for it.
func extractError(err error) error {
	if errors.Is(err, kpr.ErrNothingToSend) {
		return model.Problemf("nothing-to-send", "", "the register has everything")
	}
	var p *model.Problem
	if !errors.As(err, &p) || extractCodes[p.Code] == "" {
		return err
	}
	return model.Problemf(extractCodes[p.Code], p.Pointer, "%s", p.Detail)
}

// weekly is the report of an ISO week as the contract has it.
func weekly(v store.View, week string, person *model.PersonID) ([]contract.TimeRow, error) {
	var who model.PersonID
	if person != nil {
		who = *person
	}
	rows, err := iplos.Weekly(v, week, who)
	out := make([]contract.TimeRow, len(rows))
	for i, r := range rows {
		out[i] = contract.TimeRow{
			Person: r.Person, Service: r.Service, ServiceType: r.ServiceType, DirectMinutes: r.DirectMinutes,
			IndirectMinutes: r.IndirectMinutes, TravelMinutes: r.TravelMinutes, GrantedMinutes: r.GrantedMinutes,
		}
	}
	return out, err
}

// weeklyUnits is the report of a week by organisation unit.
func weeklyUnits(v store.View, week string) ([]contract.UnitTimeRow, error) {
	rows, err := iplos.WeeklyUnits(v, week)
	out := make([]contract.UnitTimeRow, len(rows))
	for i, r := range rows {
		out[i] = contract.UnitTimeRow(r)
	}
	return out, err
}

// ready says whether every tenant's store answers and takes writes, and its keys are there.
func (a *app) ready(ctx context.Context) map[string]error {
	checks := map[string]error{"store": nil, "keys": nil, "writes": nil}
	ids, err := a.store.Tenants(ctx)
	if err != nil {
		checks["store"] = err
		return checks
	}
	for _, id := range ids {
		if err := a.store.View(ctx, id, func(store.View) error { return nil }); err != nil {
			checks["store"] = fmt.Errorf("tenant %s: %w", id, err)
		}
		if err := a.damaged(id); err != nil {
			checks["store"] = fmt.Errorf("tenant %s: %w", id, err)
		}
		if err := a.writable(ctx, id); err != nil {
			checks["writes"] = fmt.Errorf("tenant %s: %w", id, err)
		}
		if _, err := a.tenantKeys(id); err != nil {
			checks["keys"] = fmt.Errorf("tenant %s: %w", id, err)
		}
	}
	return checks
}

// writable asks a store that refused its last write once more: without that, a server that
// gets no work because it is not ready would never be ready again.
func (a *app) writable(ctx context.Context, id model.TenantID) error {
	err := a.store.Writable(id)
	if err == nil || errors.Is(err, store.ErrStopped) {
		return err
	}
	// What is left inside the store's file would let a small write through.
	if err := room(a.dir); err != nil {
		return err
	}
	_, err = a.store.Update(ctx, id, nil, func(tx store.Tx) error { return tx.PutTenant(tx.Tenant()) })
	return err
}

// room makes sure that the folder takes a file of a fair size.
func room(dir string) error {
	f, err := os.CreateTemp(dir, "room.*.probe")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, 64<<10))
	return errors.Join(err, f.Close())
}
