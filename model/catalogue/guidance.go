package catalogue

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
)

// Guidance is a text that helps to register: what a variable or a score means, or a rule that
// only people can keep. Units, Services and Scale say where it belongs; it is shown there.
type Guidance struct {
	Rule     string   `json:"rule,omitzero"`       // R-number, when it is a rule
	Units    []string `json:"units,omitzero"`      // unit paths, * for a UUID; "score/*" is every score
	Services []string `json:"services,omitzero"`   // codes of 9151
	Scale    string   `json:"scale,omitzero"`      // for every variable of the scale
	Score    int      `json:"score,omitzero"`      // of one score; 0 for the variable as a whole
	From     Date     `json:"valid_from,omitzero"` // "" from the beginning
	To       Date     `json:"valid_to,omitzero"`   // last valid day, "" while valid
	NB       string   `json:"nb"`
	EN       string   `json:"en"`
	Official bool     `json:"official,omitzero"` // NB is the source's own wording, word for word
	Source   string   `json:"source"`            // key of Catalogue.Sources
	Section  string   `json:"section,omitzero"`  // of the source
}

func (c *Catalogue) addGuidance(data []byte) error {
	if err := json.Unmarshal(data, &c.Guidance, json.RejectUnknownMembers(true)); err != nil {
		return err
	}
	for i := range c.Guidance {
		if err := c.checkGuidance(&c.Guidance[i]); err != nil {
			return fmt.Errorf("guidance %d (%s): %w", i, c.Guidance[i].Rule, err)
		}
	}
	return nil
}

func (c *Catalogue) checkGuidance(g *Guidance) error {
	if g.NB == "" || g.EN == "" || c.Sources[g.Source] == "" {
		return fmt.Errorf("a text or the source is missing")
	}
	if len(g.Units)+len(g.Services) == 0 && g.Scale == "" {
		return fmt.Errorf("it belongs nowhere")
	}
	for _, u := range g.Units {
		if c.units[u] == nil && u != "score/*" {
			return fmt.Errorf("unit %s does not exist", u)
		}
	}
	for _, s := range g.Services {
		if c.services[s] == nil {
			return fmt.Errorf("service %s does not exist", s)
		}
	}
	if g.Scale != "" && c.scale(g.Scale) == nil {
		return fmt.Errorf("scale %s does not exist", g.Scale)
	}
	if g.Score < 0 || g.Score > 5 && g.Score != 9 || g.Score > 0 && g.Scale == "" && len(g.Units) == 0 {
		return fmt.Errorf("score %d", g.Score)
	}
	return nil
}

// GuidanceOf lists the texts of an R-number.
func (c *Catalogue) GuidanceOf(rule string) []Guidance {
	return slices.DeleteFunc(slices.Clone(c.Guidance), func(g Guidance) bool { return g.Rule != rule })
}
