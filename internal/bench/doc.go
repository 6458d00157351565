// Package bench holds the benchmarks that span rooms: what the whole path costs against
// what the hardware and bbolt alone would take for the same bytes. It has tests only.
package bench
