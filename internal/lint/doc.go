// Package lint holds the rules of the house as Go tests: who may import whom, where the
// clock may be read, how large a file may be, and that no real identity number stands
// anywhere in the tree. The directions are those of docs/ARCHITECTURE.md.
//
// It has no code of its own: `go test ./internal/lint` runs the rules on the whole module.
// To let a new folder import something, change the table in imports_test.go.
package lint
