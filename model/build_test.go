package model

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

const (
	deviceA = "01890a5d-ac96-774b-bcce-b302099a8057"
	personA = "01890a5d-ac96-774b-bcce-b302099a8058"
	thingA  = "01890a5d-ac96-774b-bcce-b302099a8059"

	goodHeader = `{"alg":"EdDSA","typ":"flette-entry+jws","kid":"` + deviceA + `"}`
)

var idA, idB = NewEntryID([]byte("a")), NewEntryID([]byte("b"))

// members of a good payload, in the order of the contract.
var members = []string{
	`"v":1`, `"tenant":"skogvik"`, `"device":"` + deviceA + `"`, `"seq":1`, `"prev":""`, `"actor":"nurse-1"`, `"lease":"lease-1"`,
	`"elapsed_ms":60000`, `"clock":"monotonic"`, `"wall":"2026-03-02T08:15:00.000Z"`, `"person":"` + personA + `"`, `"act":"register"`,
	`"changes":[{"unit":"score/vision","value":{"score":2},"over":[]}]`,
}

// payload writes a good payload in which the given members replace those of the same name;
// an unknown one is added, and one without a colon is left out.
func payload(replace ...string) string {
	out := append([]string(nil), members...)
next:
	for _, r := range replace {
		name, _, keep := strings.Cut(r, ":")
		for i, m := range out {
			if strings.HasPrefix(m, name+":") {
				out[i] = r
				if !keep {
					out = append(out[:i], out[i+1:]...)
				}
				continue next
			}
		}
		out = append(out, r)
	}
	return "{" + strings.Join(out, ",") + "}"
}

func compactOf(header, payload, signature string) []byte {
	enc := base64.RawURLEncoding.EncodeToString
	return []byte(enc([]byte(header)) + "." + enc([]byte(payload)) + "." + enc([]byte(signature)))
}

// problemOf returns the Problem of an error, nil for none.
func problemOf(t *testing.T, err error) *Problem {
	t.Helper()
	if err == nil {
		return nil
	}
	var p *Problem
	if !errors.As(err, &p) {
		t.Fatalf("%v is no Problem", err)
	}
	return p
}
