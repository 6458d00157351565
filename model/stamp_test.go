package model

import (
	"testing"

	"github.com/go-json-experiment/json"
)

func TestStampJSON(t *testing.T) {
	s := Stamp{Wall: 1, T: 2, U: 1060, Lo: 3, Hi: 4, TEff: 5, Class: ClockB}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"wall":"1970-01-01T00:00:00.001Z","t":"1970-01-01T00:00:00.002Z","u_ms":1060,"lo":"1970-01-01T00:00:00.003Z",` +
		`"hi":"1970-01-01T00:00:00.004Z","t_eff":"1970-01-01T00:00:00.005Z","clock_class":"B"}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	var back Stamp
	if err := json.Unmarshal(b, &back); err != nil || back != s {
		t.Errorf("read back %+v, %v", back, err)
	}
}
