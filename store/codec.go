package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"

	"flette/model"
)

// The encodings below are what every driver stores (G9). Each starts with a format byte,
// then fields in a fixed order: integers as zigzag varints, ids as their raw bytes, strings
// and byte slices behind their length, lists behind their count.
//
// Every value has exactly one encoding: varints are minimal and nothing may follow the last
// field, so equal states have equal bytes and a digest over stored bytes means something.
// Empty and nil slices are the same thing; decoding gives nil. The codec does not judge
// meaning: an outcome or class it has never heard of passes.

const codecFormat = 1

// Smallest encodings of list elements: they bound a count by the bytes that are left, so
// that a damaged count never allocates more than the input deserves.
const (
	minStampBytes = 7
	minHeadBytes  = 32 + 1 + 1 + 1 + 16 + 1 + minStampBytes + 1 + 1
	minGapBytes   = 2
)

// acts gives each act one byte. The order is on disk: append only. The last byte value
// announces an act that is spelled out.
var acts = [...]model.Act{
	"", model.ActRegister, model.ActConfirm, model.ActCorrect, model.ActVoid,
	model.ActReinstate, model.ActDecide, model.ActRelease, model.ActClose,
}

const actSpelled = 0xff

// AppendLogEntry appends the encoding of an entry.
func AppendLogEntry(b []byte, e *LogEntry) []byte {
	b = append(b, codecFormat)
	b = appendInt(b, e.Position)
	b = append(b, e.ID[:]...)
	b = append(b, e.Person[:]...)
	b = append(b, e.Device[:]...)
	b = appendInt(b, e.Seq)
	b = appendString(b, string(e.Actor))
	b = appendAct(b, e.Act)
	b = append(b, byte(e.Roles), byte(e.Outcome))
	b = appendString(b, e.Code)
	b = appendStamp(b, &e.Stamp)
	b = appendBytes(b, e.Header)
	b = appendBytes(b, e.Payload)
	b = appendBytes(b, e.Signature)
	b = binary.AppendUvarint(b, uint64(len(e.UnitPrev)))
	var prev int64
	for _, p := range e.UnitPrev { // neighbours are alike: the same visit changed them before
		b = appendInt(b, p-prev)
		prev = p
	}
	return b
}

// DecodeLogEntry reads what AppendLogEntry wrote; ErrCorrupt for anything else. The result
// shares no memory with b.
func DecodeLogEntry(b []byte) (*LogEntry, error) {
	d := decoder{rest: bytes.Clone(b)}
	d.format()
	e := &LogEntry{Position: d.int()}
	d.fixed(e.ID[:])
	d.fixed(e.Person[:])
	d.fixed(e.Device[:])
	e.Seq = d.int()
	e.Actor = model.ActorID(d.bytes())
	e.Act = d.act()
	e.Roles = model.Roles(d.byte())
	e.Outcome = Outcome(d.byte())
	e.Code = string(d.bytes())
	d.stamp(&e.Stamp)
	e.Header = d.bytes()
	e.Payload = d.bytes()
	e.Signature = d.bytes()
	if n := d.count(1); n > 0 {
		e.UnitPrev = make([]int64, n)
		var prev int64
		for i := range e.UnitPrev {
			prev += d.int()
			e.UnitPrev[i] = prev
		}
	}
	if err := d.end("log entry"); err != nil {
		return nil, err
	}
	return e, nil
}

// Bits of the flag bytes.
const (
	stateLate, stateTangled = 1, 2
	headReset, headOverVoid = 1, 2
	chainForked             = 1
)

// AppendUnitState appends the encoding of a unit state.
func AppendUnitState(b []byte, s *model.UnitState) []byte {
	b = append(b, codecFormat)
	b = appendString(b, string(s.Unit))
	b = appendInt(b, s.Position)
	b = append(b, byte(s.Class), flag(s.Late, stateLate)|flag(s.Tangled, stateTangled))
	b = binary.AppendUvarint(b, uint64(len(s.Heads)))
	for i := range s.Heads {
		h := &s.Heads[i]
		b = append(b, h.ID[:]...)
		b = appendInt(b, h.Position)
		b = appendAct(b, h.Act)
		b = appendString(b, string(h.Actor))
		b = append(b, h.Device[:]...)
		b = appendInt(b, h.Seq)
		b = appendStamp(b, &h.Stamp)
		b = appendBytes(b, h.Value)
		b = append(b, flag(h.Reset, headReset)|flag(h.OverVoid, headOverVoid))
	}
	b = binary.AppendUvarint(b, uint64(len(s.Missing)))
	for i := range s.Missing {
		b = append(b, s.Missing[i][:]...)
	}
	return b
}

// DecodeUnitState reads what AppendUnitState wrote; ErrCorrupt for anything else. The
// result shares no memory with b.
func DecodeUnitState(b []byte) (*model.UnitState, error) {
	d := decoder{rest: bytes.Clone(b)}
	d.format()
	s := &model.UnitState{Unit: model.Unit(d.bytes()), Position: d.int(), Class: model.Class(d.byte())}
	f := d.flags(stateLate | stateTangled)
	s.Late, s.Tangled = f&stateLate != 0, f&stateTangled != 0
	if n := d.count(minHeadBytes); n > 0 {
		s.Heads = make([]model.Head, n)
		for i := range s.Heads {
			d.head(&s.Heads[i])
		}
	}
	if n := d.count(len(model.EntryID{})); n > 0 {
		s.Missing = make([]model.EntryID, n)
		for i := range s.Missing {
			d.fixed(s.Missing[i][:])
		}
	}
	if err := d.end("unit state"); err != nil {
		return nil, err
	}
	return s, nil
}

// AppendChain appends the encoding of a chain.
func AppendChain(b []byte, c *Chain) []byte {
	b = append(b, codecFormat)
	b = appendInt(b, c.Last)
	b = append(b, c.LastID[:]...)
	b = append(b, flag(c.Forked, chainForked))
	b = appendInt(b, c.Broken)
	b = binary.AppendUvarint(b, uint64(len(c.Missing)))
	for _, g := range c.Missing {
		b = appendInt(b, g.From)
		b = appendInt(b, g.To-g.From)
	}
	return b
}

// DecodeChain reads what AppendChain wrote; ErrCorrupt for anything else.
func DecodeChain(b []byte) (Chain, error) {
	d := decoder{rest: b}
	d.format()
	c := Chain{Last: d.int()}
	d.fixed(c.LastID[:])
	c.Forked = d.flags(chainForked) != 0
	c.Broken = d.int()
	if n := d.count(minGapBytes); n > 0 {
		c.Missing = make([]Gap, n)
		for i := range c.Missing {
			from := d.int()
			c.Missing[i] = Gap{From: from, To: from + d.int()}
		}
	}
	if err := d.end("chain"); err != nil {
		return Chain{}, err
	}
	return c, nil
}

// appendInt writes a zigzag varint. Differences may wrap; decoding wraps back.
func appendInt(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendString(b []byte, v string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendAct(b []byte, a model.Act) []byte {
	for i := range acts {
		if acts[i] == a {
			return append(b, byte(i))
		}
	}
	return appendString(append(b, actSpelled), string(a))
}

// appendStamp writes times as distances from each other: they are close.
func appendStamp(b []byte, s *model.Stamp) []byte {
	b = appendInt(b, int64(s.Wall))
	b = appendInt(b, int64(s.T-s.Wall))
	b = appendInt(b, int64(s.U))
	b = appendInt(b, int64(s.Lo-s.T))
	b = appendInt(b, int64(s.Hi-s.T))
	b = appendInt(b, int64(s.TEff-s.T))
	return append(b, byte(s.Class))
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// decoder walks over bytes; after the first fault every further read gives zero.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() {
	d.bad, d.rest = true, nil
}

func (d *decoder) format() {
	if d.byte() != codecFormat {
		d.fail()
	}
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

func (d *decoder) flags(known byte) byte {
	f := d.byte()
	if f&^known != 0 {
		d.fail()
		return 0
	}
	return f
}

// uint reads a minimal varint: a longer spelling of the same number is refused.
func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || n != max(1, (bits.Len64(v)+6)/7) {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) int() int64 {
	u := d.uint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) fixed(dst []byte) {
	if len(d.rest) < len(dst) {
		d.fail()
		return
	}
	copy(dst, d.rest)
	d.rest = d.rest[len(dst):]
}

// bytes returns a slice of the input that cannot grow into what follows it.
func (d *decoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	v := d.rest[:n:n]
	d.rest = d.rest[n:]
	return v
}

// count reads the length of a list whose elements take at least size bytes each.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.rest)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) act() model.Act {
	c := d.byte()
	if int(c) < len(acts) {
		return acts[c]
	}
	a := model.Act(d.bytes())
	for _, known := range acts {
		if a == known {
			d.fail()
		}
	}
	if c != actSpelled {
		d.fail()
	}
	return a
}

func (d *decoder) stamp(s *model.Stamp) {
	s.Wall = model.Millis(d.int())
	s.T = s.Wall + model.Millis(d.int())
	s.U = model.Millis(d.int())
	s.Lo = s.T + model.Millis(d.int())
	s.Hi = s.T + model.Millis(d.int())
	s.TEff = s.T + model.Millis(d.int())
	s.Class = model.ClockClass(d.byte())
}

func (d *decoder) head(h *model.Head) {
	d.fixed(h.ID[:])
	h.Position = d.int()
	h.Act = d.act()
	h.Actor = model.ActorID(d.bytes())
	d.fixed(h.Device[:])
	h.Seq = d.int()
	d.stamp(&h.Stamp)
	h.Value = d.bytes()
	f := d.flags(headReset | headOverVoid)
	h.Reset, h.OverVoid = f&headReset != 0, f&headOverVoid != 0
}

func (d *decoder) end(what string) error {
	if d.bad || len(d.rest) != 0 {
		return fmt.Errorf("%w: not an encoded %s", ErrCorrupt, what)
	}
	return nil
}
