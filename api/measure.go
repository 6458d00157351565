package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"flette/api/page"
	"flette/iplos/measure"
	"flette/model"
	"flette/store"
)

// measured is a report as JSON has it.
type measured struct {
	measure.Report
	Names map[string]string `json:"names"` // of units by id
}

// pages are the forms of a report beside JSON. What a browser shows of it may do nothing.
var pages = map[string]struct {
	mime, name string
	write      func(io.Writer, *measure.Report, map[string]string, string) error
}{
	"csv":  {"text/csv; charset=utf-8", "csv", page.CSV},
	"html": {"text/html; charset=utf-8", "", page.HTML},
}

// measureReport counts persons by unit, without small counts (R78, R79). It reads every person, so
// one is made at a time.
func measureReport(c *call) (answer, error) {
	date := c.text("date")
	if date == "" || !isDate(date) {
		return answer{}, badQuery("date")
	}
	depth, f := c.number("depth", 1, 1, measure.MaxDepth)
	if f != nil {
		return answer{}, f
	}
	ages, f := c.choice("ages", measure.AllAges, measure.AllAges, measure.From67)
	if f != nil {
		return answer{}, f
	}
	form, f := c.choice("format", "json", "json", "csv", "html")
	if f != nil {
		return answer{}, f
	}
	lang, f := c.choice("lang", page.NB, page.NB, page.EN)
	if f != nil {
		return answer{}, f
	}
	if c.s.o.Report == nil {
		return answer{}, fail("not-ready", "This server makes no reports.")
	}
	if !c.s.reporting.TryLock() {
		return answer{}, fail("overloaded", "Another report is being made.")
	}
	defer c.s.reporting.Unlock()
	var out measured
	err := c.view(func(v store.View) (err error) {
		out.Report, out.Names, err = c.s.o.Report(c.ctx, v, date, int(depth), ages == measure.From67)
		return err
	})
	var p *model.Problem
	if errors.As(err, &p) && p.Code == "report-groups" {
		f := fail("not-ready", "The municipality's grouping of functions cannot be read: "+p.Detail)
		f.cause = err
		return answer{}, f
	}
	if err != nil {
		return answer{}, err
	}
	as, ok := pages[form]
	if !ok {
		return answer{status: http.StatusOK, value: out}, nil
	}
	var body bytes.Buffer
	if err := as.write(&body, &out.Report, out.Names, lang); err != nil {
		return answer{}, err
	}
	a := answer{status: http.StatusOK, raw: body.Bytes(), mime: as.mime, policy: page.Policy + "; frame-ancestors 'none'; sandbox"}
	if as.name != "" {
		a.file = fmt.Sprintf("flette-%s.%s", date, as.name)
	}
	return a, nil
}
