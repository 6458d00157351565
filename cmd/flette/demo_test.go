package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"flette/iplos/kpr"
	contract "flette/mobile-contract"
	"flette/model"
)

// TestDemo plays the whole day, then looks at what it leaves as somebody else would.
func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	if err := claimDemoDir(dir); err != nil {
		t.Fatal(err)
	}
	s, stop, err := newStory(dir, 3, "127.0.0.1:0", func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.play(t.Context()); err != nil {
		t.Error(err)
	}
	checkAddresses(t, s)
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	a, err := openApp(appOptions{Dir: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	report, err := a.engine.Verify(t.Context(), demoTenant, a.checks(demoTenant), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !report.OK() || report.Entries != s.size || report.Persons != demoPersons {
		t.Errorf("verify: %d entries, %d persons, problems %v", report.Entries, report.Persons, report.Problems)
	}

	messages, err := filepath.Glob(filepath.Join(dir, "kpr", "*.xml"))
	if err != nil || len(messages) != 2 {
		t.Errorf("messages %v, %v", messages, err)
	}
	for _, path := range messages {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := kpr.Validate(t.Context(), file); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if !strings.Contains(string(file), `navnEPJ="TEST Flette"`) {
			t.Errorf("%s is not marked as a test", path)
		}
	}
	checkTranscript(t, dir, report.Checkpoint)
}

// checkAddresses does what the printed curl line does: one review is left for the visitor.
func checkAddresses(t *testing.T, s *story) {
	t.Helper()
	text, err := s.addresses()
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`curl -H 'Authorization: (Bearer [^']+)' (\S+/v1/reviews)`).FindStringSubmatch(text)
	if line == nil {
		t.Fatal("no line to copy")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, line[2], nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", line[1])
	res, err := (&http.Client{Transport: s.net}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var list contract.ReviewList
	if err := json.UnmarshalRead(res.Body, &list); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", res.StatusCode, err)
	}
	if len(list.Reviews) != 1 || list.Reviews[0].Unit.Unit != toilet {
		t.Errorf("reviews %+v", list.Reviews)
	}
}

// checkTranscript reads transcript.json as a script would, strictly.
func checkTranscript(t *testing.T, dir, checkpoint string) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(dir, "transcript.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got transcript
	if err := json.Unmarshal(body, &got, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	if !got.OK || got.Failed != "" || got.Format != "flette-demo-1" || got.Tenant != "testvik" || got.Day != "2026-11-16" || got.Seed != 3 {
		t.Errorf("transcript %+v", got)
	}
	if got.Checkpoint == "" || got.Size == 0 {
		t.Error("no checkpoint at the end")
	}
	var names []string
	at := model.Millis(0)
	for _, st := range got.Steps {
		names = append(names, st.Name)
		if st.Outcome != "ok" || st.Says == "" || len(st.Counts) == 0 || st.At < at {
			t.Errorf("step %+v", st)
		}
		at = st.At
	}
	want := []string{
		"municipality", "enrolment", "login", "offline-morning", "wrong-order", "lost-answer", "bad-entry", "clock-ahead",
		"reconnect", "review", "decision", "news", "finding", "kpr-message", "offline-afternoon", "reconnect-afternoon",
		"correction", "weekly-time", "quarantine", "kpr-changes", "receipt", "mangler", "report", "verify",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("steps (-want +got)\n%s", diff)
	}
}

// TestDemoFailsLoudly: a step whose claim does not hold ends the story, and the transcript
// names it.
func TestDemoFailsLoudly(t *testing.T) {
	dir := t.TempDir()
	s, stop, err := newStory(dir, 1, "127.0.0.1:0", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	s.serve = func(*app) (string, error) { return "", fmt.Errorf("no server today") }
	err = s.play(t.Context())
	if err == nil || !strings.Contains(err.Error(), "step 1, municipality") {
		t.Errorf("error %v", err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "transcript.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got transcript
	if err := json.Unmarshal(body, &got, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	if got.OK || got.Failed != "municipality" || len(got.Steps) != 1 || got.Steps[0].Outcome != "failed" || !strings.Contains(got.Steps[0].Error, "no server") {
		t.Errorf("transcript %+v", got)
	}
}
