package iplos

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"flette/model"
	"flette/model/catalogue"
)

type statusCase struct {
	Name   string   `json:"name"`
	Steps  []string `json:"steps"`  // "[act] Ja|Nei [date] [over STEP...]", void and reinstate of the step before
	Status Status   `json:"status"` // of the last value
	Want   string   `json:"want"`   // severity and beginning of the sentence
}

func statusCases(t *testing.T) (cases []statusCase) {
	t.Helper()
	raw, err := os.ReadFile("testdata/status.json")
	must(t, err)
	must(t, json.Unmarshal(raw, &cases, json.RejectUnknownMembers(true)))
	return cases
}

func (c *statusCase) told(t *testing.T) (out []Told) {
	t.Helper()
	id := func(n int) model.EntryID { return model.EntryID{byte(n + 1)} }
	head, undone := -1, -1
	for i, step := range c.Steps {
		step, over, named := strings.Cut(step, "over ")
		words := strings.Fields(step)
		e := Told{ID: id(i), Act: model.ActRegister, At: model.Millis(i)}
		switch words[0] {
		case "void":
			e.Act, e.Target = model.ActVoid, id(head)
			undone = i
		case "reinstate":
			e.Act, e.Target = model.ActReinstate, id(undone)
		case "Ja", "Nei":
		default:
			e.Act, words = model.Act(words[0]), words[1:]
		}
		if !e.Act.Sets() {
			out = append(out, e)
			continue
		}
		v := map[string]string{"code": map[string]string{"Ja": "1", "Nei": "2"}[words[0]]}
		if len(words) > 1 {
			v["date"] = words[1]
		}
		var err error
		e.Value, err = json.Marshal(v)
		must(t, err)
		if !named && head >= 0 {
			e.Over = []model.EntryID{id(head)}
		}
		for _, n := range strings.Fields(over) {
			k, err := strconv.Atoi(n)
			must(t, err)
			e.Over = append(e.Over, id(k))
		}
		head = i
		out = append(out, e)
	}
	return out
}

// Every transition of domain.md 1.5, and what lies between (R49, R84).
func TestStatusTransitions(t *testing.T) {
	pairs := map[string]bool{}
	for _, c := range statusCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			told := c.told(t)
			last := told[len(told)-1]
			v, err := catalogue.Decode[catalogue.YesNoDate](last.Value)
			must(t, err)
			if got := StatusOf(&v); got != c.Status {
				t.Errorf("status %s, want %s", got, c.Status)
			}
			if len(told) > 1 {
				from, err := catalogue.Decode[catalogue.YesNoDate](told[len(told)-2].Value)
				if err == nil {
					pairs[fmt.Sprint(StatusOf(&from), " ", c.Status)] = true
				}
			} else {
				pairs["- "+string(c.Status)] = true
			}
			severity, detail := statusFault(NewHistory(told), last.ID)
			got := strings.TrimSpace(severity + " " + detail)
			if !strings.HasPrefix(got, c.Want) || c.Want == "" && got != "" {
				t.Errorf("got  %q\nwant %q", got, c.Want)
			}
			// The order in which entries reach us changes nothing.
			slices.Reverse(told)
			if s, d := statusFault(NewHistory(told), last.ID); s != severity || d != detail {
				t.Errorf("in another order %s %s", s, d)
			}
		})
	}
	for _, from := range []string{"-", "never", "active", "ended"} {
		for _, to := range []string{"never", "active", "ended"} {
			if !pairs[from+" "+to] {
				t.Errorf("no case for %s to %s", from, to)
			}
		}
	}
}

func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		value *catalogue.YesNoDate
		want  Status
	}{
		{nil, StatusNever},
		{&catalogue.YesNoDate{Code: "2"}, StatusNever},
		{&catalogue.YesNoDate{Code: "1", Date: "2026-01-01"}, StatusActive},
		{&catalogue.YesNoDate{Code: "2", Date: "2026-01-01"}, StatusEnded},
		{&catalogue.YesNoDate{Code: "1"}, StatusUnfit},
		{&catalogue.YesNoDate{Code: "3", Date: "2026-01-01"}, StatusUnfit},
	} {
		if got := StatusOf(c.value); got != c.want {
			t.Errorf("%+v is %s", c.value, got)
		}
	}
}
