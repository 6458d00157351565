// Package catalogue knows what IPLOS lets a unit hold: every variable, scale, service type
// and code list as embedded data with labels, validity dates and merge policy.
//
// Start with [Default]. [Catalogue.Validate] judges the value of one unit by itself;
// [Catalogue.Policy] says how heads of a unit are compared; [Decode] reads a stored value
// into its struct ([Score], [Grant], ...). A rule that needs more than one unit (hours
// against the service's type, order of application and decision) is not here: it belongs
// to whoever sees the merged record.
//
// The catalogue is data, catalogue.json, with a version: variables come and go from one
// data year to the next, and a code that was valid then must stay readable. An old code is
// accepted for its time and read by [Catalogue.ReadAt] as what took its place; the
// registration itself never changes. The texts that help to score, and the rules that only
// people can keep, are guidance.json. It is read-only after [Default] returned it.
package catalogue
