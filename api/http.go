package api

import (
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"flette/internal/limitio"
	contract "flette/mobile-contract"
	"flette/model"
)

// This file is the only one that knows the framework (H4).

const (
	readBuffer   = 32 << 10 // a DPoP proof, an access token and a long cursor fit
	smallBody    = 64 << 10 // most routes
	decisionBody = 512 << 10
	digestBody   = 256 << 10
	problemMIME  = "application/problem+json"
	jsonMIME     = "application/json"
)

// exchange is one request and its answer, for the log.
type exchange struct {
	id      string
	start   time.Time
	method  string
	route   string // pattern, "" when none matched
	subject slog.Attr
}

const exchangeKey = "flette.exchange"

func (s *Server) newApp() *fiber.App {
	l := &s.o.Limits
	app := fiber.New(fiber.Config{
		Immutable: true, StrictRouting: true, CaseSensitive: true, DisableStartupMessage: true,
		DisablePreParseMultipartForm: true, // it would decode on its own, before any check of ours
		BodyLimit:                    max(l.Wire, decisionBody), ReadBufferSize: readBuffer,
		ReduceMemoryUsage: true, // an idle connection keeps no buffers: 10,000 of them would hold 400 MiB
		ReadTimeout:       l.Read, WriteTimeout: l.Write, IdleTimeout: l.Idle,
		ErrorHandler: s.onError,
	})
	for i := range routes {
		r := &routes[i]
		app.Add(r.method, strings.ReplaceAll(r.path, "{id}", ":id"), func(f *fiber.Ctx) error {
			s.handle(r, f)
			return nil
		})
	}
	server := app.Server()
	server.HeaderReceived = func(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
		return fasthttp.RequestConfig{MaxRequestBodySize: s.wireLimit(h)}
	}
	inner := server.Handler
	server.Handler = func(rc *fasthttp.RequestCtx) {
		if conn, ok := rc.Conn().(*limitedConn); ok {
			conn.serving()
		}
		ex := s.begin(rc)
		defer s.end(rc, ex)
		if why := smuggled(&rc.Request.Header); why != "" {
			f := fail("invalid-header", "The message can be read in two ways: "+why+".")
			f.hangUp = true
			s.sendFailure(rc, ex, f)
			return
		}
		if _, known := methods[ex.method]; !known {
			// The framework answers unknown methods in plain text; no route has this one.
			rc.Request.Header.SetMethod(http.MethodTrace)
		}
		inner(rc)
	}
	return app
}

var methods = map[string]struct{}{
	http.MethodGet: {}, http.MethodHead: {}, http.MethodPost: {}, http.MethodPut: {}, http.MethodDelete: {},
	http.MethodConnect: {}, http.MethodOptions: {}, http.MethodTrace: {}, http.MethodPatch: {},
}

// wireLimit is how much body is read before anybody is authenticated: the large limit is for
// those who at least say that they have a lease.
func (s *Server) wireLimit(h *fasthttp.RequestHeader) int {
	path, _, _ := strings.Cut(string(h.RequestURI()), "?")
	switch {
	case len(h.Peek(fiber.HeaderAuthorization)) == 0:
		return smallBody
	case path == pathPush:
		return s.o.Limits.Wire
	case path == pathDigest:
		return digestBody
	case strings.HasSuffix(path, "/decision"):
		return decisionBody
	}
	return smallBody
}

func (s *Server) begin(rc *fasthttp.RequestCtx) *exchange {
	var raw [12]byte
	if _, err := io.ReadFull(s.o.Rand, raw[:]); err != nil {
		s.o.Log.Error("no randomness for a request id", "error", err)
	}
	ex := &exchange{id: hex.EncodeToString(raw[:]), start: s.o.Now(), method: string(rc.Method())}
	rc.SetUserValue(exchangeKey, ex)
	return ex
}

// end turns a panic into a problem and writes the access log (H7).
func (s *Server) end(rc *fasthttp.RequestCtx, ex *exchange) {
	if v := recover(); v != nil {
		// A panic's text may hold what was sent; that of the runtime does not.
		what := "panic"
		if err, ok := v.(runtime.Error); ok {
			what = err.Error()
		}
		s.o.Log.Error("handler failed", "request", ex.id, "route", ex.route, "what", what, "stack", string(debug.Stack()))
		rc.Response.Reset()
		s.sendFailure(rc, ex, fail("internal", ""))
	}
	rc.RemoveUserValue(exchangeKey)
	if _, known := methods[ex.method]; !known {
		ex.method = "other"
	}
	attrs := []slog.Attr{
		slog.String("request", ex.id), slog.String("method", ex.method), slog.String("route", ex.route),
		slog.Int("status", rc.Response.StatusCode()), slog.Duration("took", s.o.Now().Sub(ex.start)),
	}
	if ex.subject.Key != "" {
		attrs = append(attrs, ex.subject)
	}
	s.o.Log.LogAttrs(rc, slog.LevelInfo, "request", attrs...)
}

// onError answers what never reached a route: an unknown path or method, and messages that
// the parser could not read.
func (s *Server) onError(c *fiber.Ctx, err error) error {
	rc := c.Context()
	ex, routed := rc.UserValue(exchangeKey).(*exchange)
	if !routed {
		ex = s.begin(rc)
		ex.method = ""
		defer s.end(rc, ex)
	}
	status := http.StatusInternalServerError
	var fe *fiber.Error
	if errors.As(err, &fe) {
		status = fe.Code
	}
	var f *failure
	switch status {
	case http.StatusNotFound:
		f = fail("not-found", "")
	case http.StatusMethodNotAllowed:
		f = fail("method-not-allowed", "")
		if escapedSlash(string(rc.URI().PathOriginal())) {
			f = fail("not-found", "")
		}
	case http.StatusRequestEntityTooLarge:
		f = s.tooLarge()
	case http.StatusRequestHeaderFieldsTooLarge:
		f = fail("header-too-large", "")
	case http.StatusRequestTimeout, http.StatusBadGateway:
		f = fail("timeout", "")
	case http.StatusBadRequest:
		f = fail("invalid-header", "The message is not well-formed HTTP.")
	default:
		f = fail("internal", "")
		f.cause = err
	}
	if conn, ok := rc.Conn().(*limitedConn); ok && !routed && f.Code != "timeout" {
		conn.linger.Store(true)
	}
	s.sendFailure(rc, ex, f)
	return nil
}

// tooLarge says what fits.
func (s *Server) tooLarge() *failure {
	f := fail("too-large", "")
	limits := s.limits()
	f.Limits = &limits
	return f
}

func (s *Server) limits() contract.Limits {
	l := s.o.Engine.Limits()
	return contract.Limits{
		Entries: l.Entries, Bytes: min(l.Bytes, s.o.Limits.Body, s.o.Limits.Wire), Entry: model.MaxEntryBytes, KeepDays: l.KeepDays,
	}
}

// handle copies the request out of the framework, runs the route and sends the answer.
func (s *Server) handle(r *route, f *fiber.Ctx) {
	rc := f.Context()
	ex, _ := rc.UserValue(exchangeKey).(*exchange)
	ex.route = r.path
	h := &rc.Request.Header
	c := &call{
		s: s, r: r, ex: ex, now: ex.start,
		path: strings.Clone(f.Path()), id: strings.Clone(f.Params("id")),
		rawQuery:      string(rc.URI().QueryString()),
		authorization: copies(h.PeekAll(fiber.HeaderAuthorization)), proof: copies(h.PeekAll("DPoP")),
		ifMatch: copies(h.PeekAll(fiber.HeaderIfMatch)), ifNoneMatch: copies(h.PeekAll(fiber.HeaderIfNoneMatch)),
		contentType: string(h.ContentType()), contentEncoding: string(h.Peek(fiber.HeaderContentEncoding)),
		acceptEncoding: string(h.Peek(fiber.HeaderAcceptEncoding)),
		rawBody:        rc.Request.Body(), // used up before this function returns
	}
	if addr, err := netip.ParseAddrPort(rc.RemoteAddr().String()); err == nil {
		c.remote = addr.Addr()
	}
	a, err := c.run()
	if r.who == byLease {
		rc.Response.Header.Set("DPoP-Nonce", s.guard.Proofs.Nonce(c.now))
	}
	if err != nil {
		s.sendFailure(rc, ex, failureOf(err))
		return
	}
	s.send(rc, ex, a)
}

func copies(values [][]byte) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// answer is a success: JSON of value, raw bytes of a media type, or a stream of one.
type answer struct {
	status int
	value  any
	raw    []byte
	mime   string
	etag   string
	stream *stream
	coding string // of the stream
	cache  bool   // public and the same for everybody: may be kept, if revalidated
	policy string // Content-Security-Policy, of what a browser may show
	file   string // name under which it is saved, of what a browser is not to show
}

func (s *Server) send(rc *fasthttp.RequestCtx, ex *exchange, a answer) {
	if a.stream != nil {
		a.stream.conn = rc.Conn()
		s.head(rc, ex, a.status, a.mime, "no-store", a.coding)
		rc.Response.Header.Set("X-Accel-Buffering", "no") // nginx hands each piece on
		rc.SetConnectionClose()
		rc.SetBodyStream(a.stream, -1)
		return
	}
	body, mime := a.raw, a.mime
	if a.value != nil {
		var err error
		if body, err = json.Marshal(a.value, json.Deterministic(true)); err != nil {
			f := fail("internal", "")
			f.cause = err
			s.sendFailure(rc, ex, f)
			return
		}
		mime = jsonMIME
	}
	h := &rc.Response.Header
	if a.etag != "" {
		h.Set(fiber.HeaderETag, a.etag)
	}
	if a.policy != "" {
		h.Set(fiber.HeaderContentSecurityPolicy, a.policy)
		h.Set(fiber.HeaderReferrerPolicy, "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
	}
	if a.file != "" {
		h.Set(fiber.HeaderContentDisposition, `attachment; filename="`+a.file+`"`)
	}
	cache := "no-store"
	if a.cache {
		cache = "no-cache"
	}
	s.write(rc, ex, a.status, mime, cache, body)
}

func (s *Server) sendFailure(rc *fasthttp.RequestCtx, ex *exchange, f *failure) {
	if f.cause != nil {
		level := slog.LevelInfo
		if f.Status >= 500 && f.Code != "overloaded" { // a crowd must not fill the log with errors
			level = slog.LevelError
		}
		s.o.Log.LogAttrs(rc, level, "refused", slog.String("request", ex.id), slog.String("route", ex.route),
			slog.String("code", f.Code), slog.String("reason", reasonOf(f.cause)))
	}
	f.Instance = ex.id
	body, err := json.Marshal(&f.Problem, json.Deterministic(true))
	if err != nil {
		s.o.Log.Error("problem cannot be written", "request", ex.id, "code", f.Code)
	}
	h := &rc.Response.Header
	if f.Status == http.StatusUnauthorized {
		if f.challenge == "" {
			f.challenge = challenge("invalid_token")
		}
		h.Set(fiber.HeaderWWWAuthenticate, f.challenge)
		h.Set("DPoP-Nonce", s.guard.Proofs.Nonce(s.o.Now()))
	}
	if f.etag != "" {
		h.Set(fiber.HeaderETag, f.etag)
	}
	if retry := s.retryAfter(f); retry > 0 {
		h.Set(fiber.HeaderRetryAfter, strconv.Itoa(retry))
	}
	if f.hangUp {
		rc.SetConnectionClose()
	}
	s.write(rc, ex, f.Status, problemMIME, "no-store", body)
}

// retryAfter spreads those who were sent away together: up to as much again on top, or up to a
// quarter where the queue gave everybody a time of their own (H13).
func (s *Server) retryAfter(f *failure) int {
	base := f.retry
	switch f.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		base = max(base, 2)
	case http.StatusInsufficientStorage:
		base = max(base, 60)
	default:
		return 0
	}
	var b [1]byte
	if _, err := io.ReadFull(s.o.Rand, b[:]); err != nil {
		return max(base, int(f.after/time.Second)+1)
	}
	share := float64(b[0]) / 256
	if f.after > 0 {
		return returnIn(f.after, share)
	}
	return base + base*int(b[0])/255
}

// returnIn is a time in whole seconds: rounded up or down so that those told a part of a second
// more come later on the whole, with up to a quarter of it on top.
func returnIn(after time.Duration, share float64) int {
	return max(1, int(after.Seconds()*(1+share/4)+share))
}

func (s *Server) write(rc *fasthttp.RequestCtx, ex *exchange, status int, mime, cache string, body []byte) {
	encoded, encoding := limitio.Encode(string(rc.Request.Header.Peek(fiber.HeaderAcceptEncoding)), body)
	s.head(rc, ex, status, mime, cache, encoding)
	rc.SetBody(encoded)
}

func (s *Server) head(rc *fasthttp.RequestCtx, ex *exchange, status int, mime, cache, encoding string) {
	h := &rc.Response.Header
	h.Set("X-Request-Id", ex.id)
	h.Set(fiber.HeaderCacheControl, cache)
	h.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	h.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)
	if encoding != "" {
		h.Set(fiber.HeaderContentEncoding, encoding)
	}
	if mime != "" {
		h.SetContentType(mime)
	}
	rc.SetStatusCode(status)
}
