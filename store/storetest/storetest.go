// Package storetest is the one conformance suite of package store. A driver calls [Run]
// from a test and passes all of it; every store of the suite is checked for consistency
// when its test ends, so each test is also a test against corruption.
package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flette/model"
	"flette/store"
)

// Tenant is the tenant that the suite writes to.
const Tenant model.TenantID = "testby"

// Open gives a fresh, empty store. The suite closes it.
type Open func(t *testing.T) store.Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s store.Store)
	}{
		{"G1 updates that share a person are serialised", testSerialised},
		{"G2 an update is all or nothing", testAllOrNothing},
		{"G2 a panic in fn is an error and leaves no trace", testPanic},
		{"G3 an id is inserted at most once per person", testInsertOnce},
		{"G4 positions are dense in commit order", testDense},
		{"G4 who has seen n has seen all below n", testSeenAllBelow},
		{"G5 a view is one snapshot", testSnapshot},
		{"G6 a rolled-back neighbour changes nothing", testNeighbours},
		{"G7 a view sees every update that returned", testReadYourWrites},
		{"G9 stored values come back byte for byte", testExactBytes},
		{"G10 limits", testLimits},
		{"tenants", testTenants},
		{"tenants are apart", testTenantsApart},
		{"unknown tenant", testUnknownTenant},
		{"closed", testClosed},
		{"cancelled context", testCancelled},
		{"commit hook", testHook},
		{"commit hook that fails rolls back", testHookFails},
		{"entries", testEntries},
		{"forks in device entries", testForks},
		{"entry positions", testEntryPosition},
		{"person positions", testPersonPositions},
		{"chains", testChains},
		{"units", testUnits},
		{"writes while listing", testWriteWhileListing},
		{"tree hashes and checkpoint", testTree},
		{"documents", testDocs},
		{"typed documents", testTypedDocs},
		{"a tx reads its own writes", testOwnWrites},
		{"results are copies", testCopies},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, fresh(t, open)) })
	}
	t.Run("G8 every life of a store has its own epoch", func(t *testing.T) {
		testEpoch(t, fresh(t, open), fresh(t, open))
	})
	t.Run("random histories against a model", func(t *testing.T) { testModel(t, open) })
}

// fresh opens a store with one tenant and checks and closes it at the end of the test.
func fresh(t *testing.T, open Open) store.Store {
	t.Helper()
	s := open(t)
	t.Cleanup(func() { CheckAndClose(t, s) })
	if err := s.CreateTenant(t.Context(), store.Tenant{ID: Tenant, Name: "Testby kommune", Kommune: "9999"}); err != nil {
		t.Fatal(err)
	}
	return s
}

// CheckAndClose checks every tenant and closes the store. A store that is closed already is
// left alone.
func CheckAndClose(t *testing.T, s store.Store) {
	t.Helper()
	ctx := context.Background() // the test's own is cancelled by now
	tenants, err := s.Tenants(ctx)
	if errors.Is(err, store.ErrClosed) {
		return
	}
	if err != nil {
		t.Error(err)
	}
	for _, id := range tenants {
		if err := s.Check(ctx, id); err != nil {
			t.Errorf("check of %s: %v", id, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Person, Device and Entry make recognisable test data: equal arguments give equal values.
func Person(n int) model.PersonID { return model.PersonID(id16('p', n)) }

// Device is the n-th device.
func Device(n int) model.DeviceID { return model.DeviceID(id16('d', n)) }

func id16(kind byte, n int) (id [16]byte) {
	id[0] = kind
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

// Entry is an entry of a person and a device; its id depends on all three arguments.
func Entry(person, device int, seq int64) *store.LogEntry {
	payload := fmt.Appendf(nil, `{"v":1,"person":%d,"device":%d,"seq":%d}`, person, device, seq)
	sig := sha256.Sum256(append([]byte("signature"), payload...))
	return &store.LogEntry{
		ID: model.EntryID(sha256.Sum256(payload)), Person: Person(person), Device: Device(device), Seq: seq,
		Actor: "sykepleier-1", Act: model.ActRegister, Roles: model.Roles(model.RoleNurse), Outcome: store.Applied,
		Stamp:   model.Stamp{Wall: 1780000000000, T: 1780000000000, U: 1000, Lo: 1779000000000, Hi: 1781000000000, TEff: 1780000000000, Class: model.ClockA},
		Header:  []byte(`{"alg":"EdDSA","typ":"flette-entry+jws"}`),
		Payload: payload, Signature: sig[:], UnitPrev: []int64{-1, 3},
	}
}

// State is a unit state with one head.
func State(unit model.Unit, position int64, score int) *model.UnitState {
	e := Entry(1, 1, position+1)
	return &model.UnitState{Unit: unit, Position: position, Class: model.ClassSingle, Heads: []model.Head{{
		ID: e.ID, Position: position, Act: e.Act, Actor: e.Actor, Device: e.Device, Seq: e.Seq, Stamp: e.Stamp,
		Value: fmt.Appendf(nil, `{"score":%d}`, score),
	}}}
}

// update fails the test when the update fails.
func update(t *testing.T, s store.Store, fn func(store.Tx) error) store.Commit {
	t.Helper()
	c, err := s.Update(t.Context(), Tenant, nil, fn)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// appendEntries appends in one update.
func appendEntries(t *testing.T, s store.Store, entries ...*store.LogEntry) store.Commit {
	t.Helper()
	return update(t, s, func(tx store.Tx) error {
		for _, e := range entries {
			if _, err := tx.AppendEntry(e); err != nil {
				return err
			}
		}
		return nil
	})
}

func view(t *testing.T, s store.Store, fn func(store.View) error) {
	t.Helper()
	if err := s.View(t.Context(), Tenant, fn); err != nil {
		t.Fatal(err)
	}
}

// same reports a difference. It never ends the goroutine, so it may be used inside fn.
func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if err := expect(what, got, want); err != nil {
		t.Error(err)
	}
}

func expect[T any](what string, got, want T) error {
	if reflect.DeepEqual(got, want) { // cmp is slow, and only its report is wanted
		return nil
	}
	return fmt.Errorf("%s (-want +got):\n%s", what, cmp.Diff(want, got))
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error is %v, want %v", what, err, want)
	}
}
