package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"flette/api"
	"flette/model"
	"flette/store"
)

// What is counted is said by class, in the text format, with every number at its own name.
func TestMetricsText(t *testing.T) {
	got := string(metricsText(map[string]api.Load{
		"push": {AtWork: 1, AtWorkWeight: 2, Waiting: 3, WaitingWeight: 4, MostWaiting: 5, Admitted: 6, Waited: 7, TurnedAway: 8, Displaced: 9, GaveUp: 10, Away: 11}, "lease door": {Admitted: 12},
	}, 13))
	for _, want := range []string{
		`flette_calls_at_work{class="push"} 1`, `flette_calls_at_work_weight{class="push"} 2`, `flette_calls_waiting{class="push"} 3`,
		`flette_calls_waiting_weight{class="push"} 4`, `flette_calls_waiting_weight_most{class="push"} 5`, `flette_calls_admitted_total{class="push"} 6`,
		`flette_calls_waited_total{class="push"} 7`, `flette_calls_turned_away_total{class="push"} 8`, `flette_calls_displaced_total{class="push"} 9`,
		`flette_calls_gave_up_total{class="push"} 10`, `flette_callers_away{class="push"} 11`, `flette_calls_admitted_total{class="lease-door"} 12`, `flette_tenants_damaged 13`,
		"# TYPE flette_calls_admitted_total counter\nflette_calls_admitted_total{class=\"lease-door\"} 12\n",
	} {
		if !strings.Contains(got, strings.TrimSuffix(want, "\n")+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	line := regexp.MustCompile(`^(# (HELP|TYPE) flette_[a-z_]+ .+|flette_[a-z_]+(\{class="[a-z-]+"\})? \d+)$`)
	for _, l := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
		if !line.MatchString(l) {
			t.Errorf("line %q", l)
		}
	}
}

// A running server answers on the admin socket, and on its public address not.
func TestMetricsOnTheAdminSocket(t *testing.T) {
	dir := t.TempDir()
	flette(t, dir, 0, "tenant", "add", "--id", "testvik", "--name", "Prøveby", "--kommune", "9901")
	a, err := openApp(appOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	public := "http://" + ln.Addr().String()
	s, err := a.newServer(t.Context(), nil, public)
	if err != nil {
		t.Fatal(err)
	}
	a.damage.Store(model.TenantID("testvik"), store.ErrCorrupt)
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- a.serve(ctx, s, ln, func() error { close(ready); return nil })
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	read := func(c *http.Client, url string) (int, string) {
		t.Helper()
		res, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	before := "flette_calls_admitted_total{class=\"lease-door\"} 0\n"
	socket := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socketPath(dir))
	}}}
	if status, text := read(socket, "http://admin/metrics"); status != http.StatusOK || !strings.Contains(text, before) || !strings.Contains(text, "flette_tenants_damaged 1\n") {
		t.Errorf("%d\n%s", status, text)
	} else if strings.Contains(text, "testvik") {
		t.Errorf("a municipality is named:\n%s", text)
	}
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if status, _ := read(plain, public+"/metrics"); status != http.StatusNotFound {
		t.Errorf("the public address answers %d", status)
	}
	// A call that is turned away at the token door was let in there, and counts.
	req, err := http.NewRequest(http.MethodGet, public+"/v1/sync/pull", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "DPoP not-a-token")
	if res, err := plain.Do(req); err != nil {
		t.Fatal(err)
	} else if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("%d %v", res.StatusCode, err)
	}
	if _, text := read(socket, "http://admin/metrics"); strings.Contains(text, before) {
		t.Errorf("the call was not counted:\n%s", text)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
