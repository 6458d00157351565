package kpr

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
)

// Serials returns the first and the last serial (notifikasjonLopeNr) of a message, 0 and 0
// when it holds none. A resend by person or date leaves out some of those between.
func Serials(file []byte) (from, to int64, err error) {
	d := xml.NewDecoder(bytes.NewReader(file))
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return from, to, nil
		}
		if err != nil {
			return 0, 0, err
		}
		el, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		for _, a := range el.Attr {
			if a.Name.Local != "notifikasjonLopeNr" {
				continue
			}
			n, err := strconv.ParseInt(a.Value, 10, 64)
			if err != nil {
				return 0, 0, err
			}
			if from == 0 || n < from {
				from = n
			}
			to = max(to, n)
		}
	}
}
