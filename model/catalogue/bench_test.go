package catalogue

import (
	"testing"

	"flette/model"
)

func BenchmarkValidate(b *testing.B) {
	c := Default()
	at := testAt
	for _, k := range []struct{ name, unit, value string }{
		{"score", "score/assist_memory", `{"score":3}`},
		{"score with note", "score/assist_memory", `{"score":3,"note":"needs a reminder in the evening","assessed":"2026-03-01"}`},
		{"time", "time/" + testID, `{"start":"2026-03-02T08:00:00Z","stop":"2026-03-02T08:25:00Z","kind":"direct"}`},
		{"grant", "service/" + testID + "/grant", `{"date":"2026-02-01","minutes_per_week":300}`},
	} {
		b.Run(k.name, func(b *testing.B) {
			u, v := model.Unit(k.unit), []byte(k.value)
			b.ReportAllocs()
			for b.Loop() {
				if p := c.Validate(u, v, at); p != nil {
					b.Fatal(p)
				}
			}
		})
	}
}
