package model

import (
	"math"

	"github.com/go-json-experiment/json"
)

// Frame is the part of an entry that places it: whose it is, and where it stands in the chain
// of the device that signed it. Every contract version has these members.
type Frame struct {
	Tenant TenantID `json:"tenant"`
	Device DeviceID `json:"device"`
	Seq    int64    `json:"seq"`
	Prev   string   `json:"prev"`
	Actor  ActorID  `json:"actor"`
	Person PersonID `json:"person"`
}

// Frame returns the entry's frame.
func (e *Entry) Frame() Frame {
	return Frame{Tenant: e.Tenant, Device: e.Device, Seq: e.Seq, Prev: e.Prev, Actor: e.Actor, Person: e.Person}
}

// DecodeFrame reads the frame of a payload that DecodeEntry may refuse: another version,
// unknown members, members that are missing or wrong elsewhere. It is false unless the payload
// is one JSON object in valid UTF-8 without duplicate members, of at most MaxEntryBytes, and
// every member of the frame passes the checks of DecodeEntry.
func DecodeFrame(payload []byte) (Frame, bool) {
	if len(payload) > MaxEntryBytes {
		return Frame{}, false
	}
	var read struct {
		Frame
		Prev *string `json:"prev"` // "" is good for the first entry; null and left out are not
	}
	if err := json.Unmarshal(payload, &read); err != nil || read.Prev == nil {
		return Frame{}, false
	}
	f := read.Frame
	f.Prev = *read.Prev
	if f.check() != nil {
		return Frame{}, false
	}
	return f, true
}

// Timing is what an entry says about its time. Every contract version has these members.
type Timing struct {
	Lease     string `json:"lease"`
	ElapsedMs int64  `json:"elapsed_ms"`
	Clock     string `json:"clock"`
	Wall      Millis `json:"wall"`
}

// DecodeTiming reads the timing of a payload whose frame is good and that DecodeEntry refuses
// for its version. It is false when a member is missing or is not what every version has.
func DecodeTiming(payload []byte) (Timing, bool) {
	t := Timing{Lease: absent, ElapsedMs: -1, Wall: math.MinInt64}
	if err := json.Unmarshal(payload, &t); err != nil || t.check() != nil {
		return Timing{}, false
	}
	return t, true
}

func (t *Timing) check() *Problem {
	if len(t.Lease) > 200 || t.Lease == absent {
		return Problemf("invalid-payload", "/lease", "lease is required, at most 200 bytes")
	}
	if t.ElapsedMs < 0 || t.ElapsedMs > maxSafeInt {
		return Problemf("invalid-payload", "/elapsed_ms", "elapsed_ms counts up from 0")
	}
	if t.Clock != ClockMonotonic && t.Clock != ClockRebooted && t.Clock != ClockNone {
		return Problemf("invalid-payload", "/clock", "clock is monotonic, rebooted or none")
	}
	if t.Wall == math.MinInt64 {
		return Problemf("invalid-payload", "/wall", "wall is required")
	}
	return nil
}

func (f *Frame) check() *Problem {
	if _, err := ParseTenantID(string(f.Tenant)); err != nil {
		return Problemf("invalid-payload", "/tenant", "%s", err)
	}
	if f.Device.IsZero() {
		return Problemf("invalid-payload", "/device", "device is required")
	}
	if f.Seq < 1 || f.Seq > maxSafeInt {
		return Problemf("invalid-payload", "/seq", "seq counts from 1")
	}
	if f.Prev == "" && f.Seq != 1 || f.Prev != "" && f.Seq == 1 {
		return Problemf("invalid-payload", "/prev", "prev is empty for seq 1 and the id of seq-1 otherwise")
	}
	if f.Prev != "" {
		if _, err := ParseEntryID(f.Prev); err != nil {
			return Problemf("invalid-payload", "/prev", "%s", err)
		}
	}
	if _, err := ParseActorID(string(f.Actor)); err != nil {
		return Problemf("invalid-payload", "/actor", "%s", err)
	}
	if f.Person.IsZero() {
		return Problemf("invalid-payload", "/person", "person is required")
	}
	return nil
}
