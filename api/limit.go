package api

import (
	"container/list"
	"net/netip"
	gosync "sync"
	"time"

	"golang.org/x/time/rate"
)

// bucketsHeld bounds the memory of each rate limit, about 200 bytes a key.
const bucketsHeld = 50_000

// buckets are token buckets by key. The one that was used longest ago makes room for a new
// one: it is full again by then, unless there are more keys than anybody has devices.
type buckets struct {
	rate Rate
	max  int
	mu   gosync.Mutex
	keys map[string]*list.Element
	used list.List // of *keyed, most recent first
}

type keyed struct {
	key string
	*rate.Limiter
}

func newBuckets(r Rate) *buckets {
	return &buckets{rate: r, max: bucketsHeld, keys: map[string]*list.Element{}}
}

// take uses one token, or says how long to wait for one.
func (b *buckets) take(key string, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	el := b.keys[key]
	if el == nil {
		if len(b.keys) >= b.max {
			last := b.used.Back()
			delete(b.keys, b.used.Remove(last).(*keyed).key)
		}
		el = b.used.PushFront(&keyed{key, rate.NewLimiter(rate.Every(b.rate.Every), b.rate.Burst)})
		b.keys[key] = el
	} else {
		b.used.MoveToFront(el)
	}
	r := el.Value.(*keyed).ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// limited answers 429 when the key has no token left.
func limited(b *buckets, key string, now time.Time) *failure {
	wait := b.take(key, now)
	if wait == 0 {
		return nil
	}
	f := fail("rate-limited", "")
	f.retry = int(wait/time.Second) + 1
	return f
}

// remoteKey groups addresses that one party is given: all of an IPv4 address, a /64 of IPv6.
func remoteKey(ip netip.Addr) string {
	ip = ip.Unmap()
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}
