package model

import "fmt"

// Problem is a finding about input: a stable code, where it is, and a sentence a person
// can act on. Detail never repeats the offending value: it may be personal data.
type Problem struct {
	Code    string `json:"code"`              // stable, kebab-case, documented in docs/codes.md
	Pointer string `json:"pointer,omitempty"` // RFC 6901 JSON pointer into the payload
	Detail  string `json:"detail"`            // English sentence
	Rule    string `json:"rule,omitempty"`    // R-number of the clinical rule, when there is one
}

// Error makes a Problem usable as an error.
func (p *Problem) Error() string {
	if p.Pointer == "" {
		return fmt.Sprintf("%s: %s", p.Code, p.Detail)
	}
	return fmt.Sprintf("%s at %s: %s", p.Code, p.Pointer, p.Detail)
}

// Problemf builds a Problem.
func Problemf(code, pointer, format string, args ...any) *Problem {
	return &Problem{Code: code, Pointer: pointer, Detail: fmt.Sprintf(format, args...)}
}
