package api

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/go-json-experiment/json"

	contract "flette/mobile-contract"
)

// FuzzCursor: no cursor of a list or of a pull makes the server fail, and what is taken for
// one has one spelling.
func FuzzCursor(f *testing.F) {
	w := newWorld(f, noLimits)
	for _, seed := range []string{"", "a", "cGVyc29ucw", nextOf(listOfPersons, w.people[testvik][0].String()), nextOf("findings", "x"), "=", "AAAA\n"} {
		f.Add(seed)
	}
	token := "Bearer " + w.token(testvik, "fuzz", supervisor|admin)
	f.Fuzz(func(t *testing.T, cursor string) {
		w.house.t = t
		for _, list := range []string{listOfPersons, "devices", "findings", listOfHistory} {
			if key, p := afterOf(list, cursor); p == nil && cursor != "" && nextOf(list, key) != cursor {
				t.Errorf("%q is another spelling of a cursor", cursor)
			}
		}
		q := "?cursor=" + url.QueryEscape(cursor)
		for _, req := range []*http.Request{
			w.request("GET", "/v1/persons"+q, token, nil),
			w.request("GET", "/v1/persons/"+w.people[testvik][0].String()+"/history"+q, token, nil),
			w.request("GET", "/v1/quarantine"+q, token, nil),
			w.nurse.request("GET", "/v1/sync/pull"+q, w.nurse.auth(), nil),
		} {
			serve(t, w, req)
		}
	})
}

// FuzzPushBody: no body makes the server fail, and only a good one is answered with results.
func FuzzPushBody(f *testing.F) {
	w := newWorld(f, noLimits)
	for _, seed := range []string{`{"entries":[]}`, `{"entries":["a.b.c"],"diary":{"outbox":1}}`, `{`, `{"entries":[null]}`, `[]`, "\xff", `{"entries":[],"checkpoint":"x"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w.house.t = t
		status := serve(t, w, w.nurse.request("POST", pathPush, w.nurse.auth(), body))
		var in contract.PushRequest
		if status == http.StatusOK && json.Unmarshal(body, &in, json.RejectUnknownMembers(true)) != nil {
			t.Errorf("%q was judged", body)
		}
	})
}

// serve runs a request through the framework without a network and holds it against the contract.
func serve(t *testing.T, w *world, req *http.Request) int {
	t.Helper()
	var sent []byte
	if req.GetBody != nil {
		r, err := req.GetBody()
		must(t, err)
		var b bytes.Buffer
		_, err = b.ReadFrom(r)
		must(t, err)
		sent = b.Bytes()
	}
	in := httptest.NewRequest(req.Method, req.URL.RequestURI(), bytes.NewReader(sent))
	in.Header = req.Header
	res, err := w.srv.App().Test(in, -1)
	must(t, err)
	var got bytes.Buffer
	_, err = got.ReadFrom(res.Body)
	must(t, err)
	must(t, w.check.Exchange(in, sent, res, got.Bytes()))
	if res.StatusCode >= 500 {
		t.Fatalf("%s %s: %s", req.Method, req.URL, fmt.Sprintf("%d %s", res.StatusCode, got.Bytes()))
	}
	return res.StatusCode
}
