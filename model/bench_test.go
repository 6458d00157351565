package model

import (
	"fmt"
	"strings"
	"testing"
)

// visit is a payload of n score changes, each replacing one head: what a nurse signs at the
// end of a visit.
func visit(n int) []byte {
	variables := strings.Fields("vision hearing indoors personal_hygiene dressing eating toilet cooking shopping social")
	var changes []string
	for i := range n {
		changes = append(changes, fmt.Sprintf(
			`{"unit":"score/%s_%d","value":{"score":%d,"note":"needs more time in the morning"},"over":["%s"]}`,
			variables[i%len(variables)], i, i%5+1, NewEntryID([]byte{byte(i)})))
	}
	return []byte(payload(`"changes":[` + strings.Join(changes, ",") + `]`))
}

func BenchmarkDecodeEntry(b *testing.B) {
	p := visit(10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeEntry(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseJWS(b *testing.B) {
	compact := compactOf(goodHeader, string(visit(10)), strings.Repeat("s", 64))
	b.SetBytes(int64(len(compact)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseJWS(compact); err != nil {
			b.Fatal(err)
		}
	}
}
