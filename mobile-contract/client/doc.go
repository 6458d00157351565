// Package client is the tablet's side of the mobile contract, complete: keys, enrolment,
// leases and DPoP, the signed outbox, push and pull, and the calls of a supervisor's desk.
// The demo, the load driver and the tests use it, and a vendor can read it as the reference.
//
// Start with [New] and [Tablet.Enrol], then [Tablet.Login] once a day, [Tablet.Sign] as often
// as there is something to register (no network needed), [Tablet.Push] and [Tablet.Pull]
// when there is one. [Tablet.Load] is the fast first pull, [Tablet.Listen] says when to pull,
// [Tablet.Repair] puts right a view that was damaged. [API] makes the plain calls of people at a desk.
//
// A tablet can be told what to do ([Tablet.Order]): Push obeys a wipe order, [Tablet.Replace]
// enrols anew after the tablet was copied. [Tablet.RotateKey] gives it another key.
//
// What a tablet promises is numbered in openapi.yaml: T1 to T15. The code that keeps a
// promise cites its number.
//
// Time is injected: Wall may be hours wrong, Mono only counts. The package reads no clock
// and sleeps only through Config.Sleep.
package client
