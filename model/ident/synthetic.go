package ident

import (
	"fmt"
	"time"
)

// SyntheticFNR returns the n-th synthetic number (month + 80, from 0) of a birth date, by
// rising individual number. It is false when the date has no more of them (it has about
// 400) or when the year is outside 1854-2039. Only the date of birth counts, not its time.
func SyntheticFNR(birth time.Time, n int) (string, bool) {
	year, month, day := birth.Date()
	if n < 0 || year < 1854 || year > 2039 {
		return "", false
	}
	var d [11]int
	for individual := range 1000 {
		if y, ok := birthYear(year%100, individual); !ok || y != year {
			continue
		}
		s := fmt.Sprintf("%02d%02d%02d%03d", day, int(month)+80, year%100, individual)
		readDigits(s, d[:])
		d[9] = (11 - weigh(d[:], weightsK1[:])%11) % 11
		d[10] = (11 - weigh(d[:], weightsK2[:])%11) % 11
		if d[9] == 10 || d[10] == 10 {
			continue
		}
		if n--; n < 0 {
			return fmt.Sprintf("%s%d%d", s, d[9], d[10]), true
		}
	}
	return "", false
}

// SyntheticOrgNumber returns the n-th number of a series for test organisations (leading
// 3). The series repeats after a million.
func SyntheticOrgNumber(n int) string {
	const series = 1_000_000
	n = (n%series + series) % series
	// One last digit in eleven has no control digit; then the next one has.
	for last := 0; ; last++ {
		s := fmt.Sprintf("3%06d%d", n, last)
		var d [8]int
		readDigits(s, d[:])
		if k := (11 - weigh(d[:], weightsOrg[:])%11) % 11; k != 10 {
			return fmt.Sprintf("%s%d", s, k)
		}
	}
}
