package sync_test

import (
	"slices"
	"strings"
	"testing"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// One device for each reason, and each reason more important than those after it.
func TestExplain(t *testing.T) {
	const now = day0
	const day = 24 * hour
	id := model.DeviceID{1}
	good := func() *sync.DeviceStatus {
		return &sync.DeviceStatus{
			Device: store.Device{ID: id, Kind: sync.KindTablet, State: sync.DeviceActive, Enrolled: now - 30*day},
			Chain:  store.Chain{Last: 9}, Size: 40,
			Diary: &store.Diary{Device: id, At: now - min_, Contact: sync.ContactPull, Login: now - hour, LeaseEnds: now + hour, Pulled: now - min_, Cursor: 40},
		}
	}
	if e := sync.Explain(good(), now); !e.InSync || e.Code != "in-sync" || e.Sentence == "" || e.Next != "" {
		t.Fatalf("good: %+v", e)
	}
	cases := []struct {
		code, says string
		edit       func(*sync.DeviceStatus)
	}{
		{"replaced", "has taken its place", func(d *sync.DeviceStatus) {
			d.State, d.Order, d.Revoked, d.ReplacedBy = sync.DeviceRevoked, sync.OrderReEnrol, now-day, model.DeviceID{2}
		}},
		{"revoked", "has not said", func(d *sync.DeviceStatus) { d.State, d.Revoked, d.Reason = sync.DeviceRevoked, now-day, "lost" }},
		{"wiped", "with 2 entries that the server had refused", func(d *sync.DeviceStatus) {
			d.State, d.Revoked, d.Wiped, d.WipedRefused = sync.DeviceRevoked, now-day, now-hour, 2
		}},
		{"forked", "copied or restored", func(d *sync.DeviceStatus) { d.Chain.Forked = true }},
		{"never-contacted", "not been heard of since", func(d *sync.DeviceStatus) { d.Diary = nil }},
		{"never-logged-in", "Nobody has logged in", func(d *sync.DeviceStatus) {
			d.Chain.Last, d.Diary = 0, &store.Diary{Problem: "forbidden", ProblemAt: now - hour}
		}},
		{"below-floor", "signs contract version 1, and entries below version 2", func(d *sync.DeviceStatus) { d.Floor, d.Diary.Contract = 2, 1 }},
		{"rewound", "held more of the journal than this store", func(d *sync.DeviceStatus) { d.Diary.Rewound = &store.Rewound{At: now, Held: 50, Size: 30} }},
		{"push-failed", "the server's disk is full", func(d *sync.DeviceStatus) {
			d.Diary.Pushed, d.Diary.PushError, d.Diary.PushErrAt = now-hour, "store-full", now-2*min_ // and a pull went well since
		}},
		{"gap", "seq 3-5, 7.", func(d *sync.DeviceStatus) { d.Chain.Missing = []store.Gap{{From: 3, To: 5}, {From: 7, To: 7}} }},
		{"waits-for-login", "2 entries signed after", func(d *sync.DeviceStatus) { d.Held, d.ForLogin = 2, 2 }},
		{"unknown-version", "1 entry waits in quarantine: its app signs a version", func(d *sync.DeviceStatus) { d.Held, d.TooNew = 3, 1 }},
		{"quarantined", "1 entry waits in quarantine", func(d *sync.DeviceStatus) { d.Held = 1 }},
		{"outbox", "held 4 entries, the oldest signed at 2026-11-21T08:00:00Z", func(d *sync.DeviceStatus) { d.Diary.Outbox, d.Diary.Oldest = 4, now-day }},
		{"last-error", "Its last call failed: store-full", func(d *sync.DeviceStatus) { d.Diary.Problem, d.Diary.ProblemAt = "store-full", now }},
		{"clock-wrong", "3 hours slow", func(d *sync.DeviceStatus) { d.Diary.SkewMs = -int64(3 * hour) }},
		{"silent", "for 5 days", func(d *sync.DeviceStatus) { d.Diary.At, d.Diary.Pulled = now-5*day-hour, now-5*day-hour }},
		{"behind", "not fetched anything yet", func(d *sync.DeviceStatus) { d.Size, d.Diary.Cursor, d.Diary.Pulled = 0, 0, 0 }},
		{"behind", "since position 7 of 40", func(d *sync.DeviceStatus) { d.Diary.Cursor, d.Diary.Pulled = 7, now-hour }},
	}
	var codes []string
	for _, c := range cases {
		if !slices.Contains(codes, c.code) {
			codes = append(codes, c.code)
		}
		d := good()
		c.edit(d)
		e := sync.Explain(d, now)
		if e.InSync || e.Code != c.code || !strings.Contains(e.Sentence, c.says) || !strings.HasSuffix(e.Sentence, ".") || (e.Next == "") != (c.code == "wiped") {
			t.Errorf("%s: %+v", c.code, e)
		}
		if len(e.Facts) < 3 {
			t.Errorf("%s: only %d facts", c.code, len(e.Facts))
		}
	}
	if all := append(codes, "in-sync"); !slices.Equal(all, sync.ExplainCodes()) {
		t.Errorf("codes without a case: %q, cases %q", sync.ExplainCodes(), all)
	}
	// The last edits of a pair must not undo the first: those that replace the diary or the state go first.
	for i, first := range cases {
		for _, second := range cases[i+1:] {
			if slices.Contains([]string{"revoked", "wiped", "never-contacted", "never-logged-in"}, second.code) || first.code == "never-contacted" {
				continue
			}
			d := good()
			first.edit(d)
			second.edit(d)
			e := sync.Explain(d, now)
			if at := slices.Index(codes, e.Code); at > slices.Index(codes, first.code) && first.code != "waits-for-login" && first.code != "never-logged-in" {
				t.Errorf("%s and %s: explained as %s", first.code, second.code, e.Code)
			}
		}
	}
	if e := sync.Explain(&sync.DeviceStatus{Device: store.Device{Kind: sync.KindDesk}}, now); !e.InSync {
		t.Errorf("the desk: %+v", e)
	}
	for code, edit := range map[string]func(*sync.DeviceStatus){
		"wiped":    func(d *sync.DeviceStatus) { d.Wiped = now },
		"replaced": func(d *sync.DeviceStatus) { d.Device.Order = sync.OrderReEnrol },
	} {
		d := good()
		d.State, d.Held = sync.DeviceRevoked, 3
		edit(d)
		if e := sync.Explain(d, now); e.Code != code || !strings.HasPrefix(e.Next, "3 entries wait in quarantine: a supervisor") {
			t.Errorf("%s, with entries that wait: %+v", code, e)
		}
	}
	// Enrolled again after a restore, its first push says more than that it has not logged in since.
	back := good()
	back.Chain.Last, back.Diary = 0, &store.Diary{
		Problem: "store-rewound", ProblemAt: now, PushError: "store-rewound", PushErrAt: now, Rewound: &store.Rewound{At: now, Held: 50, Size: 30},
	}
	if e := sync.Explain(back, now); e.Code != "rewound" {
		t.Errorf("enrolled again: %+v", e)
	}
	// A problem that a later call has put right is no reason any more.
	d := good()
	d.Diary.Problem, d.Diary.ProblemAt = "rate-limited", d.Diary.At-1
	if e := sync.Explain(d, now); !e.InSync {
		t.Errorf("an old problem: %+v", e)
	}
}
