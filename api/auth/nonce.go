package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// nonceWindow is how long a nonce is handed out; it is accepted for that window and the
// next, so between 5 and 10 minutes.
const nonceWindow = 5 * time.Minute

// nonces makes the server's DPoP nonces (RFC 9449 section 8). They exist because tablets'
// clocks are wrong by hours: a nonce proves freshness by the server's clock. They hold no
// state: a nonce is the MAC of its window, the same for everybody, so that any server with
// the key can judge it. That it is not single-use costs nothing, because jti is.
type nonces struct{ key []byte }

func (n nonces) at(window int64) string {
	mac := hmac.New(sha256.New, n.key)
	mac.Write([]byte("flette/dpop-nonce/1\n"))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(window)))
	return strictB64.EncodeToString(mac.Sum(nil)[:16])
}

func windowOf(now time.Time) int64 { return now.UnixMilli() / nonceWindow.Milliseconds() }

// expiry returns when the nonce stops being accepted, and false when it is not accepted now.
func (n nonces) expiry(nonce string, now time.Time) (time.Time, bool) {
	current := windowOf(now)
	for _, window := range []int64{current, current - 1} {
		if hmac.Equal([]byte(nonce), []byte(n.at(window))) {
			return time.UnixMilli((window + 2) * nonceWindow.Milliseconds()), true
		}
	}
	return time.Time{}, false
}
