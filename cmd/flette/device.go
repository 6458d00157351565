package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/mdp/qrterminal/v3"

	"flette/model"
	"flette/store"
	"flette/sync"
)

type deviceCmd struct {
	Invite  deviceInviteCmd  `cmd:"" help:"Make a one-time code for a new tablet."`
	List    deviceListCmd    `cmd:"" help:"List tablets and what is known of them."`
	Explain deviceExplainCmd `cmd:"" help:"Say why a tablet is not in sync, and what to do."`
	Revoke  deviceRevokeCmd  `cmd:"" help:"Shut a tablet out for ever."`
}

type deviceInviteCmd struct {
	tenantFlags
	Label string `required:"" help:"What people call the tablet."`

	Replaces string `placeholder:"UUID" help:"Id of the tablet whose place the new one takes; it is shut out when the code is used."`

	URL  string `name:"url" placeholder:"URL" help:"Address at which tablets find the server; that of the running server when not given."`
	NoQR bool   `name:"no-qr" help:"Print no QR code."`
	JSON bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*deviceInviteCmd) Help() string {
	return `Makes a code with which one tablet can enrol once, within ten minutes, and shows it as a QR
code for the tablet's camera; the QR says URL#tenant=TENANT&code=CODE. After the enrolment compare the fingerprint that the tablet
shows with the one of flette device list.

A tablet that was copied or restored from a backup has forked: two of them sign as one. Enrol it
anew with --replaces: it gets a new key and a new id, keeps what it has not handed in, and the old
id is shut out, for the copy too. What the two have signed waits for a supervisor.

Examples:

    flette device invite --data /srv/flette --tenant testvik --label "tablet 7" --url https://flette.testvik.example
    flette device invite --data /srv/flette --tenant testvik --label "tablet 7" --replaces 0190a000-0000-7000-8000-000000000001`
}

// As in the contract.
const (
	maxLabel  = 100
	maxReason = 500
)

// Validate checks the label, the address and the id.
func (c *deviceInviteCmd) Validate() error {
	if n := len(c.Label); n < 1 || n > maxLabel {
		return fmt.Errorf("--label: a label is 1-%d bytes", maxLabel)
	}
	if err := checkDevice(c.Replaces); err != nil {
		return fmt.Errorf("--replaces: %w", err)
	}
	if c.URL == "" {
		return nil
	}
	return checkBase("--url", c.URL)
}

// checkBase accepts what a base URL can be: no query, no fragment, no credentials.
func checkBase(flag, s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(s, "?#") {
		return fmt.Errorf("%s: an address is written https://host or https://host/path", flag)
	}
	return nil
}

type deviceInvite struct {
	Tenant   model.TenantID `json:"tenant"`
	Label    string         `json:"label"`
	Replaces model.DeviceID `json:"replaces,omitzero"`
}

type invitation struct {
	Code    string       `json:"code"`
	Expires model.Millis `json:"expires"`
	Link    string       `json:"link,omitempty"` // what the QR code says
}

// deviceInviteOp gives the running server's address in Link; the verb makes the link.
var deviceInviteOp = op[deviceInvite, invitation]{name: "device-invite", run: func(ctx context.Context, a *app, in deviceInvite) (out invitation, err error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return out, err
	}
	out.Link = a.external
	if !in.Replaces.IsZero() {
		if _, err := a.tablet(ctx, in.Tenant, in.Replaces); err != nil {
			return out, err
		}
	}
	out.Code, out.Expires, err = a.engine.InviteReplacement(ctx, in.Tenant, in.Label, in.Replaces)
	return out, err
}}

// Run prints the code.
func (c *deviceInviteCmd) Run(ctx context.Context, out *output) error {
	in := deviceInvite{Tenant: c.id(), Label: c.Label}
	if c.Replaces != "" {
		var err error
		if in.Replaces, err = model.ParseDeviceID(c.Replaces); err != nil {
			return err
		}
	}
	inv, err := doOp(ctx, c.dataFlags, deviceInviteOp, in)
	if err != nil {
		return err
	}
	if c.URL != "" {
		inv.Link = c.URL
	}
	if inv.Link != "" {
		// Behind the #, so that no server and no log on the way ever sees the code.
		inv.Link = strings.TrimSuffix(inv.Link, "/") + "#tenant=" + string(c.Tenant) + "&code=" + inv.Code
	}
	return out.print(c.JSON, inv, func() string {
		var b strings.Builder
		fmt.Fprintf(&b, "code     %s\nexpires  %s", inv.Code, moment(inv.Expires))
		if inv.Link == "" {
			b.WriteString("\nno QR code: no server runs on this folder, and --url was not given")
			return b.String()
		}
		fmt.Fprintf(&b, "\nlink     %s", inv.Link)
		if !c.NoQR {
			b.WriteString("\n")
			qrterminal.GenerateHalfBlock(inv.Link, qrterminal.L, &b)
		}
		return strings.TrimRight(b.String(), "\n")
	})
}

type deviceListCmd struct {
	tenantFlags
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (*deviceListCmd) Help() string {
	return `Lists tablets: state, last contact, entries that the tablet had not sent then, gaps in what
has arrived, how wrong its clock was, why it is not in sync (flette device explain says more),
and the fingerprint of its key.

Example:

    flette device list --data /srv/flette --tenant testvik`
}

// deviceView is a tablet as the command line shows it.
type deviceView struct {
	ID          model.DeviceID `json:"id"`
	Label       string         `json:"label"`
	Kind        string         `json:"kind"`
	State       string         `json:"state"`
	Fingerprint string         `json:"fingerprint"`
	Enrolled    model.Millis   `json:"enrolled"`
	LastContact model.Millis   `json:"last_contact,omitzero"`
	LastSeq     int64          `json:"last_seq"`
	Outbox      int64          `json:"outbox"`
	OldestSent  model.Millis   `json:"oldest_unsent,omitzero"` // by the tablet's clock
	Missing     []store.Gap    `json:"missing"`
	Forked      bool           `json:"forked"` // two tablets write with one key
	Broken      int64          `json:"broken,omitempty"`
	SkewMs      int64          `json:"skew_ms"`
	App         string         `json:"app,omitempty"`
	LastError   string         `json:"last_error,omitempty"`
	Reason      string         `json:"reason,omitempty"`
	InSync      bool           `json:"in_sync"`
	Code        string         `json:"code"` // why it is not in sync
	Quarantined int            `json:"quarantined"`
	Order       string         `json:"order,omitempty"`       // what it has to do: "wipe", "re-enrol", "update"
	Wipe        string         `json:"wipe,omitempty"`        // "ordered" or "acknowledged"
	WipeOrdered model.Millis   `json:"wipe_ordered,omitzero"` // when
	Wiped       model.Millis   `json:"wiped,omitzero"`        // when it was acknowledged
	Compromised bool           `json:"compromised,omitempty"` // strangers may hold its key
	ReplacedBy  model.DeviceID `json:"replaced_by,omitzero"`
}

func viewDevice(d *sync.DeviceStatus, now model.Millis) deviceView {
	why := sync.Explain(d, now)
	v := deviceView{
		ID: d.ID, Label: d.Label, Kind: d.Kind, State: d.State, Fingerprint: sync.Fingerprint(d.JKT), Enrolled: d.Enrolled,
		LastSeq: d.Chain.Last, Missing: d.Chain.Missing, Forked: d.Chain.Forked, Broken: d.Chain.Broken, Reason: d.Reason,
		InSync: why.InSync, Code: why.Code, Quarantined: d.Held, Compromised: d.Compromised, ReplacedBy: d.ReplacedBy,
	}
	if o := d.Standing(); o != nil {
		v.Order = o.Do
		if o.Do == sync.OrderWipe {
			v.Wipe, v.WipeOrdered, v.Wiped = "ordered", d.Revoked, d.Wiped
			if d.Wiped != 0 {
				v.Wipe = "acknowledged"
			}
		}
	}
	if y := d.Diary; y != nil {
		v.LastContact, v.Outbox, v.OldestSent = y.At, y.Outbox, y.Oldest
		v.SkewMs, v.App, v.LastError = y.SkewMs, y.App, y.LastError
	}
	return v
}

var deviceListOp = op[model.TenantID, []deviceView]{name: "device-list", reads: true, run: func(ctx context.Context, a *app, in model.TenantID) ([]deviceView, error) {
	if err := a.has(ctx, in); err != nil {
		return nil, err
	}
	list, err := a.engine.Devices(ctx, in, "", 0)
	out := []deviceView{}
	for i := range list {
		if !sync.OfServer(list[i].Kind) {
			out = append(out, viewDevice(&list[i], a.engine.Now()))
		}
	}
	return out, err
}}

// Run lists the tablets.
func (c *deviceListCmd) Run(ctx context.Context, out *output) error {
	list, err := doOp(ctx, c.dataFlags, deviceListOp, c.id())
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		rows := [][]string{{"ID", "STATE", "LAST CONTACT", "SENT", "OUTBOX", "GAPS", "SKEW", "SYNC", "FINGERPRINT", "LABEL"}}
		for _, d := range list {
			gaps := fmt.Sprint(len(d.Missing))
			if d.Forked {
				gaps += " forked"
			}
			state := d.State
			if d.Wipe != "" {
				state = "wipe " + d.Wipe
			}
			rows = append(rows, []string{
				d.ID.String(), state, moment(d.LastContact), fmt.Sprint(d.LastSeq), fmt.Sprint(d.Outbox), gaps,
				fmt.Sprintf("%+.1fs", float64(d.SkewMs)/1000), d.Code, d.Fingerprint, d.Label,
			})
		}
		return table(rows)
	})
}

type deviceRevokeCmd struct {
	tenantFlags
	ID     string `arg:"" placeholder:"UUID" help:"Id of the tablet (flette device list)."`
	Reason string `required:"" help:"Why, for the record."`

	Compromised bool `help:"Strangers may hold its key: who releases what still arrives from it is told so."`

	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (*deviceRevokeCmd) Help() string {
	return `Shuts a tablet out for ever: it gets no data any more but the order to erase what it holds, and
what it still hands in waits for a supervisor. flette device list shows whether it has said that
it obeyed. There is no way back but a new enrolment.

Examples:

    flette device revoke --data /srv/flette --tenant testvik 0190a000-0000-7000-8000-000000000001 --reason lost
    flette device revoke --data /srv/flette --tenant testvik 0190a000-0000-7000-8000-000000000001 --reason stolen --compromised`
}

// Validate checks the reason and the id.
func (c *deviceRevokeCmd) Validate() error {
	if n := len(c.Reason); n < 1 || n > maxReason {
		return fmt.Errorf("--reason: a reason is 1-%d bytes", maxReason)
	}
	return checkDevice(c.ID)
}

// checkDevice judges the id of a tablet; "" passes, because kong says what is missing.
func checkDevice(id string) error {
	if id == "" {
		return nil
	}
	if _, err := model.ParseDeviceID(id); err != nil {
		return errors.New("the id of a tablet is a UUID in lower case (flette device list)")
	}
	return nil
}

type deviceRevoke struct {
	Tenant      model.TenantID `json:"tenant"`
	Device      model.DeviceID `json:"device"`
	Reason      string         `json:"reason"`
	Compromised bool           `json:"compromised,omitempty"`
}

// tablet reads a tablet; a problem when there is none, or it is the review desk.
func (a *app) tablet(ctx context.Context, tenant model.TenantID, id model.DeviceID) (sync.DeviceStatus, error) {
	d, err := a.engine.DeviceStatus(ctx, tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return d, problemf("not-found", "there is no tablet with this id; flette device list shows those that are")
	}
	if err == nil && sync.OfServer(d.Kind) {
		return d, problemf("not-a-tablet", "this is the %s of the municipality, not a tablet", d.Label)
	}
	return d, err
}

var deviceRevokeOp = op[deviceRevoke, deviceView]{name: "device-revoke", run: func(ctx context.Context, a *app, in deviceRevoke) (deviceView, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return deviceView{}, err
	}
	if _, err := a.tablet(ctx, in.Tenant, in.Device); err != nil {
		return deviceView{}, err
	}
	revoke := a.engine.Revoke
	if in.Compromised {
		revoke = a.engine.RevokeCompromised
	}
	if _, err := revoke(ctx, in.Tenant, in.Device, in.Reason); err != nil {
		return deviceView{}, err
	}
	d, err := a.tablet(ctx, in.Tenant, in.Device)
	return viewDevice(&d, a.engine.Now()), err
}}

// Run revokes the tablet.
func (c *deviceRevokeCmd) Run(ctx context.Context, out *output) error {
	id, err := model.ParseDeviceID(c.ID)
	if err != nil {
		return err
	}
	d, err := doOp(ctx, c.dataFlags, deviceRevokeOp, deviceRevoke{c.id(), id, c.Reason, c.Compromised})
	if err != nil {
		return err
	}
	return out.print(c.JSON, d, func() string { return fmt.Sprintf("revoked %s (%s)", d.ID, d.Label) })
}
