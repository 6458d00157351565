package model

// Role of an actor.
type Role uint8

const (
	RoleNurse      Role = 1 << iota // registers at visits, sees the own caseload
	RoleSupervisor                  // decides reviews, releases quarantine, sees the tenant
	RoleAdmin                       // persons, caseloads, extracts
	RoleOperator                    // devices, health; sees no clinical data
)

// Roles is a set.
type Roles uint8

// Has reports whether any of the given roles is in the set.
func (r Roles) Has(any Role) bool { return uint8(r)&uint8(any) != 0 }

// RoleNames lists the roles by name, as they stand in tokens.
var RoleNames = []struct {
	Name string
	Role Role
}{{"nurse", RoleNurse}, {"supervisor", RoleSupervisor}, {"admin", RoleAdmin}, {"operator", RoleOperator}}

// ParseRoles reads role names; unknown names are ignored (a token may serve other systems).
func ParseRoles(names []string) Roles {
	var r Roles
	for _, n := range names {
		for _, k := range RoleNames {
			if k.Name == n {
				r |= Roles(k.Role)
			}
		}
	}
	return r
}

// Names lists the roles of the set by name.
func (r Roles) Names() []string {
	var out []string
	for _, k := range RoleNames {
		if r.Has(k.Role) {
			out = append(out, k.Name)
		}
	}
	return out
}

// Lease is the authority of one actor to work on one device, and the clock anchor of the
// entries that name it.
type Lease struct {
	ID         string // opaque, self-authenticating: see package sync
	Device     DeviceID
	Actor      ActorID
	Roles      Roles
	IssuedAt   Millis
	ExpiresAt  Millis // end of the actor's session; renewal does not move it
	WallOffset Millis // tablet's wall clock minus the server's, claimed when the lease was issued
}
