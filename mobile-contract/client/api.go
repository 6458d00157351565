package client

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	contract "flette/mobile-contract"
	"flette/model"
)

// APIConfig makes an API. URL and Token are required.
type APIConfig struct {
	URL   string
	HTTP  *http.Client
	Token string        // access token
	Key   crypto.Signer // set when the token is bound to a key: scheme DPoP with proofs
	Wall  func() time.Time
	Sleep func(context.Context, time.Duration) error
	Rand  io.Reader
	Tries int // of a call that gets 429 or 503, or of a read without an answer; 4 when 0
}

// API makes the calls of people at a desk: supervisors, administrators, operators. Every
// method returns an *Error when the server says no.
type API struct {
	call  *caller
	token string
	how   string
}

// NewAPI makes an API.
func NewAPI(cfg APIConfig) (*API, error) {
	if cfg.URL == "" || cfg.Token == "" || cfg.Key != nil && cfg.Wall == nil {
		return nil, errors.New("client: URL and Token are required, and Wall with a Key")
	}
	a := &API{token: cfg.Token, how: "Bearer", call: &caller{
		base: strings.TrimSuffix(cfg.URL, "/"), http: cfg.HTTP, wall: cfg.Wall, sleep: cfg.Sleep, rand: cfg.Rand, tries: cfg.Tries,
	}}
	if a.call.http == nil {
		a.call.http = http.DefaultClient
	}
	if a.call.sleep == nil {
		a.call.sleep = sleep
	}
	if a.call.rand == nil {
		a.call.rand = rand.Reader
	}
	if a.call.tries == 0 {
		a.call.tries = 4
	}
	if cfg.Key != nil {
		var err error
		if a.call.prove, err = newProver(cfg.Key, a.call.rand); err != nil {
			return nil, err
		}
		a.how = "DPoP"
	}
	return a, nil
}

// Get reads any route into out; *[]byte takes the bytes as they are. It returns the headers.
func (a *API) Get(ctx context.Context, path string, query url.Values, out any) (http.Header, error) {
	return a.call.do(ctx, request{method: http.MethodGet, path: path, query: query, scheme: a.how, token: a.token, safe: true, out: out})
}

// Post writes to any route.
func (a *API) Post(ctx context.Context, path string, header http.Header, in, out any) (http.Header, error) {
	return a.call.do(ctx, request{method: http.MethodPost, path: path, header: header, scheme: a.how, token: a.token, in: in, out: out})
}

func get[T any](ctx context.Context, a *API, path string, pairs ...string) (*T, error) {
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	out := new(T)
	if _, err := a.Get(ctx, path, query, out); err != nil {
		return nil, err
	}
	return out, nil
}

func post[T any](ctx context.Context, a *API, path string, in any) (*T, error) {
	out := new(T)
	if _, err := a.Post(ctx, path, nil, in, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Persons returns a page of the persons that the caller may see.
func (a *API) Persons(ctx context.Context, cursor string) (*contract.PersonList, error) {
	return get[contract.PersonList](ctx, a, "/v1/persons", "cursor", cursor)
}

// Person returns the merged record; asOf is a journal size, negative for now.
func (a *API) Person(ctx context.Context, id model.PersonID, asOf int64) (*contract.PersonRecord, error) {
	at := ""
	if asOf >= 0 {
		at = strconv.FormatInt(asOf, 10)
	}
	return get[contract.PersonRecord](ctx, a, "/v1/persons/"+id.String(), "as_of", at)
}

// History returns a page of a person's entries, of one unit when unit is not "".
func (a *API) History(ctx context.Context, id model.PersonID, unit model.Unit, cursor string) (*contract.History, error) {
	return get[contract.History](ctx, a, "/v1/persons/"+id.String()+"/history", "unit", string(unit), "cursor", cursor)
}

// Reviews returns a page of the queue; state is "open", "closed" or "" for open.
func (a *API) Reviews(ctx context.Context, state, cursor string) (*contract.ReviewList, error) {
	return get[contract.ReviewList](ctx, a, "/v1/reviews", "state", state, "cursor", cursor)
}

// Review returns one review and the ETag that a decision on it needs.
func (a *API) Review(ctx context.Context, id string) (v *contract.ReviewView, etag string, err error) {
	v = new(contract.ReviewView)
	header, err := a.Get(ctx, "/v1/reviews/"+url.PathEscape(id), nil, v)
	if err != nil {
		return nil, "", err
	}
	return v, header.Get("ETag"), nil
}

// Decide settles a review as it was when the ETag was read. When it has changed since, the
// error is an *Error of status 412 with the fresh review in Problem.Current and its ETag.
func (a *API) Decide(ctx context.Context, id, etag string, d contract.DecisionRequest) (*contract.DecisionResponse, error) {
	out := new(contract.DecisionResponse)
	if _, err := a.Post(ctx, "/v1/reviews/"+url.PathEscape(id)+"/decision", http.Header{"If-Match": {etag}}, d, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Quarantine returns a page of quarantined entries; state is "open", "released", "closed" or
// "" for open.
func (a *API) Quarantine(ctx context.Context, state, cursor string) (*contract.QuarantineList, error) {
	return get[contract.QuarantineList](ctx, a, "/v1/quarantine", "state", state, "cursor", cursor)
}

// Release lets a quarantined entry take effect.
func (a *API) Release(ctx context.Context, id model.EntryID, why model.Reason) (*contract.SettleResponse, error) {
	return post[contract.SettleResponse](ctx, a, "/v1/quarantine/"+id.String()+"/release", contract.SettleRequest{Reason: why})
}

// Close settles a quarantined entry without effect.
func (a *API) Close(ctx context.Context, id model.EntryID, why model.Reason) (*contract.SettleResponse, error) {
	return post[contract.SettleResponse](ctx, a, "/v1/quarantine/"+id.String()+"/close", contract.SettleRequest{Reason: why})
}

// Invite makes an enrolment code.
func (a *API) Invite(ctx context.Context, label string) (*contract.InviteResponse, error) {
	return post[contract.InviteResponse](ctx, a, "/v1/invites", contract.InviteRequest{Label: label})
}

// InviteReplacement makes an enrolment code for a device that takes the place of another one.
func (a *API) InviteReplacement(ctx context.Context, label string, replaces model.DeviceID) (*contract.InviteResponse, error) {
	return post[contract.InviteResponse](ctx, a, "/v1/invites", contract.InviteRequest{Label: label, Replaces: &replaces})
}

// Device returns a device, and why it is not in sync.
func (a *API) Device(ctx context.Context, id model.DeviceID) (*contract.DeviceView, error) {
	return get[contract.DeviceView](ctx, a, "/v1/devices/"+id.String())
}

// RevokeCompromised revokes a device whose key strangers may hold.
func (a *API) RevokeCompromised(ctx context.Context, id model.DeviceID, reason string) (*contract.DeviceView, error) {
	return post[contract.DeviceView](ctx, a, "/v1/devices/"+id.String()+"/revoke", contract.RevokeRequest{Reason: reason, Compromised: true})
}

// Devices returns a page of devices.
func (a *API) Devices(ctx context.Context, cursor string) (*contract.DeviceList, error) {
	return get[contract.DeviceList](ctx, a, "/v1/devices", "cursor", cursor)
}

// Revoke revokes a device.
func (a *API) Revoke(ctx context.Context, id model.DeviceID, reason string) (*contract.DeviceView, error) {
	return post[contract.DeviceView](ctx, a, "/v1/devices/"+id.String()+"/revoke", contract.RevokeRequest{Reason: reason})
}

// Assign changes a caseload.
func (a *API) Assign(ctx context.Context, r contract.AssignRequest) (*contract.AssignResponse, error) {
	return post[contract.AssignResponse](ctx, a, "/v1/assignments", r)
}

// Unassigned returns a page of the persons whom nobody has in the caseload now.
func (a *API) Unassigned(ctx context.Context, cursor string) (*contract.PersonList, error) {
	return get[contract.PersonList](ctx, a, "/v1/persons", "unassigned", "true", "cursor", cursor)
}

// QuarantineOf is Quarantine for the persons of an organisation unit and those below it, for
// one person, or for whom an actor has in the caseload now; every filter may be "".
func (a *API) QuarantineOf(ctx context.Context, state, unit, person, actor, cursor string) (*contract.QuarantineList, error) {
	return get[contract.QuarantineList](ctx, a, "/v1/quarantine", "state", state, "unit", unit, "person", person, "actor", actor, "cursor", cursor)
}

// Block keeps an actor, or everybody, from a person, or lifts that.
func (a *API) Block(ctx context.Context, r contract.BlockRequest) (*contract.BlockResponse, error) {
	return post[contract.BlockResponse](ctx, a, "/v1/blocks", r)
}

// Blocks returns a page of block events, of one person when person is not "".
func (a *API) Blocks(ctx context.Context, person, cursor string) (*contract.BlockList, error) {
	return get[contract.BlockList](ctx, a, "/v1/blocks", "person", person, "cursor", cursor)
}

// BreakGlass takes a person in an emergency.
func (a *API) BreakGlass(ctx context.Context, r contract.BreakGlassRequest) (*contract.BreakGlassView, error) {
	return post[contract.BreakGlassView](ctx, a, "/v1/break-glass", r)
}

// GlassUses returns a page of uses of emergency access; state is "open", "closed" or "" for open.
func (a *API) GlassUses(ctx context.Context, state, cursor string) (*contract.BreakGlassList, error) {
	return get[contract.BreakGlassList](ctx, a, "/v1/break-glass", "state", state, "cursor", cursor)
}

// FollowUp writes what a supervisor found about a use of emergency access.
func (a *API) FollowUp(ctx context.Context, id string, why model.Reason) (*contract.BreakGlassView, error) {
	return post[contract.BreakGlassView](ctx, a, "/v1/break-glass/"+url.PathEscape(id)+"/follow-up", contract.SettleRequest{Reason: why})
}

// SettleFinding closes or releases a finding, or opens it again.
func (a *API) SettleFinding(ctx context.Context, r contract.FindingSettleRequest) (*contract.FindingSettleResponse, error) {
	return post[contract.FindingSettleResponse](ctx, a, "/v1/findings/settle", r)
}

// Worklist returns a page of what waits; task "" is all, ahead "" is 30 days.
func (a *API) Worklist(ctx context.Context, task, ahead, cursor string) (*contract.Worklist, error) {
	return get[contract.Worklist](ctx, a, "/v1/worklist", "task", task, "ahead", ahead, "cursor", cursor)
}

// ConfirmEnds confirms ends that were seen on the worklist, 1 to 200, each named.
func (a *API) ConfirmEnds(ctx context.Context, r contract.ConfirmEndsRequest) (*contract.ConfirmEndsResponse, error) {
	return post[contract.ConfirmEndsResponse](ctx, a, "/v1/worklist/confirm", r)
}

// RunExtract produces a message for the register.
func (a *API) RunExtract(ctx context.Context, r contract.ExtractRequest) (*contract.ExtractView, error) {
	return post[contract.ExtractView](ctx, a, "/v1/extracts", r)
}

// ExtractFile returns the XML of an extract.
func (a *API) ExtractFile(ctx context.Context, id string) ([]byte, error) {
	var body []byte
	_, err := a.Get(ctx, "/v1/extracts/"+url.PathEscape(id)+"/file", nil, &body)
	return body, err
}

// FindingsIn is Findings of a state: "open", "released", "closed" or "all".
func (a *API) FindingsIn(ctx context.Context, state, person, rule, cursor string) (*contract.FindingList, error) {
	return get[contract.FindingList](ctx, a, "/v1/findings", "state", state, "person", person, "rule", rule, "cursor", cursor)
}

// Findings returns a page of broken rules that nobody has settled; every filter may be "".
func (a *API) Findings(ctx context.Context, person, rule, severity, cursor string) (*contract.FindingList, error) {
	return get[contract.FindingList](ctx, a, "/v1/findings", "person", person, "rule", rule, "severity", severity, "cursor", cursor)
}

// TimeReport compares a week's direct minutes with granted minutes; week is "2026-W47".
func (a *API) TimeReport(ctx context.Context, week string) (*contract.TimeReport, error) {
	return get[contract.TimeReport](ctx, a, "/v1/reports/time", "week", week)
}

// Checkpoint returns the newest checkpoint and the key that signs it.
func (a *API) Checkpoint(ctx context.Context) (*contract.CheckpointResponse, error) {
	return get[contract.CheckpointResponse](ctx, a, "/v1/journal/checkpoint")
}
