package ident

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
)

// The validator of NAV knows the rules of 2032 and does not tell the ways of issuing apart.
var naviktKinds = map[string]Kind{
	"":            0,
	"fnr":         KindFNR,
	"dnr":         KindDNumber,
	"hnr":         KindHNumber,
	"dnr-and-hnr": KindHNumber, // one kind here: neither may be reported (R2)
	"tnr":         KindSyntheticFNR,
	"dnr-and-tnr": KindSyntheticDNumber,
}

// candidate is a number as it may come in. Control digits of months that people are born in are
// made wrong, so that no number is anybody's.
func candidate(r *rand.Rand) string {
	day, month, year, individual := r.IntN(100), r.IntN(100), r.IntN(100), r.IntN(1000)
	if r.IntN(4) > 0 {
		day, month = 1+r.IntN(31)+40*r.IntN(2), 1+r.IntN(12)+40*(1+r.IntN(2))
	}
	s := fmt.Sprintf("%02d%02d%02d%03d", day, month, year, individual)
	var d [11]int
	readDigits(s, d[:])
	d[9] = (22 + r.IntN(5) - weigh(d[:], weightsK1[:])%11) % 11 // remainder 4 is never issued
	d[10] = (11 - weigh(d[:], weightsK2[:])%11) % 11
	if d[9] == 10 || d[10] == 10 {
		d[9], d[10] = d[9]%10, d[10]%10
	}
	if r.IntN(10) == 0 {
		d[10] = (d[10] + 1 + r.IntN(9)) % 10
	}
	if month <= 12 && controlDigits(d[:], From2032) {
		d[10] = (d[10] + 1) % 10
	}
	return fmt.Sprintf("%s%d%d", s, d[9], d[10])
}

// Another's validator says of each number what Parse says (domain.md 5.1 and 5.2).
func TestNaviktAgrees(t *testing.T) {
	module, err := filepath.Abs("../../bin/tools/npm/node_modules/@navikt/fnrvalidator")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(module); err != nil {
		t.Skip("skipped: not found: @navikt/fnrvalidator (make tools)")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var numbers []string
	for len(numbers) < 50_000 {
		if n := candidate(r); n[0] < '8' { // NAV's has no common help numbers
			numbers = append(numbers, n)
		}
	}
	numbers = append(numbers, "", "0182410123", "018241012361", "01824101236 ", "0182410123x", "٠١٨٢٤١٠١٢٣٦")
	in, err := json.Marshal(numbers)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "testdata/oracle/ask.cjs", module)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var theirs []string
	if err := json.Unmarshal(out, &theirs); err != nil || len(theirs) != len(numbers) {
		t.Fatalf("%d answers: %v", len(theirs), err)
	}
	valid := map[Kind]int{}
	for i, n := range numbers {
		want, known := naviktKinds[theirs[i]]
		id, err := Parse(n, From2032)
		if !known || id.Kind != want || (err == nil) != (want != 0) {
			t.Errorf("%q is of kind %d (%v); NAV's validator says %q", n, id.Kind, err, theirs[i])
		}
		valid[id.Kind]++
	}
	t.Logf("numbers by kind (0: none): %v", valid)
	if valid[KindFNR]+valid[KindDNumber] > 0 {
		t.Error("a number that was compared may be a person's")
	}
	for _, kind := range []Kind{0, KindHNumber, KindSyntheticFNR, KindSyntheticDNumber} {
		if valid[kind] < 1000 {
			t.Errorf("only %d numbers of kind %d were compared", valid[kind], kind)
		}
	}
}
