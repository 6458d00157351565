package yearly

import (
	"slices"

	"flette/iplos/kpr"
)

// elsewhereLimit is how many other municipalities make the register take a person for a test user:
// five with this one (R77).
const elsewhereLimit = 4

// withDistricts are the municipalities that have districts.
var withDistricts = []string{"0301", "1103", "4601", "5001"}

// least notes what a person who is sent lacks of the least that the register wants (R74):
// municipality, district, person id, need of assistance, decisions, organisation numbers. All is
// sent nevertheless.
func (r *run) least(p *Person, number string) error {
	lack := func(rule, code string) { r.lack(Left{BrukerNr: p.BrukerNr, Rule: rule, Code: code}) }
	if p.Kommune == "" {
		lack("R74", LacksKommune)
	}
	if p.District == "00" && slices.Contains(withDistricts, p.Kommune) {
		lack("R74", LacksDistrict)
	}
	if !kpr.GivesID(p.TypeID) {
		lack("R74", LacksIdentity)
	}
	if !r.assessed(p) {
		lack("R74", LacksAssistance)
	}
	for i := range p.Services {
		s := &p.Services[i]
		kind := r.cat.Service(s.Type)
		if kind == nil {
			continue
		}
		if s.Decision == "" && kind.Requires.Decision {
			r.lack(Left{BrukerNr: p.BrukerNr, Service: s.ID, Type: s.Type, Rule: "R74", Code: LacksDecision})
		}
		if s.OrgNumber == "" && !s.Rejected && kind.Requires.OrgNumber == kpr.OrgShall {
			r.lack(Left{BrukerNr: p.BrukerNr, Service: s.ID, Type: s.Type, Rule: "R69", Code: LacksOrgNumber})
		}
	}
	if r.Elsewhere == nil || number == "" {
		return nil
	}
	n, err := r.Elsewhere(number)
	if n >= elsewhereLimit {
		lack("R77", TakenForTest)
	}
	return err
}

// assessed reports whether every variable of assistance that is open in the year has a value.
func (r *run) assessed(p *Person) bool {
	for i := range r.cat.Variables {
		v := &r.cat.Variables[i]
		if v.Group != "assistance" || v.Closed || v.From > r.last || v.To != "" && v.To < r.first {
			continue
		}
		if !slices.ContainsFunc(p.Values, func(x Value) bool { return x.ID == v.ID }) {
			return false
		}
	}
	return true
}

func (r *run) lack(l Left) {
	r.report.Lacks[l.Code]++
	if len(r.report.Lacking) < maxLeft {
		r.report.Lacking = append(r.report.Lacking, l)
	}
}
