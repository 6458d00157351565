// Package crash puts the real program through the hard life of a disk: killed at every call
// that changes or answers anything, failed writes and syncs, a full disk, and every state
// that a power cut can leave. docs/reliability.md says what is run and what it covers.
//
// [Start] runs a program under ptrace (Linux on amd64). Its calls are counted over all
// threads, in the order in which they begin, so a call can be aimed at exactly: strace counts
// each thread for itself, and the goroutine that writes moves between threads. A seccomp filter
// keeps every other call at full speed.
//
// [Image] replays recorded calls into the states that a disk may hold after a power cut.
//
// The package is made of tests and what they are run with; nothing of it is in the program.
package crash
