package contract

import (
	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
)

// Problem is an RFC 9457 problem document, media type application/problem+json.
type Problem struct {
	Type     string `json:"type"`     // https://flette.dev/problems/<code>
	Title    string `json:"title"`    // fixed sentence for the code
	Status   int    `json:"status"`   // HTTP status
	Code     string `json:"code"`     // stable, kebab-case
	Detail   string `json:"detail"`   // what to do; never personal data
	Instance string `json:"instance"` // request id
	Pointer  string `json:"pointer,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Retry    string `json:"retry"` // "never", "same", "fixed" or "later"

	Current *ReviewView `json:"current,omitzero"` // precondition-failed: the review as it is now
	Limits  *Limits     `json:"limits,omitzero"`  // too-large: what fits
	Size    *int64      `json:"size,omitzero"`    // store-rewound: with another epoch than the held one, where to send again from (T5)
	Epoch   string      `json:"epoch,omitempty"`  // store-rewound, epoch-changed: the present one
	Order   *Order      `json:"order,omitzero"`   // device-revoked: what the tablet has to do
}

// What an order tells a tablet to do.
const (
	OrderWipe    = "wipe"     // hand in, erase, acknowledge, destroy the key (T11)
	OrderReEnrol = "re-enrol" // hand in, and enrol anew with a code that replaces this device
	OrderUpdate  = "update"   // install a newer app
)

// Order is what a tablet has to do now. The same order has the same id in every answer.
type Order struct {
	Do  string `json:"do"`
	ID  string `json:"id"`
	Why string `json:"why"` // a sentence for the person who holds the tablet
}

// EnrolRequest: POST /v1/devices. Unauthenticated but for the one-time code.
type EnrolRequest struct {
	Tenant model.TenantID `json:"tenant"`
	Code   string         `json:"code"`  // from `flette device invite`
	Key    jsontext.Value `json:"key"`   // public JWK: OKP Ed25519 or EC P-256
	Proof  string         `json:"proof"` // compact JWS, typ "flette-enrol+jws", payload {tenant, code, jkt} and former when it is given
	Label  string         `json:"label,omitempty"`
	Former model.DeviceID `json:"former,omitzero"` // the id to get back, after unknown-device (T9)
	// Handovers are compact JWS, typ HandoverType, payload Handover: one for each change of key
	// since the enrolment, oldest first. With Former only.
	Handovers []string `json:"handovers,omitempty"`
}

// HandoverType is the typ of a handover, MaxHandovers how many a device can have.
const (
	HandoverType = "flette-handover+jws"
	MaxHandovers = 32
)

// Handover is what a key says when it is given up, signed by it: schemas/handover.json.
type Handover struct {
	Tenant  model.TenantID `json:"tenant"`
	Device  model.DeviceID `json:"device"`
	From    jsontext.Value `json:"from"`     // public JWK of the key that signs
	To      jsontext.Value `json:"to"`       // of the one that takes its place
	LastSeq int64          `json:"last_seq"` // the last seq signed with From
}

// EnrolResponse: 201.
type EnrolResponse struct {
	Device      model.DeviceID `json:"device"`
	Tenant      model.TenantID `json:"tenant"`
	Epoch       string         `json:"epoch"`
	JournalKey  string         `json:"journal_key"` // note verifier key of the checkpoints
	Fingerprint string         `json:"fingerprint"` // of the device key, to compare by eye
	ServerTime  model.Millis   `json:"server_time"`
}

// LeaseRequest: POST /v1/leases with `Authorization: Bearer <access token>` and a DPoP
// proof by the device key.
type LeaseRequest struct {
	Device model.DeviceID `json:"device"`
	Wall   model.Millis   `json:"wall"` // the tablet's wall clock now
}

// Lease is the authority to work offline and the clock anchor.
type Lease struct {
	Token     string        `json:"token"` // sent as `Authorization: DPoP <token>`
	ID        string        `json:"id"`    // named in every entry
	Actor     model.ActorID `json:"actor"`
	Roles     []string      `json:"roles"`
	IssuedAt  model.Millis  `json:"issued_at"`
	ExpiresAt model.Millis  `json:"expires_at"`
}

// LeaseResponse: 201.
type LeaseResponse struct {
	Lease    Lease  `json:"lease"`
	Epoch    string `json:"epoch"`
	Released int    `json:"released"` // quarantined entries that this login let through
}

// Diary is what a tablet says about its own state at each contact.
type Diary struct {
	Outbox    int64        `json:"outbox"`
	Oldest    model.Millis `json:"oldest,omitzero"`
	Wall      model.Millis `json:"wall,omitzero"`
	App       string       `json:"app,omitempty"`
	LastError string       `json:"last_error,omitempty"`
}

// PushRequest: POST /v1/sync/push.
type PushRequest struct {
	Diary      *Diary   `json:"diary,omitzero"`
	Checkpoint string   `json:"checkpoint,omitempty"` // newest one the tablet holds
	Entries    []string `json:"entries"`              // compact JWS, oldest first
}

// PushResponse: 200 when the batch could be judged; one result per entry, in order.
type PushResponse struct {
	Epoch      string       `json:"epoch"`
	Checkpoint string       `json:"checkpoint"`
	Lease      *Lease       `json:"lease,omitzero"` // fresh anchor while the session lasts
	Limits     Limits       `json:"limits"`
	Results    []PushResult `json:"results"`
	Order      *Order       `json:"order,omitzero"` // what the tablet has to do, absent for nothing
}

// WipedRequest: POST /v1/sync/wiped, when a wipe order has been obeyed (T11).
type WipedRequest struct {
	Order   string `json:"order"`             // its id
	Refused int64  `json:"refused,omitempty"` // refused entries that were erased: nobody else has them
}

// WipedResponse: 200.
type WipedResponse struct {
	Wiped model.Millis `json:"wiped"` // when it was acknowledged first
}

// RotateRequest: POST /v1/devices/rotate-key, proved by the old key (T12).
type RotateRequest struct {
	Key     jsontext.Value `json:"key"`      // public JWK of the new key
	Proof   string         `json:"proof"`    // compact JWS by the new key, typ "flette-rotate+jws", payload {tenant, device, jkt, last_seq}
	LastSeq int64          `json:"last_seq"` // last seq signed with the old key, 0 for none
}

// RotateResponse: 200. LastSeq is that of the request.
type RotateResponse struct {
	Device      model.DeviceID `json:"device"`
	Fingerprint string         `json:"fingerprint"` // of the new key, to compare by eye
	LastSeq     int64          `json:"last_seq"`
	Lease       *Lease         `json:"lease,omitzero"` // the same session, bound to the new key; when it is over, good for push alone
}

// Limits are advertised in every push answer.
type Limits struct {
	Entries  int `json:"entries"`            // entries in one push
	Bytes    int `json:"bytes"`              // decoded body
	Entry    int `json:"entry"`              // one compact JWS
	KeepDays int `json:"keep_days,omitzero"` // how long acknowledged entries are kept (T5)
}

// Outcomes of one entry.
const (
	OutcomeApplied     = "applied"
	OutcomeConflict    = "conflict"
	OutcomeDuplicate   = "duplicate"
	OutcomeQuarantined = "quarantined"
	OutcomeRefused     = "refused"
)

// PushResult is the judgement of one entry.
type PushResult struct {
	Index    int              `json:"index"`
	ID       string           `json:"id,omitempty"` // absent when the bytes are not a JWS
	Outcome  string           `json:"outcome"`
	First    string           `json:"first,omitempty"` // duplicate: the first outcome
	Position *int64           `json:"position,omitempty"`
	Code     string           `json:"code,omitempty"` // quarantined and refused
	Pointer  string           `json:"pointer,omitempty"`
	Detail   string           `json:"detail,omitempty"`
	Rule     string           `json:"rule,omitempty"`
	Stamp    *model.Stamp     `json:"stamp,omitzero"`
	Reviews  []ConflictReview `json:"reviews,omitempty"` // conflict: what it clashed with
}

// ConflictReview names an open review and the other heads.
type ConflictReview struct {
	Review  string          `json:"review"`
	Unit    model.Unit      `json:"unit"`
	Class   model.Class     `json:"class"`
	Against []model.EntryID `json:"against"`
}

// PullResponse: GET /v1/sync/pull. Applied atomically by the tablet, then the cursor kept.
type PullResponse struct {
	Epoch      string     `json:"epoch"`
	Items      []PullItem `json:"items"`
	Cursor     string     `json:"cursor"`
	More       bool       `json:"more"`
	Checkpoint string     `json:"checkpoint"`
}

// Types of pull items.
const (
	ItemUnit        = "unit"
	ItemScopeAdd    = "scope.add"
	ItemScopeRemove = "scope.remove"
	ItemDecision    = "decision"
	ItemQuarantine  = "quarantine"
	ItemLate        = "late"
	ItemCard        = "card" // the card of a person of the caseload has changed
)

// PullItem is one piece of news. Type says which members are set.
type PullItem struct {
	Type     string         `json:"type"`
	Position int64          `json:"position"`
	Person   model.PersonID `json:"person"`
	Card     *PersonCard    `json:"card,omitzero"`     // scope.add, card
	Unit     *UnitView      `json:"unit,omitzero"`     // unit
	Decision *DecisionNews  `json:"decision,omitzero"` // decision
	Settled  *SettledNews   `json:"settled,omitzero"`  // quarantine
	Late     *LateNews      `json:"late,omitzero"`     // late
}

// PersonCard is what the nurse needs to know whom she visits.
type PersonCard struct {
	Person    model.PersonID `json:"person"`
	BrukerNr  int64          `json:"bruker_nr"`
	Name      string         `json:"name"`
	BirthDate string         `json:"birth_date,omitempty"`
	Test      bool           `json:"test"`
	Unit      string         `json:"unit,omitempty"`
	Until     *model.Millis  `json:"until,omitzero"` // end of a time-limited assignment
	Visit     int            `json:"visit,omitzero"` // place in the caller's visits of today, from 1
}

// UnitView is the merged state of a unit.
type UnitView struct {
	Unit     model.Unit      `json:"unit"`
	Position int64           `json:"position"`
	Class    model.Class     `json:"class"`
	Late     bool            `json:"late,omitempty"`
	Review   string          `json:"review,omitempty"` // id while one is open
	Heads    []HeadView      `json:"heads"`            // the shown one first; empty when voided
	Missing  []model.EntryID `json:"missing,omitempty"`
}

// HeadView is one head with where it came from.
type HeadView struct {
	Entry    model.EntryID  `json:"entry"`
	Position int64          `json:"position"`
	Act      model.Act      `json:"act"`
	Actor    model.ActorID  `json:"actor"`
	Device   model.DeviceID `json:"device"`
	Stamp    model.Stamp    `json:"stamp"`
	Value    jsontext.Value `json:"value"`
}

// DecisionNews tells the authors what a supervisor decided, and why.
type DecisionNews struct {
	Entry  model.EntryID   `json:"entry"`
	Actor  model.ActorID   `json:"actor"`
	Units  []model.Unit    `json:"units"`
	Over   []model.EntryID `json:"over"`
	Reason *model.Reason   `json:"reason,omitzero"`
}

// SettledNews tells what became of a quarantined entry.
type SettledNews struct {
	Entry  model.EntryID `json:"entry"`
	State  string        `json:"state"` // "released" or "closed"
	Reason *model.Reason `json:"reason,omitzero"`
}

// PersonList: GET /v1/persons; with unassigned=true those whom nobody has in the caseload.
type PersonList struct {
	Persons []PersonCard `json:"persons"`
	Next    string       `json:"next,omitempty"`
}

// PersonRecord: GET /v1/persons/{id}, the merged record; with as_of, as it was when the
// journal had that many entries.
type PersonRecord struct {
	Card       PersonCard    `json:"card"`
	NationalID string        `json:"national_id,omitempty"` // supervisor and admin only
	Position   int64         `json:"position"`              // journal size it is read at
	Units      []UnitView    `json:"units"`
	Next       string        `json:"next,omitempty"` // continue with ?after=
	Findings   []FindingView `json:"findings,omitempty"`
}

// History: GET /v1/persons/{id}/history, newest last.
type History struct {
	Person  model.PersonID `json:"person"`
	Entries []HistoryEntry `json:"entries"`
	Next    string         `json:"next,omitempty"`
}

// HistoryEntry is one entry of a person, readable for ever.
type HistoryEntry struct {
	Entry    model.EntryID   `json:"entry"`
	Position int64           `json:"position"`
	Outcome  string          `json:"outcome"`
	Code     string          `json:"code,omitempty"`
	Act      model.Act       `json:"act,omitempty"`
	Actor    model.ActorID   `json:"actor,omitempty"`
	Device   model.DeviceID  `json:"device"`
	Seq      int64           `json:"seq,omitempty"`
	Visit    string          `json:"visit,omitempty"`
	Stamp    model.Stamp     `json:"stamp"`
	Reason   *model.Reason   `json:"reason,omitzero"`
	Changes  []HistoryChange `json:"changes"`
	JWS      string          `json:"jws"` // exactly as signed
	// Catalogue is the version of the catalogue that the author saw, as signed; "" before contract
	// version 3. JudgedBy is that of the server, "" for entries of before that was noted.
	Catalogue string `json:"catalogue,omitempty"`
	JudgedBy  string `json:"judged_by,omitempty"`
}

// HistoryChange is one change with its standing now.
type HistoryChange struct {
	Unit     model.Unit      `json:"unit"`
	Value    jsontext.Value  `json:"value,omitzero"`
	Over     []model.EntryID `json:"over,omitempty"`
	Target   *model.EntryID  `json:"target,omitzero"`
	Standing string          `json:"standing"` // "shown", "head", "superseded", "voided", "act", "quarantined"
}

// FindingView is one broken rule on a person's merged record.
type FindingView struct {
	Rule     string         `json:"rule"`
	Severity string         `json:"severity"`
	Person   model.PersonID `json:"person"`
	Unit     model.Unit     `json:"unit,omitempty"`
	Detail   string         `json:"detail"`
	DetailNB string         `json:"detail_nb,omitempty"` // the same in Norwegian
	Owner    string         `json:"owner,omitempty"`
	Since    model.Millis   `json:"since"`
	State    string         `json:"state"`               // "open", "released" or "closed"
	Settled  *model.EntryID `json:"settled_by,omitzero"` // the release or close entry
	Reason   *model.Reason  `json:"reason,omitzero"`     // of that entry
}

// FindingList: GET /v1/findings.
type FindingList struct {
	Findings []FindingView  `json:"findings"`
	Counts   map[string]int `json:"counts,omitempty"`
	Next     string         `json:"next,omitempty"`
}

// FindingCount is how many findings of a rule are open among the persons of a unit.
type FindingCount struct {
	Owner    string        `json:"owner,omitempty"` // organisation unit; "" for persons of none
	Rule     string        `json:"rule"`
	Severity string        `json:"severity"`
	Open     int64         `json:"open"`
	Oldest   *model.Millis `json:"oldest,omitzero"` // since when the oldest holds; of now only
}

// FindingDay is what a server counted on a day.
type FindingDay struct {
	Date   string         `json:"date"` // YYYY-MM-DD, in Norway
	At     model.Millis   `json:"at"`
	Counts []FindingCount `json:"counts"`
}

// FindingCounts: GET /v1/findings/counts.
type FindingCounts struct {
	Counts []FindingCount `json:"counts"`
	Days   []FindingDay   `json:"days,omitempty"` // with `from`
}

// ReviewList: GET /v1/reviews.
type ReviewList struct {
	Reviews []ReviewView `json:"reviews"`
	Next    string       `json:"next,omitempty"`
}

// ReviewView: GET /v1/reviews/{id}; the ETag is the head set.
type ReviewView struct {
	ID         string         `json:"id"`
	Person     model.PersonID `json:"person"`
	Name       string         `json:"name,omitempty"`
	Unit       UnitView       `json:"unit"`
	Label      string         `json:"label,omitempty"` // the variable in words
	State      string         `json:"state"`
	Class      model.Class    `json:"class"`
	Preselect  *model.EntryID `json:"preselect,omitzero"` // absent when time cannot tell (class 4)
	Opened     int64          `json:"opened"`
	ClosedBy   *model.EntryID `json:"closed_by,omitzero"`
	Assignee   model.ActorID  `json:"assignee,omitempty"`
	HeadSet    string         `json:"head_set"`
	OpenedTime model.Millis   `json:"opened_time,omitzero"`
}

// DecisionRequest: POST /v1/reviews/{id}/decision with If-Match. Either Choose or Value, or
// Entry with a decide entry signed by the supervisor's own device.
type DecisionRequest struct {
	Choose *model.EntryID `json:"choose,omitzero"`
	Value  jsontext.Value `json:"value,omitzero"`
	Reason *model.Reason  `json:"reason,omitzero"`
	Entry  string         `json:"entry,omitempty"`
}

// DecisionResponse: 201.
type DecisionResponse struct {
	Result     PushResult `json:"result"`
	Review     ReviewView `json:"review"`
	Checkpoint string     `json:"checkpoint"`
}

// QuarantineList: GET /v1/quarantine.
type QuarantineList struct {
	Items []QuarantineView `json:"items"`
	Next  string           `json:"next,omitempty"`
}

// QuarantineView is an authentic entry that waits for a person.
type QuarantineView struct {
	Entry    model.EntryID  `json:"entry"`
	Position int64          `json:"position"`
	Person   model.PersonID `json:"person,omitzero"`
	Device   model.DeviceID `json:"device"`
	Actor    model.ActorID  `json:"actor,omitempty"`
	Code     string         `json:"code"`
	Pointer  string         `json:"pointer,omitempty"`
	Detail   string         `json:"detail"`
	Rule     string         `json:"rule,omitempty"`
	State    string         `json:"state"`
	Received model.Millis   `json:"received"`
	JWS      string         `json:"jws"`

	HomeUnit string          `json:"home_unit,omitempty"` // where the person belongs now
	Owners   []model.ActorID `json:"owners"`              // who has the person in the caseload now
}

// SettleRequest: POST /v1/quarantine/{id}/release or /close.
type SettleRequest struct {
	Reason model.Reason `json:"reason"`
}

// SettleResponse: 201.
type SettleResponse struct {
	Result     PushResult     `json:"result"`
	Item       QuarantineView `json:"item"`
	Checkpoint string         `json:"checkpoint"`
}

// AssignRequest: POST /v1/assignments.
type AssignRequest struct {
	Actor   model.ActorID    `json:"actor"`
	Persons []model.PersonID `json:"persons"`
	From    *model.Millis    `json:"from,omitzero"` // now when absent
	To      *model.Millis    `json:"to,omitzero"`
	End     bool             `json:"end,omitempty"`
	Reason  string           `json:"reason,omitempty"`
}

// AssignResponse: 201.
type AssignResponse struct {
	Version int64 `json:"version"` // caseload version after the assignment
	Changed int   `json:"changed"`
}

// ExtractRequest: POST /v1/extracts.
type ExtractRequest struct {
	Format string         `json:"format"` // "kpr-56.0.0"
	Target string         `json:"target"` // "production" or "test"
	Resend *ExtractResend `json:"resend,omitzero"`
}

// ExtractResend selects notifications to send again: by id range, dates or person.
type ExtractResend struct {
	Extract    string          `json:"extract,omitempty"`
	FromSerial int64           `json:"from_serial,omitempty"`
	ToSerial   int64           `json:"to_serial,omitempty"`
	FromDate   string          `json:"from_date,omitempty"`
	ToDate     string          `json:"to_date,omitempty"`
	Person     *model.PersonID `json:"person,omitzero"`
}

// ExtractList: GET /v1/extracts.
type ExtractList struct {
	Extracts []ExtractView `json:"extracts"`
	Next     string        `json:"next,omitempty"`
}

// ExtractView describes one produced message; its file is at /v1/extracts/{id}/file.
type ExtractView struct {
	ID         string         `json:"id"`
	Format     string         `json:"format"`
	Target     string         `json:"target"`
	Position   int64          `json:"position"`
	FromSerial int64          `json:"from_serial"`
	ToSerial   int64          `json:"to_serial"`
	Created    model.Millis   `json:"created"`
	SHA256     string         `json:"sha256"`
	Counts     map[string]int `json:"counts"`
	Excluded   []ExcludedView `json:"excluded,omitempty"`
}

// ExcludedView is a person left out of an extract, and why.
type ExcludedView struct {
	Person model.PersonID `json:"person"`
	Rule   string         `json:"rule"`
	Code   string         `json:"code"`
}

// TimeReport: GET /v1/reports/time?week=2026-W47&by=unit. By person, Rows; by unit, Units.
type TimeReport struct {
	Week  string        `json:"week"`
	Rows  []TimeRow     `json:"rows"`
	Units []UnitTimeRow `json:"units,omitempty"`
}

// UnitTimeRow sums a week of an organisation unit and of those below it (R95).
type UnitTimeRow struct {
	Unit                   string `json:"unit,omitempty"` // "" for the municipality
	Persons                int    `json:"persons"`
	DirectMinutes          int    `json:"direct_minutes"`
	HelperMinutes          int    `json:"helper_minutes"`
	IndirectMinutes        int    `json:"indirect_minutes"`
	TravelMinutes          int    `json:"travel_minutes"`
	GrantedMinutes         int    `json:"granted_minutes"`
	GrantedResourceMinutes int    `json:"granted_resource_minutes"`
	Uncertain              bool   `json:"uncertain,omitzero"` // some of it rests on an unchecked clock
}

// LocalServices: GET /v1/local-services. What the municipality calls its services, and the type
// under which each is registered on a day (R104).
type LocalServices struct {
	On       string         `json:"on"` // YYYY-MM-DD
	Services []LocalService `json:"services"`
}

// LocalService is one of them.
type LocalService struct {
	Local string `json:"local"` // to be given as local with the service
	Code  string `json:"code"`  // of 9151
}

// TimeRow compares direct minutes with granted minutes (R95).
type TimeRow struct {
	Person          model.PersonID `json:"person"`
	Service         string         `json:"service,omitempty"`
	ServiceType     string         `json:"service_type,omitempty"`
	DirectMinutes   int            `json:"direct_minutes"`
	IndirectMinutes int            `json:"indirect_minutes"`
	TravelMinutes   int            `json:"travel_minutes"`
	GrantedMinutes  *int           `json:"granted_minutes,omitempty"`
}

// InclusionProof: GET /v1/journal/inclusion?entry=&person=&size=.
type InclusionProof struct {
	Entry    model.EntryID `json:"entry"`
	Position int64         `json:"position"`
	Size     int64         `json:"size"`
	Leaf     string        `json:"leaf"`  // the leaf's bytes, as text
	Proof    []string      `json:"proof"` // base64 hashes, RFC 6962
}

// ConsistencyProof: GET /v1/journal/consistency?from=&to=.
type ConsistencyProof struct {
	From  int64    `json:"from"`
	To    int64    `json:"to"`
	Proof []string `json:"proof"`
}

// CheckpointResponse: GET /v1/journal/checkpoint.
type CheckpointResponse struct {
	Epoch      string `json:"epoch"`
	Checkpoint string `json:"checkpoint"`
	Key        string `json:"key"`
}

// Health: GET /livez and /readyz.
type Health struct {
	Status string            `json:"status"` // "ok" or "fail"
	Checks map[string]string `json:"checks,omitempty"`
}
