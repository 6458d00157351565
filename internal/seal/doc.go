// Package seal holds one tenant's keys and encrypts the values that must never lie in a
// store readably: national identity numbers and names.
//
// Start with [Generate] and [Keys.Save] when a tenant is created, [Load] when it is
// served, [Keys.Seal] and [Keys.Open] around every stored value, and [Keys.Index] to find
// a person by identity number without storing the number.
//
// # Promises
//
//   - A store copied without the key file shows no sealed value, and a guess at an
//     identity number cannot be tested against the index: the index is keyed, which
//     matters because all identity numbers can be listed in minutes.
//   - A sealed value opens only under the associated data it was sealed with (bucket, key
//     and version), in the same tenant: it cannot be moved to another row, swapped with
//     another, or carried to another tenant without [Keys.Open] saying so.
//   - Printing, logging or marshalling Keys gives a placeholder, and no error of this
//     package repeats any part of a key file.
//
// # Caveats
//
//   - Whoever reads both the key file and the store reads everything. The file is the key
//     store of a single machine: keep it out of backups of the data folder. Wrapping the
//     keysets by a key management service would change this file's format, not its users.
//   - Losing the key file loses every sealed value, the lookup index and the journal's
//     signing key. Keep an offline copy.
//   - Sealed values have the length of their content plus 45 bytes: the length of a name
//     shows.
//   - The index is deterministic: equal values have equal hashes within a tenant.
//
// # The key file
//
// One JSON object, format "flette/keys/1", mode 0600. The members seal, index, lease and
// cursor are Tink keysets in Tink's JSON form: each has a primary key and may hold older
// ones, so that a key is rotated by adding a new primary and keeping the old key for what
// it made. The members journal, desk and token are Ed25519 seeds (RFC 8032) in base64.
// The index has no older keys in use: a new primary means indexing every person anew.
package seal
