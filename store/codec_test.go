package store

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"flette/model"
)

// int64s draws mostly the numbers where encodings change length or wrap.
var int64s = rapid.OneOf(
	rapid.Int64(),
	rapid.SampledFrom([]int64{0, 1, -1, 63, 64, -64, -65, 127, 128, math.MaxInt64, math.MinInt64}),
)

func drawBytes(t *rapid.T, label string) []byte {
	b := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, label)
	if len(b) == 0 {
		return nil
	}
	return b
}

func drawFixed(t *rapid.T, dst []byte) {
	copy(dst, rapid.SliceOfN(rapid.Byte(), len(dst), len(dst)).Draw(t, "id"))
}

func drawAct(t *rapid.T) model.Act {
	if rapid.Bool().Draw(t, "known act") {
		return rapid.SampledFrom(acts[:]).Draw(t, "act")
	}
	return model.Act(rapid.String().Draw(t, "spelled act"))
}

func drawStamp(t *rapid.T) model.Stamp {
	m := func() model.Millis { return model.Millis(int64s.Draw(t, "ms")) }
	return model.Stamp{Wall: m(), T: m(), U: m(), Lo: m(), Hi: m(), TEff: m(), Class: model.ClockClass(rapid.Byte().Draw(t, "clock"))}
}

func drawLogEntry(t *rapid.T) *LogEntry {
	e := &LogEntry{
		Position: int64s.Draw(t, "position"), Seq: int64s.Draw(t, "seq"),
		Actor: model.ActorID(rapid.String().Draw(t, "actor")), Act: drawAct(t),
		Roles: model.Roles(rapid.Byte().Draw(t, "roles")), Outcome: Outcome(rapid.Byte().Draw(t, "outcome")), Code: rapid.String().Draw(t, "code"), Stamp: drawStamp(t),
		Header: drawBytes(t, "header"), Payload: drawBytes(t, "payload"), Signature: drawBytes(t, "signature"),
	}
	drawFixed(t, e.ID[:])
	drawFixed(t, e.Person[:])
	drawFixed(t, e.Device[:])
	for range rapid.IntRange(0, 5).Draw(t, "changes") {
		e.UnitPrev = append(e.UnitPrev, int64s.Draw(t, "prev"))
	}
	return e
}

func drawUnitState(t *rapid.T) *model.UnitState {
	s := &model.UnitState{
		Unit: model.Unit(rapid.String().Draw(t, "unit")), Position: int64s.Draw(t, "position"),
		Class: model.Class(rapid.Int8().Draw(t, "class")), Late: rapid.Bool().Draw(t, "late"), Tangled: rapid.Bool().Draw(t, "tangled"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "heads") {
		h := model.Head{
			Position: int64s.Draw(t, "position"), Act: drawAct(t), Actor: model.ActorID(rapid.String().Draw(t, "actor")),
			Seq: int64s.Draw(t, "seq"), Stamp: drawStamp(t), Value: drawBytes(t, "value"),
			Reset: rapid.Bool().Draw(t, "reset"), OverVoid: rapid.Bool().Draw(t, "over void"),
		}
		drawFixed(t, h.ID[:])
		drawFixed(t, h.Device[:])
		s.Heads = append(s.Heads, h)
	}
	for range rapid.IntRange(0, 3).Draw(t, "missing") {
		var id model.EntryID
		drawFixed(t, id[:])
		s.Missing = append(s.Missing, id)
	}
	return s
}

func drawChain(t *rapid.T) Chain {
	c := Chain{Last: int64s.Draw(t, "last"), Forked: rapid.Bool().Draw(t, "forked"), Broken: int64s.Draw(t, "broken")}
	drawFixed(t, c.LastID[:])
	for range rapid.IntRange(0, 4).Draw(t, "gaps") {
		c.Missing = append(c.Missing, Gap{From: int64s.Draw(t, "from"), To: int64s.Draw(t, "to")})
	}
	return c
}

// codecs lets one test speak of all three encodings: recode decodes and encodes again.
var codecs = []struct {
	name   string
	draw   func(t *rapid.T) (value any, encoded []byte)
	decode func(b []byte) (any, error)
	encode func(v any) []byte
}{
	{"log entry",
		func(t *rapid.T) (any, []byte) { e := drawLogEntry(t); return e, AppendLogEntry(nil, e) },
		func(b []byte) (any, error) { return DecodeLogEntry(b) },
		func(v any) []byte { return AppendLogEntry(nil, v.(*LogEntry)) }},
	{"unit state",
		func(t *rapid.T) (any, []byte) { s := drawUnitState(t); return s, AppendUnitState(nil, s) },
		func(b []byte) (any, error) { return DecodeUnitState(b) },
		func(v any) []byte { return AppendUnitState(nil, v.(*model.UnitState)) }},
	{"chain",
		func(t *rapid.T) (any, []byte) { c := drawChain(t); return c, AppendChain(nil, &c) },
		func(b []byte) (any, error) { return DecodeChain(b) },
		func(v any) []byte { c := v.(Chain); return AppendChain(nil, &c) }},
}

func TestCodecRoundTrip(t *testing.T) {
	for _, c := range codecs {
		t.Run(c.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				want, b := c.draw(t)
				given := bytes.Clone(b)
				got, err := c.decode(given)
				if err != nil {
					t.Fatal(err)
				}
				clear(given) // the result must not live in the caller's bytes
				if d := cmp.Diff(want, got); d != "" {
					t.Fatal(d)
				}
			})
		})
	}
}

// Every damage either is refused or gives another value with its own one encoding.
func TestCodecStrict(t *testing.T) {
	for _, c := range codecs {
		t.Run(c.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				_, b := c.draw(t)
				if _, err := c.decode(append(bytes.Clone(b), 0)); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("a trailing byte: %v", err)
				}
				cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
				if _, err := c.decode(b[:cut]); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("cut at %d of %d: %v", cut, len(b), err)
				}
				at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
				b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				checkRecode(t, c.decode, c.encode, b)
			})
		})
	}
}

func checkRecode(t interface{ Fatalf(string, ...any) }, decode func([]byte) (any, error), encode func(any) []byte, b []byte) {
	v, err := decode(b)
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("error is %v, want ErrCorrupt", err)
		}
		return
	}
	if again := encode(v); !bytes.Equal(again, b) {
		t.Fatalf("two encodings of one value:\n%x\n%x", b, again)
	}
}

func TestCodecRefuses(t *testing.T) {
	one := AppendUnitState(nil, sampleState())
	long := AppendChain(nil, &Chain{})
	for _, c := range []struct {
		name   string
		decode func([]byte) (any, error)
		b      []byte
	}{
		{"empty", codecs[0].decode, nil},
		{"unknown format", codecs[1].decode, append([]byte{2}, one[1:]...)},
		{"varint with a spare zero byte", codecs[2].decode, append([]byte{1, 0x80, 0}, long[2:]...)},
		{"varint beyond 64 bits", codecs[2].decode, append([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, long[2:]...)},
		{"length beyond the input", codecs[1].decode, []byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}},
		{"count beyond the input", codecs[2].decode, append(bytes.Clone(long[:len(long)-1]), 0xff, 0xff, 0xff, 0xff, 0xf)},
		{"unknown flag", codecs[2].decode, append(bytes.Clone(long[:34]), 2, 0, 0)},
	} {
		if _, err := c.decode(c.b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	spelled := appendString([]byte{actSpelled}, "void")
	if d := (decoder{rest: spelled}); d.act() != "void" || !d.bad {
		t.Error("a known act spelled out is a second encoding")
	}
}

func sampleState() *model.UnitState {
	h := model.Head{ID: model.EntryID{1, 2, 3}, Position: 123456, Act: model.ActRegister, Actor: "5d7d9a6e-8a52-4e3c-9a53-2d6a1a2f4b10",
		Device: model.DeviceID{7}, Seq: 412, Value: []byte(`{"score":3,"note":"sees worse in the evening"}`),
		Stamp: model.Stamp{Wall: 1780000000000, T: 1780000000400, U: 1200, Lo: 1779990000000, Hi: 1780000900000, TEff: 1780000000400, Class: model.ClockA}}
	return &model.UnitState{Unit: "score/vision", Position: 123456, Heads: []model.Head{h}}
}

func sampleEntry() *LogEntry {
	h := sampleState().Heads[0]
	return &LogEntry{Position: 123456, ID: h.ID, Person: model.PersonID{9}, Device: h.Device, Seq: h.Seq, Actor: h.Actor, Act: h.Act,
		Outcome: Applied, Stamp: h.Stamp, Header: bytes.Repeat([]byte("h"), 100), Payload: bytes.Repeat([]byte("p"), 600),
		Signature: bytes.Repeat([]byte("s"), 64), UnitPrev: []int64{-1, -1, 5000, 5000, 5000, -1, 5000, 5000, 80, 5000}}
}

func FuzzDecodeUnitState(f *testing.F) {
	f.Add(AppendUnitState(nil, sampleState()))
	f.Fuzz(func(t *testing.T, b []byte) { checkRecode(t, codecs[1].decode, codecs[1].encode, b) })
}

func FuzzDecodeLogEntry(f *testing.F) {
	f.Add(AppendLogEntry(nil, sampleEntry()))
	f.Fuzz(func(t *testing.T, b []byte) { checkRecode(t, codecs[0].decode, codecs[0].encode, b) })
}

func FuzzDecodeChain(f *testing.F) {
	f.Add(AppendChain(nil, &Chain{Last: 9, Missing: []Gap{{2, 3}, {7, 7}}, Forked: true, Broken: 4}))
	f.Fuzz(func(t *testing.T, b []byte) { checkRecode(t, codecs[2].decode, codecs[2].encode, b) })
}

func BenchmarkAppendUnitState(b *testing.B) {
	s, buf := sampleState(), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendUnitState(buf[:0], s)
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}

func BenchmarkDecodeUnitState(b *testing.B) {
	buf := AppendUnitState(nil, sampleState())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeUnitState(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendLogEntry(b *testing.B) {
	e, buf := sampleEntry(), make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendLogEntry(buf[:0], e)
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}

func BenchmarkDecodeLogEntry(b *testing.B) {
	buf := AppendLogEntry(nil, sampleEntry())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeLogEntry(buf); err != nil {
			b.Fatal(err)
		}
	}
}
