package kpr

import (
	"errors"
	"strconv"
	"time"

	"flette/model"
	"flette/model/ident"
	"flette/store"
)

// Targets of an extract.
const (
	Production = "production"
	Test       = "test"
)

// Bruker is the person as the message shows it.
type Bruker struct {
	PatientGUID string
	BrukerNr    string
	District    string // "" when there is none
	FID         string
	TypeID      string // code list 9032
}

// Reasons to leave a person out (Excluded.Code); a wrong number gives its own problem code.
const (
	codeTestPerson = "test-person"        // synthetic or flagged, for production
	codeRealPerson = "real-person"        // not synthetic and not flagged, for test
	codeNoIdentity = "id-missing"         // no number and no date of birth
	codeNoBrukerNr = "bruker-nr-missing"  // content control of the register
	codeIDText     = "id-not-presentable" // a foreign number that no attribute can hold
)

const typeOther = "9"

// Resolve decides how a person is shown to a target, or why not (R2). A real person without
// a number goes as date of birth, ddmmyy, with type 9. A number that is wrong is not sent:
// it would hit nobody or somebody else. It is a pure function.
func Resolve(p store.Person, id store.Identity, target string) (Bruker, *store.Excluded) {
	out := func(rule, code string) (Bruker, *store.Excluded) {
		return Bruker{}, &store.Excluded{Person: p.ID, Rule: rule, Code: code}
	}
	number, err := ident.Parse(id.Number, ident.Legacy)
	if err != nil {
		number, err = ident.Parse(id.Number, ident.From2032)
	}
	// The flag alone is not trusted: the number itself tells that nobody can have it.
	synthetic := p.Test || err == nil && number.Synthetic()
	if synthetic && target != Test {
		return out("R2", codeTestPerson)
	}
	if !synthetic && target == Test {
		return out("R2", codeRealPerson)
	}
	if p.BrukerNr <= 0 {
		return out("R74", codeNoBrukerNr)
	}
	b := bruker(p)
	switch {
	case id.Number != "" && p.IDIssue != "":
		return out("R2", p.IDIssue)
	case id.Number == "" || p.IDType == typeOther:
		birth, err := time.Parse(time.DateOnly, id.BirthDate)
		if err != nil {
			return out("R2", codeNoIdentity)
		}
		b.FID, b.TypeID = birth.Format("020106"), typeOther
		return b, nil
	case foreign[p.IDType]:
		if checkText("", "", id.Number) != nil {
			return out("R2", codeIDText)
		}
		b.FID, b.TypeID = id.Number, p.IDType
		return b, nil
	case err != nil:
		code := "id-checksum"
		if problem := (*model.Problem)(nil); errors.As(err, &problem) {
			code = problem.Code
		}
		return out("R2", code)
	}
	b.FID, b.TypeID = id.Number, number.KPRTypeID()
	return b, nil
}

// givesID are the identity types by which the register finds a person. It takes the others
// and reports them back as a defect.
var givesID = map[string]bool{"1": true, "2": true, "10": true}

// GivesID reports whether the register finds a person by an identity of a type.
func GivesID(typeID string) bool { return givesID[typeID] }

// foreign are the identity types whose numbers have no form that we could check: passport,
// Swedish, Danish, social security, insurance policy.
var foreign = map[string]bool{"4": true, "5": true, "6": true, "7": true, "8": true}

func bruker(p store.Person) Bruker {
	b := Bruker{PatientGUID: p.ID.String(), BrukerNr: strconv.FormatInt(p.BrukerNr, 10)}
	if d, err := ident.ParseDistrict(p.District); err == nil {
		b.District = string(d)
	}
	return b
}

// withoutNumber shows a person of whom no number may leave: for withdrawing what was sent
// before that was known. The register finds the event by its GUIDs.
func withoutNumber(p store.Person, id store.Identity) Bruker {
	b := bruker(p)
	b.FID, b.TypeID = "000000", typeOther
	if birth, err := time.Parse(time.DateOnly, id.BirthDate); err == nil {
		b.FID = birth.Format("020106")
	}
	return b
}

// MarkOf returns what the ledger keeps of an identity; keyed is a keyed hash (K7).
func MarkOf(b Bruker, keyed func(string) string) Mark {
	return Mark{TypeID: b.TypeID, Hash: keyed(b.TypeID + " " + b.FID)}
}
