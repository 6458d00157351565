package catalogue

import (
	"time"

	"flette/model"
)

const testID = "0f7c2f8e-5b8b-4c52-9a55-2f6e0a3d9b11"

// testAt is noon in Norway on 2 March 2026.
var testAt = model.MillisOf(time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC))

func atDay(day string) model.Millis {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	return model.MillisOf(t.Add(11 * time.Hour))
}
