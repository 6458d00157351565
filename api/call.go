package api

import (
	"context"
	"errors"
	"mime"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"flette/api/auth"
	"flette/internal/limitio"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// call is one request as the handlers see it: copies, and who is asking.
type call struct {
	s   *Server
	r   *route
	ex  *exchange
	ctx context.Context
	now time.Time

	path, id, rawQuery           string
	authorization, proof         []string
	ifMatch, ifNoneMatch         []string
	contentType, contentEncoding string
	acceptEncoding               string
	rawBody                      []byte
	remote                       netip.Addr

	query url.Values
	body  []byte // decoded
	who   caller
	leave func() // ends the work of the route: see enter
}

// run answers, and keeps what a device was refused for its page.
func (c *call) run() (answer, error) {
	a, err := c.work()
	if err != nil && c.who.lease != nil {
		contact := ""
		if c.r.path == pathPush {
			contact = sync.ContactPush
		}
		c.engine().NoteProblem(c.who.tenant, c.who.lease.Device, contact, failureOf(err).Code)
	}
	return a, err
}

// work does what every route needs, in this order: who is asking, how often, may they, and is
// the request well-formed. Nothing is parsed for those who may not ask.
func (c *call) work() (answer, error) {
	ctx, cancel := context.WithTimeout(c.s.base, c.s.o.Limits.Request)
	defer cancel()
	c.ctx = ctx
	if escapedSlash(c.path) {
		return answer{}, fail("not-found", "")
	}
	if f := c.identify(); f != nil {
		return answer{}, f
	}
	if c.r.who != public && c.r.who != byCode && !c.who.roles.Has(model.Role(c.r.roles)) {
		return answer{}, fail("forbidden", "")
	}
	if f := c.readQuery(); f != nil {
		return answer{}, f
	}
	if f := c.enter(); f != nil {
		return answer{}, f
	}
	defer func() { c.leave() }()
	if f := c.readBody(); f != nil {
		return answer{}, f
	}
	return c.r.handle(c)
}

// escapedSlash reports whether some readers take the path for another one with a slash more:
// then it is no route.
func escapedSlash(path string) bool { return strings.Contains(strings.ToLower(path), "%2f") }

// enter waits for the caller's turn to do the work of the route. A handler that then waits for
// something calls leave first, and enters again to go on.
func (c *call) enter() *failure {
	c.leave = func() {}
	g := c.s.gates[c.r.class()]
	if g == nil {
		return nil
	}
	p := party{string(c.who.tenant), string(c.who.actor)}
	switch {
	case c.who.lease != nil:
		p.who = c.who.lease.Device.String()
	case c.r.who == byCode:
		p.who = remoteKey(c.remote)
	}
	leave, f := g.enter(c.ctx, p, len(c.rawBody))
	if f == nil {
		c.leave = leave
	}
	return f
}

func (c *call) readQuery() *failure {
	var err error
	if c.query, err = url.ParseQuery(c.rawQuery); err != nil {
		return fail("invalid-query", "The query is not well-formed.")
	}
	for name, values := range c.query {
		if !slices.Contains(c.r.query, name) {
			return fail("invalid-query", "The query holds a parameter that this route does not know.")
		}
		if len(values) != 1 {
			return fail("invalid-query", "The parameter "+name+" is repeated.")
		}
		if values[0] == "" {
			return fail("invalid-query", "The parameter "+name+" is empty.")
		}
	}
	return nil
}

func (c *call) readBody() *failure {
	limit := c.r.body
	if limit == 0 {
		if len(c.rawBody) != 0 {
			return fail("invalid-header", "This route takes no body.")
		}
		return nil
	}
	if c.r.path == pathPush {
		limit = c.s.o.Limits.Body
	}
	kind, params, err := mime.ParseMediaType(c.contentType)
	if err != nil || kind != jsonMIME || len(params) > 1 || len(params) == 1 && !strings.EqualFold(params["charset"], "utf-8") {
		return fail("unsupported-media-type", "")
	}
	c.body, err = limitio.Decode(c.contentEncoding, c.rawBody, int64(limit))
	switch {
	case errors.Is(err, limitio.ErrUnsupported):
		return fail("unsupported-encoding", "")
	case errors.Is(err, limitio.ErrTooLarge):
		return c.s.tooLarge()
	case err != nil:
		return fail("malformed-encoding", "")
	}
	return nil
}

// text returns a query parameter, "" when it is absent.
func (c *call) text(name string) string { return c.query.Get(name) }

// number reads a query parameter between lo and hi, or gives the default.
func (c *call) number(name string, absent, lo, hi int64) (int64, *failure) {
	text := c.query.Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < lo || n > hi || strconv.FormatInt(n, 10) != text {
		return 0, fail("invalid-query", "The parameter "+name+" is not a whole number from "+
			strconv.FormatInt(lo, 10)+" to "+strconv.FormatInt(hi, 10)+".")
	}
	return n, nil
}

const (
	maxSafe      = 1<<53 - 1
	defaultLimit = 100
	maxLimit     = 500
)

func (c *call) limit() (int, *failure) {
	n, f := c.number("limit", defaultLimit, 1, maxLimit)
	return int(n), f
}

// choice reads a query parameter that has few values.
func (c *call) choice(name, absent string, values ...string) (string, *failure) {
	text := c.query.Get(name)
	if text == "" {
		return absent, nil
	}
	if !slices.Contains(values, text) {
		return "", fail("invalid-query", "The parameter "+name+" is one of "+strings.Join(values, ", ")+".")
	}
	return text, nil
}

func badQuery(name string) *failure {
	return fail("invalid-query", "The parameter "+name+" is of the wrong shape.")
}

func badPath() *failure { return fail("invalid-path", "") }

// view reads one snapshot of the caller's tenant.
func (c *call) view(fn func(store.View) error) error {
	return c.s.o.Engine.Store().View(c.ctx, c.who.tenant, fn)
}

func (c *call) engine() *sync.Engine { return c.s.o.Engine }

// caller is who is asking.
type caller struct {
	tenant model.TenantID
	actor  model.ActorID
	roles  model.Roles

	lease   *auth.LeaseClaims // nil for an access token
	expired bool              // the lease is over
	user    auth.Principal    // of an access token
	key     *auth.Proof       // nil when no proof came along
}

// seesAll reports whether the caller may see every person of the tenant (H3).
func (w *caller) seesAll() bool { return w.roles.Has(model.RoleSupervisor | model.RoleAdmin) }
