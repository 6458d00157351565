package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"

	"flette/api/auth"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
)

// raw sends bytes as they are and reads one answer; closed says that the connection ended after it.
func (h *house) raw(t *testing.T, text string) (res *http.Response, body string, closed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	must(t, err)
	defer func() { must(t, conn.Close()) }()
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, text)
	must(t, err)
	r := bufio.NewReader(conn)
	res, err = http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	b, err := io.ReadAll(res.Body)
	must(t, err)
	if res.Close {
		_, err = r.ReadByte()
		closed = errors.Is(err, io.EOF)
	}
	return res, string(b), closed
}

// Messages with two readings are refused and end the connection (H8).
func TestSmuggling(t *testing.T) {
	h := newHouse(t)
	const ok = "GET /livez HTTP/1.1\r\nHost: a\r\n"
	for name, text := range map[string]string{
		"no host":             "GET /livez HTTP/1.1\r\n\r\n",
		"two hosts":           ok + "Host: b\r\n\r\n",
		"two equal hosts":     ok + "host: a\r\n\r\n",
		"two lengths":         "POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
		"two equal lengths":   "POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"length list":         "POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\n{}",
		"length with a sign":  "POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}",
		"length and coding":   "POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"coding and length":   "POST /v1/devices HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"coding twice":        "POST /v1/devices HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"identity and length": "POST /v1/devices HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
		"unknown coding":      "POST /v1/devices HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"coding in HTTP/1.0":  "POST /v1/devices HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"folded line":         ok + "X: 1\r\n 2\r\n\r\n",
		"blank before colon":  ok + "X : 1\r\n\r\n",
		"no colon":            ok + "X\r\n\r\n",
		"no name":             ok + ": 1\r\n\r\n",
		"bare line feeds":     "GET /livez HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n",
		"only line feeds":     "GET /livez HTTP/1.1\nHost: a\n\n\r\n\r\n",
		"NUL in a value":      ok + "X: a\x00b\r\n\r\n",
		"CR in a value":       ok + "X: a\rb\r\n\r\n",
		"HTTP/9.9":            "GET /livez HTTP/9.9\r\nHost: a\r\n\r\n",
		"HTTP/2.0":            "GET /livez HTTP/2.0\r\nHost: a\r\n\r\n",
		"no version":          "GET /livez\r\nHost: a\r\n\r\n",
		"absolute target":     "GET http://b/livez HTTP/1.1\r\nHost: a\r\n\r\n",
		"authority target":    "CONNECT b:80 HTTP/1.1\r\nHost: a\r\n\r\n",
		"asterisk":            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"fragment":            "GET /livez#x HTTP/1.1\r\nHost: a\r\n\r\n",
		"blank in the target": "GET /livez x HTTP/1.1\r\nHost: a\r\n\r\n",
		"high byte in target": "GET /livez\xff HTTP/1.1\r\nHost: a\r\n\r\n",
		"two content types":   "POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
		"bad chunk size":      "POST /v1/devices HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		"garbage":             "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
	} {
		res, body, closed := h.raw(t, text)
		var p contract.Problem
		must(t, json.Unmarshal([]byte(body), &p))
		if res.StatusCode != http.StatusBadRequest || p.Code != "invalid-header" || !closed {
			t.Errorf("%s: %d %s, closed %v", name, res.StatusCode, body, closed)
		}
	}
	for name, text := range map[string]string{
		"plain": ok + "\r\n", "HTTP/1.0": "GET /livez HTTP/1.0\r\n\r\n", "empty line first": "\r\n" + ok + "\r\n",
		"odd but legal": "GET /livez HTTP/1.1\r\nhOST: a:80\r\nX:\r\nX:  y \r\n\r\n",
	} {
		if res, body, _ := h.raw(t, text); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
	}
	res, body, closed := h.raw(t, ok+"X: "+strings.Repeat("a", readBuffer)+"\r\n\r\n")
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge || !strings.Contains(body, "header-too-large") || !closed {
		t.Errorf("long header: %d %s", res.StatusCode, body)
	}
	// What follows a refused message is not read as a request.
	res, _, closed = h.raw(t, "POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Length: 41\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
	if res.StatusCode != http.StatusBadRequest || !closed {
		t.Errorf("smuggled request: %d, closed %v", res.StatusCode, closed)
	}
	// HEAD is no method of any route; its answer has no body.
	req := httptest.NewRequest("HEAD", "/livez", nil)
	if res, err := h.srv.App().Test(req, -1); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("HEAD: %v", err)
	}
}

// A request that never comes to its end is given up with a problem.
func TestSlowRequest(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Limits.Read = 50 * time.Millisecond })
	res, body, closed := h.raw(t, "POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
	if res.StatusCode != http.StatusRequestTimeout || !strings.Contains(body, `"timeout"`) || !closed {
		t.Errorf("slow body: %d %s", res.StatusCode, body)
	}
}

// Documents that never change may be kept; nothing else may. Answers come encoded if asked.
func TestDocumentsAndEncoding(t *testing.T) {
	h := newHouse(t)
	for path, word := range map[string]string{"/v1/openapi.json": `"3.1.0"`, "/v1/catalogue": "assist_memory"} {
		res, body := h.do(h.request("GET", path, "", nil))
		if res.StatusCode != 200 || !strings.Contains(string(body), word) || res.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
		}
		req := h.request("GET", path, "", nil)
		req.Header.Set("If-None-Match", res.Header.Get("ETag"))
		if res, body := h.do(req); res.StatusCode != http.StatusNotModified || len(body) != 0 {
			t.Errorf("%s again: %d, %d bytes", path, res.StatusCode, len(body))
		}
		plain := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
		req = h.request("GET", path, "", nil)
		req.Header.Set("Accept-Encoding", "gzip;q=0.5, zstd")
		res, err := plain.Do(req)
		must(t, err)
		if res.Header.Get("Content-Encoding") != "zstd" {
			t.Errorf("%s: not encoded: %v", path, res.Header)
		}
		z, err := zstd.NewReader(res.Body)
		must(t, err)
		unpacked, err := io.ReadAll(z)
		must(t, err)
		z.Close()
		must(t, res.Body.Close())
		if !bytes.Equal(unpacked, body) {
			t.Errorf("%s: encoded otherwise", path)
		}
	}
	if res, _ := h.do(h.request("GET", "/v1/persons", "", nil)); res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("problem may be kept: %v", res.Header)
	}
}

// Readiness names what fails, and nothing more.
func TestReady(t *testing.T) {
	var broken error
	h := newHouse(t, func(o *Options) {
		o.Ready = func(context.Context) map[string]error { return map[string]error{"store": broken} }
	})
	h.want(http.StatusOK, h.request("GET", "/readyz", "", nil), nil)
	broken = errors.New("secret-path /var/lib")
	res, body := h.do(h.request("GET", "/readyz", "", nil))
	if res.StatusCode != http.StatusServiceUnavailable || strings.Contains(string(body), "secret") || !strings.Contains(string(body), `"store":"fail"`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

// Whatever breaks inside, outside there is a problem without internal text (H6), and the log
// holds the request id that the client got.
func TestInternalFailures(t *testing.T) {
	var fail func() error
	h := newHouse(t, func(o *Options) {
		o.Weekly = func(store.View, string, *model.PersonID) ([]contract.TimeRow, error) { return nil, fail() }
	})
	token := "Bearer " + h.token(testvik, "boss", supervisor)
	for name, c := range map[string]struct {
		fail func() error
		code string
	}{
		"panic":          {func() error { panic("MARKER-panic") }, "internal"},
		"index":          {func() error { return []error{}[outOfRange] }, "internal"},
		"unknown":        {func() error { return errors.New("cause-of-it") }, "internal"},
		"corrupt":        {func() error { return fmt.Errorf("%w: x", store.ErrCorrupt) }, "internal"},
		"closed":         {func() error { return store.ErrClosed }, "not-ready"},
		"too long":       {func() error { return context.DeadlineExceeded }, "overloaded"},
		"a typed nobody": {func() error { return model.Problemf("whatever", "", "no such week") }, "invalid-query"},
	} {
		fail = c.fail
		p := h.refused(c.code, h.request("GET", "/v1/reports/time?week=2026-W47", token, nil))
		if strings.Contains(p.Detail, "MARKER") || strings.Contains(p.Detail, "cause-of-it") {
			t.Errorf("%s: detail %q", name, p.Detail)
		}
		if !strings.Contains(h.log.String(), p.Instance) {
			t.Errorf("%s: request %s is not in the log", name, p.Instance)
		}
	}
	if strings.Contains(h.log.String(), "MARKER") {
		t.Error("the text of a panic is in the log")
	}
}

var outOfRange = 1

// Markers in everything that is sent never reach the log (H7).
func TestLogHoldsNothingSent(t *testing.T) {
	w := newWorld(t, noLimits)
	const marker = "MARKER"
	for i := range routes {
		r := &routes[i]
		ex := w.example(r)
		path, _, _ := strings.Cut(ex.path, "?")
		for _, req := range []*http.Request{
			w.call(r, ex.path, ex.body), w.call(r, path+"?"+marker+"="+marker, ex.body),
			w.call(r, strings.Replace(r.path, "{id}", marker, 1), ex.body), w.request(r.method, path, "Bearer "+marker+".a.b", nil),
			w.request(marker, "/"+marker, "", nil), w.call(r, ex.path, []byte(`{"`+marker+`":"`+marker+`"}`)),
		} {
			for _, name := range []string{"User-Agent", "X-Request-Id", "X-Forwarded-For", "Referer", "Cookie"} {
				req.Header.Set(name, marker)
			}
			w.do(req)
		}
	}
	d := w.nurse
	w.do(d.request("POST", pathPush, d.auth(), contract.PushRequest{
		Entries: []string{marker}, Checkpoint: marker, Diary: &contract.Diary{App: marker, LastError: marker},
	}))
	w.want(http.StatusCreated, w.nurse.request("POST", "/v1/leases", "Bearer "+w.token(testvik, "named", nurse, func(c *auth.AccessClaims) {
		c.Name = marker
	}), contract.LeaseRequest{Device: d.id, Wall: model.MillisOf(w.now())}), nil)
	text := w.log.String()
	for _, secret := range []string{marker, "Navnløs", d.lease.Token, "0181", "eyJ"} {
		if strings.Contains(text, secret) {
			at := strings.Index(text, secret)
			t.Errorf("the log holds %.20q: %s", secret, text[max(0, at-200):min(len(text), at+100)])
		}
	}
	if !strings.Contains(text, "device="+d.id.String()) || !strings.Contains(text, "route=/v1/persons/{id}") {
		t.Error("the log lacks who and what")
	}
}

// Strings that a handler keeps stay what they were when the framework reuses its memory (H4).
func TestNothingIsShared(t *testing.T) {
	h := newHouse(t, noLimits)
	var mu gosync.Mutex
	kept := map[string]string{} // what a handler saw, by a copy made at once
	weekly := func(_ store.View, week string, _ *model.PersonID) ([]contract.TimeRow, error) {
		mu.Lock()
		defer mu.Unlock()
		kept[string([]byte(week))] = week
		return nil, nil
	}
	h.srv.o.Weekly = weekly
	token := "Bearer " + h.token(testvik, "boss", supervisor)
	var wg gosync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				h.want(http.StatusOK, h.request("GET", fmt.Sprintf("/v1/reports/time?week=%04d-W%02d", g*200+i, i%52+1), token, nil), nil)
			}
		})
	}
	wg.Wait()
	if len(kept) != 800 {
		t.Errorf("%d different weeks were seen", len(kept))
	}
	for copied, shared := range kept {
		if copied != shared {
			t.Fatalf("%q has become %q", copied, shared)
		}
	}
}

// Stopping before serving has begun stops, too.
func TestShutdownBeforeServe(t *testing.T) {
	h := newHouse(t)
	s, err := New(h.opts)
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, s.Shutdown(background))
	must(t, s.Serve(ln))
	if _, err := New(Options{}); err == nil {
		t.Error("a server without an engine")
	}
}
