// Package ident checks Norwegian identifiers: national identity numbers and their
// relatives, organisation, municipality, district and health-personnel numbers.
//
// Start with [Parse]. Everything here is a pure function of its arguments. Errors are
// *[model.Problem] values with a stable code ("id-length", "id-digits", "id-checksum",
// "id-date"); none of them repeats the number, and a parsed number is a [model.Private].
//
// A number that passes is well formed; only the population register knows whether it was
// ever issued.
package ident
