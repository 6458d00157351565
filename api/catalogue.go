package api

import (
	"slices"

	"flette/iplos"
	"flette/model/catalogue"
)

// catalogueDocument is what GET /v1/catalogue answers: the catalogue, and the rules by which
// findings are named.
type catalogueDocument struct {
	*catalogue.Catalogue
	Rules []ruleView `json:"rules"`
}

// ruleView is one rule of docs/rules.md.
type ruleView struct {
	Rule     string   `json:"rule"`
	Severity string   `json:"severity"` // of the specification; a finding has its own
	Kept     []string `json:"kept"`     // "finding B", "finding M", "admission", "guidance" ...
	NB       string   `json:"nb,omitzero"`
	EN       string   `json:"en"`
	Source   string   `json:"source"`
}

func ruleViews() []ruleView {
	var out []ruleView
	for _, r := range iplos.KeptRules() {
		v := ruleView{Rule: r.Rule, Severity: r.Severity, NB: r.TextNB, EN: r.Text, Source: r.Source}
		for _, p := range r.Places {
			if !slices.Contains(v.Kept, p.By) {
				v.Kept = append(v.Kept, p.By)
			}
		}
		out = append(out, v)
	}
	return out
}
