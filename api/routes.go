package api

import (
	"net/http"

	"flette/model"
)

// route is one row of the table: who may call it, and what it takes. A test holds the table
// against openapi.yaml, which says the same for everybody else.
type route struct {
	method, path string
	who          credential
	roles        model.Roles // one of them is needed; 0 only where who asks for no user
	afterLease   bool        // an expired lease will do
	query        []string    // the parameters that exist
	body         int         // most decoded bytes, 0 for no body
	handle       func(*call) (answer, error)
}

const (
	nurse      = model.Roles(model.RoleNurse)
	supervisor = model.Roles(model.RoleSupervisor)
	admin      = model.Roles(model.RoleAdmin)
	operator   = model.Roles(model.RoleOperator)
	everyRole  = nurse | supervisor | admin | operator
)

const (
	get  = http.MethodGet
	post = http.MethodPost

	pathPush   = "/v1/sync/push"
	pathDigest = "/v1/sync/digest"
)

var paged = []string{"cursor", "limit"}

var routes = []route{
	{post, "/v1/devices", byCode, 0, false, nil, smallBody, enrol},
	{get, "/v1/devices", byToken, supervisor | admin | operator, false, paged, 0, listDevices},
	{post, "/v1/devices/{id}/revoke", byToken, admin | operator, false, nil, smallBody, revokeDevice},
	{get, "/v1/devices/{id}", byToken, supervisor | admin | operator, false, nil, 0, getDevice},
	// An expired lease is good only to hear again what was done: the handler knows.
	{post, "/v1/devices/rotate-key", byLease, everyRole, true, nil, smallBody, rotateKey},
	{post, "/v1/invites", byToken, admin | operator, false, nil, smallBody, invite},
	{post, "/v1/leases", byTokenKey, everyRole, false, nil, smallBody, lease},

	// An expired lease still pushes, whatever its roles: nothing that was signed is lost.
	{post, pathPush, byLease, everyRole, true, nil, smallBody, push},
	{post, "/v1/sync/wiped", byLease, everyRole, true, nil, smallBody, wiped},
	{get, "/v1/sync/pull", byLease, everyRole, false, []string{"cursor", "limit", "wait"}, 0, pull},

	{get, "/v1/sync/snapshot", byLease, everyRole, false, []string{"after", "person"}, 0, snapshot},
	{post, pathDigest, byLease, everyRole, false, nil, digestBody, digest},
	{get, "/v1/sync/events", byLease, everyRole, false, nil, 0, events},

	{get, "/v1/persons", byTokenOr, nurse | supervisor | admin, false, []string{"unassigned", "cursor", "limit"}, 0, listPersons},
	{get, "/v1/persons/{id}", byTokenOr, nurse | supervisor | admin, false, []string{"as_of", "after"}, 0, getPerson},
	{get, "/v1/persons/{id}/history", byTokenOr, nurse | supervisor | admin, false, []string{"cursor", "limit", "unit"}, 0, getHistory},
	{post, "/v1/assignments", byToken, supervisor | admin, false, nil, smallBody, assign},
	{post, "/v1/blocks", byToken, supervisor | admin, false, nil, smallBody, block},
	{get, "/v1/blocks", byToken, supervisor | admin, false, []string{"person", "cursor", "limit"}, 0, listBlocks},
	{post, "/v1/break-glass", byTokenOr, nurse | supervisor, false, nil, smallBody, breakGlass},
	{get, "/v1/break-glass", byToken, supervisor, false, []string{"state", "cursor", "limit"}, 0, listBreakGlass},
	{post, "/v1/break-glass/{id}/follow-up", byToken, supervisor, false, nil, smallBody, followUp},
	{post, "/v1/visits", byToken, supervisor | admin, false, nil, smallBody, planVisits},

	{get, "/v1/reviews", byToken, supervisor, false, []string{"state", "cursor", "limit"}, 0, listReviews},
	{get, "/v1/reviews/{id}", byToken, supervisor, false, nil, 0, getReview},
	{post, "/v1/reviews/{id}/decision", byToken, supervisor, false, nil, decisionBody, decide},
	{get, "/v1/quarantine", byToken, supervisor, false, []string{"state", "unit", "person", "actor", "cursor", "limit"}, 0, listQuarantine},
	{get, "/v1/quarantine/{id}", byToken, supervisor, false, nil, 0, getQuarantined},
	{post, "/v1/quarantine/{id}/release", byToken, supervisor, false, nil, smallBody, release},
	{post, "/v1/quarantine/{id}/close", byToken, supervisor, false, nil, smallBody, closeQuarantined},

	{post, "/v1/extracts", byToken, admin, false, nil, smallBody, runExtract},
	{get, "/v1/extracts", byToken, admin, false, paged, 0, listExtracts},
	{get, "/v1/extracts/{id}", byToken, admin, false, nil, 0, getExtract},
	{get, "/v1/extracts/{id}/file", byToken, admin, false, nil, 0, getExtractFile},
	{get, "/v1/findings", byToken, supervisor | admin, false, []string{"person", "rule", "severity", "owner", "state", "cursor", "limit"}, 0, listFindings},
	{get, "/v1/findings/counts", byToken, supervisor | admin, false, []string{"rule", "severity", "owner", "from", "to"}, 0, countFindingsBy},
	{get, "/v1/submissions", byToken, admin, false, []string{"target", "cursor", "limit"}, 0, listSubmissions},
	{post, "/v1/findings/settle", byToken, supervisor, false, nil, smallBody, settleFinding},
	{get, "/v1/reports/time", byToken, supervisor | admin, false, []string{"week", "person", "by"}, 0, timeReport},
	{get, "/v1/reports/measures", byToken, supervisor | admin, false, []string{"date", "depth", "ages", "format", "lang"}, 0, measureReport},
	{get, "/v1/worklist", byToken, supervisor | admin, false, []string{"task", "ahead", "cursor", "limit"}, 0, listWorklist},
	{post, "/v1/worklist/confirm", byToken, supervisor, false, nil, smallBody, confirmEnds},

	{get, "/v1/journal/checkpoint", byAny, everyRole, false, nil, 0, getCheckpoint},
	{get, "/v1/journal/inclusion", byAny, everyRole, false, []string{"entry", "person", "size"}, 0, getInclusion},
	{get, "/v1/journal/consistency", byAny, everyRole, false, []string{"from", "to"}, 0, getConsistency},

	{get, "/v1/catalogue", public, 0, false, nil, 0, getCatalogue},
	{get, "/v1/local-services", byAny, everyRole, false, []string{"on"}, 0, getLocalServices},
	{get, "/v1/openapi.json", public, 0, false, nil, 0, getOpenAPI},
	{get, "/livez", public, 0, false, nil, 0, live},
	{get, "/readyz", public, 0, false, nil, 0, ready},
}
