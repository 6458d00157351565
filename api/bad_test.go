package api

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"

	contract "flette/mobile-contract"
	"flette/model"
)

// call makes the request of a route as somebody who may make it.
func (w *world) call(r *route, path string, body any) *http.Request {
	w.t.Helper()
	token := "Bearer " + w.token(testvik, "bad-"+strings.Trim(strings.ReplaceAll(r.path, "/", "-"), "-{}"), everyRole)
	switch r.who {
	case public, byCode:
		return w.request(r.method, path, "", body)
	case byLease:
		return w.nurse.request(r.method, path, w.nurse.auth(), body)
	case byTokenKey:
		return w.nurse.request(r.method, path, token, body)
	}
	req := w.request(r.method, path, token, body)
	if strings.HasSuffix(r.path, "/decision") {
		req.Header.Set("If-Match", `"old"`)
	}
	return req
}

// spoil gives bodies that are wrong on any route, made from a good one, with the code each gets.
func spoil(t *testing.T, good []byte) map[string][]string {
	t.Helper()
	var members map[string]any
	must(t, json.Unmarshal(good, &members))
	object := strings.TrimSuffix(string(good), "}")
	bad := map[string][]string{
		"invalid-json": {
			"", " ", "{", string(good) + "x", string(good) + string(good), "\xef\xbb\xbf" + string(good), "\xff",
			object + `,"\ud800":1}`, object + ",\"a\":\"\xff\"}", object + `,"a":NaN}`, object + `,"a":1,}`, "{'a':1}",
			strings.Repeat("[", 20_000), object + `,"a":01}`,
		},
		"unknown-member": {object + `,"unknown":1}`, object + `,"Tenant":"x"}`, object + `,"__proto__":{}}`, object + `,"":0}`},
		"invalid-member": {"[]", "1", `"x"`, "true", "[" + string(good) + "]"},
	}
	for name := range members {
		bad["invalid-json"] = append(bad["invalid-json"], object+`,"`+name+`":null}`)         // a duplicate
		bad["unknown-member"] = append(bad["unknown-member"], rename(t, members, name))       // another case
		bad["invalid-member"] = append(bad["invalid-member"], replace(t, members, name, nil)) // null
		for _, wrong := range []any{map[string]any{"a": 1}, []any{[]any{}}, 1e300, true} {
			if _, isBool := members[name].(bool); isBool && wrong == any(true) {
				continue
			}
			bad["wrong-type"] = append(bad["wrong-type"], replace(t, members, name, wrong))
		}
	}
	return bad
}

func replace(t *testing.T, members map[string]any, name string, value any) string {
	t.Helper()
	out := map[string]any{}
	for k, v := range members {
		out[k] = v
	}
	out[name] = value
	b, err := json.Marshal(out, json.Deterministic(true))
	must(t, err)
	return string(b)
}

func rename(t *testing.T, members map[string]any, name string) string {
	t.Helper()
	out := map[string]any{}
	for k, v := range members {
		if k == name {
			k = strings.ToUpper(k)
		}
		out[k] = v
	}
	b, err := json.Marshal(out, json.Deterministic(true))
	must(t, err)
	return string(b)
}

// noLimits keeps rate limits out of tables of thousands of requests.
func noLimits(o *Options) {
	many := Rate{Every: time.Nanosecond, Burst: 1 << 20}
	o.Limits.Device, o.Limits.Actor, o.Limits.Enrol = many, many, many
}

// Bodies that are wrong get the documented 4xx on every route that takes one, and have no effect (H5, H9).
func TestBadBodies(t *testing.T) {
	w := newWorld(t, noLimits)
	before := w.state()
	for i := range routes {
		r := &routes[i]
		if r.body == 0 {
			continue
		}
		ex := w.example(r)
		good, err := json.Marshal(ex.body)
		must(t, err)
		for want, bodies := range spoil(t, good) {
			for _, body := range bodies {
				status, code := w.status(w.call(r, ex.path, []byte(body)))
				allowed := []string{want}
				switch want {
				case "wrong-type":
					allowed = []string{"invalid-member", "unknown-member", "invalid-key", "precondition-failed"}
				case "invalid-json":
					// What is wrong first is what is said.
					allowed = []string{"invalid-json", "unknown-member", "invalid-member"}
				}
				if status < 400 || status >= 500 || !slices.Contains(allowed, code) {
					t.Errorf("%s with %.80q: %d %s, want %s", r.path, body, status, code, want)
				}
			}
		}
		for _, name := range contractRequired(t, ex.body) {
			var members map[string]any
			must(t, json.Unmarshal(good, &members))
			delete(members, name)
			short, err := json.Marshal(members)
			must(t, err)
			if p := w.refused("invalid-member", w.call(r, ex.path, short)); p.Pointer != "/"+name {
				t.Errorf("%s without %s: pointer %q", r.path, name, p.Pointer)
			}
		}
		for _, mime := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=latin1", "application/json; a=b; c=d"} {
			req := w.call(r, ex.path, ex.body)
			req.Header.Set("Content-Type", mime)
			if mime == "" {
				req.Header.Del("Content-Type")
			}
			w.refused("unsupported-media-type", req)
		}
		for encoding, code := range map[string]string{
			"br": "unsupported-encoding", "deflate": "unsupported-encoding", "gzip, gzip": "unsupported-encoding",
			"gzip": "malformed-encoding", "zstd": "malformed-encoding",
		} {
			req := w.call(r, ex.path, ex.body)
			req.Header.Set("Content-Encoding", encoding)
			w.refused(code, req)
		}
		w.refused("too-large", w.call(r, ex.path, bytes.Repeat([]byte(" "), map[bool]int{true: 5 << 20, false: 600 << 10}[r.path == pathPush])))
	}
	if after := w.state(); after != before {
		t.Errorf("a refused request had an effect: %v, before %v", after, before)
	}
}

func contractRequired(t *testing.T, body any) []string {
	t.Helper()
	switch body.(type) {
	case contract.DecisionRequest:
		return nil // choices, tested with reviews
	}
	return shapeOf(typeOf(body)).required
}

// state is what refused requests must leave alone.
func (w *world) state() string {
	w.t.Helper()
	devices, err := w.engine.Devices(background, testvik, "", 0)
	must(w.t, err)
	out := fmt.Sprint(w.size(testvik), len(devices))
	for _, d := range devices {
		out += " " + d.State
	}
	return out
}

// Paths, queries and headers that are wrong, on every route.
func TestBadRequests(t *testing.T) {
	w := newWorld(t, noLimits)
	before := w.state()
	for i := range routes {
		r := &routes[i]
		ex := w.example(r)
		path, query, _ := strings.Cut(ex.path, "?")
		and := "?"
		if query != "" {
			and = "?" + query + "&"
		}
		for _, q := range []string{"x=1", "tenant=proveby", "%zz=1", "a;b", "limit=%", "Limit=1", "__proto__=1"} {
			status, code := w.status(w.call(r, path+and+q, ex.body))
			if status != 400 || code != "invalid-query" {
				t.Errorf("%s %s: %d %s", r.method, path+and+q, status, code)
			}
		}
		for _, name := range r.query {
			for _, q := range []string{name + "=", name + "=1&" + name + "=1"} {
				if status, code := w.status(w.call(r, path+"?"+q, ex.body)); status != 400 || code != "invalid-query" {
					t.Errorf("%s %s?%s: %d %s", r.method, path, q, status, code)
				}
			}
			for _, value := range []string{"-1", "1e3", "0x10", "9999999999999999999999", "%00", "a%0Ab", "%C3%B8", strings.Repeat("9", 5000), "'", "<script>", "..%2f"} {
				status, code := w.status(w.call(r, path+"?"+name+"="+value, ex.body))
				if name == "actor" && status == 200 {
					continue // the id of a user may be any printable word
				}
				if status < 400 || status >= 500 {
					t.Errorf("%s %s?%s=%s: %d %s", r.method, path, name, value, status, code)
				}
			}
		}
		if strings.Contains(r.path, "{id}") {
			for _, id := range []string{"%00", "..%2f..", "a%20b", "%C3%B8", "'", "A0000000-0000-4000-8000-000000000000", strings.Repeat("a", 300), "-", "%2e%2e"} {
				status, code := w.status(w.call(r, strings.Replace(r.path, "{id}", id, 1), ex.body))
				if (status != 400 || code != "invalid-path") && (status != 404 && status != 412) {
					t.Errorf("%s %s with id %q: %d %s", r.method, r.path, id, status, code)
				}
			}
		}
		if r.body == 0 {
			w.refused("invalid-header", w.call(r, ex.path, []byte(`{}`)))
		}
		for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
			res, _ := w.do(w.request(method, path, "", nil))
			if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") == "" {
				t.Errorf("%s %s: %d, Allow %q", method, path, res.StatusCode, res.Header.Get("Allow"))
			}
		}
		for _, other := range []string{path + "/", strings.ToUpper(path), "/" + path, path + "%2f", path + "/x/y"} {
			if res, _ := w.do(w.request(r.method, other, "", nil)); res.StatusCode != http.StatusNotFound && other != strings.ToUpper(path)+"/" {
				t.Errorf("%s %s: %d", r.method, other, res.StatusCode)
			}
		}
	}
	if after := w.state(); after != before {
		t.Errorf("a refused request had an effect: %v, before %v", after, before)
	}
}

// Members that are well-formed and still wrong.
func TestBadMembers(t *testing.T) {
	w := newWorld(t, noLimits)
	person := w.people[testvik][0].String()
	long := strings.Repeat("x", 2001)
	before := w.state()
	for _, c := range []struct{ route, body, code, pointer string }{
		{"POST /v1/devices", `{"tenant":"Testvik","code":"a","key":{},"proof":"a"}`, "invalid-member", "/tenant"},
		{"POST /v1/devices", `{"tenant":"testvik","code":"","key":{},"proof":"a"}`, "invalid-member", "/code"},
		{"POST /v1/devices", `{"tenant":"testvik","code":"a","key":{"kty":"oct","k":"AA"},"proof":"a"}`, "invalid-key", "/key"},
		{"POST /v1/devices", `{"tenant":"testvik","code":"a","key":` + w.nurse.pub.String() + `,"proof":"a"}`, "invalid-proof", "/proof"},
		{"POST /v1/devices", `{"tenant":"testvik","code":"b","key":` + w.nurse.pub.String() + `,"proof":"` + w.nurse.enrolProof("testvik", "a") + `"}`, "invalid-proof", "/proof"},
		{"POST /v1/devices", `{"tenant":"proveby","code":"a","key":` + w.nurse.pub.String() + `,"proof":"` + w.nurse.enrolProof("testvik", "a") + `"}`, "invalid-proof", "/proof"},
		{"POST /v1/devices", `{"tenant":"testvik","code":"a","key":` + w.nurse.pub.String() + `,"proof":"` + w.nurse.enrolProof("testvik", "a") + `"}`, "invite-invalid", ""},
		{"POST /v1/devices", `{"tenant":"nowhere","code":"a","key":` + w.nurse.pub.String() + `,"proof":"` + w.nurse.enrolProof("nowhere", "a") + `"}`, "invite-invalid", ""},
		{"POST /v1/leases", `{"device":"` + person + `","wall":"2026-11-21T12:00:00Z"}`, "unknown-device", ""},
		{"POST /v1/leases", `{"device":"` + w.nurse.id.String() + `","wall":"yesterday"}`, "invalid-member", "/wall"},
		{"POST /v1/invites", `{"label":""}`, "invalid-member", "/label"},
		{"POST /v1/devices/{id}/revoke", `{"reason":""}`, "invalid-member", "/reason"},
		{"POST /v1/sync/push", `{"entries":[],"diary":{"outbox":-1}}`, "invalid-member", "/diary/outbox"},
		{"POST /v1/sync/push", `{"entries":[],"diary":{}}`, "invalid-member", "/diary/outbox"},
		{"POST /v1/sync/push", `{"entries":[],"diary":{"outbox":1.5}}`, "invalid-member", "/diary/outbox"},
		{"POST /v1/sync/push", `{"entries":[],"diary":{"outbox":1,"x":1}}`, "unknown-member", "/diary/x"},
		{"POST /v1/sync/push", `{"entries":["a",null]}`, "invalid-member", "/entries/1"},
		{"POST /v1/sync/push", `{"entries":[],"checkpoint":"nonsense"}`, "invalid-member", "/checkpoint"},
		{"POST /v1/sync/push", `{"entries":[],"diary":{"outbox":1,"app":"` + long + `"}}`, "invalid-member", "/diary/app"},
		{"POST /v1/assignments", `{"actor":"a b","persons":["` + person + `"]}`, "invalid-member", "/actor"},
		{"POST /v1/assignments", `{"actor":"a","persons":[]}`, "invalid-member", "/persons"},
		{"POST /v1/assignments", `{"actor":"a","persons":["x"]}`, "invalid-member", "/persons/0"},
		{"POST /v1/assignments", `{"actor":"a","persons":["` + person + `","00000000-0000-4000-8000-000000000000"]}`, "not-found", "/persons"},
		{"POST /v1/assignments", `{"actor":"a","persons":["` + person + `"],"from":"2026-11-21T12:00:00Z","to":"2026-11-21T12:00:00Z"}`, "invalid-member", "/to"},
		{"POST /v1/assignments", `{"actor":"a","persons":["` + person + `"],"to":"1970-01-01T00:00:00Z"}`, "invalid-member", "/to"},
		{"POST /v1/reviews/{id}/decision", `{}`, "invalid-member", ""},
		{"POST /v1/reviews/{id}/decision", `{"value":{"score":2}}`, "invalid-member", "/reason"},
		{"POST /v1/reviews/{id}/decision", `{"value":[],"reason":{"code":"a","text":""}}`, "invalid-member", "/value"},
		{"POST /v1/reviews/{id}/decision", `{"value":{"score":2},"reason":{"code":"A","text":""}}`, "invalid-member", "/reason/code"},
		{"POST /v1/reviews/{id}/decision", `{"value":{"score":2},"reason":{"code":"a","text":"` + long + `"}}`, "invalid-member", "/reason/text"},
		{"POST /v1/reviews/{id}/decision", `{"value":{"score":2},"choose":"` + strings.Repeat("A", 43) + `","reason":{"code":"a","text":""}}`, "invalid-member", ""},
		{"POST /v1/reviews/{id}/decision", `{"entry":"a.b.c","reason":{"code":"a","text":""}}`, "invalid-member", "/reason"},
		{"POST /v1/quarantine/{id}/release", `{"reason":{"code":"a"}}`, "invalid-member", "/reason/text"},
		{"POST /v1/extracts", `{"format":"kpr-1","target":"test"}`, "invalid-member", "/format"},
		{"POST /v1/extracts", `{"format":"kpr-56.0.0","target":"prod"}`, "invalid-member", "/target"},
		{"POST /v1/extracts", `{"format":"kpr-56.0.0","target":"test","resend":{}}`, "invalid-member", "/resend"},
		{"POST /v1/extracts", `{"format":"kpr-56.0.0","target":"test","resend":{"from_date":"2026-13-01"}}`, "invalid-member", "/resend/from_date"},
		{"POST /v1/extracts", `{"format":"kpr-56.0.0","target":"test","resend":{"extract":"x-2"}}`, "invalid-member", ""},
		{"POST /v1/extracts", `{"format":"kpr-56.0.0","target":"test","resend":{"from_serial":-1}}`, "invalid-member", "/resend/from_serial"},
	} {
		i := slices.IndexFunc(routes, func(r route) bool { return r.method+" "+r.path == c.route })
		p := w.refused(c.code, w.call(&routes[i], w.examples[c.route].path, []byte(c.body)))
		if p.Pointer != c.pointer {
			t.Errorf("%s %s: pointer %q, want %q", c.route, c.body, p.Pointer, c.pointer)
		}
		if strings.Contains(p.Detail, long) {
			t.Errorf("%s repeats what was sent", c.route)
		}
	}
	if after := w.state(); after != before {
		t.Errorf("a refused request had an effect: %v, before %v", after, before)
	}
}

// Bytes that nobody can attribute are refused one by one; the batch is still judged.
func TestBadEntries(t *testing.T) {
	w := newWorld(t)
	good := w.nurse.entry(w.people[testvik][0], model.ActRegister, score("score/hearing", 1))
	bad := []string{"", "x", "a.b", "a.b.c.d", strings.Repeat("A", 300<<10), good[:len(good)-4] + "AAAA", "\u0000", "ø.ø.ø"}
	out := w.nurse.push(append(slices.Clone(bad), good)...)
	for i, r := range out.Results {
		if refused := r.Outcome == contract.OutcomeRefused; refused != (i < len(bad)) {
			t.Errorf("entry %d: %+v", i, r)
		}
	}
	limit := out.Limits.Entries
	p := w.refused("too-large", w.nurse.request("POST", pathPush, w.nurse.auth(), contract.PushRequest{Entries: make([]string, limit+1)}))
	if p.Limits == nil || p.Limits.Entries != limit {
		t.Errorf("limits: %+v", p.Limits)
	}
}

// Small bodies that decode to large ones are refused at the limit.
func TestBombs(t *testing.T) {
	w := newWorld(t)
	var z bytes.Buffer
	gz := gzip.NewWriter(&z)
	zeros := make([]byte, 1<<20)
	enc, err := zstd.NewWriter(nil)
	must(t, err)
	defer func() { must(t, enc.Close()) }()
	for range 20 {
		_, err := gz.Write(zeros)
		must(t, err)
	}
	must(t, gz.Close())
	for encoding, body := range map[string][]byte{"gzip": z.Bytes(), "zstd": enc.EncodeAll(bytes.Repeat(zeros, 20), nil)} {
		for i := range routes {
			r := &routes[i]
			if r.body == 0 {
				continue
			}
			req := w.call(r, w.example(r).path, body)
			req.Header.Set("Content-Encoding", encoding)
			w.refused("too-large", req)
		}
	}
	push, err := json.Marshal(contract.PushRequest{Entries: []string{}})
	must(t, err)
	req := w.nurse.request("POST", pathPush, w.nurse.auth(), enc.EncodeAll(push, nil))
	req.Header.Set("Content-Encoding", "zstd")
	w.want(http.StatusOK, req, nil)
}

// Rates are counted by device, by user and, for enrolment, by address.
func TestRateLimits(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		slow := Rate{Every: time.Minute, Burst: 12}
		o.Limits.Device, o.Limits.Actor, o.Limits.Enrol = slow, slow, slow
	})
	until := func(make func() *http.Request) {
		t.Helper()
		for range 20 {
			res, body := w.do(make())
			if res.StatusCode != http.StatusTooManyRequests {
				continue
			}
			if retry := res.Header.Get("Retry-After"); retry == "" || len(retry) > 3 || !strings.Contains(string(body), "rate-limited") {
				t.Errorf("429 with Retry-After %q: %s", retry, body)
			}
			return
		}
		t.Error("never limited")
	}
	pullAs := func(d *device) func() *http.Request {
		return func() *http.Request { return d.request("GET", "/v1/sync/pull", d.auth(), nil) }
	}
	other := w.tablet(testvik, "n9", nurse)
	until(pullAs(w.nurse))
	w.want(http.StatusOK, pullAs(other)(), nil)
	personsAs := func(actor string) func() *http.Request {
		return func() *http.Request {
			return w.request("GET", "/v1/persons", "Bearer "+w.token(testvik, actor, supervisor), nil)
		}
	}
	until(personsAs("greedy"))
	w.want(http.StatusOK, personsAs("modest")(), nil)
	enrol := w.examples["POST /v1/devices"]
	until(func() *http.Request { return w.request("POST", enrol.path, "", enrol.body) })
	w.advance(2 * time.Minute)
	w.want(http.StatusOK, personsAs("greedy")(), nil)
}

// Buckets forget who came longest ago, not who is being limited now.
func TestBucketsAreBounded(t *testing.T) {
	b := newBuckets(Rate{Every: time.Hour, Burst: 1})
	b.max = 3
	for i := range 100 {
		if wait := b.take(fmt.Sprint(i), noon); wait != 0 {
			t.Fatalf("new key %d waits %s", i, wait)
		}
	}
	if len(b.keys) != 3 || b.used.Len() != 3 {
		t.Errorf("%d keys held", len(b.keys))
	}
	if b.take("99", noon) == 0 || b.take("97", noon) == 0 {
		t.Error("a key that was used just now was forgotten")
	}
	if wait := b.take("99", noon.Add(30*time.Minute)); wait != 30*time.Minute {
		t.Errorf("half of the wait is over, told to wait %s", wait)
	}
}
