package contract

// Retry says what a client does after a problem.
type Retry string

// What to do after a problem.
const (
	RetryNever Retry = "never" // nothing will change by trying: show it to a person
	RetrySame  Retry = "same"  // at once, with what the answer gave (a nonce)
	RetryFixed Retry = "fixed" // after the request, or the state it rests on, was put right
	RetryLater Retry = "later" // the same request after Retry-After, or a growing wait
)

// Code is one stable problem code. A code is never renamed and never changes its status;
// a client that meets one it does not know goes by the status and by retry.
type Code struct {
	Code   string
	Status int    // of the problem document; 0 when only entries carry the code
	Entry  string // outcome of an entry with this code: "", quarantined or refused
	Retry  Retry
	Title  string // what is wrong, one sentence, the same for every occurrence
}

// Codes lists every code of the contract, by group. docs/codes.md is made from it.
var Codes = []Code{
	// The request's bytes.
	{"invalid-json", 400, "", RetryFixed, "The body is not strict JSON: valid UTF-8, no duplicate members, one value."},
	{"invalid-member", 400, "", RetryFixed, "A member of the body is missing, of the wrong type or out of range."},
	{"unknown-member", 400, "", RetryFixed, "The body holds a member that the contract does not know."},
	{"invalid-path", 400, "", RetryFixed, "A part of the path has the wrong shape."},
	{"invalid-query", 400, "", RetryFixed, "A query parameter is unknown, repeated, missing or of the wrong shape."},
	{"invalid-header", 400, "", RetryFixed, "A request header is repeated or of the wrong shape (repeated Authorization or DPoP headers answer 401)."},
	{"invalid-cursor", 400, "", RetryFixed, "The cursor was not given out by this server for this list."},
	{"malformed-encoding", 400, "", RetryFixed, "The body does not decode with its Content-Encoding."},
	{"invalid-key", 400, "", RetryFixed, "The public key is not an Ed25519 or P-256 JWK without private members."},
	{"invalid-proof", 400, "", RetryFixed, "The enrolment proof is not signed by the key, or names another tenant, code or key."},
	{"timeout", 408, "", RetryLater, "The request took too long to arrive."},
	{"too-large", 413, OutcomeRefused, RetryFixed, "The body, or one entry, is larger than the advertised limits."},
	{"unsupported-media-type", 415, "", RetryFixed, "The body must be application/json."},
	{"unsupported-encoding", 415, "", RetryFixed, "Content-Encoding must be absent, identity, gzip or zstd."},
	{"header-too-large", 431, "", RetryFixed, "The request headers are larger than the server reads."},
	{"not-found", 404, "", RetryNever, "There is nothing here, or nothing that the caller may see."},
	{"method-not-allowed", 405, "", RetryFixed, "The route exists, the method does not."},

	// Who is asking.
	{"unauthenticated", 401, "", RetryFixed, "The request carries no usable Authorization header."},
	{"invalid-token", 401, "", RetryFixed, "The access token is not valid for this server."},
	{"invalid-lease", 401, "", RetryFixed, "The lease was not issued by this server."},
	{"lease-expired", 401, OutcomeQuarantined, RetryFixed, "The session of the lease has ended: the user logs in again."},
	{"lease-not-bound", 401, "", RetryFixed, "The lease or token is bound to another key than the proof's."},
	{"invalid-dpop", 401, "", RetryFixed, "The DPoP proof is missing, malformed, badly signed, stale or made for another request."},
	{"use-dpop-nonce", 401, "", RetrySame, "The DPoP proof needs the nonce of this answer."},
	{"replayed-proof", 401, "", RetryFixed, "The DPoP proof was used before: every request needs its own."},
	{"unknown-device", 401, "", RetryFixed, "The device is not enrolled in this tenant, or not with this key: enrol it again, naming its former id, with its handovers; it keeps its outbox."},
	{"invite-invalid", 403, "", RetryFixed, "The enrolment code is unknown, used or expired."},
	{"device-revoked", 403, OutcomeQuarantined, RetryNever, "The device is revoked: it may hand in its outbox, and obey the order that the answer holds."},
	{"forbidden", 403, "", RetryNever, "The caller's role or caseload does not allow this."},

	// The state of things.
	{"conflict", 409, "", RetryFixed, "The request contradicts the present state."},
	{"too-few-persons", 409, "", RetryNever, "Too few persons have a service for a report that shows none of them."},
	{"already-settled", 409, OutcomeQuarantined, RetryFixed, "The review, quarantined entry, finding or use of emergency access is settled already."},
	{"not-releasable", 409, OutcomeQuarantined, RetryNever, "The quarantined entry cannot take effect as it is: close it and register anew."},
	{"has-access", 409, "", RetryNever, "The caller may see the person already: emergency access is not needed."},
	{"device-exists", 409, "", RetryNever, "The key, or the device named as former, is enrolled already."},
	{"epoch-changed", 409, "", RetryFixed, "The store was restored or re-created: start from an empty cursor."},
	{"store-rewound", 409, "", RetryFixed, "The device holds a checkpoint that this store does not continue: push without it, and kept entries again, from `size` on when the epoch is new, else all; a cursor may be gone too."},
	{"nothing-to-send", 409, "", RetryLater, "There is nothing new to extract."},
	{"contacts-missing", 409, "", RetryFixed, "The tenant has no contact person for the register."},
	{"cursor-gone", 410, "", RetryFixed, "The cursor is too old: start from an empty cursor."},
	{"precondition-failed", 412, "", RetryFixed, "The review has changed since it was read: `current` holds it as it is now."},
	{"extract-invalid", 422, "", RetryFixed, "The record gives no message that the register's schema accepts."},
	{"precondition-required", 428, "", RetryFixed, "A decision needs If-Match with the review's ETag."},

	// Room and load.
	{"rate-limited", 429, "", RetryLater, "This device or user asks too often."},
	{"overloaded", 503, "", RetryLater, "The server has no capacity now."},
	{"not-ready", 503, "", RetryLater, "The server is starting, stopping or cannot reach its store."},
	{"store-full", 507, "", RetryLater, "The store has no room: nothing was written."},
	{"internal", 500, "", RetryLater, "The server failed; the request id finds the reason in its log."},

	// Bytes that cannot be attributed to an enrolled key: the only refusals.
	{"not-a-jws", 0, OutcomeRefused, RetryNever, "The bytes are not an entry: a compact JWS with exactly alg, typ and kid."},
	{"unknown-key", 0, OutcomeRefused, RetryNever, "No device of this tenant has this key id."},
	{"bad-signature", 0, OutcomeRefused, RetryNever, "The signature is not by the device's key."},

	// Authentic entries that cannot be applied: kept, receipted, waiting for a person.
	{"invalid-payload", 0, OutcomeQuarantined, RetryNever, "The payload is not strict JSON of the entry schema."},
	{"unknown-version", 0, OutcomeQuarantined, RetryNever, "The payload's contract version is not known to this server: it waits until the server is upgraded, and can be released then."},
	{"unknown-unit", 0, OutcomeQuarantined, RetryNever, "The catalogue does not know the unit."},
	{"unit-closed", 0, OutcomeQuarantined, RetryNever, "The catalogue lists the variable but takes no registrations of it yet."},
	{"value-invalid", 0, OutcomeQuarantined, RetryNever, "The value does not fit the unit."},
	{"not-valid-then", 0, OutcomeQuarantined, RetryNever, "The variable or service type is not registered at that time."},
	{"score-out-of-range", 0, OutcomeQuarantined, RetryNever, "A score is 1-5 or 9 (R14)."},
	{"received-without-need", 0, OutcomeQuarantined, RetryNever, "What is received is asked only when there is a need (R97)."},
	{"date-in-future", 0, OutcomeQuarantined, RetryNever, "The date lies after the day of registration (R11)."},
	{"date-required", 0, OutcomeQuarantined, RetryNever, "The value needs a date."},
	{"date-not-allowed", 0, OutcomeQuarantined, RetryNever, "The value takes no such date (R59)."},
	{"dates-out-of-order", 0, OutcomeQuarantined, RetryNever, "One date lies before another that must come first (R30, R49, R51, R59)."},
	{"time-too-long", 0, OutcomeQuarantined, RetryNever, "One time registration is at most 24 hours."},
	{"hours-over-168", 0, OutcomeQuarantined, RetryNever, "A week has 168 hours (R36)."},
	{"resource-below-hours", 0, OutcomeQuarantined, RetryNever, "Resource hours are at least the hours (R42)."},
	{"rejected-with-hours", 0, OutcomeQuarantined, RetryNever, "A rejected service has neither hours nor a period (R50)."},
	{"rolling-not-allowed", 0, OutcomeQuarantined, RetryNever, "Only respite in institution is rolling (R45)."},
	{"doctor-not-confirmed", 0, OutcomeQuarantined, RetryNever, "A medication review counts as done when the doctor has confirmed it (R33)."},
	{"nutrition-inconsistent", 0, OutcomeQuarantined, RetryNever, "The answers about nutrition contradict each other (R34)."},
	{"id-length", 0, OutcomeQuarantined, RetryNever, "The identifier has the wrong number of characters."},
	{"id-digits", 0, OutcomeQuarantined, RetryNever, "The identifier holds something else than digits where digits belong."},
	{"id-date", 0, OutcomeQuarantined, RetryNever, "The identifier holds no real date."},
	{"id-checksum", 0, OutcomeQuarantined, RetryNever, "The control digits of the identifier do not fit (R70)."},
	{"reason-required", 0, OutcomeQuarantined, RetryNever, "The act needs a reason with code and text."},
	{"tenant-mismatch", 0, OutcomeQuarantined, RetryNever, "The payload names another tenant than the one it was sent to."},
	{"device-mismatch", 0, OutcomeQuarantined, RetryNever, "The payload names another device than its key id."},
	{"actor-mismatch", 0, OutcomeQuarantined, RetryNever, "The payload names another actor than its lease."},
	{"lease-unknown", 0, OutcomeQuarantined, RetryNever, "The entry names no lease that this server issued to the device."},
	{"act-forbidden", 0, OutcomeQuarantined, RetryNever, "The actor's role does not allow the act."},
	{"out-of-scope", 0, OutcomeQuarantined, RetryNever, "The person was not in the actor's caseload."},
	{"person-blocked", 0, OutcomeQuarantined, RetryNever, "The person was blocked for the actor when the entry was signed."},
	{"unknown-person", 0, OutcomeQuarantined, RetryNever, "The tenant has no such person."},
	{"unknown-target", 0, OutcomeQuarantined, RetryNever, "The target is not an entry, or not a finding, that the act can point at."},
	{"too-many-heads", 0, OutcomeQuarantined, RetryNever, "The unit has more open heads than a person can decide."},
	{"key-retired", 0, OutcomeQuarantined, RetryNever, "The device signed with another of its keys than the one that was good for the sequence number."},
	{"version-retired", 0, OutcomeQuarantined, RetryNever, "The contract version is older than this server applies without a supervisor: the app needs an update."},
	{"device-forked", 0, OutcomeQuarantined, RetryNever, "The device has forked before: it must be enrolled anew."},
	{"seq-fork", 0, OutcomeQuarantined, RetryNever, "The device signed two entries with one sequence number: it was cloned or restored."},
}

var codeIndex = func() map[string]Code {
	m := make(map[string]Code, len(Codes))
	for _, c := range Codes {
		m[c.Code] = c
	}
	return m
}()

// LookupCode finds a code of the table.
func LookupCode(code string) (Code, bool) {
	c, ok := codeIndex[code]
	return c, ok
}

// ProblemTypeBase precedes the code in a problem's type.
const ProblemTypeBase = "https://flette.dev/problems/"

// NewProblem fills a problem document from the table. A code that is not there, or that
// only entries carry, becomes "internal": the table is the contract.
func NewProblem(code, detail string) *Problem {
	c, ok := codeIndex[code]
	if !ok || c.Status == 0 {
		c = codeIndex["internal"]
	}
	if detail == "" {
		detail = c.Title
	}
	return &Problem{
		Type: ProblemTypeBase + c.Code, Title: c.Title, Status: c.Status, Code: c.Code,
		Detail: detail, Retry: string(c.Retry),
	}
}
