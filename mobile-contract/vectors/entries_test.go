package vectors_test

import (
	"crypto/elliptic"
	"math/big"
	"strings"

	contract "flette/mobile-contract"
)

// num and chain keep seq and prev of a good vector in step.
func (m *maker) chain(seq, prevName string) []string {
	m.t.Helper()
	id, ok := m.ids[prevName]
	if !ok {
		m.t.Fatalf("no vector %q before this one", prevName)
	}
	return []string{`"seq":1,"prev":""`, `"seq":` + seq + `,"prev":"` + id + `"`}
}

func (m *maker) applied() {
	m.good("register", "One score, signed at a visit.")
	first := m.ids["register"]
	m.good("confirm", "R29: seen, no change; sets the same value anew over the head that was seen.",
		append(m.chain("2", "register"), `"register"`, `"confirm"`, `"over":[]`, `"over":["`+first+`"]`)...)
	m.good("correct", "A correction carries a reason.",
		append(m.chain("3", "confirm"), `"act":"register"`, `"act":"correct","reason":{"code":"typing-error","text":""}`,
			`{"score":2}`, `{"score":3}`, `"over":[]`, `"over":["`+m.ids["confirm"]+`"]`)...)
	m.good("void", "Marks a registration as made in error; it stays readable.",
		append(m.chain("4", "correct"), `"act":"register"`, `"act":"void","reason":{"code":"wrong-person","text":"test"}`,
			oneChange, `{"unit":"score/assist_memory","target":"`+m.ids["correct"]+`"}`)...)
	m.good("reinstate", "Undoes a void.",
		append(m.chain("5", "void"), `"act":"register"`, `"act":"reinstate","reason":{"code":"was-right","text":""}`,
			oneChange, `{"unit":"score/assist_memory","target":"`+m.ids["void"]+`"}`)...)
	m.good("decide", "A supervisor's choice names all heads.",
		append(m.chain("6", "reinstate"), `"act":"register"`, `"act":"decide","reason":{"code":"spoke-with-both","text":""}`,
			`"over":[]`, `"over":["`+m.ids["correct"]+`"]`)...)
	m.good("visit", "A whole visit under one signature: every kind of unit.",
		append(m.chain("7", "decide"), `"act"`, `"visit":"0190a000-0000-7000-8000-0000000000bb","act"`, oneChange, strings.Join(wholeVisit, ","))...)
	m.good("gap", "seq 9 while 8 has not come: accepted, the gap is recorded and heals.",
		`"seq":1,"prev":""`, `"seq":9,"prev":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"`)
	m.good("over unknown", "over names an entry that has not arrived: accepted.",
		append(m.chain("10", "gap"), `"over":[]`, `"over":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]`)...)
	m.good("rebooted", "The tablet restarted since the lease.", append(m.chain("11", "over unknown"), "monotonic", "rebooted")...)
	m.good("no clock", "No lease time is known: the entry is not held back for it.", append(m.chain("12", "rebooted"), "monotonic", "none", `"lease":"L1"`, `"lease":""`)...)
	m.good("offset", "The wall clock may be written with any offset.", append(m.chain("13", "no clock"), "T10:05:00Z", "T13:05:00.123+02:00")...)
	m.good("white space", "What was signed is kept as it was signed.", append(m.chain("14", "offset"), `{"v":1,`, "{\n  \"v\" : 1,\r\n\t")...)
	m.good("escapes", "Escapes are read, not compared.", append(m.chain("15", "white space"), `"register"`, `"regist\u0065r"`, `{"score":2}`, `{"score":2,"note":"ser d\u00e5rligere om kvelden \ud83c\udf19"}`)...)
	m.add(contract.Vector{Name: "es256", Comment: "P-256; the signature is r||s.", Class: contract.OutcomeApplied, Key: m.jwk(m.ec),
		JWS: m.compact(m.ec, header("ES256", kidEC), m.payload(kidEd, kidEC))})
}

const some = "0190a000-0000-7000-8000-0000000000cc"

var wholeVisit = []string{
	oneChange,
	`{"unit":"score/vision","value":{"score":9,"note":"sov","assessed":"2026-03-01"}}`,
	`{"unit":"person/household","value":{"code":"1"}}`,
	`{"unit":"assessed/doctor","value":{"month":"2026-02"}}`,
	`{"unit":"participation/leisure_assist","value":{"need":"ja","received":"ja_udekket"}}`,
	`{"unit":"health/nutrition","value":{"mapped":"1","weight_loss":"1","risk":"1","plan":"2"}}`,
	`{"unit":"health/medication_review_nursing_home","value":{"code":"1","date":"2026-02-20","doctor_confirmed":true}}`,
	`{"unit":"status/waiting_list","value":{"code":"1","date":"2026-01-05"}}`,
	`{"unit":"status/individual_plan","value":{"code":"ja_virksom"}}`,
	`{"unit":"diagnosis/` + some + `","value":{"code_system":"ICPC-2","code":"P70"}}`,
	`{"unit":"service/` + some + `","value":{"type":"15"}}`,
	`{"unit":"service/` + some + `/application","value":{"date":"2026-01-02"}}`,
	`{"unit":"service/` + some + `/grant","value":{"date":"2026-01-09","minutes_per_week":300,"resource_minutes_per_week":300}}`,
	`{"unit":"service/` + some + `/start","value":{"date":"2026-01-12"}}`,
	`{"unit":"service/` + some + `/pause/` + some + `","value":{"from":"2026-02-01","to":"2026-02-08"}}`,
	`{"unit":"service/` + some + `/complaint","value":{"received":"2026-01-20"}}`,
	`{"unit":"service/` + some + `/provider","value":{"unit":"` + some + `","from":"2026-01-12"}}`,
	`{"unit":"service/` + some + `/end","value":{"date":"2026-03-01","reason":"flyttet"}}`,
	`{"unit":"stay/` + some + `","value":{"kind":"specialist","from":"2026-02-01","to":"2026-02-08"}}`,
	`{"unit":"coercion/` + some + `","value":{"type":"23","start":"2026-02-01","end":"2026-02-01"}}`,
	`{"unit":"time/` + some + `","value":{"start":"2026-03-02T09:30:00Z","stop":"2026-03-02T10:00:00Z","kind":"direct","service":"` + some + `","helpers":["nurse-test-2"]}}`,
	`{"unit":"need/` + some + `","value":{"seen":"2026-03-02","text":"trenger rullator"}}`,
	`{"unit":"remark/` + some + `","value":{"text":"er ikke enig","kind":"disagreement"}}`,
}

func (m *maker) duplicates() {
	same := contract.Vector{Name: "register again", Comment: "The same bytes: a lost answer, a retry.", Class: contract.OutcomeDuplicate,
		Repeats: "register", Key: m.jwk(m.ed), JWS: m.compact(m.ed, header("EdDSA", kidEd), m.payload())}
	m.add(same)
	// Every ECDSA signature (r, s) has a twin (r, n-s) that anybody can make. The id does not
	// depend on signature bytes, so the twin is no second entry.
	in := input(header("ES256", kidEC), m.payload(kidEd, kidEC))
	r, s := m.signEC(in)
	s = new(big.Int).Sub(elliptic.P256().Params().N, s)
	sig := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	m.add(contract.Vector{Name: "es256 twin", Comment: "The other valid signature of the same input has the same entry id.", Class: contract.OutcomeDuplicate,
		Repeats: "es256", Key: m.jwk(m.ec), JWS: in + "." + b64.EncodeToString(sig)})
}

// settling points at a quarantined entry of the file before.
func (m *maker) settling() {
	target := m.ids["R14 score 6"]
	settle := `{"unit":"quarantine","target":"` + target + `"}`
	m.good("release", "Lets a quarantined entry take effect.",
		append(m.chain("16", "escapes"), `"act":"register"`, `"act":"release","reason":{"code":"checked","text":""}`, oneChange, settle)...)
	m.good("close", "Settles a quarantined entry without effect.",
		append(m.chain("17", "release"), `"act":"register"`, `"act":"close","reason":{"code":"registered-anew","text":""}`, oneChange,
			`{"unit":"quarantine","target":"`+m.ids["hours over a week"]+`"}`)...)
	m.good("close findings", "Settles two findings of the person, when the rules are broken there.",
		append(m.chain("18", "close"), `"act":"register"`, `"act":"close","reason":{"code":"followed-up","text":""}`, oneChange,
			`{"unit":"finding/R46"},{"unit":"finding/R107/service/`+some+`/end"}`)...)
	m.good("reinstate a finding", "Opens a finding again.",
		append(m.chain("19", "close findings"), `"act":"register"`, `"act":"reinstate","reason":{"code":"wrong-person","text":""}`, oneChange,
			`{"unit":"finding/R46","target":"`+m.ids["close findings"]+`"}`)...)
}
