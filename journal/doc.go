// Package journal is the tenant's append-only Merkle log: leaves, the hashes to store,
// signed checkpoints, and proofs that a third party can check without this program.
//
// Start with [Leaf] for what is logged, [Append] for what to store, [Signer] and
// [Verifier] for checkpoints, [ProveLeaf] and [ProveConsistency] for evidence, and
// [Same] to judge the checkpoint that a tablet presents.
//
// # What it proves
//
//   - Inclusion: this entry, with this outcome, stands at this position of the log that
//     this checkpoint names.
//   - Append-only: a later checkpoint holds everything an earlier one held, unchanged and
//     in the same order.
//   - Rewind: a tablet that keeps its newest checkpoint notices when a server comes back
//     from an older copy, or with an altered one, at its next contact.
//
// # What it does not prove
//
//   - That what an entry says is true, or that its author meant it: the entry's own
//     signature stands for the author, and nothing stands for the truth.
//   - That the server accepted everything it was handed. A tablet knows an entry is kept
//     only when it holds a checkpoint that covers the entry's position.
//   - That two parties see the same log. Whoever holds the key can keep two logs and show
//     each party its own; only comparing checkpoints between parties (tablets, a witness,
//     an archive) reveals that.
//   - When something happened. ReceivedAt is the server's clock, TEff an estimate; the
//     tree fixes the order, not the time.
//
// # Formats
//
// A leaf is seven lines of ASCII, each ending in a line feed:
//
//	flette/leaf/1
//	entry id                43 characters of base64url
//	received_at             milliseconds since the Unix epoch, decimal
//	t_eff                   milliseconds since the Unix epoch, decimal
//	clock class             A, B or C
//	outcome                 applied, conflict, quarantined, ...
//	code                    empty unless there is one
//
// Its hash is SHA-256(0x00 || text); an inner node is SHA-256(0x01 || left || right); the
// tree is that of RFC 6962, section 2.1. Stored hashes lie in the order of
// tlog.StoredHashIndex, so a store is one dense list.
//
// A checkpoint is a C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint): the origin
// "flette/<tenant>/<epoch>", the size and the base64 root, signed with Ed25519 as a C2SP
// signed note. The key's name is "flette/<tenant>", a prefix of the origin and not the
// whole of it, because a restore starts a new epoch but keeps the key.
//
// # Checking with an outside tool
//
// Give any signed-note verifier the tenant's verifier key ("flette/<tenant>+hash+key")
// and the checkpoint's text. By hand: the signed bytes are everything up to and with the
// line feed before the empty line; the signature is the last 64 bytes of the base64 on
// the line that starts with an em dash. Recompute an entry's leaf from its text above,
// then run the audit path of RFC 6962 section 2.1.1, or RFC 9162 section 2.1.3.2, over
// the proof's hashes, lowest level first; consistency proofs likewise follow section
// 2.1.2. Package golang.org/x/mod/sumdb/tlog does both in one call.
package journal
