package sync

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"flette/model"
	"flette/store"
)

// DeviceStatus is a device with all that is known of how it stands.
type DeviceStatus struct {
	store.Device
	Chain    store.Chain
	Diary    *store.Diary // nil before the first contact
	Held     int          // entries of the device that wait in quarantine
	ForLogin int          // of these, the ones that the next login lets through
	Size     int64        // of the journal
	TooNew   int          // of these, the ones of a contract version that this server does not know
	Floor    int          // oldest contract version that is applied without a supervisor
}

// Standing is the order that the device is given, nil for none.
func (d *DeviceStatus) Standing() *Order {
	signed := 0
	if d.Diary != nil {
		signed = d.Diary.Contract
	}
	return orderOf(&d.Device, &d.Chain, signed, d.Floor)
}

// Explanation says why a device is not in sync, for a person at a desk.
type Explanation struct {
	InSync   bool
	Code     string // stable; "in-sync" or the most important reason
	Sentence string
	Next     string // what to do, "" for nothing
	Facts    []Fact
}

// Fact is one thing that is known of a device. It never names a person.
type Fact struct{ Name, Value string }

// Limits beyond which a device is said to be out of sync.
const (
	behindAfter = 30 * minute // a pull that is older, with news since
	silentAfter = 3 * 24 * hour
	skewLimit   = 2 * minute
)

const whatCodesSay = "docs/codes.md says what the code asks for."

// reasons lists why a device can be out of sync, the most important first: what a person must
// do something about, then what waits, then what goes away by itself. Each gives the sentence
// and the next step, or "" when it does not hold.
var reasons = []struct {
	code string
	says func(d *DeviceStatus, now model.Millis) (sentence, next string)
}{
	{"replaced", func(d *DeviceStatus, _ model.Millis) (string, string) {
		next := "Nothing, when the new device works. If a second tablet still signs as this one, take it in, or revoke this device so that it is told to erase what it holds."
		if d.Held > 0 {
			next = heldStep(d) + " If a second tablet still signs as this one, take it in, or revoke this device so that it is told to erase what it holds."
		}
		return when(d.State != DeviceActive && d.Device.Order == OrderReEnrol, fmt.Sprintf("Device %s has taken its place.", d.ReplacedBy), next)
	}},
	{"revoked", func(d *DeviceStatus, _ model.Millis) (string, string) {
		return when(d.State != DeviceActive && d.Wiped == 0, "It is revoked, and has not said that it has erased what it holds.",
			"Bring it where it has coverage: it hands in what it holds, and erases it. What it hands in waits for a supervisor.")
	}},
	{"wiped", func(d *DeviceStatus, _ model.Millis) (string, string) {
		return when(d.State != DeviceActive, fmt.Sprintf("It is revoked, and said at %s that it has erased what it held%s.", stampOf(d.Wiped), refusedToo(d)), heldStep(d))
	}},
	{"forked", func(d *DeviceStatus, _ model.Millis) (string, string) {
		return when(d.Chain.Forked, "Two tablets have signed as this device: it was copied or restored from a backup.",
			"Enrol it anew with flette device invite --replaces "+d.ID.String()+", and release what waits in quarantine.")
	}},
	{"never-contacted", func(d *DeviceStatus, _ model.Millis) (string, string) {
		return when(d.Diary == nil || d.heard() == 0, "It has enrolled and has not been heard of since.", "Open the app where there is coverage, and log in.")
	}},
	{"never-logged-in", func(d *DeviceStatus, _ model.Millis) (string, string) {
		// Before logins were written down, only a push shows that there was one, also one that failed.
		return when(d.Diary.Login == 0 && d.Chain.Last == 0 && d.Diary.At == 0 && d.Diary.PushErrAt == 0, "Nobody has logged in on it.", "Log in on it.")
	}},
	{"below-floor", func(d *DeviceStatus, _ model.Millis) (string, string) {
		return when(d.Diary.Contract > 0 && d.Diary.Contract < d.Floor,
			fmt.Sprintf("Its app signs contract version %d, and entries below version %d wait for a supervisor.", d.Diary.Contract, d.Floor), "Install the newest app on it.")
	}},
	{"rewound", func(d *DeviceStatus, _ model.Millis) (string, string) {
		w := d.Diary.Rewound
		return when(w != nil && d.Diary.Outbox > 0 || w != nil && d.Diary.At <= w.At,
			"It held more of the journal than this store, which was restored or changed, and sends again what it keeps.",
			"Let it push until its outbox is empty. If no backup was restored, look into it: flette verify, then flette restore --adopt.")
	}},
	{"push-failed", func(d *DeviceStatus, _ model.Millis) (string, string) {
		y := d.Diary
		if y.PushErrAt > y.Pushed && y.PushError == "store-full" {
			return "Its last push failed, and it keeps what it holds: the server's disk is full.", "Make room on the disk of the server: the tablet then hands in by itself."
		}
		return when(y.PushErrAt > y.Pushed, "Its last push failed, and it keeps what it holds: "+y.PushError+".", whatCodesSay)
	}},
	{"gap", func(d *DeviceStatus, _ model.Millis) (string, string) {
		return when(len(d.Chain.Missing) > 0, "It has signed entries that have not come: seq "+gaps(d.Chain.Missing)+".",
			"Let it push. If its outbox is empty and they still miss, look for them on the tablet before it is erased.")
	}},
	{"waits-for-login", func(d *DeviceStatus, _ model.Millis) (string, string) {
		return when(d.ForLogin > 0, fmt.Sprintf("%s signed after the session had ended: the next login of the nurse lets them through.", count(d.ForLogin, "entry", "entries")),
			"The nurse logs in on it where there is coverage.")
	}},
	{"unknown-version", func(d *DeviceStatus, _ model.Millis) (string, string) {
		return when(d.TooNew > 0, fmt.Sprintf("%s in quarantine: its app signs a version of the contract that this server does not know.", waits(d.TooNew)),
			"Upgrade the server. A supervisor can then release what waits (flette quarantine list).")
	}},
	{"quarantined", func(d *DeviceStatus, _ model.Millis) (string, string) {
		return when(d.Held > d.ForLogin, fmt.Sprintf("%s in quarantine for a supervisor.", waits(d.Held-d.ForLogin)), "A supervisor looks at what waits (flette quarantine list), and releases or closes it.")
	}},
	{"outbox", func(d *DeviceStatus, _ model.Millis) (string, string) {
		since := ""
		if d.Diary.Oldest != 0 {
			since = ", the oldest signed at " + stampOf(d.Diary.Oldest) + " by its own clock"
		}
		return when(d.Diary.Outbox > 0, fmt.Sprintf("At its last push it held %s%s.", count(int(d.Diary.Outbox), "entry", "entries"), since), "Let it push where there is coverage.")
	}},
	{"last-error", func(d *DeviceStatus, _ model.Millis) (string, string) {
		y := d.Diary
		if y.ProblemAt > y.At && y.Problem != "" {
			return "Its last call failed: " + y.Problem + ".", whatCodesSay
		}
		return when(y.LastError != "", "It said at its last push that a call had failed before: "+y.LastError+".",
			"Nothing, when it has fetched and pushed since. docs/codes.md explains a code; other words are those of the app.")
	}},
	{"clock-wrong", func(d *DeviceStatus, _ model.Millis) (string, string) {
		skew := model.Millis(d.Diary.SkewMs)
		word := "fast"
		if skew < 0 {
			skew, word = -skew, "slow"
		}
		return when(skew > skewLimit, fmt.Sprintf("Its clock is %s %s.", lasting(skew), word), "Let the tablet set its clock by the network. Nothing that it signed is lost for it.")
	}},
	{"silent", func(d *DeviceStatus, now model.Millis) (string, string) {
		quiet := now - d.heard()
		return when(quiet > silentAfter, "It has not been heard of for "+lasting(quiet)+".", "Ask who has it.")
	}},
	{"behind", func(d *DeviceStatus, now model.Millis) (string, string) {
		y := d.Diary
		if y.Pulled == 0 && y.Cursor == 0 {
			return "It has not fetched anything yet.", "Let it pull where there is coverage."
		}
		return when(y.Cursor < d.Size && now-y.Pulled > behindAfter,
			fmt.Sprintf("It has not fetched what came since position %d of %d.", y.Cursor, d.Size), "Let it pull where there is coverage.")
	}},
}

// Explain says why a device is not in sync, and what is known of it. It is a function of what
// it is given: the same for the command line, the API and a test.
func Explain(d *DeviceStatus, now model.Millis) Explanation {
	e := Explanation{InSync: true, Code: "in-sync", Sentence: "It has handed in what it signed, and has what there is.", Facts: facts(d)}
	if OfServer(d.Kind) {
		e.Sentence = "It is the " + d.Label + ": a part of the server."
		return e
	}
	for _, r := range reasons {
		if sentence, next := r.says(d, now); sentence != "" {
			e.InSync, e.Code, e.Sentence, e.Next = false, r.code, sentence, next
			break
		}
	}
	return e
}

// heard is when the device was last heard of, in a call that went well or not.
func (d *DeviceStatus) heard() model.Millis {
	if d.Diary == nil {
		return 0
	}
	return max(d.Diary.At, d.Diary.ProblemAt)
}

func facts(d *DeviceStatus) []Fact {
	var out []Fact
	add := func(holds bool, name, format string, args ...any) {
		if holds {
			out = append(out, Fact{name, fmt.Sprintf(format, args...)})
		}
	}
	add(true, "state", "%s", d.State)
	add(true, "enrolled", "%s", stampOf(d.Enrolled))
	add(d.Revoked != 0, "revoked", "%s: %s", stampOf(d.Revoked), d.Reason)
	add(d.Compromised, "compromised", "strangers may sign with its key")
	add(d.Wiped != 0, "wiped", "%s%s", stampOf(d.Wiped), refusedToo(d))
	add(!d.ReplacedBy.IsZero(), "replaced by", "%s", d.ReplacedBy)
	if o := d.Standing(); o != nil {
		add(true, "order", "%s: %s", o.Do, o.Why)
	}
	add(true, "last seq", "%d", d.Chain.Last)
	add(len(d.Chain.Missing) > 0, "missing", "%s", gaps(d.Chain.Missing))
	add(d.Chain.Forked, "forked", "two entries have one seq")
	add(d.Chain.Broken != 0, "chain broken", "at seq %d", d.Chain.Broken)
	for i := range d.Retired {
		good := "no entry"
		if first, last := firstSeq(&d.Device, i), d.Retired[i].Last; first <= last {
			good = fmt.Sprintf("seq %d to %d", first, last)
		}
		add(true, "key given up", "%s, good for %s", stampOf(d.Retired[i].At), good)
	}
	add(d.Held > 0, "in quarantine", "%d, of these %d for the next login", d.Held, d.ForLogin)
	y := d.Diary
	if y == nil {
		return out
	}
	add(y.At != 0, "last contact", "%s (%s)", stampOf(y.At), y.Contact)
	add(y.Login != 0, "last login", "%s, session to %s", stampOf(y.Login), stampOf(y.LeaseEnds))
	add(y.Pulled != 0, "last pull", "%s, to position %d of %d", stampOf(y.Pulled), y.Cursor, d.Size)
	add(y.Outbox != 0, "outbox", "%d", y.Outbox)
	add(y.Oldest != 0, "oldest unsent", "%s", stampOf(y.Oldest))
	add(max(y.SkewMs, -y.SkewMs) >= 50, "clock", "%+.1f s", float64(y.SkewMs)/1000)
	add(y.Contract != 0, "contract version", "%d", y.Contract)
	add(y.App != "", "app", "%s", y.App)
	add(y.PushErrAt > y.Pushed, "push failed", "%s at %s", y.PushError, stampOf(y.PushErrAt))
	add(y.ProblemAt != 0, "last problem", "%s at %s", y.Problem, stampOf(y.ProblemAt))
	add(y.LastError != "", "last error", "%s", y.LastError)
	if w := y.Rewound; w != nil {
		add(true, "rewound", "at %s it held %d entries; told to send again from position %d", stampOf(w.At), w.Held, w.Size)
	}
	return out
}

// heldStep says what is left to do with the entries of a device that works no more.
func heldStep(d *DeviceStatus) string {
	if d.Held == 0 {
		return ""
	}
	return waits(d.Held) + " in quarantine: a supervisor looks at what waits (flette quarantine list), and releases or closes it."
}

func refusedToo(d *DeviceStatus) string {
	if d.WipedRefused == 0 {
		return ""
	}
	return ", with " + count(int(d.WipedRefused), "entry", "entries") + " that the server had refused and nobody else has"
}

func when(holds bool, sentence, next string) (string, string) {
	if !holds {
		return "", ""
	}
	return sentence, next
}

func stampOf(t model.Millis) string { return t.Time().Format(time.RFC3339) }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func waits(n int) string {
	if n == 1 {
		return "1 entry waits"
	}
	return fmt.Sprintf("%d entries wait", n)
}

// lasting says a length of time in the largest unit that tells something.
func lasting(d model.Millis) string {
	const day = 24 * hour
	switch {
	case d >= 2*day:
		return count(int(d/day), "day", "days")
	case d >= 2*hour:
		return count(int(d/hour), "hour", "hours")
	}
	return count(int(d/minute), "minute", "minutes")
}

// gaps spells the first few missing ranges.
func gaps(missing []store.Gap) string {
	const most = 5
	var parts []string
	for _, g := range missing[:min(len(missing), most)] {
		if g.From == g.To {
			parts = append(parts, fmt.Sprint(g.From))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", g.From, g.To))
		}
	}
	if len(missing) > most {
		parts = append(parts, fmt.Sprintf("and %d more ranges", len(missing)-most))
	}
	return strings.Join(parts, ", ")
}

// ExplainCodes lists the codes that Explain can give, the most important first.
func ExplainCodes() []string {
	codes := make([]string, 0, len(reasons)+1)
	for _, r := range reasons {
		codes = append(codes, r.code)
	}
	return slices.Concat(codes, []string{"in-sync"})
}
