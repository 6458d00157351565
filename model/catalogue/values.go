package catalogue

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
)

// The value of a unit, by kind. Members marked omitzero may be left out; null is never a
// value. Minutes are whole minutes per week. The tags carry the shape, the check methods in
// rules.go the clinical rules.
type (
	// Score of score/*.
	Score struct {
		Score    int    `json:"score"` // 1-5 or 9 (R14)
		Note     string `json:"note,omitzero"`
		Assessed Date   `json:"assessed,omitzero"` // when it was assessed, if not when it was signed
	}

	// Coded of person/*.
	Coded struct {
		Code string `json:"code" validate:"required"`
	}

	// Death of person/death_date.
	Death struct {
		Date Date `json:"date" validate:"required"`
	}

	// Assessed of assessed/*.
	Assessed struct {
		Month Month `json:"month" validate:"required"`
	}

	// Participation of participation/*.
	Participation struct {
		Need     string `json:"need" validate:"required"`
		Received string `json:"received,omitzero"` // only with need "ja" (R97)
	}

	// DatedCode of status/individual_plan and status/coordinator, old and new, and of
	// health/diagnosis_reservation.
	DatedCode struct {
		Code string `json:"code" validate:"required"`
		Date Date   `json:"date,omitzero"`
	}

	// YesNoDate of the other status units: "1" with a start date is active, "2" with an end
	// date is ended, "2" alone is never.
	YesNoDate struct {
		Code string `json:"code" validate:"required"`
		Date Date   `json:"date,omitzero"`
	}

	// MedicationReview of health/medication_review*.
	MedicationReview struct {
		Code            string `json:"code" validate:"required"`
		Date            Date   `json:"date,omitzero"`
		DoctorConfirmed bool   `json:"doctor_confirmed,omitzero"`
	}

	// Nutrition of health/nutrition: three questions, the risk that follows and the plan.
	// Codes "1" yes, "2" no, "9" not relevant.
	Nutrition struct {
		Mapped        string `json:"mapped" validate:"required,oneof=1 2 9"`
		WeightLoss    string `json:"weight_loss,omitzero" validate:"omitempty,oneof=1 2"`
		ReducedIntake string `json:"reduced_intake,omitzero" validate:"omitempty,oneof=1 2"`
		BMILow        string `json:"bmi_low,omitzero" validate:"omitempty,oneof=1 2"`
		Risk          string `json:"risk,omitzero" validate:"omitempty,oneof=1 2 9"`
		Plan          string `json:"plan,omitzero" validate:"omitempty,oneof=1 2 9"`
		Basis         string `json:"basis,omitzero" validate:"omitempty,oneof=screening professional_judgement"`
		Method        string `json:"method,omitzero" validate:"max=100"`
		Date          Date   `json:"date,omitzero"`
	}

	// Diagnosis of diagnosis/<id> (R30).
	Diagnosis struct {
		CodeSystem string `json:"code_system" validate:"required,oneof=ICPC-2 ICD-10"`
		Code       string `json:"code" validate:"required,max=20"`
		Name       string `json:"name,omitzero" validate:"max=300"`
		From       Date   `json:"from,omitzero"`
		To         Date   `json:"to,omitzero"`
		Source     string `json:"source,omitzero" validate:"max=200"` // who told it (R98)
	}

	// Service of service/<id>.
	Service struct {
		Type    string `json:"type" validate:"required"`          // code of 9151 without leading zeros
		Rolling bool   `json:"rolling,omitzero"`                  // service 8 only (R45)
		Local   string `json:"local,omitzero" validate:"max=200"` // what the municipality calls it (R104)

		// Of dwellings, asked up to 2018 (R58).
		Staffing      string `json:"staffing,omitzero"`
		OrdinaryStock string `json:"ordinary_stock,omitzero"`
	}

	// Application of service/<id>/application (R48).
	Application struct {
		Date Date `json:"date" validate:"required"`
	}

	// Grant of service/<id>/grant: the decision.
	Grant struct {
		Date            Date `json:"date" validate:"required"`
		Minutes         *int `json:"minutes_per_week,omitzero" validate:"omitempty,min=0"`
		ResourceMinutes *int `json:"resource_minutes_per_week,omitzero" validate:"omitempty,min=0"`
		Rejected        bool `json:"rejected,omitzero"`
		From            Date `json:"from,omitzero"`
		To              Date `json:"to,omitzero"`
	}

	// Start of service/<id>/start.
	Start struct {
		Date Date `json:"date" validate:"required"`
	}

	// End of service/<id>/end.
	End struct {
		Date   Date   `json:"date" validate:"required"`
		Reason string `json:"reason,omitzero" validate:"max=500"`
	}

	// Complaint of service/<id>/complaint (R51).
	Complaint struct {
		Received Date `json:"received" validate:"required"`
		Answered Date `json:"answered,omitzero"`
	}

	// Provider of service/<id>/provider.
	Provider struct {
		Unit string `json:"unit" validate:"required,uuid,lowercase"` // organisation unit
		From Date   `json:"from" validate:"required"`
	}

	// Pause of service/<id>/pause/<id>.
	Pause struct {
		From   Date   `json:"from" validate:"required"`
		To     Date   `json:"to,omitzero"`
		Reason string `json:"reason,omitzero" validate:"max=500"`
	}

	// Rehab of service/<id>/rehab and status/rehab_criteria: the five criteria of (re)habilitation
	// (domain.md 1.6.1). Each is the day on which it was met, absent while it is not.
	Rehab struct {
		Mapping    Date `json:"mapping,omitzero"`    // interdisciplinary functional mapping at the start
		Informed   Date `json:"informed,omitzero"`   // of individual plan and coordinator, and told on if wished
		Plan       Date `json:"plan,omitzero"`       // goals, measures, several professions, points of evaluation
		Evaluation Date `json:"evaluation,omitzero"` // the latest interdisciplinary meeting with the person
		Attainment Date `json:"attainment,omitzero"` // of the goals, judged by a new functional assessment at the end
	}

	// Stay of stay/<id>.
	Stay struct {
		Kind      string `json:"kind" validate:"required,oneof=specialist respite other"`
		From      Date   `json:"from" validate:"required"`
		To        Date   `json:"to,omitzero"`
		OrgNumber string `json:"org_number,omitzero"`
		Service   string `json:"service,omitzero" validate:"omitempty,uuid,lowercase"`
	}

	// Coercion of coercion/<id> (R59): 14 planned, 23 emergency, 24 health care by force. A
	// planned measure starts when the county governor approves it, and until then has no start.
	Coercion struct {
		Type     string `json:"type" validate:"required,oneof=14 23 24"`
		Decided  Date   `json:"decided,omitzero"`
		Start    Date   `json:"start,omitzero"`
		End      Date   `json:"end,omitzero"`
		Rejected bool   `json:"rejected,omitzero"` // by the county governor, of 14 only
	}

	// Time of time/<id>: one time registration, never granted hours (R37).
	Time struct {
		Start   model.Millis    `json:"start" validate:"required"`
		Stop    model.Millis    `json:"stop" validate:"required"`
		Kind    string          `json:"kind" validate:"required,oneof=direct indirect travel"`
		Service string          `json:"service,omitzero" validate:"omitempty,uuid,lowercase"`
		Helpers []model.ActorID `json:"helpers,omitzero" validate:"max=20,unique"`
	}

	// Need of need/<id>: a new need seen at a visit (R105).
	Need struct {
		Seen Date   `json:"seen" validate:"required"`
		Text string `json:"text" validate:"required,max=4000"`
		Kind string `json:"kind,omitzero" validate:"max=40"`
	}

	// Remark of remark/<id> (R13).
	Remark struct {
		Text string `json:"text" validate:"required,max=4000"`
		Kind string `json:"kind,omitzero" validate:"omitempty,oneof=disagreement free"`
	}
)

// Decode reads a stored value into one of the structs above, strictly: UTF-8, no duplicate,
// unknown or null members, exact names. It checks no rule; a value that took effect by a
// supervisor's release may break some. The error is a *model.Problem with code
// value-invalid.
func Decode[T any](value []byte) (T, error) {
	var v T
	if p := decode(value, &v); p != nil {
		return v, p
	}
	return v, nil
}

func decode(value []byte, out any) *model.Problem {
	if i := firstNull(value); i >= 0 {
		return model.Problemf("value-invalid", "", "null is no value: leave the member out (byte %d)", i)
	}
	err := json.Unmarshal(value, out, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	var sem *json.SemanticError
	if errors.As(err, &sem) {
		for _, own := range []error{errDate, errMonth} {
			if errors.Is(err, own) {
				return model.Problemf("value-invalid", model.SafePointer(sem.JSONPointer), "%s", own)
			}
		}
		return model.Problemf("value-invalid", model.SafePointer(sem.JSONPointer), "member is unknown, of the wrong type or out of range")
	}
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		return model.Problemf("value-invalid", model.SafePointer(syn.JSONPointer), "not strict JSON (UTF-8, no duplicate members) at byte %d", syn.ByteOffset)
	}
	return model.Problemf("value-invalid", "", "value is not one strict JSON object")
}

// firstNull finds a null, the only token outside strings with an n; the decoder would read
// it as if the member were missing, and then a value would have two spellings.
func firstNull(value []byte) int {
	inString := false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case c == 'n' && !inString:
			return i
		}
	}
	return -1
}
