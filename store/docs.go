package store

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"flette/model"
)

// Kind names a collection of documents.
type Kind string

// Doc is a record kept as JSON under a key inside its kind.
type Doc interface {
	DocKind() Kind
	DocKey() string
}

// Get reads one document. ErrNotFound when it is not there, ErrCorrupt when it is no such record.
func Get[T Doc](v View, key string) (T, error) {
	var d T
	body, err := v.Doc(d.DocKind(), key)
	if err != nil {
		return d, err
	}
	if json.Unmarshal(body, &d) != nil {
		return d, fmt.Errorf("%w: %s", ErrCorrupt, d.DocKind())
	}
	return d, nil
}

// List returns up to limit documents whose key starts with prefix, after a key. A limit of
// 0 means all.
func List[T Doc](v View, prefix, after string, limit int) ([]T, error) {
	var zero T
	var out []T
	var decodeErr error
	err := v.Docs(zero.DocKind(), prefix, after, func(key string, body []byte) bool {
		var d T
		if decodeErr = json.Unmarshal(body, &d); decodeErr != nil {
			decodeErr = fmt.Errorf("%w: %s", ErrCorrupt, zero.DocKind())
			return false
		}
		out = append(out, d)
		return limit == 0 || len(out) < limit
	})
	if err == nil {
		err = decodeErr
	}
	return out, err
}

// Put stores a document under its own key.
func Put(tx Tx, d Doc) error {
	body, err := json.Marshal(d, json.Deterministic(true))
	if err != nil {
		return err
	}
	return tx.PutDoc(d.DocKind(), d.DocKey(), body)
}

// Delete removes a derived document.
func Delete(tx Tx, d Doc) error { return tx.DeleteDoc(d.DocKind(), d.DocKey()) }

// PositionKey spells a position so that byte order is numeric order.
func PositionKey(p int64) string { return fmt.Sprintf("%016x", uint64(p)) }

// Tenant is one municipality as the store knows it.
type Tenant struct {
	ID      model.TenantID `json:"id"`
	Name    string         `json:"name"`
	Kommune string         `json:"kommune"` // 4 digits
	Epoch   string         `json:"epoch"`   // identity of this life of the store (G8)
	Created model.Millis   `json:"created"`
	Format  int            `json:"format"` // on-disk format, 1
	// NextBrukerNr numbers persons inside the municipality for ever (domain.md 3.3).
	NextBrukerNr int64 `json:"next_bruker_nr"`
	// CaseloadSeq numbers caseload events, so that a cursor can name a version.
	CaseloadSeq int64 `json:"caseload_seq"`
	// CaseloadIndexed is the caseload event up to which persons lead to their events
	// (AssignmentRef); below CaseloadSeq in a store that an older version wrote.
	CaseloadIndexed int64     `json:"caseload_indexed,omitzero"`
	Contacts        []Contact `json:"contacts,omitempty"`
	// Lives are the former lives of the store, oldest first (G8).
	Lives []Life `json:"lives,omitempty"`
	// Forked says that a tablet has shown a receipt of the present life which the store does
	// not continue: see Life.
	Forked bool `json:"forked,omitzero"`
}

// Life is a former epoch of a tenant, and how much of it this store still holds: all that
// was below Size and Caseload when it began the next life.
type Life struct {
	Epoch    string       `json:"epoch"`
	Size     int64        `json:"size"`     // journal size at which this store left the life
	Caseload int64        `json:"caseload"` // CaseloadSeq then
	Ended    model.Millis `json:"ended"`
	// Forked says that the life may have gone two ways under one name, because a file was
	// copied back without beginning a new life. A tablet of that life that holds more than
	// Size may then hold something else below it.
	Forked bool `json:"forked,omitzero"`
}

// EpochAt is the life in which the journal first had this many entries. What stands below is the
// same in every later life, so together they name the content for good.
func (t *Tenant) EpochAt(size int64) string {
	for _, l := range t.Lives {
		if !l.Forked && size <= l.Size {
			return l.Epoch
		}
	}
	return t.Epoch
}

// Contact is a person whom the register may call (code list 8471).
type Contact struct {
	Type  string `json:"type"` // "1", "15", "16", "17"
	Name  string `json:"name"`
	Phone string `json:"phone,omitempty"`
	Email string `json:"email"`
}

// Person is a recipient of care. Identity number and name are sealed; nothing outside
// internal/seal can read them.
type Person struct {
	ID       model.PersonID `json:"id"`
	BrukerNr int64          `json:"bruker_nr"`          // unique in the municipality for all years
	IDType   string         `json:"id_type"`            // code list 9032
	Test     bool           `json:"test"`               // synthetic or flagged: never leaves in production (R2)
	IDIssue  string         `json:"id_issue,omitempty"` // problem code when the number is not valid
	Sealed   []byte         `json:"sealed"`             // sealed JSON of Identity
	Kommune  string         `json:"kommune"`            // residence municipality (R3)
	District string         `json:"district,omitempty"`
	Unit     string         `json:"unit,omitempty"` // home organisation unit id
	Created  model.Millis   `json:"created"`
	Updated  model.Millis   `json:"updated"`
}

// Identity is what Person.Sealed holds.
type Identity struct {
	Number    string   `json:"number"`           // fnr, D-number, ...
	Former    []string `json:"former,omitempty"` // earlier numbers, kept linked (R1)
	Name      string   `json:"name"`
	BirthDate string   `json:"birth_date,omitempty"` // YYYY-MM-DD
	Sex       string   `json:"sex,omitempty"`
}

// PersonIndex finds a person by keyed hash of an identity number.
type PersonIndex struct {
	Hash   string         `json:"hash"` // hex
	Person model.PersonID `json:"person"`
}

// OrgUnit is a node of the organisation tree.
type OrgUnit struct {
	ID        string       `json:"id"` // UUID
	Parent    string       `json:"parent,omitempty"`
	Name      string       `json:"name"`
	Local     string       `json:"local,omitempty"` // the municipality's own code
	OrgNumber []OrgNumber  `json:"org_number,omitempty"`
	Updated   model.Millis `json:"updated"`
}

// OrgNumber is an organisation number with the dates it holds for (R69).
type OrgNumber struct {
	Number string `json:"number"`
	From   string `json:"from"`         // YYYY-MM-DD
	To     string `json:"to,omitempty"` // inclusive, "" for open
}

// LocalService is one line of the municipality's mapping from its own services to the code list
// (R104): the local service is of the type on the days from From to To. Lines are never changed;
// of several that cover a day the newest counts.
type LocalService struct {
	Local string       `json:"local"` // what the municipality calls it, at most MaxLocal bytes
	Seq   int64        `json:"seq"`   // 1, 2, 3 ... over all lines
	Code  string       `json:"code"`  // of 9151; "" takes the mapping of these days away
	From  string       `json:"from"`  // YYYY-MM-DD
	To    string       `json:"to,omitempty"`
	By    string       `json:"by"`
	At    model.Millis `json:"at"`
}

// MaxLocal bounds the name of a local service in bytes.
const MaxLocal = 400

// RulesState says which version of the rules the stored findings follow. While they are judged
// anew for Version, that is so for persons up to After.
type RulesState struct {
	Version string `json:"version"`
	After   string `json:"after,omitempty"` // key of a person
	Done    bool   `json:"done,omitempty"`
}

// CatalogueUse notes that entries from a position on were judged by a version of the catalogue,
// up to the next note. So every registration has a version, without carrying it.
type CatalogueUse struct {
	From    int64        `json:"from"` // journal position
	Version string       `json:"version"`
	At      model.Millis `json:"at"`
}

// Device is an enrolled tablet or the tenant's review desk.
type Device struct {
	ID       model.DeviceID `json:"id"`
	Label    string         `json:"label"`
	Kind     string         `json:"kind"` // "tablet", "desk" or "import"
	Alg      string         `json:"alg"`
	Key      []byte         `json:"key"` // public JWK
	JKT      string         `json:"jkt"`
	State    string         `json:"state"` // "active" or "revoked"
	Enrolled model.Millis   `json:"enrolled"`
	Revoked  model.Millis   `json:"revoked,omitempty"`
	Reason   string         `json:"reason,omitempty"` // of the revocation

	Order       string         `json:"order,omitempty"`       // what a revoked tablet is told: "wipe" (also when "") or "re-enrol"
	Compromised bool           `json:"compromised,omitempty"` // strangers may sign with its key
	ReplacedBy  model.DeviceID `json:"replaced_by,omitzero"`  // the device that took its place
	Wiped       model.Millis   `json:"wiped,omitempty"`       // when the tablet said that it has erased what it held
	// WipedRefused counts the refused entries that were erased with it: nobody else has them.
	WipedRefused int64        `json:"wiped_refused,omitempty"`
	Retired      []RetiredKey `json:"retired,omitempty"` // keys before the present one, oldest first
}

// RetiredKey is a key that a device gave up for another. It was good for the entries after
// those of the key before it, up to Last.
type RetiredKey struct {
	Alg  string       `json:"alg"`
	Key  []byte       `json:"key"` // public JWK
	JKT  string       `json:"jkt"`
	Last int64        `json:"last"` // seq, inclusive
	At   model.Millis `json:"at"`   // when it was given up
}

// DeviceKey finds a device by the thumbprint of its key: one key is enrolled once.
type DeviceKey struct {
	JKT    string         `json:"jkt"`
	Device model.DeviceID `json:"device"`
}

// Diary is the contact diary: what a device said of itself, and what we saw of it.
type Diary struct {
	Device  model.DeviceID `json:"device"`
	At      model.Millis   `json:"at"`                // of the last contact of any kind
	Contact string         `json:"contact,omitempty"` // its kind: "push", "pull", "lease", "wiped", "rotate"
	Actor   model.ActorID  `json:"actor,omitempty"`

	// Said by the tablet, at a push.
	Outbox    int64        `json:"outbox"`           // less what that push brought
	Oldest    model.Millis `json:"oldest,omitempty"` // oldest entry of the outbox before that push, tablet's clock
	SkewMs    int64        `json:"skew_ms"`          // tablet's clock minus ours; also said at a login
	App       string       `json:"app,omitempty"`
	LastError string       `json:"last_error,omitempty"`

	// Seen by us.
	Cursor    int64        `json:"cursor"` // journal position that the last pull reached
	Pulled    model.Millis `json:"pulled,omitempty"`
	Login     model.Millis `json:"login,omitempty"`
	LeaseEnds model.Millis `json:"lease_ends,omitempty"`
	Contract  int          `json:"contract,omitempty"` // contract version of the newest entries
	Problem   string       `json:"problem,omitempty"`  // code of the last problem that we answered
	ProblemAt model.Millis `json:"problem_at,omitempty"`
	Pushed    model.Millis `json:"pushed,omitempty"`     // the last push that went well
	PushError string       `json:"push_error,omitempty"` // code of the last push that did not
	PushErrAt model.Millis `json:"push_error_at,omitempty"`
	Rewound   *Rewound     `json:"rewound,omitzero"` // the last time it held more than this store
}

// Rewound notes that a device presented a checkpoint which this store does not continue. The
// device was told to send again what it keeps.
type Rewound struct {
	At   model.Millis `json:"at"`
	Held int64        `json:"held"` // journal size of the device's checkpoint
	Size int64        `json:"size"` // from where on it was told to send again, 0 for all
}

// Invite is a one-time enrolment code, kept as its hash.
type Invite struct {
	CodeHash string         `json:"code_hash"` // hex SHA-256
	Label    string         `json:"label"`
	Expires  model.Millis   `json:"expires"`
	Used     model.Millis   `json:"used,omitempty"`
	Device   model.DeviceID `json:"device,omitzero"`
	Replaces model.DeviceID `json:"replaces,omitzero"` // the device whose place the new one takes
}

// Actor is a user who has held a lease or an access token. The name is sealed.
type Actor struct {
	ID       model.ActorID `json:"id"`
	Roles    model.Roles   `json:"roles"`
	Sealed   []byte        `json:"sealed,omitempty"` // sealed name
	LastSeen model.Millis  `json:"last_seen"`
}

// Assignment is one event of a caseload: from Seq on, the actor has (or, with End, no
// longer has) the person between From and To. With Block the event is about a block of the
// person instead: from From on. Events are never changed.
type Assignment struct {
	Seq    int64          `json:"seq"`
	Actor  model.ActorID  `json:"actor"` // "" for everybody: only with Block
	Person model.PersonID `json:"person"`
	From   model.Millis   `json:"from"`
	To     model.Millis   `json:"to,omitempty"` // exclusive, 0 for open
	End    bool           `json:"end,omitempty"`
	Block  string         `json:"block,omitempty"`      // "block" or "unblock"
	Glass  bool           `json:"break_glass,omitzero"` // taken by the actor in an emergency: outranks earlier blocks
	By     string         `json:"by"`
	Code   string         `json:"code,omitempty"` // of the reason
	Reason string         `json:"reason,omitempty"`
	At     model.Millis   `json:"at"`
}

// AssignmentRef leads from a person to one event about the person.
type AssignmentRef struct {
	Person model.PersonID `json:"person"`
	Seq    int64          `json:"seq"`
	Actor  model.ActorID  `json:"actor,omitempty"`
}

// BlockRef leads to one event about a block, in order.
type BlockRef struct {
	Seq    int64          `json:"seq"`
	Actor  model.ActorID  `json:"actor,omitempty"`
	Person model.PersonID `json:"person"`
}

// BreakGlass is one use of emergency access: the event of that number, and what became of it.
type BreakGlass struct {
	Seq      int64          `json:"seq"`
	Actor    model.ActorID  `json:"actor"`
	Person   model.PersonID `json:"person"`
	FollowUp *FollowUp      `json:"follow_up,omitzero"` // nil while nobody has looked at it
}

// FollowUp is what a supervisor wrote about a use of emergency access.
type FollowUp struct {
	By     model.ActorID `json:"by"`
	At     model.Millis  `json:"at"`
	Reason model.Reason  `json:"reason"`
}

// FindingState is the newest settlement of a finding. It counts for the finding whose facts
// have the digest; when the facts are others, the finding is open again.
type FindingState struct {
	Person   model.PersonID `json:"person"`
	Rule     string         `json:"rule"`
	Unit     model.Unit     `json:"unit,omitempty"`
	State    string         `json:"state"` // "released" or "closed"
	By       model.EntryID  `json:"by"`    // the release or close entry
	Position int64          `json:"position"`
	At       model.Millis   `json:"at"`
	Digest   string         `json:"digest"` // of the finding's facts as they were judged
}

// VisitPlan is one event in the sequence of Assignment: whom the actor visits on a day, in
// order. From Seq on it replaces the day's earlier plan. Events are never changed.
type VisitPlan struct {
	Seq     int64            `json:"seq"`
	Actor   model.ActorID    `json:"actor"`
	Date    string           `json:"date"` // YYYY-MM-DD, in Norway
	Persons []model.PersonID `json:"persons"`
	By      string           `json:"by"`
	At      model.Millis     `json:"at"`
}

// Review is a question to a supervisor about one unit; its id is a function of person and
// unit, so it is the same on every engine and after every re-open.
type Review struct {
	ID       string         `json:"id"`
	Person   model.PersonID `json:"person"`
	Unit     model.Unit     `json:"unit"`
	Class    model.Class    `json:"class"`
	State    string         `json:"state"`  // "open" or "closed"
	Opened   int64          `json:"opened"` // position that opened it (last)
	Updated  int64          `json:"updated"`
	ClosedBy model.EntryID  `json:"closed_by,omitzero"`
	Assignee model.ActorID  `json:"assignee,omitempty"` // who decided before (class 6)
}

// OpenReview is the queue: open reviews in the order they were opened.
type OpenReview struct {
	Opened int64  `json:"opened"`
	ID     string `json:"id"`
}

// QuarantineItem is an authentic entry that could not be applied.
type QuarantineItem struct {
	Position int64          `json:"position"`
	ID       model.EntryID  `json:"id"`
	Person   model.PersonID `json:"person,omitzero"`
	Device   model.DeviceID `json:"device"`
	Actor    model.ActorID  `json:"actor,omitempty"`
	Code     string         `json:"code"`
	Pointer  string         `json:"pointer,omitempty"`
	Detail   string         `json:"detail"`
	Rule     string         `json:"rule,omitempty"`
	State    string         `json:"state"`       // "open", "released" or "closed"
	By       model.EntryID  `json:"by,omitzero"` // the release or close entry
	Received model.Millis   `json:"received"`
}

// QuarantineRef finds a quarantined entry by its id.
type QuarantineRef struct {
	ID       model.EntryID `json:"id"`
	Position int64         `json:"position"`
}

// OpenQuarantine is the queue: open items of a device, in order.
type OpenQuarantine struct {
	Device   model.DeviceID `json:"device"`
	Position int64          `json:"position"`
}

// Settlement is news for the device of a quarantined entry: what became of it, and where in
// the journal. The device is told whatever its caseload is by then.
type Settlement struct {
	Device   model.DeviceID `json:"device"`
	Position int64          `json:"position"` // of the release or close
}

// Finding is a rule that a person's merged record breaks now.
type Finding struct {
	Rule     string         `json:"rule"`     // "R49"
	Severity string         `json:"severity"` // "B" or "M"
	Person   model.PersonID `json:"person"`
	Unit     model.Unit     `json:"unit,omitempty"` // where, "" for the person as a whole
	Detail   string         `json:"detail"`
	Owner    string         `json:"owner,omitempty"` // organisation unit
	Since    model.Millis   `json:"since"`
	Position int64          `json:"position"` // journal size when it first held
}

// FindingCount is how many findings of a rule are open in an organisation unit.
type FindingCount struct {
	Unit     string `json:"unit,omitempty"` // that owns the persons; "" for persons of none
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	Open     int64  `json:"open"`
}

// FindingDay is what was counted on a day. It is an observation: what the calendar brought about
// that day is not computed again.
type FindingDay struct {
	Date     string         `json:"date"` // YYYY-MM-DD, in Norway
	At       model.Millis   `json:"at"`
	Position int64          `json:"position"` // journal size then
	Counts   []FindingCount `json:"counts"`
}

// Extract is one produced message file.
type Extract struct {
	ID       string         `json:"id"`
	Format   string         `json:"format"`   // "kpr-56.0.0"
	Target   string         `json:"target"`   // "production" or "test"
	Position int64          `json:"position"` // frozen at this journal size
	From     int64          `json:"from"`     // first serial
	To       int64          `json:"to"`       // last serial
	Created  model.Millis   `json:"created"`
	By       string         `json:"by"`
	SHA256   string         `json:"sha256"`
	Excluded []Excluded     `json:"excluded,omitempty"`
	Counts   map[string]int `json:"counts"`
	File     []byte         `json:"file"` // sealed XML
}

// Excluded is a person left out of an extract, and why (R2).
type Excluded struct {
	Person model.PersonID `json:"person"`
	Rule   string         `json:"rule"`
	Code   string         `json:"code"`
}

// Notification is one event reported to KPR (domain.md 3.5). It holds no identity: the
// message joins that when it is written.
type Notification struct {
	Serial    int64          `json:"serial"`
	GUID      string         `json:"guid"`
	PrevGUID  string         `json:"prev_guid"`
	Status    string         `json:"status"`        // N, M, C
	Ref       string         `json:"ref,omitempty"` // GUID of the N it corrects
	EventKey  string         `json:"event_key"`     // service id, kind and pause id
	EventGUID string         `json:"event_guid"`
	Person    model.PersonID `json:"person"`
	Kind      string         `json:"kind"` // TjenesteStart, ...
	ServiceID string         `json:"service_id"`
	PauseID   string         `json:"pause_id,omitempty"`
	Type      string         `json:"type"` // service code
	OrgNumber string         `json:"org_number,omitempty"`
	Date      string         `json:"date"` // YYYY-MM-DD
	RegTime   model.Millis   `json:"reg_time"`
	Time      model.Millis   `json:"time"` // notifikasjonTid
	Extract   string         `json:"extract"`
	Target    string         `json:"target"`
	TypeID    string         `json:"type_id"`
	Digest    string         `json:"digest"` // of what the register sees, to detect changes
}

func (Person) DocKind() Kind         { return "person" }
func (d Person) DocKey() string      { return d.ID.String() }
func (PersonIndex) DocKind() Kind    { return "person-index" }
func (d PersonIndex) DocKey() string { return d.Hash }
func (OrgUnit) DocKind() Kind        { return "org-unit" }
func (d OrgUnit) DocKey() string     { return d.ID }
func (FindingDay) DocKind() Kind     { return "finding-day" }
func (d FindingDay) DocKey() string  { return d.Date }
func (LocalService) DocKind() Kind   { return "local-service" }

// DocKey puts the lines of a local service together, in order. No name holds a line break.
func (d LocalService) DocKey() string { return d.Local + "\n" + PositionKey(d.Seq) }

func (RulesState) DocKind() Kind      { return "rules-state" }
func (RulesState) DocKey() string     { return "rules" }
func (CatalogueUse) DocKind() Kind    { return "catalogue-use" }
func (d CatalogueUse) DocKey() string { return PositionKey(d.From) }
func (Device) DocKind() Kind          { return "device" }
func (d Device) DocKey() string       { return d.ID.String() }
func (DeviceKey) DocKind() Kind       { return "device-key" }
func (d DeviceKey) DocKey() string    { return d.JKT }
func (Diary) DocKind() Kind           { return "diary" }
func (d Diary) DocKey() string        { return d.Device.String() }
func (Invite) DocKind() Kind          { return "invite" }
func (d Invite) DocKey() string       { return d.CodeHash }
func (Actor) DocKind() Kind           { return "actor" }
func (d Actor) DocKey() string        { return string(d.ID) }
func (Assignment) DocKind() Kind      { return "assignment" }

// DocKey puts an actor's events together, in order.
func (d Assignment) DocKey() string { return string(d.Actor) + " " + PositionKey(d.Seq) }

func (AssignmentRef) DocKind() Kind { return "person-assignment" }

// DocKey puts a person's events together, in order.
func (d AssignmentRef) DocKey() string { return d.Person.String() + " " + PositionKey(d.Seq) }

func (BlockRef) DocKind() Kind      { return "block" }
func (d BlockRef) DocKey() string   { return PositionKey(d.Seq) }
func (BreakGlass) DocKind() Kind    { return "break-glass" }
func (d BreakGlass) DocKey() string { return PositionKey(d.Seq) }
func (FindingState) DocKind() Kind  { return "finding-state" }

// DocKey is that of the finding.
func (d FindingState) DocKey() string { return d.Person.String() + " " + d.Rule + " " + string(d.Unit) }

func (VisitPlan) DocKind() Kind { return "visit-plan" }

// DocKey puts the plans of an actor's day together, in order.
func (d VisitPlan) DocKey() string { return string(d.Actor) + " " + d.Date + " " + PositionKey(d.Seq) }

func (Review) DocKind() Kind            { return "review" }
func (d Review) DocKey() string         { return d.ID }
func (OpenReview) DocKind() Kind        { return "open-review" }
func (d OpenReview) DocKey() string     { return PositionKey(d.Opened) + " " + d.ID }
func (QuarantineItem) DocKind() Kind    { return "quarantine" }
func (d QuarantineItem) DocKey() string { return PositionKey(d.Position) }
func (QuarantineRef) DocKind() Kind     { return "quarantine-ref" }
func (d QuarantineRef) DocKey() string  { return d.ID.String() }
func (OpenQuarantine) DocKind() Kind    { return "open-quarantine" }
func (d OpenQuarantine) DocKey() string { return d.Device.String() + " " + PositionKey(d.Position) }
func (Settlement) DocKind() Kind        { return "settlement" }
func (d Settlement) DocKey() string     { return d.Device.String() + " " + PositionKey(d.Position) }
func (Finding) DocKind() Kind           { return "finding" }

// DocKey puts a person's findings together.
func (d Finding) DocKey() string { return d.Person.String() + " " + d.Rule + " " + string(d.Unit) }

func (Extract) DocKind() Kind         { return "extract" }
func (d Extract) DocKey() string      { return d.ID }
func (Notification) DocKind() Kind    { return "notification" }
func (d Notification) DocKey() string { return d.Target + " " + PositionKey(d.Serial) }
