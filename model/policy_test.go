package model

import "testing"

func TestPolicyEqual(t *testing.T) {
	score, other := Policy{Section: "score", Score: true}, Policy{Section: "service"}
	for _, c := range []struct {
		name  string
		p     Policy
		a, b  string
		equal bool
	}{
		{"same bytes", other, `{"code":"1"}`, `{"code":"1"}`, true},
		{"member order and space", other, `{"a":1,"b":[1,2]}`, `{ "b":[1,2] , "a":1}`, true},
		{"escapes", other, `{"text":"\u00e5"}`, `{"text":"å"}`, true},
		{"array order counts", other, `{"b":[1,2]}`, `{"b":[2,1]}`, false},
		{"absent is not empty", other, `{"a":1}`, `{"a":1,"b":""}`, false},
		{"large integers differ", other, `{"a":9007199254740993}`, `{"a":9007199254740992}`, false},
		{"number is not text", other, `{"a":1}`, `{"a":"1"}`, false},
		{"not JSON", other, `{`, `{ `, false},
		{"R92 note makes no clash", score, `{"score":3,"note":"x"}`, `{"score":3}`, true},
		{"R92 assessed date makes no clash", score, `{"assessed":"2026-01-02","score":3}`, `{"score":3}`, true},
		{"scores differ", score, `{"score":2}`, `{"score":4}`, false},
		{"a note counts where there is no score", other, `{"score":3,"note":"x"}`, `{"score":3}`, false},
		{"values without a score compare whole", score, `{"score":7}`, `{"score":7,"note":"x"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.p.Equal([]byte(c.a), []byte(c.b)); got != c.equal {
				t.Errorf("Equal = %v, want %v", got, c.equal)
			}
			if got := c.p.Equal([]byte(c.b), []byte(c.a)); got != c.equal {
				t.Errorf("Equal is not symmetric")
			}
		})
	}
}

func TestPolicyResets(t *testing.T) {
	p := Policy{Section: "status", YesNoDate: true}
	for _, c := range []struct {
		value, over string
		want        bool
	}{
		{`{"code":"2"}`, `{"code":"1","date":"2026-01-02"}`, true},
		{`{"code":"2","date":"2026-02-02"}`, `{"code":"1","date":"2026-01-02"}`, false},
		{`{"code":"2"}`, `{"code":"2","date":"2026-01-02"}`, false},
		{`{"code":"1","date":"2026-01-02"}`, `{"code":"1","date":"2026-01-02"}`, false},
		{`{"code":2}`, `{"code":"1","date":"2026-01-02"}`, false},
		{``, ``, false},
	} {
		if got := p.Resets([]byte(c.value), []byte(c.over)); got != c.want {
			t.Errorf("Resets(%s, %s) = %v", c.value, c.over, got)
		}
	}
	if (Policy{}).Resets([]byte(`{"code":"2"}`), []byte(`{"code":"1"}`)) {
		t.Error("a unit without yes/no and date resets")
	}
}

func TestScoreOf(t *testing.T) {
	for value, want := range map[string]int{
		`{"score":1}`:                       1,
		`{"score":5,"note":"x"}`:            5,
		`{"score":9}`:                       9,
		`{ "note":"\"score\":2","score":4}`: 4,
		`{"scor\u0065":3}`:                  3,
		`{"score":0}`:                       0,
		`{"score":6}`:                       0,
		`{"score":12}`:                      0,
		`{"score":"3"}`:                     0,
		`{"score":-3}`:                      0,
		`{"score":3.0}`:                     0,
		`{"score":null}`:                    0,
		`{"score":`:                         0,
		`{"note":{"score":3}}`:              0,
		`[3]`:                               0,
		``:                                  0,
	} {
		got, ok := ScoreOf([]byte(value))
		if got != want || ok != (want != 0) {
			t.Errorf("ScoreOf(%s) = %d, %v; want %d", value, got, ok, want)
		}
	}
}

func BenchmarkScoreOf(b *testing.B) {
	v := []byte(`{"score":3,"note":"sees worse in the evening"}`)
	b.ReportAllocs()
	for b.Loop() {
		ScoreOf(v)
	}
}
