package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// replayBucket is the grain in which remembered proofs expire.
const replayBucket = time.Minute

// replays remembers the proofs that were used until they are too old to be used again (A5).
// Memory is bounded (A8): one key fills only its share of a bucket, then it alone is told
// to slow down; when all keys together fill the whole, the bucket that expires first goes.
type replays struct {
	mu      sync.Mutex
	max     int // proofs in all
	share   int // proofs of one key in one bucket
	size    int
	buckets map[int64]*bucket // by minute of expiry
}

type bucket struct {
	seen  map[digest]struct{}
	byKey map[digest]int
}

type digest [16]byte

func digestOf(parts ...string) (d digest) {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0}) // parts are base64url or printable text, so this parts them
	}
	copy(d[:], h.Sum(nil))
	return d
}

func newReplays(held int) *replays {
	return &replays{max: held, share: held/16 + 1, buckets: map[int64]*bucket{}}
}

// use records (jkt, jti) until expires. It fails when the pair is remembered or the key has
// used up its share.
func (r *replays) use(jkt, jti string, expires, now time.Time) error {
	id, key := digestOf(jkt, jti), digestOf(jkt)
	minute := expires.UnixMilli()/replayBucket.Milliseconds() + 1 // first minute after expiry
	r.mu.Lock()
	defer r.mu.Unlock()
	for m, b := range r.buckets {
		if m*replayBucket.Milliseconds() <= now.UnixMilli() {
			r.drop(m)
		} else if _, used := b.seen[id]; used {
			return badProof("replayed")
		}
	}
	b := r.buckets[minute]
	if b != nil && b.byKey[key] >= r.share {
		return &refusal{ErrTooManyProofs, "proofs-of-one-key"}
	}
	if r.size >= r.max {
		r.dropOldest()
		b = r.buckets[minute]
	}
	if b == nil {
		b = &bucket{seen: map[digest]struct{}{}, byKey: map[digest]int{}}
		r.buckets[minute] = b
	}
	b.seen[id] = struct{}{}
	b.byKey[key]++
	r.size++
	return nil
}

func (r *replays) drop(minute int64) {
	r.size -= len(r.buckets[minute].seen)
	delete(r.buckets, minute)
}

func (r *replays) dropOldest() {
	first := true
	var oldest int64
	for m := range r.buckets {
		if first || m < oldest {
			oldest, first = m, false
		}
	}
	if !first {
		r.drop(oldest)
	}
}
