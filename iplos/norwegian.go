package iplos

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	"flette/model/catalogue"
)

// Findings are stored with an English sentence, which is part of what a supervisor's decision is bound
// to. Norwegian is made of it when somebody reads it, so that a better wording changes no finding.

//go:embed norwegian.json
var norwegianJSON []byte

// phrase is a sentence that a rule may add to a finding, or a part of one. "*" stands for what
// the rule fills in: a part with a phrase of its own, the name of a variable, a number, a code.
type phrase struct {
	en *regexp.Regexp // from the beginning of what is left, up to the next sentence
	nb []string       // around what is filled in
}

var phrases = sync.OnceValue(func() (out []phrase) {
	var pairs [][2]string
	if err := json.Unmarshal(norwegianJSON, &pairs); err != nil {
		panic(err)
	}
	for _, v := range catalogue.Default().Variables {
		pairs = append(pairs, [2]string{lowerFirst(v.EN), lowerFirst(v.NB)})
	}
	// The most particular first.
	slices.SortStableFunc(pairs, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
	for _, p := range pairs {
		en := strings.ReplaceAll(regexp.QuoteMeta(p[0]), `\*`, "([^.]+?)")
		out = append(out, phrase{regexp.MustCompile("^" + en + "(?: |$)"), strings.Split(p[1], "*")})
	}
	return out
})

// lowerFirst is a name as it stands inside a sentence.
func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// Norwegian gives the sentences of a finding (store.Finding.Detail) in Norwegian. It is false,
// and the text as it was, when a sentence is not known: one of a former version of the rules.
func Norwegian(detail string) (string, bool) {
	var out []string
	for rest := detail; rest != ""; {
		nb, n := norwegianPrefix(rest)
		if n == 0 {
			return detail, false
		}
		out = append(out, nb)
		rest = rest[n:]
	}
	return strings.Join(out, " "), len(out) > 0
}

// norwegianPrefix translates the first sentence and says how long it is; 0 for an unknown one.
func norwegianPrefix(text string) (string, int) {
	for _, p := range phrases() {
		m := p.en.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		var b strings.Builder
		b.WriteString(p.nb[0])
		for i, around := range p.nb[1:] {
			part, known := Norwegian(m[1+i])
			if !known {
				part = m[1+i]
			}
			b.WriteString(part + around)
		}
		return b.String(), len(m[0])
	}
	return "", 0
}
