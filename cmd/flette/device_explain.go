package main

import (
	"context"
	"strings"

	"flette/model"
	"flette/sync"
)

type deviceExplainCmd struct {
	tenantFlags
	ID   string `arg:"" placeholder:"UUID" help:"Id of the tablet (flette device list)."`
	JSON bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*deviceExplainCmd) Help() string {
	return `Says in one sentence why a tablet is not in sync, the most important reason first, what to do
about it, and what is known of the tablet. It names no person and changes nothing.

Example:

    flette device explain --data /srv/flette --tenant testvik 0190a000-0000-7000-8000-000000000001`
}

// Validate checks the id.
func (c *deviceExplainCmd) Validate() error { return checkDevice(c.ID) }

type deviceExplain struct {
	Tenant model.TenantID `json:"tenant"`
	Device model.DeviceID `json:"device"`
}

type explanation struct {
	Device   model.DeviceID `json:"device"`
	Label    string         `json:"label"`
	InSync   bool           `json:"in_sync"`
	Code     string         `json:"code"`
	Sentence string         `json:"sentence"`
	Next     string         `json:"next,omitempty"`
	Facts    []fact         `json:"facts"`
}

type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

var deviceExplainOp = op[deviceExplain, explanation]{name: "device-explain", reads: true, run: func(ctx context.Context, a *app, in deviceExplain) (explanation, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return explanation{}, err
	}
	d, err := a.tablet(ctx, in.Tenant, in.Device)
	if err != nil {
		return explanation{}, err
	}
	e := sync.Explain(&d, a.engine.Now())
	out := explanation{Device: d.ID, Label: d.Label, InSync: e.InSync, Code: e.Code, Sentence: e.Sentence, Next: e.Next, Facts: []fact{}}
	for _, f := range e.Facts {
		out.Facts = append(out.Facts, fact{f.Name, f.Value})
	}
	return out, nil
}}

// Run explains.
func (c *deviceExplainCmd) Run(ctx context.Context, out *output) error {
	id, err := model.ParseDeviceID(c.ID)
	if err != nil {
		return err
	}
	e, err := doOp(ctx, c.dataFlags, deviceExplainOp, deviceExplain{c.id(), id})
	if err != nil {
		return err
	}
	return out.print(c.JSON, e, func() string {
		rows := [][]string{{"tablet", e.Device.String() + "  " + e.Label}}
		for _, f := range e.Facts {
			rows = append(rows, []string{f.Name, f.Value})
		}
		lines := []string{e.Code + ": " + e.Sentence}
		if e.Next != "" {
			lines = append(lines, "next: "+e.Next)
		}
		return strings.Join(append(lines, "", table(rows)), "\n")
	})
}
