package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// What goes to the register, and what keeps it from going.

const (
	format      = "kpr-56.0.0"
	listExtract = "extracts"
)

func runExtract(c *call) (answer, error) {
	var in contract.ExtractRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	switch {
	case in.Format != format:
		return answer{}, failAt("invalid-member", "/format", "The format is "+format+".")
	case in.Target != "production" && in.Target != "test":
		return answer{}, failAt("invalid-member", "/target", "The target is production or test.")
	}
	if in.Resend != nil {
		sel, f := selection(in.Target, in.Resend)
		if f != nil {
			return answer{}, f
		}
		view, _, err := c.resend(sel)
		return answer{status: http.StatusCreated, value: view}, err
	}
	if c.s.o.Extracts == nil {
		return answer{}, fail("not-ready", "This server produces no extracts.")
	}
	x, err := c.s.o.Extracts.Run(c.ctx, c.who.tenant, in.Target, c.who.actor)
	return answer{status: http.StatusCreated, value: extractView(&x)}, err
}

func selection(target string, in *contract.ExtractResend) (Selection, *failure) {
	sel := Selection{
		Target: target, Extract: in.Extract, FromSerial: in.FromSerial, ToSerial: in.ToSerial,
		FromDate: in.FromDate, ToDate: in.ToDate,
	}
	if in.Person != nil {
		sel.Person = *in.Person
	}
	switch {
	case *in == (contract.ExtractResend{}):
		return sel, failAt("invalid-member", "/resend", "Choose what to send again: an extract, serials, dates or a person.")
	case in.Extract != "" && (!idShape.MatchString(in.Extract) || strings.Contains(in.Extract, "~") || len(in.Extract) > 64):
		return sel, failAt("invalid-member", "/resend/extract", "This is no id of an extract.")
	case in.FromSerial < 0 || in.FromSerial > maxSafe:
		return sel, failAt("invalid-member", "/resend/from_serial", "Serials count from 0.")
	case in.ToSerial < 0 || in.ToSerial > maxSafe:
		return sel, failAt("invalid-member", "/resend/to_serial", "Serials count from 0.")
	case !isDate(in.FromDate):
		return sel, failAt("invalid-member", "/resend/from_date", "A date is YYYY-MM-DD.")
	case !isDate(in.ToDate):
		return sel, failAt("invalid-member", "/resend/to_date", "A date is YYYY-MM-DD.")
	}
	return sel, nil
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return s == "" || err == nil
}

// A resend stores nothing: its id spells the selection, and its file is written when it is
// fetched. The digest in the view tells whether an identity has changed meanwhile.

const resendMark = "resend"

func (s Selection) id() string {
	person := ""
	if !s.Person.IsZero() {
		person = s.Person.String()
	}
	return strings.Join([]string{resendMark, s.Target, s.Extract, strconv.FormatInt(s.FromSerial, 10),
		strconv.FormatInt(s.ToSerial, 10), s.FromDate, s.ToDate, person}, "~")
}

// selectionOf reads such an id. ok is false for any other id, or another spelling.
func selectionOf(id string) (s Selection, ok bool) {
	p := strings.Split(id, "~")
	if len(p) != 8 || p[0] != resendMark {
		return s, false
	}
	in := contract.ExtractResend{Extract: p[2], FromDate: p[5], ToDate: p[6]}
	in.FromSerial, _ = strconv.ParseInt(p[3], 10, 64)
	in.ToSerial, _ = strconv.ParseInt(p[4], 10, 64)
	if p[7] != "" {
		person, err := model.ParsePersonID(p[7])
		if err != nil {
			return s, false
		}
		in.Person = &person
	}
	s, f := selection(p[1], &in)
	return s, f == nil && s.id() == id && (s.Target == "production" || s.Target == "test")
}

func (c *call) resend(sel Selection) (contract.ExtractView, []byte, error) {
	view := contract.ExtractView{
		ID: sel.id(), Format: format, Target: sel.Target,
		Created: model.MillisOf(c.now), Counts: map[string]int{},
	}
	if c.s.o.Extracts == nil {
		return view, nil, fail("not-ready", "This server produces no extracts.")
	}
	again, err := c.s.o.Extracts.Resend(c.ctx, c.who.tenant, sel)
	if err != nil {
		return view, nil, err
	}
	sum := sha256.Sum256(again.File)
	view.FromSerial, view.ToSerial = again.From, again.To
	view.SHA256 = hex.EncodeToString(sum[:])
	err = c.view(func(v store.View) error {
		view.Position = v.Size()
		return nil
	})
	return view, again.File, err
}

func listExtracts(c *call) (answer, error) {
	limit, f := c.limit()
	if f != nil {
		return answer{}, f
	}
	after, f := afterOf(listExtract, c.text("cursor"))
	if f != nil {
		return answer{}, f
	}
	out := contract.ExtractList{Extracts: []contract.ExtractView{}}
	err := c.view(func(v store.View) error {
		extracts, err := store.List[store.Extract](v, "", after, limit)
		for i := range extracts {
			out.Extracts = append(out.Extracts, extractView(&extracts[i]))
		}
		if len(extracts) == limit {
			out.Next = nextOf(listExtract, extracts[limit-1].ID)
		}
		return err
	})
	return answer{status: http.StatusOK, value: out}, err
}

func getExtract(c *call) (answer, error) {
	if !idShape.MatchString(c.id) {
		return answer{}, badPath()
	}
	if sel, ok := selectionOf(c.id); ok {
		view, _, err := c.resend(sel)
		return answer{status: http.StatusOK, value: view}, notThere(err)
	}
	var x store.Extract
	err := c.view(func(v store.View) (err error) {
		x, err = store.Get[store.Extract](v, c.id)
		return err
	})
	return answer{status: http.StatusOK, value: extractView(&x)}, err
}

func getExtractFile(c *call) (answer, error) {
	if !idShape.MatchString(c.id) {
		return answer{}, badPath()
	}
	var file []byte
	var err error
	if sel, ok := selectionOf(c.id); ok {
		_, file, err = c.resend(sel)
		err = notThere(err)
	} else if c.s.o.Extracts == nil {
		err = store.ErrNotFound
	} else {
		file, err = c.s.o.Extracts.File(c.ctx, c.who.tenant, c.id)
	}
	return answer{status: http.StatusOK, raw: file, mime: "application/xml"}, err
}

// notThere: a selection in a path that selects nothing names nothing.
func notThere(err error) error {
	var p *model.Problem
	if errors.As(err, &p) {
		return store.ErrNotFound
	}
	return err
}

var ruleShape = regexp.MustCompile(`^R[0-9]{1,3}[a-z]?$`)

func listFindings(c *call) (answer, error) {
	limit, f := c.limit()
	if f != nil {
		return answer{}, f
	}
	after, f := afterOf("findings", c.text("cursor"))
	if f != nil {
		return answer{}, f
	}
	filter, f := c.findingFilter()
	if f != nil {
		return answer{}, f
	}
	person, f := c.personQuery()
	if f != nil {
		return answer{}, f
	}
	state, f := c.choice("state", sync.StateOpen, sync.StateOpen, sync.StateReleased, sync.StateClosed, "all")
	if f != nil {
		return answer{}, f
	}
	if filter.State = state; state == "all" {
		filter.State = ""
	}
	out := contract.FindingList{Findings: []contract.FindingView{}}
	err := c.view(func(v store.View) (err error) {
		if filter.Sees, err = c.access(v); err != nil {
			return err
		}
		if err := personThere(v, filter.Sees, person); err != nil {
			return err
		}
		if err := c.owners(v, &filter); err != nil {
			return err
		}
		findings, next, err := c.engine().Findings(v, person, filter, after, limit)
		if err != nil {
			return err
		}
		for i := range findings {
			view, err := findingView(v, &findings[i])
			if err != nil {
				return err
			}
			out.Findings = append(out.Findings, view)
		}
		out.Next = nextOf("findings", next)
		if after == "" {
			out.Counts, err = c.countFindings(v, person, filter)
		}
		return err
	})
	return answer{status: http.StatusOK, value: out}, err
}

func (c *call) countFindings(v store.View, person *model.PersonID, filter sync.FindingFilter) (map[string]int, error) {
	counts := map[string]int{}
	for after := ""; ; {
		page, next, err := c.engine().Findings(v, person, filter, after, maxLimit)
		for i := range page {
			counts[page[i].Rule]++
		}
		if err != nil || next == "" {
			return counts, err
		}
		after = next
	}
}

// settleFinding says what a supervisor thinks of a finding, as an entry of the desk.
func settleFinding(c *call) (answer, error) {
	var in contract.FindingSettleRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	ref := model.FindingRef{Rule: in.Rule, Unit: in.Unit}
	if in.Act != model.ActRelease && in.Act != model.ActClose && in.Act != model.ActReinstate {
		return answer{}, failAt("invalid-member", "/act", "The act is release, close or reinstate.")
	}
	if !ruleShape.MatchString(in.Rule) {
		return answer{}, failAt("invalid-member", "/rule", "A rule is R and its number.")
	}
	if _, err := model.ParseFinding(ref.Path()); err != nil {
		return answer{}, failAt("invalid-member", "/unit", "This is no unit path.")
	}
	if f := checkReason(&in.Reason); f != nil {
		return answer{}, f
	}
	if err := c.view(func(v store.View) error { return c.sees(v, in.Person) }); err != nil {
		return answer{}, err
	}
	result, err := c.engine().SettleFinding(c.ctx, sync.FindingAct{
		Tenant: c.who.tenant, Person: in.Person, Ref: ref, Act: in.Act, Actor: c.who.actor, Roles: c.who.roles, Reason: in.Reason,
	})
	if err != nil {
		return answer{}, err
	}
	out := contract.FindingSettleResponse{Result: resultView(0, &result.Results[0]), Checkpoint: string(result.Checkpoint)}
	err = c.view(func(v store.View) error {
		all, _, err := c.engine().Findings(v, &in.Person, sync.FindingFilter{Rule: in.Rule}, "", maxLimit)
		for i := range all {
			if all[i].Unit == in.Unit && err == nil {
				out.Finding, err = findingView(v, &all[i])
			}
		}
		return err
	})
	return answer{status: http.StatusCreated, value: out}, err
}

func (c *call) personQuery() (*model.PersonID, *failure) {
	text := c.text("person")
	if text == "" {
		return nil, nil
	}
	id, err := model.ParsePersonID(text)
	if err != nil {
		return nil, badQuery("person")
	}
	return &id, nil
}

func personThere(v store.View, access *sync.Access, id *model.PersonID) error {
	if id == nil {
		return nil
	}
	if !access.Sees(*id) {
		return store.ErrNotFound
	}
	_, err := v.Doc(store.Person{}.DocKind(), id.String())
	return err
}

var weekShape = regexp.MustCompile(`^[0-9]{4}-W(0[1-9]|[1-4][0-9]|5[0-3])$`)

func timeReport(c *call) (answer, error) {
	week := c.text("week")
	if !weekShape.MatchString(week) {
		return answer{}, badQuery("week")
	}
	person, f := c.personQuery()
	if f != nil {
		return answer{}, f
	}
	by := c.text("by")
	switch {
	case by != "" && by != "person" && by != "unit" || by == "unit" && person != nil:
		return answer{}, badQuery("by")
	case c.s.o.Weekly == nil || by == "unit" && c.s.o.WeeklyUnits == nil:
		return answer{}, fail("not-ready", "This server makes no time reports.")
	}
	out := contract.TimeReport{Week: week, Rows: []contract.TimeRow{}}
	err := c.view(func(v store.View) (err error) {
		access, err := c.access(v)
		if err != nil {
			return err
		}
		if err := personThere(v, access, person); err != nil {
			return err
		}
		if by == "unit" {
			out.Units, err = c.s.o.WeeklyUnits(v, week)
			return err
		}
		out.Rows, err = c.s.o.Weekly(v, week, person)
		out.Rows = slices.DeleteFunc(out.Rows, func(r contract.TimeRow) bool { return !access.Sees(r.Person) })
		return err
	})
	var p *model.Problem
	if errors.As(err, &p) {
		return answer{}, fail("invalid-query", p.Detail)
	}
	return answer{status: http.StatusOK, value: out}, err
}
