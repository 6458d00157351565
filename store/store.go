package store

import (
	"context"
	"errors"

	"flette/model"
)

// Errors of every driver. Compare with errors.Is.
var (
	ErrNotFound = errors.New("store: not found")
	ErrExists   = errors.New("store: exists already")
	ErrCorrupt  = errors.New("store: stored bytes do not match their checksum")
	ErrTooLarge = errors.New("store: document or key over the limit")
	ErrClosed   = errors.New("store: closed")
	ErrReadOnly = errors.New("store: opened read-only")
	// ErrFull means the disk has no room; nothing of the update is kept.
	ErrFull = errors.New("store: no space left")
	// ErrNotWritable means that the file system takes no writes now; nothing of the update is
	// kept, and reads go on.
	ErrNotWritable = errors.New("store: the file system refuses writes")
	// ErrStopped means that a write or a sync failed and nothing is known about the disk any
	// more: nothing is accepted until the process has ended and another has read the disk.
	ErrStopped = errors.New("store: stopped after a failed write; restart to read the disk again")
)

// Limits of documents (G10).
const (
	MaxDocBytes = 8 << 20
	MaxKeyBytes = 512
)

// Store holds any number of tenants. All methods are safe for concurrent use.
type Store interface {
	// CreateTenant makes an empty tenant with a fresh epoch. ErrExists when it is there.
	CreateTenant(ctx context.Context, t Tenant) error

	// Tenants lists the tenants in order of id.
	Tenants(ctx context.Context) ([]model.TenantID, error)

	// Update runs fn on the tenant and commits what it wrote (G1, G2, G6). persons names
	// every person whose entries or units fn writes. An error from fn rolls its writes back
	// and is returned as it is. ErrNotFound for an unknown tenant.
	Update(ctx context.Context, tenant model.TenantID, persons []model.PersonID, fn func(Tx) error) (Commit, error)

	// View runs fn on one snapshot of the tenant (G5). Keep it short: a long reader makes a
	// bbolt file grow for good. ErrNotFound for an unknown tenant.
	View(ctx context.Context, tenant model.TenantID, fn func(View) error) error

	// OnCommit sets the function that a driver calls once per commit, after the updates of
	// the commit group and before they become durable; it appends tree hashes and the signed
	// checkpoint. Set it before the first Update; nil is allowed.
	OnCommit(hook func(tenant model.TenantID, tx Tx) error)

	// Check walks the tenant's physical structure and every checksum.
	Check(ctx context.Context, tenant model.TenantID) error

	Close() error
}

// Commit says what an update left behind.
type Commit struct {
	Size       int64  // journal size after the commit group
	Checkpoint []byte // newest checkpoint, nil when no hook is set
}

// View reads one snapshot of one tenant. Byte slices that it returns are copies.
type View interface {
	// Tenant returns the tenant's own record, with its epoch (G8).
	Tenant() Tenant

	// Size is the number of log entries: the next position.
	Size() int64

	// Checkpoint returns the newest signed checkpoint, nil when there is none yet.
	Checkpoint() ([]byte, error)

	// Entry returns the log entry at a position. ErrNotFound at or beyond Size.
	Entry(position int64) (*LogEntry, error)

	// EntryPosition finds an entry of a person (the zero person for entries that name none
	// readably). ErrNotFound when the id is not known. A driver may go through the person's
	// entries, from the newest to the one asked for: ask it about recent entries, or rarely.
	// EntryOf finds an id whose device and seq are known at once.
	EntryPosition(person model.PersonID, id model.EntryID) (int64, error)

	// DeviceEntries returns all entries with this device and seq, in order of position: none,
	// one, or several after a fork. Those of seq 0 belong to no chain, so there may be many.
	DeviceEntries(device model.DeviceID, seq int64) ([]DeviceEntry, error)

	// FirstOf returns the first of them. ErrNotFound when there is none. It costs the same
	// however many there are, and so does EntryOf.
	FirstOf(device model.DeviceID, seq int64) (DeviceEntry, error)

	// EntryOf returns the position of the one with this id. ErrNotFound when there is none.
	EntryOf(device model.DeviceID, seq int64, id model.EntryID) (int64, error)

	// PersonPositions returns up to limit positions of the person's entries after a position
	// (-1: from the start), ascending.
	PersonPositions(person model.PersonID, after int64, limit int) ([]int64, error)

	// Chain returns what is known of a device's seq chain; the zero Chain when nothing is.
	Chain(device model.DeviceID) (Chain, error)

	// Unit returns the state of one unit, nil when nothing ever set it.
	Unit(person model.PersonID, unit model.Unit) (*model.UnitState, error)

	// Units calls fn for the person's units whose path starts with prefix, in byte order of
	// the path, starting after the path `after` ("" for the first), until fn returns false.
	Units(person model.PersonID, prefix string, after model.Unit, fn func(*model.UnitState) bool) error

	// ReadTreeHashes makes View a tlog.HashReader in all but name. ErrNotFound for an index
	// that is not stored.
	ReadTreeHashes(indexes []int64) ([][32]byte, error)

	// Doc reads a document into the JSON bytes that were put. ErrNotFound.
	Doc(kind Kind, key string) ([]byte, error)

	// Docs calls fn for documents of a kind whose key starts with prefix, in byte order,
	// after the key `after`, until fn returns false.
	Docs(kind Kind, prefix, after string, fn func(key string, body []byte) bool) error
}

// Tx reads and writes inside an Update. Reads see the writes of the same Tx, and may share
// memory with them: a unit state that was put must not be changed afterwards.
type Tx interface {
	View

	// AppendEntry gives the entry the next position, stores it and its indexes, and returns
	// the position (G3, G4). ErrExists when the person already has the id, which is looked
	// for under the entry's device and seq: an id covers the bytes that say both.
	AppendEntry(e *LogEntry) (int64, error)

	// PutUnit replaces the state of a unit.
	PutUnit(person model.PersonID, s *model.UnitState) error

	// PutChain replaces a device's chain.
	PutChain(device model.DeviceID, c Chain) error

	// PutTreeHashes stores consecutive tree hashes from a first index.
	PutTreeHashes(first int64, hashes [][32]byte) error

	// PutCheckpoint replaces the newest checkpoint.
	PutCheckpoint(text []byte) error

	// PutDoc stores a document; ErrTooLarge over the limits.
	PutDoc(kind Kind, key string, body []byte) error

	// DeleteDoc removes a document; no error when it is not there. Only derived documents
	// (findings, open-review index) are ever deleted.
	DeleteDoc(kind Kind, key string) error

	// PutTenant replaces the tenant's own record.
	PutTenant(t Tenant) error
}

// Outcome of an entry that reached the log.
type Outcome uint8

const (
	Applied     Outcome = 1
	Conflict    Outcome = 2 // applied, and a review is open on one of its units
	Quarantined Outcome = 3
)

// String gives the wire word.
func (o Outcome) String() string {
	switch o {
	case Applied:
		return "applied"
	case Conflict:
		return "conflict"
	case Quarantined:
		return "quarantined"
	}
	return "unknown"
}

// LogEntry is one accepted or quarantined entry at its position, as received and judged.
type LogEntry struct {
	Position  int64
	ID        model.EntryID
	Person    model.PersonID // zero when the payload's frame is not readable
	Device    model.DeviceID
	Seq       int64 // 0 when the payload's frame is not readable, or names another device
	Actor     model.ActorID
	Roles     model.Roles // of the lease it was signed under, 0 when that is not ours
	Act       model.Act
	Outcome   Outcome
	Code      string // quarantine code, "" otherwise
	Stamp     model.Stamp
	Header    []byte // decoded JWS parts: together they give back the exact bytes received
	Payload   []byte
	Signature []byte
	// UnitPrev holds, for each change of the entry (of the released entry for a release),
	// the position of the entry that changed the unit before it took effect here, -1 for
	// none: the history of a unit is this chain, walked backwards. Empty when quarantined.
	UnitPrev []int64
}

// DeviceEntry is one entry found by device and seq.
type DeviceEntry struct {
	Position int64
	ID       model.EntryID
}

// Compact returns the JWS exactly as received.
func (e *LogEntry) Compact() []byte {
	return (&model.JWS{Header: e.Header, Payload: e.Payload, Signature: e.Signature}).Compact()
}

// Chain is what is known of a device's seq chain. It detects loss, truncation and cloned
// tablets; it never blocks acceptance.
type Chain struct {
	Last    int64         // highest seq received
	LastID  model.EntryID // its entry id
	Missing []Gap         // not received yet, ascending, disjoint
	Forked  bool          // two different entries with one seq were seen
	Broken  int64         // lowest seq whose prev did not match what we hold, 0 for none
}

// Gap is an inclusive range of seq numbers.
type Gap struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}
