package contract

import "flette/model"

// InviteRequest: POST /v1/invites.
type InviteRequest struct {
	Label    string          `json:"label"`
	Replaces *model.DeviceID `json:"replaces,omitzero"` // the device whose place the new one takes
}

// InviteResponse: 201. The code is shown once.
type InviteResponse struct {
	Tenant  model.TenantID `json:"tenant"`
	Code    string         `json:"code"`
	Expires model.Millis   `json:"expires"`
}

// DeviceList: GET /v1/devices.
type DeviceList struct {
	Devices []DeviceView `json:"devices"`
	Next    string       `json:"next,omitempty"`
}

// DeviceView is one device with its chain and last contact.
type DeviceView struct {
	Device      model.DeviceID `json:"device"`
	Label       string         `json:"label"`
	Kind        string         `json:"kind"`
	State       string         `json:"state"`
	Fingerprint string         `json:"fingerprint"`
	Enrolled    model.Millis   `json:"enrolled"`
	LastSeq     int64          `json:"last_seq"`
	Gaps        []Gap          `json:"gaps,omitempty"`
	Forked      bool           `json:"forked,omitempty"`
	LastContact *model.Millis  `json:"last_contact,omitzero"`
	Outbox      int64          `json:"outbox"`
	SkewMs      int64          `json:"skew_ms"`
	LastError   string         `json:"last_error,omitempty"`
	Rewound     *RewoundView   `json:"rewound,omitzero"` // the last time it held more than this store

	InSync        bool            `json:"in_sync"`
	Code          string          `json:"code"` // why not, the most important reason; "in-sync"
	Quarantined   int64           `json:"quarantined"`
	Order         *Order          `json:"order,omitzero"` // what it has to do now
	Wipe          *Wipe           `json:"wipe,omitzero"`
	Revoked       *model.Millis   `json:"revoked,omitzero"`
	Reason        string          `json:"reason,omitempty"` // of the revocation
	Compromised   bool            `json:"compromised,omitempty"`
	ReplacedBy    *model.DeviceID `json:"replaced_by,omitzero"`
	LastPull      *model.Millis   `json:"last_pull,omitzero"`
	LastLogin     *model.Millis   `json:"last_login,omitzero"`
	LastProblem   string          `json:"last_problem,omitempty"` // code of the last problem that it was answered
	LastProblemAt *model.Millis   `json:"last_problem_at,omitzero"`
	Oldest        *model.Millis   `json:"oldest,omitzero"` // oldest unsent entry, by the tablet's clock
	App           string          `json:"app,omitempty"`
	Contract      int64           `json:"contract,omitempty"` // contract version that it signs
	Explain       *Explanation    `json:"explain,omitzero"`   // of one device
}

// RewoundView notes that a device presented a checkpoint which the store does not continue.
type RewoundView struct {
	At   model.Millis `json:"at"`
	Held int64        `json:"held"` // journal size of the device's checkpoint
	Size int64        `json:"size"` // from where on it was told to send again, 0 for all
}

// States of a wipe.
const (
	WipeOrdered      = "ordered"
	WipeAcknowledged = "acknowledged"
)

// Wipe says how far a wipe order has come.
type Wipe struct {
	State        string        `json:"state"`
	Ordered      model.Millis  `json:"ordered"`
	Acknowledged *model.Millis `json:"acknowledged,omitzero"`
	Refused      int64         `json:"refused,omitempty"` // refused entries that were erased with it
}

// Explanation says why a device is not in sync.
type Explanation struct {
	Sentence string `json:"sentence"`
	Next     string `json:"next,omitempty"` // what to do
	Facts    []Fact `json:"facts"`
}

// Fact is one thing that is known of a device; it names no person.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Gap is an inclusive range of entries that a device signed and that never came.
type Gap struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// RevokeRequest: POST /v1/devices/{id}/revoke.
type RevokeRequest struct {
	Reason      string `json:"reason"`
	Compromised bool   `json:"compromised,omitempty"` // strangers may hold its key
}
