// Package sim holds harnesses that run the whole of Flette against faults; all of it is in
// tests, see docs/simulation.md.
//
//   - TestHistories: seeded histories of months, with real tablets, a lossy network, wrong
//     clocks, restarts and people who change their minds. TestSeed repeats one of them.
//   - TestEveryByte: a sync whose connection is cut at every byte.
//   - TestLinearizable: concurrent pushes, decisions and reads of a person's record.
package sim
