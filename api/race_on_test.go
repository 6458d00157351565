//go:build race

package api

// The race detector makes a restore about ten times slower.
const raceOn = true
