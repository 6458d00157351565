//go:build race

package sim

// The race detector makes a history about ten times slower.
const raceOn = true
