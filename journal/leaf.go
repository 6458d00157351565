package journal

import (
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"flette/model"
)

const leafDomain = "flette/leaf/1\n"

// Leaf is what the journal says about one accepted or quarantined entry. The entry's
// content enters through its id, so the journal holds no personal data.
type Leaf struct {
	ID         model.EntryID
	ReceivedAt model.Millis // server's clock at receipt
	TEff       model.Millis // the time that orders heads
	Class      model.ClockClass
	Outcome    string // kebab-case: applied, conflict, quarantined
	Code       string // kebab-case reason, empty when there is none
}

// Bytes returns the leaf's text, see the package comment. Different leaves have different
// texts: a byte outside a-z, A-Z, 0-9 and hyphen is written as % and two hex digits, so
// that no value can run into the next line.
func (l Leaf) Bytes() []byte {
	b := make([]byte, 0, 160)
	b = append(b, leafDomain...)
	b = append(b, l.ID.String()...)
	b = append(b, '\n')
	b = strconv.AppendInt(b, int64(l.ReceivedAt), 10)
	b = append(b, '\n')
	b = strconv.AppendInt(b, int64(l.TEff), 10)
	b = append(b, '\n')
	b = appendToken(b, string([]byte{byte(l.Class)}))
	b = appendToken(b, l.Outcome)
	return appendToken(b, l.Code)
}

func appendToken(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return append(b, '\n')
}

// Hash returns the leaf hash of RFC 6962: SHA-256(0x00 || text).
func (l Leaf) Hash() tlog.Hash { return tlog.RecordHash(l.Bytes()) }
