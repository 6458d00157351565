package main

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"flette/internal/register"
	"flette/iplos/kpr"
	"flette/iplos/submit"
	"flette/model"
	"flette/store"
)

// submissions reads the ledger.
func (a *app) submissions(ctx context.Context, t model.TenantID) (out []submit.Record, err error) {
	err = a.view(ctx, t, func(v store.View) error {
		out, err = submit.Load(v)
		return err
	})
	return out, err
}

func (a *app) who(by string) submit.Who { return submit.Who{Now: model.MillisOf(a.now()), By: by} }

type submitPrepare struct {
	Tenant    model.TenantID `json:"tenant"`
	By        string         `json:"by"`
	Extract   string         `json:"extract"`
	Shipments []byte         `json:"shipments"` // JSON array of submit.Shipment
	Replaces  string         `json:"replaces"`
}

type prepared struct {
	Submission submit.Submission `json:"submission"`
	Fresh      bool              `json:"fresh"` // false when it was in the ledger already
}

var submitPrepareOp = op[submitPrepare, []prepared]{name: "submit-prepare", run: func(ctx context.Context, a *app, in submitPrepare) ([]prepared, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return nil, err
	}
	f, err := a.registerFile(in.Tenant)
	if err != nil {
		return nil, err
	}
	if err := secureFolder(f.SecureFolder).open(); err != nil {
		return nil, err
	}
	var list []submit.Shipment
	if len(in.Shipments) > 0 {
		list, err = a.shipments(f, in.Shipments)
	} else {
		list, err = a.eventShipments(ctx, f, in)
	}
	if err != nil {
		return nil, err
	}
	if in.Replaces != "" && len(list) != 1 {
		return nil, problemf("submission-replaces", "one shipment takes the place of one submission; %d were given", len(list))
	}
	out := []prepared{}
	for _, s := range list {
		sub, fresh, err := submit.Prepare(ctx, a.store, in.Tenant, s, in.Replaces, a.who(in.By))
		if err != nil {
			return out, err
		}
		out = append(out, prepared{sub, fresh})
	}
	return out, nil
}}

// shipments reads shipments whose files stand in the secure folder.
func (a *app) shipments(f *registerFile, text []byte) ([]submit.Shipment, error) {
	var list []submit.Shipment
	if err := json.Unmarshal(text, &list, json.RejectUnknownMembers(true)); err != nil {
		return nil, problemf("submission-shipment", "the shipments are not a JSON array of {kind, target, year, position, sha256, path, counts}: %v", err)
	}
	for i := range list {
		s := &list[i]
		if s.Extract != "" {
			return nil, problemf("submission-shipment", "event messages are prepared from the store: flette submit prepare --extract")
		}
		if s.Target != f.Target {
			return nil, f.bad("the target there is %s, and the shipment's is another", f.Target)
		}
		name, err := secureFolder(f.SecureFolder).inside(s.Path)
		if err != nil {
			return nil, err
		}
		sum, size, err := secureFolder(f.SecureFolder).sum(name)
		if err != nil {
			return nil, err
		}
		if sum != s.SHA256 {
			return nil, problemf("submission-file", "%s is not the file of the shipment: its SHA-256 differs", name)
		}
		s.Path, s.Bytes = name, size
	}
	return list, nil
}

// eventShipments are the extracts of the register's target that are not in the ledger, or the
// one that is asked for.
func (a *app) eventShipments(ctx context.Context, f *registerFile, in submitPrepare) ([]submit.Shipment, error) {
	all, err := extractListOp.run(ctx, a, in.Tenant)
	if err != nil {
		return nil, err
	}
	known, err := a.submissions(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b extractView) int { return cmp.Compare(a.From, b.From) })
	var out []submit.Shipment
	for _, x := range all {
		if x.Target != f.Target || in.Extract != "" && x.ID != in.Extract {
			continue
		}
		if in.Extract == "" && slices.ContainsFunc(known, func(r submit.Record) bool { return r.Extract == x.ID }) {
			continue
		}
		s, err := a.eventShipment(ctx, f, in, x)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	if in.Extract != "" && len(out) == 0 {
		return nil, problemf("not-found", "there is no message with this id for target %s; flette extract list shows those that are", f.Target)
	}
	return out, nil
}

// eventShipment is an extract as it was made or, when it takes the place of another, written
// again with contacts and identities as they are now.
func (a *app) eventShipment(ctx context.Context, f *registerFile, in submitPrepare, x extractView) (submit.Shipment, error) {
	s := submit.Shipment{
		Kind: submit.KindEvents, Target: x.Target, From: x.From, To: x.To, Position: x.Position, Extracted: x.Created,
		SHA256: x.SHA256, Extract: x.ID, Counts: map[string]int{},
	}
	for k, n := range x.Counts {
		if t, ok := strings.CutPrefix(k, "type-"); ok {
			s.Counts[t] = n
		}
	}
	var body []byte
	var err error
	if in.Replaces == "" {
		body, err = a.File(ctx, in.Tenant, x.ID)
	} else {
		body, err = a.Resend(ctx, in.Tenant, x.Target, in.By, kpr.Selection{Extract: x.ID})
	}
	if err != nil {
		return s, err
	}
	s.Bytes = int64(len(body))
	if sum := sum256(body); sum != s.SHA256 {
		s.SHA256, s.Path = sum, "kpr/"+x.ID+"-"+sum[:8]+".xml"
		_, err = writeSecret(filepath.Join(f.SecureFolder, "kpr"), filepath.Base(s.Path), body)
	}
	return s, err
}

type submitSend struct {
	Tenant model.TenantID `json:"tenant"`
	By     string         `json:"by"`
	ID     string         `json:"id"` // "" for all that is due
}

type submitSent struct {
	Records   []submit.Record `json:"records"`
	Waiting   []string        `json:"waiting,omitempty"` // sentences: what was not tried, and why
	Forgotten []forgotten     `json:"forgotten,omitempty"`
}

var submitSendOp = op[submitSend, submitSent]{name: "submit-send", run: func(ctx context.Context, a *app, in submitSend) (out submitSent, err error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return out, err
	}
	f, err := a.registerFile(in.Tenant)
	if err != nil {
		return out, err
	}
	o, err := a.sendOptions(in, f)
	if err != nil {
		return out, err
	}
	a.submitting.Lock()
	defer a.submitting.Unlock()
	list, err := a.submissions(ctx, in.Tenant)
	if err != nil {
		return out, err
	}
	todo, waiting := dueNow(list, f, in.ID)
	if in.ID != "" && len(todo) == 0 {
		if _, err = submit.Find(list, in.ID); err == nil {
			err = f.bad("the target there is %s, and the submission's is another", f.Target)
		}
		return out, err
	}
	out.Waiting = waiting
	stopped := map[string]bool{} // by kind: nothing passes what is not accepted
	for _, sub := range todo {
		if stopped[sub.Kind] {
			continue
		}
		r, err := submit.Send(ctx, a.store, in.Tenant, sub.ID, o)
		if err != nil {
			return out, err
		}
		out.Records = append(out.Records, r)
		stopped[sub.Kind] = r.State != submit.Accepted
		if r.Events[len(r.Events)-1].Act == submit.ActNotSent {
			break // the next would not get through either
		}
	}
	out.Forgotten, err = a.forget(ctx, in.Tenant, f, a.who(in.By))
	return out, err
}}

// dueNow chooses what to send, in order. What the register refused for what it says is left to
// a person: sending it again gives the same refusal.
func dueNow(list []submit.Record, f *registerFile, id string) (todo []submit.Submission, waiting []string) {
	blocked := map[string]bool{}
	for i := range list {
		r := &list[i]
		switch {
		case r.Target != f.Target || id != "" && r.ID != id:
		case id != "":
			todo = append(todo, r.Submission)
		case !r.Standing() || r.State == submit.Accepted || blocked[r.Kind]:
		case r.State == submit.Rejected && !again(r):
			blocked[r.Kind] = true
			waiting = append(waiting, r.ID+" was rejected for what it says: mend the cause and replace it (flette submit prepare --replace), or send it once more with --id")
		default:
			todo = append(todo, r.Submission)
		}
	}
	return todo, waiting
}

// again says whether the same message may pass a second time: the register had something
// against the way, not against the message.
func again(r *submit.Record) bool {
	e := r.Events[len(r.Events)-1]
	for i := range slices.Backward(r.Events) {
		if r.Events[i].Act == submit.ActAnswer || r.Events[i].Act == submit.ActFeedback && r.Events[i].State != r.Events[max(i-1, 0)].State {
			e = r.Events[i]
			break
		}
	}
	if e.Act == submit.ActFeedback {
		return false
	}
	return !slices.ContainsFunc(e.Faults, func(f submit.Fault) bool {
		return f.Code == 0 || f.Code >= 2006 && f.Code <= 2009
	})
}

// sendOptions connects the ledger with the register's client, the store and the keys.
func (a *app) sendOptions(in submitSend, f *registerFile) (o submit.SendOptions, err error) {
	k, err := a.tenantKeys(in.Tenant)
	if err != nil {
		return o, err
	}
	c, err := f.client(a.now)
	if err != nil {
		return o, err
	}
	var pack func([]byte) ([]byte, error)
	if f.Transport == register.Process {
		if pack, err = f.packer(a.now()); err != nil {
			return o, err
		}
	}
	return submit.SendOptions{
		Who: a.who(in.By), Seal: k.Seal, After: func() model.Millis { return model.MillisOf(a.now()) },
		Open: func(s submit.Submission) ([]byte, error) { return a.clear(context.Background(), f, s) },
		Send: func(ctx context.Context, s submit.Submission, body []byte) submit.Receipt {
			name, ok := f.Types[s.Kind]
			if !ok {
				return submit.Receipt{State: submit.Prepared, Reason: "the configuration names no message type for " + s.Kind + " (types)"}
			}
			r := c.Send(ctx, register.Message{
				ID: s.ID, Type: name.Type, Version: name.Version, Body: body, Pack: pack,
				Extracted: cmp.Or(s.Extracted, s.Prepared).Time().In(model.Oslo()),
			})
			out := submit.Receipt{
				State: r.State, Status: r.Status, Reference: r.Reference, MessageID: r.MessageID, KeyID: r.KeyID, Reason: r.Reason,
			}
			if r.State == register.NotSent {
				out.State = submit.Prepared
			}
			for _, x := range r.Faults {
				out.Faults = append(out.Faults, submit.Fault{Code: x.Code, Name: x.Name, Property: x.Property})
				out.Details = append(out.Details, x.Details)
			}
			return out
		},
	}, nil
}

type submitStatus struct {
	Due     submit.Due      `json:"due"`
	Target  string          `json:"target"`
	Records []submit.Record `json:"records"`
}

var submitStatusOp = op[model.TenantID, submitStatus]{name: "submit-status", reads: true, run: func(ctx context.Context, a *app, in model.TenantID) (out submitStatus, err error) {
	if err := a.has(ctx, in); err != nil {
		return out, err
	}
	f, err := a.registerFile(in)
	if err != nil {
		return out, err
	}
	if out.Records, err = a.submissions(ctx, in); err != nil {
		return out, err
	}
	out.Target = f.Target
	if f.NoYearly {
		out.Due = submit.Due{Stage: submit.StageNone, Text: "the yearly shipments are sent by another system (no_yearly)"}
		return out, nil
	}
	out.Due, err = submit.Yearly(model.DateInOslo(model.MillisOf(a.now())), f.Target, out.Records)
	return out, err
}}

type submitOne struct {
	Tenant model.TenantID `json:"tenant"`
	By     string         `json:"by"`
	ID     string         `json:"id"`
}

type submitShown struct {
	Record  submit.Record    `json:"record"`
	Private []submit.Private `json:"private"` // of each event, in order
}

var submitShowOp = op[submitOne, submitShown]{name: "submit-show", reads: true, run: func(ctx context.Context, a *app, in submitOne) (out submitShown, err error) {
	list, err := a.submissions(ctx, in.Tenant)
	if err != nil {
		return out, err
	}
	r, err := submit.Find(list, in.ID)
	if err != nil {
		return out, err
	}
	k, err := a.tenantKeys(in.Tenant)
	if err != nil {
		return out, err
	}
	out.Record = *r
	for i := range r.Events {
		p, err := r.Events[i].Reveal(k.Open)
		if err != nil {
			return out, err
		}
		out.Private = append(out.Private, p)
	}
	return out, nil
}}

type submitFeedback struct {
	submitOne
	Said submit.Said `json:"said"`
}

var submitFeedbackOp = op[submitFeedback, submit.Record]{name: "submit-feedback", run: func(ctx context.Context, a *app, in submitFeedback) (out submit.Record, err error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return out, err
	}
	k, err := a.tenantKeys(in.Tenant)
	if err != nil {
		return out, err
	}
	a.submitting.Lock()
	defer a.submitting.Unlock()
	return submit.Feedback(ctx, a.store, in.Tenant, in.ID, in.Said, a.who(in.By), k.Seal)
}}

var submitForgetOp = op[submitOne, []forgotten]{name: "submit-forget", run: func(ctx context.Context, a *app, in submitOne) ([]forgotten, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return nil, err
	}
	f, err := a.registerFile(in.Tenant)
	if err != nil {
		return nil, err
	}
	a.submitting.Lock()
	defer a.submitting.Unlock()
	return a.forget(ctx, in.Tenant, f, a.who(in.By))
}}

var submitPackageOp = op[submitOne, []byte]{name: "submit-package", reads: true, run: func(ctx context.Context, a *app, in submitOne) ([]byte, error) {
	list, err := a.submissions(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	r, err := submit.Find(list, in.ID)
	if err != nil {
		return nil, err
	}
	f, err := a.registerFile(in.Tenant)
	if err != nil {
		return nil, err
	}
	if r.Target != f.Target {
		return nil, f.bad("the target there is %s, and the submission's is another", f.Target)
	}
	pack, err := f.packer(a.now())
	if err != nil {
		return nil, err
	}
	body, err := a.clear(ctx, f, r.Submission)
	if err != nil {
		return nil, err
	}
	if sum256(body) != r.SHA256 {
		return nil, problemf("submission-file", "the file is not the one that was prepared: its SHA-256 differs; prepare it anew")
	}
	return pack(body)
}}
