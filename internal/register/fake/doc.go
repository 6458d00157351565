// Package fake is a register for tests: HelseID's token endpoint and both intakes behind one
// http.Handler. It reads what it is sent by itself, sharing no code with the client: it
// verifies assertions and proofs, decrypts, compares hashes, and remembers what it took.
//
// By default it accepts what is right and refuses what is wrong with the codes of the
// published table. [Register.Next] makes it misbehave.
package fake
