package yearly

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/jacoelho/xsd"

	"flette/internal/testkit"
	"flette/model/catalogue"
	"flette/model/ident"
)

// lives gives a person random registrations: every variable of the catalogue, right and wrong
// services, diagnoses with odd names.
func lives(r *rand.Rand) map[string]jsontext.Value {
	day := func() string { return fmt.Sprintf("%d-%02d-%02d", 1978+r.IntN(50), 1+r.IntN(12), 1+r.IntN(28)) }
	out := map[string]jsontext.Value{}
	for _, v := range catalogue.Default().Variables {
		if v.Unit == "" || strings.Contains(v.Unit, "*") || r.IntN(3) > 0 {
			continue
		}
		code := "1"
		if len(v.Codes) > 0 {
			code = v.Codes[r.IntN(len(v.Codes))].Code
		}
		out[v.Unit] = jsontext.Value(fmt.Sprintf(`{"code":%q,"date":%q,"score":%d,"assessed":%q,"note":"<&\">"}`, code, day(), 1+r.IntN(5), day()))
	}
	for i := range r.IntN(6) {
		s := "service/@" + string(rune('a'+i))
		out[s] = jsontext.Value(fmt.Sprintf(`{"type":"%d","rolling":%t}`, r.IntN(32), r.IntN(4) == 0))
		parts := map[string]string{
			"application": fmt.Sprintf(`{"date":%q}`, day()),
			"start":       fmt.Sprintf(`{"date":%q}`, day()),
			"end":         fmt.Sprintf(`{"date":%q,"reason":"ended"}`, day()),
			"complaint":   fmt.Sprintf(`{"received":%q,"answered":%q}`, day(), day()),
			"grant": fmt.Sprintf(`{"date":%q,"from":%q,"to":%q,"minutes_per_week":%d,"resource_minutes_per_week":%d,"rejected":%t}`,
				day(), day(), day(), r.IntN(10_000), r.IntN(10_000), r.IntN(6) == 0),
		}
		for _, part := range slices.Sorted(maps.Keys(parts)) {
			if r.IntN(3) > 0 {
				out[s+"/"+part] = jsontext.Value(parts[part])
			}
		}
	}
	for i := range r.IntN(3) {
		name := []string{"Demens", "a < b & \\\"c\\\"", "\\u0007\\ufffe\\ud83d\\ude00", "ÆØÅ\\n\\t'"}[r.IntN(4)]
		out["diagnosis/@"+string(rune('a'+i))] = jsontext.Value(fmt.Sprintf(`{"code_system":"ICPC-2","code":"P70","name":"%s","from":%q}`, name, day()))
	}
	return out
}

// broken are ways in which a shipment is broken; both engines must say the same of each.
var broken = []func(r *rand.Rand, n *testkit.Node){
	func(r *rand.Rand, n *testkit.Node) { n.Attr = slices.Delete(n.Attr, 0, 1) },
	func(r *rand.Rand, n *testkit.Node) { n.Attr = append(n.Attr, n.Attr[r.IntN(len(n.Attr))]) },
	func(r *rand.Rand, n *testkit.Node) { n.Attr[r.IntN(len(n.Attr))][0] += "x" },
	func(r *rand.Rand, n *testkit.Node) { n.Attr[r.IntN(len(n.Attr))][1] = "" },
	func(r *rand.Rand, n *testkit.Node) { n.Attr[r.IntN(len(n.Attr))][1] = "2026-02-30" },
	func(r *rand.Rand, n *testkit.Node) { n.Attr[r.IntN(len(n.Attr))][1] = "-1" },
	func(r *rand.Rand, n *testkit.Node) { n.Set("navn", "Å b") },
	func(r *rand.Rand, n *testkit.Node) { n.Insert(r.IntN(len(n.Kids)+1), &testkit.Node{Name: "Tillegg"}) },
	func(r *rand.Rand, n *testkit.Node) { n.Insert(r.IntN(len(n.Kids)+1), &testkit.Node{Text: "x"}) },
	func(r *rand.Rand, n *testkit.Node) { n.Name = "Tjeneste" },
	func(r *rand.Rand, n *testkit.Node) { slices.Reverse(n.Kids) },
	func(r *rand.Rand, n *testkit.Node) {
		if len(n.Kids) > 0 {
			n.Kids = append(n.Kids, n.Kids[0].Copy())
		}
	},
	func(r *rand.Rand, n *testkit.Node) { n.Kids = nil },
}

// TestTwoEngines holds shipments of random municipalities, and broken ones, against our schema
// with two engines: good ones pass both, and of broken ones both say the same.
func TestTwoEngines(t *testing.T) {
	const seed = 37
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	engine, err := xsd.Compile(context.Background(), xsd.Bytes("schema.xsd", Schema))
	if err != nil {
		t.Fatal(err)
	}
	w := newTown(t)
	for n := range 20 {
		number, ok := ident.SyntheticFNR(time.Date(1930, 1, 1+n*37, 0, 0, 0, 0, time.UTC), 0)
		if !ok {
			t.Fatal("no number")
		}
		w.add(n+1, number, lives(r))
	}
	var files [][]byte
	persons, dropped := 0, map[string]int{}
	for year := 2008; year <= 2027; year++ {
		ide, ipl, report, err := w.run(Options{Year: year})
		if err != nil {
			t.Fatal(err)
		}
		persons += report.Persons
		for code, n := range report.Dropped {
			dropped[code] += n
		}
		files = append(files, []byte(ide), []byte(ipl))
	}
	if persons < 100 || len(dropped) < 6 {
		t.Errorf("the municipality is poor: %d persons, %v", persons, dropped)
	}
	good := len(files)
	for i := range 600 {
		root := testkit.Parse(t, files[r.IntN(good)])
		all := root.All()
		broken[i%len(broken)](r, all[r.IntN(len(all))])
		files = append(files, root.File())
	}
	inGo, lint := testkit.InGo(t, engine, files), testkit.LintText(t, Schema, files)
	refused := 0
	for i, f := range files {
		if i < good && !inGo[i] || inGo[i] != lint[i] {
			t.Fatalf("file %d (broken in way %d): in Go %t, xmllint %t:\n%.3000s", i, (i-good)%len(broken), inGo[i], lint[i], f)
		}
		if !inGo[i] {
			refused++
		}
	}
	t.Logf("%d good shipments, %d of %d broken ones refused", good, refused, len(files)-good)
	if refused < 350 {
		t.Errorf("only %d were refused", refused)
	}
}
