package api

import (
	"reflect"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/sync"
)

type specOperation struct {
	Security *[]map[string][]string `json:"security"`
	Roles    []string               `json:"x-roles"`
}

type specSchema struct {
	Required   []string       `json:"required"`
	Properties map[string]any `json:"properties"`
}

func spec(t *testing.T) (paths map[string]map[string]specOperation, schemas map[string]specSchema) {
	t.Helper()
	var doc struct {
		Paths      map[string]map[string]specOperation `json:"paths"`
		Components struct {
			Schemas map[string]specSchema `json:"schemas"`
		} `json:"components"`
	}
	must(t, json.Unmarshal(contract.OpenAPIJSON(), &doc))
	return doc.Paths, doc.Components.Schemas
}

// The table of routes is the contract's list of paths, with its credentials and roles (H1).
func TestRoutesAreTheContract(t *testing.T) {
	paths, _ := spec(t)
	found := 0
	for i := range routes {
		r := &routes[i]
		op, ok := paths[r.path][map[string]string{get: "get", post: "post"}[r.method]]
		if !ok {
			t.Errorf("%s %s is not in the contract", r.method, r.path)
			continue
		}
		found++
		open := op.Security != nil && len(*op.Security) == 0
		if open != (r.who == public || r.who == byCode) {
			t.Errorf("%s %s: open to all: %v in the contract", r.method, r.path, open)
		}
		if r.who != public && r.who != byCode && r.roles == 0 {
			t.Errorf("%s %s: no role may call it", r.method, r.path)
		}
		if op.Roles != nil && model.ParseRoles(op.Roles) != r.roles {
			t.Errorf("%s %s: roles %v, contract %v", r.method, r.path, r.roles.Names(), op.Roles)
		}
		if op.Roles == nil && r.roles != 0 && r.roles != everyRole {
			t.Errorf("%s %s: the contract names no roles, the table %v", r.method, r.path, r.roles.Names())
		}
	}
	all := 0
	for _, ops := range paths {
		all += len(ops)
	}
	if found != all {
		t.Errorf("%d routes, the contract has %d", found, all)
	}
	h := newHouse(t)
	registered := 0
	for _, r := range h.srv.App().GetRoutes(true) {
		if r.Method != get && r.Method != post {
			t.Errorf("the framework answers %s %s", r.Method, r.Path)
		}
		registered++
	}
	if registered != len(routes) {
		t.Errorf("the framework has %d routes, the table %d", registered, len(routes))
	}
}

// What decodeStrict requires is what the contract requires, for every body we read.
func TestRequiredMembers(t *testing.T) {
	_, schemas := spec(t)
	for _, v := range []any{
		contract.EnrolRequest{}, contract.LeaseRequest{}, contract.PushRequest{}, contract.Diary{}, contract.DecisionRequest{},
		contract.SettleRequest{}, contract.InviteRequest{}, contract.RevokeRequest{}, contract.AssignRequest{},
		contract.BlockRequest{}, contract.BreakGlassRequest{}, contract.FindingSettleRequest{},
		contract.ExtractRequest{}, contract.ExtractResend{}, model.Reason{}, contract.RotateRequest{}, contract.WipedRequest{},
		contract.DigestRequest{}, contract.PersonDigest{}, contract.VisitsRequest{},
	} {
		rt := reflect.TypeOf(v)
		s, want := shapeOf(rt), schemas[rt.Name()]
		got := slices.Clone(s.required)
		slices.Sort(got)
		slices.Sort(want.Required)
		if !slices.Equal(got, want.Required) {
			t.Errorf("%s: we require %v, the contract %v", rt.Name(), got, want.Required)
		}
		if len(s.members) != len(want.Properties) {
			t.Errorf("%s: we know %d members, the contract %d", rt.Name(), len(s.members), len(want.Properties))
		}
	}
}

// Every code that this package names is one that the contract gives a status.
func TestCodesAreTheContracts(t *testing.T) {
	for _, k := range errorCodes {
		if c, ok := contract.LookupCode(k.code); !ok || c.Status == 0 {
			t.Errorf("code %q has no status", k.code)
		}
	}
}

// The contract lists the reasons that a device's page can give, in their order.
func TestExplainCodesAreTheContracts(t *testing.T) {
	_, schemas := spec(t)
	code, _ := schemas["DeviceView"].Properties["code"].(map[string]any)
	listed, _ := code["enum"].([]any)
	var got []string
	for _, c := range listed {
		got = append(got, c.(string))
	}
	if !slices.Equal(got, sync.ExplainCodes()) {
		t.Errorf("the contract lists %q, the engine gives %q", got, sync.ExplainCodes())
	}
}
