package register

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// What became of a message.
const (
	Accepted = "accepted" // the register said so
	Rejected = "rejected" // the register said so, and why
	Unknown  = "unknown"  // the request was out; the register may have it
	NotSent  = "not-sent" // the message did not leave this machine
)

// Transports.
const (
	Slash   = "slash"
	Process = "process"
)

// Config says where the register is and who we are. It holds a private key: do not print it.
type Config struct {
	Transport string
	URL       string // of the API, with or without a slash at the end
	HelseID   HelseID
	Vendor    string // x-vendor-name
	Software  string // x-software-name
	Version   string // x-software-version
	Export    string // x-export-software-version
	FromHer   int64  // HER-id of the sender; process only
	ToHer     int64  // HER-id of the register; process only
	Timeout   time.Duration
	Now       func() time.Time
	NewID     func() string // a fresh UUID, for jti
	HTTP      http.RoundTripper
}

// Message is one message in clear.
type Message struct {
	ID        string // UUID that stays the same when it is sent again
	Type      string
	Version   string
	Body      []byte
	Extracted time.Time // when the data was taken out

	// Pack makes the CMS package of Body; process only.
	Pack func(body []byte) ([]byte, error)
}

// Fault is one thing that the register said against a message.
type Fault struct {
	Code     int    // 0 when it named none
	Name     string // the register's name of the code
	Property string
	// Details may repeat what stood in the message: to be kept like the message itself.
	Details string
}

// Receipt is what became of one attempt.
type Receipt struct {
	State     string
	Status    int    // HTTP status, 0 without an answer
	Reference string // X-Correlation-ID, or refId
	MessageID string // as the register calls it; process only
	KeyID     string // of the register's key that was used; slash only
	Faults    []Fault
	Reason    string // of Unknown and NotSent: a sentence without content of the message
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// Client talks to one register as one sender. Not for concurrent use.
type Client struct {
	c       Config
	base    *url.URL
	http    *http.Client
	signer  signer
	token   string
	expires time.Time
	nonces  map[string]string // newest DPoP nonce by origin (RFC 9449, 8.2)
}

// New checks the configuration.
func New(c Config) (*Client, error) {
	if c.Transport != Slash && c.Transport != Process {
		return nil, fmt.Errorf("transport must be %s or %s", Slash, Process)
	}
	base, err := address("url", c.URL)
	if err != nil {
		return nil, err
	}
	if _, err := address("helseid.token_url", c.HelseID.TokenURL); err != nil {
		return nil, err
	}
	for name, v := range map[string]string{"vendor": c.Vendor, "software": c.Software, "software_version": c.Version, "export_version": c.Export, "helseid.client_id": c.HelseID.ClientID} {
		if strings.TrimSpace(v) == "" || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, fmt.Errorf("%s must be given, in ASCII: it goes into a header", name)
		}
	}
	if c.Transport == Process && (c.FromHer <= 0 || c.ToHer <= 0) {
		return nil, errors.New("from_her and to_her must be given for transport process")
	}
	if c.Now == nil || c.NewID == nil {
		return nil, errors.New("register: Config needs Now and NewID")
	}
	if c.Timeout <= 0 {
		c.Timeout = 2 * time.Minute
	}
	s, err := newSigner(c.HelseID.Key)
	if err != nil {
		return nil, err
	}
	return &Client{
		c: c, base: base, signer: s, nonces: map[string]string{},
		// A redirect would carry the token to somebody whom the configuration does not name.
		http: &http.Client{Transport: c.HTTP, Timeout: c.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// address takes https, and http to this machine alone.
func address(name, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%s must be an address https://... without query and user", name)
	}
	local := u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, fmt.Errorf("%s must begin with https://", name)
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u, nil
}

func (c *Client) at(path string) string { return c.base.JoinPath(path).String() }

// Send sends a message and waits for the answer. What the register asks for once more (a
// nonce, a newer token, a newer key) is given once more; the message is the same each time.
func (c *Client) Send(ctx context.Context, m Message) Receipt {
	var r Receipt
	for range 4 {
		var again bool
		if r, again = c.attempt(ctx, m); !again {
			break
		}
	}
	return r
}

// attempt sends the message once. again says that the register wants the same with something
// newer, which the client has by now.
func (c *Client) attempt(ctx context.Context, m Message) (r Receipt, again bool) {
	hadNonce, hadToken := c.nonces[c.base.Host], c.token
	req, keyID, err := c.request(ctx, m)
	if err != nil {
		return Receipt{State: NotSent, Reason: err.Error()}, false
	}
	a, err := c.do(req)
	if err != nil {
		return Receipt{State: a.state(), KeyID: keyID, Reason: err.Error()}, false
	}
	if a.status == http.StatusUnauthorized {
		challenge := strings.Join(a.header.Values("Www-Authenticate"), ", ")
		if strings.Contains(challenge, "use_dpop_nonce") && c.nonces[c.base.Host] != hadNonce {
			return a.receipt(keyID), true
		}
		if strings.Contains(challenge, "invalid_token") && hadToken != "" {
			c.token = ""
			return a.receipt(keyID), true
		}
	}
	r = a.receipt(keyID)
	// The register changed its key between our asking and our sending.
	again = r.State == Rejected && len(r.Faults) == 1 && (r.Faults[0].Code == 1004 || r.Faults[0].Code == 1007)
	return r, again
}

// request makes the request with everything in it; nothing of the message has left yet.
func (c *Client) request(ctx context.Context, m Message) (*http.Request, string, error) {
	path, keyID, contentType, extra := "message/process", "", "application/json", map[string]any(nil)
	var body []byte
	var err error
	if c.c.Transport == Slash {
		path, contentType = "message", "text/plain; charset=utf-8"
		body, keyID, extra, err = c.slashBody(ctx, m)
	} else {
		body, err = c.processBody(m)
	}
	if err != nil {
		return nil, "", err
	}
	if err := c.freshToken(ctx); err != nil {
		return nil, "", err
	}
	to := c.at(path)
	proof, err := c.proof(http.MethodPost, to, c.token, extra)
	if err != nil {
		return nil, "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	h := req.Header
	h.Set("Content-Type", contentType)
	h.Set("Authorization", "DPoP "+c.token)
	h.Set("DPoP", proof)
	h.Set("x-vendor-name", c.c.Vendor)
	h.Set("x-software-name", c.c.Software)
	h.Set("x-software-version", c.c.Version)
	h.Set("x-export-software-version", c.c.Export)
	h.Set("x-data-extraction-date", m.Extracted.Format("02.01.2006"))
	return req, keyID, nil
}

// answer is what came back, or how far it went.
type answer struct {
	wrote  bool // the head of the request was on its way
	status int
	header http.Header
	body   []byte
}

func (a answer) state() string {
	if a.wrote {
		return Unknown
	}
	return NotSent
}

// do sends a request and reads the answer whole. Errors name no content.
func (c *Client) do(req *http.Request) (answer, error) {
	var wrote atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		WroteHeaders: func() { wrote.Store(true) },
	}))
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{wrote: wrote.Load()}, plainError(req.URL, err)
	}
	defer resp.Body.Close()
	a := answer{wrote: true, status: resp.StatusCode, header: resp.Header}
	if n := resp.Header.Get("DPoP-Nonce"); n != "" && len(n) <= 1024 {
		c.nonces[req.URL.Host] = n
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(a.body) > maxAnswer {
		err = errors.New("it is longer than 1 MiB")
	}
	if err != nil {
		return a, fmt.Errorf("the answer of %s was cut off: %w", req.URL.Host, err)
	}
	return a, nil
}

// plainError says which host did not answer. The address inside a *url.Error says no more.
func plainError(u *url.URL, err error) error {
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("%s gave no answer: %w", u.Host, err)
}

func (a answer) receipt(keyID string) Receipt {
	r := Receipt{State: Unknown, Status: a.status, KeyID: keyID, Reference: short(a.header.Get("X-Correlation-ID"))}
	var body struct {
		Delivered *bool  `json:"delivered"`
		MessageID string `json:"messageId"`
		RefID     string `json:"refId"`
		Errors    []struct {
			Code     *int    `json:"errorCode"`
			Property *string `json:"propertyName"`
			Message  *string `json:"errorMessage"`
			Details  *string `json:"errorDetails"`
		} `json:"errors"`
		ValidationCode    any    `json:"validationCode"`
		ValidationMessage string `json:"validationMessage"`
		ErrorCode         any    `json:"errorCode"`
		ErrorMessage      string `json:"errorMessage"`
	}
	readable := json.Unmarshal(a.body, &body) == nil
	r.MessageID = short(body.MessageID)
	if r.Reference == "" {
		r.Reference = short(body.RefID)
	}
	for _, e := range body.Errors {
		f := Fault{Property: short(deref(e.Property)), Name: faultName(deref(e.Message)), Details: deref(e.Details)}
		if e.Code != nil {
			f.Code = *e.Code
		}
		r.Faults = append(r.Faults, f)
	}
	for _, one := range []struct {
		code any
		text string
	}{{body.ValidationCode, body.ValidationMessage}, {body.ErrorCode, body.ErrorMessage}} {
		if one.code != nil || one.text != "" {
			r.Faults = append(r.Faults, Fault{Name: short(fmt.Sprint(one.code)), Details: one.text})
		}
	}
	told := readable && (body.Delivered != nil || body.MessageID != "" || body.RefID != "")
	switch {
	case a.status/100 == 2 && told && (body.Delivered == nil || *body.Delivered) && len(r.Faults) == 0:
		r.State = Accepted
	case a.status/100 == 2:
		r.Reason = "the register answered with success, but not in the agreed form"
		if told {
			r.State, r.Reason = Rejected, "" // delivered is false, or errors beside it
		}
	case a.status/100 == 4:
		r.State = Rejected
	case len(r.Faults) > 0:
		r.State = Rejected // a fault of the server that it knows and names: not stored
	default:
		r.Reason = fmt.Sprintf("the register answered with status %d and did not say what became of the message", a.status)
	}
	return r
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// faultName takes the name out of "Error: SchemaValidationFailed | Schema validation failed".
// What follows the name may be the message's own words.
func faultName(text string) string {
	text = strings.TrimPrefix(text, "Error: ")
	end := strings.IndexFunc(text, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	if end >= 0 {
		text = text[:end]
	}
	return short(text)
}

// short keeps references and names that can stand in a list.
func short(s string) string {
	if len(s) > 100 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "(not readable)"
	}
	return s
}

// ParseKey reads the private JWK that HelseID's self-service hands out. Errors say nothing of
// the key.
func ParseKey(body []byte) (jose.JSONWebKey, error) {
	var k jose.JSONWebKey
	if err := k.UnmarshalJSON(body); err != nil || !k.Valid() {
		return k, errors.New("it is not a JSON Web Key")
	}
	if k.IsPublic() {
		return k, errors.New("it is the public half of the key; the private one is needed")
	}
	return k, nil
}
