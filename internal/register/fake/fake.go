package fake

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// What happens to the next message that is right in every way. A number is the code of a
// refusal.
const (
	Accept       = "accept"
	Lose         = "lose"          // kept, and the connection closed without an answer
	LoseUnkept   = "lose-unkept"   // the same, but not kept
	Garble       = "garble"        // kept, and answered with a page of some proxy
	Break        = "break"         // not kept, status 503 without a body
	AskNonce     = "ask-nonce"     // 401 with a fresh nonce; then as usual
	ExpireTokens = "expire-tokens" // all tokens end; then as usual
	RotateKeys   = "rotate-keys"   // all keys are replaced; then as usual
	Stubborn     = "stubborn"      // 401 with a new nonce every time
	Hang         = "hang"          // kept, and no answer until the other side goes away
)

// Got is a message that the register keeps.
type Got struct {
	ID      string // its own reference
	Type    string
	Version string
	Body    []byte
	Headers http.Header
	Message string // messageId, process only
}

type key struct {
	id      string
	expires time.Time
	private *rsa.PrivateKey
}

type token struct {
	jkt     string
	expires time.Time
	parent  string
}

// Register is the fake. Safe for concurrent use; set the fields before it serves.
type Register struct {
	URL      string // set when it is known
	ClientID string
	Client   jose.JSONWebKey // public
	Now      func() time.Time
	Types    map[string]string // message type -> version
	CMSKey   *rsa.PrivateKey   // opens packages of the process transport
	Life     time.Duration     // of tokens; an hour when 0

	mu     sync.Mutex
	next   []string
	keys   []key
	tokens map[string]token
	used   map[string]bool // jti by thumbprint
	nonce  string
	ask    bool // the next proof must carry the nonce
	got    []Got
	posts  int
	faults []string
	kept   chan struct{} // closed when a message is kept
}

// Next queues what happens to the next messages, each once.
func (r *Register) Next(what ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = append(r.next, what...)
}

// Got returns what the register keeps, oldest first.
func (r *Register) Got() []Got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Got(nil), r.got...)
}

// Posts counts the messages that came, kept or not.
func (r *Register) Posts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.posts
}

// Wait returns when the register keeps n messages, or ctx is done.
func (r *Register) Wait(ctx context.Context, n int) error {
	for {
		r.mu.Lock()
		if r.kept == nil {
			r.kept = make(chan struct{})
		}
		kept, enough := r.kept, len(r.got) >= n
		r.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-kept:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *Register) keep(one Got) {
	r.got = append(r.got, one)
	if r.kept != nil {
		close(r.kept)
		r.kept = nil
	}
}

// Faults lists what was wrong with requests, one sentence each.
func (r *Register) Faults() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.faults...)
}

// Rotate replaces all keys. The published list begins with one that ends sooner, so that a
// client which takes the first is caught.
func (r *Register) Rotate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rotate()
}

// Newest is the id of the key that expires last.
func (r *Register) Newest() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.MaxFunc(r.keys, func(a, b key) int { return a.expires.Compare(b.expires) }).id
}

func (r *Register) rotate() {
	r.keys = nil
	for _, days := range []int{1, 400, 30} {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		r.keys = append(r.keys, key{random(), r.Now().AddDate(0, 0, days), k})
	}
}

func random() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// ServeHTTP answers as HelseID and as the register.
func (r *Register) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tokens == nil {
		r.tokens, r.used, r.nonce = map[string]token{}, map[string]bool{}, random()
	}
	if r.keys == nil {
		r.rotate()
	}
	switch req.Method + " " + req.URL.Path {
	case "POST /connect/token":
		r.giveToken(w, req, string(body))
	case "GET /keys":
		r.giveKeys(w)
	case "POST /message", "POST /message/process":
		r.posts++
		r.take(w, req, body)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (r *Register) giveKeys(w http.ResponseWriter) {
	var list []map[string]string
	for _, k := range r.keys {
		der, err := x509.MarshalPKIXPublicKey(&k.private.PublicKey)
		if err != nil {
			panic(err)
		}
		text := strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "\n", "\r\n")
		list = append(list, map[string]string{"id": k.id, "expirationDate": k.expires.UTC().Format("2006-01-02T15:04:05.999"), "publicKey": text})
	}
	answerJSON(w, http.StatusOK, list)
}

// refusal is what the register has against a request.
type refusal struct {
	status int
	code   int
	text   string
}

// names are those of the published table.
var names = map[int]string{
	1001: "HttpHeaderMissing", 1002: "HttpHeaderValidation", 1003: "InvalidMessageTypeVersion", 1004: "InvalidKeyId", 1005: "InvalidDigest",
	1006: "PayloadHashMismatch", 1007: "ExpiredKey", 1008: "DecryptionErrorForAsymmetricalKey", 1009: "DecryptionErrorForSymmetricalKey",
	2001: "ShouldNotReceiveMessageForGivenOrganizationAndMessageType", 2002: "MissingOrganizationNumberClaimFromHelseIdToken",
	2003: "MissingSignatureClaimFromHelseIdToken", 2004: "BadSignatureClaimFromHelseIdToken", 2005: "HelseIdSignatureDoesNotMatchHeaderValues",
	2006: "SchemaNotFound", 2007: "InvalidJsonMessage", 2008: "SchemaValidationFailed", 2009: "PayloadSizeLimitExceeded", 2010: "StorageError",
}

// Codes lists every code that the fake knows.
func Codes() []int {
	var out []int
	for c := range names {
		out = append(out, c)
	}
	return out
}

func (r *Register) refuse(w http.ResponseWriter, f *refusal) {
	r.faults = append(r.faults, fmt.Sprintf("%d %d %s", f.status, f.code, f.text))
	answerJSON(w, f.status, map[string]any{"delivered": false, "errors": []any{map[string]any{
		"errorCode": f.code, "propertyName": nil, "errorMessage": "Error: " + names[f.code] + " | " + f.text,
		"errorDetails": `[{"Location":"/0","Value":"SECRET-DETAIL"}]`,
	}}})
}

func (r *Register) take(w http.ResponseWriter, req *http.Request, body []byte) {
	w.Header().Set("X-Correlation-ID", random())
	what := Accept
	if len(r.next) > 0 {
		what = r.next[0]
		r.next = r.next[1:]
	}
	switch what {
	case AskNonce, Stubborn:
		if what == Stubborn {
			r.next = append([]string{Stubborn}, r.next...)
		}
		r.nonce, r.ask = random(), true
		w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
		w.Header().Set("DPoP-Nonce", r.nonce)
		w.WriteHeader(http.StatusUnauthorized)
		return
	case ExpireTokens:
		r.tokens = map[string]token{}
		what = Accept
	case RotateKeys:
		r.rotate()
		what = Accept
	}
	claims, f := r.authorize(req)
	if f != nil {
		w.Header().Set("WWW-Authenticate", `DPoP error="invalid_token"`)
		r.refuse(w, f)
		return
	}
	one := Got{ID: w.Header().Get("X-Correlation-ID"), Headers: req.Header.Clone()}
	if strings.HasSuffix(req.URL.Path, "/process") {
		f = r.readProcess(&one, body)
	} else {
		f = r.readSlash(&one, claims, req, body)
	}
	if f != nil {
		r.refuse(w, f)
		return
	}
	if what == Hang {
		r.keep(one)
		r.mu.Unlock()
		<-req.Context().Done()
		r.mu.Lock()
		panic(http.ErrAbortHandler)
	}
	r.answer(w, what, one)
}

func (r *Register) answer(w http.ResponseWriter, what string, one Got) {
	switch what {
	case Accept:
		r.keep(one)
		if one.Message != "" {
			answerJSON(w, http.StatusOK, map[string]string{"messageId": one.Message, "refId": one.ID})
			return
		}
		answerJSON(w, http.StatusOK, map[string]any{"delivered": true, "errors": []any{}})
	case Lose, LoseUnkept:
		if what == Lose {
			r.keep(one)
		}
		panic(http.ErrAbortHandler)
	case Garble:
		r.keep(one)
		_, _ = w.Write([]byte("<html>Welcome</html>"))
	case Break:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		var code int
		if _, err := fmt.Sscan(what, &code); err != nil || names[code] == "" {
			panic("fake: no behaviour is called " + what)
		}
		status := http.StatusBadRequest
		if code == 2010 {
			status = http.StatusInternalServerError
		}
		r.refuse(w, &refusal{status, code, "as asked"})
	}
}

func decode64(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}
