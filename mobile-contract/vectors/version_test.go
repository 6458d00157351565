package vectors_test

import contract "flette/mobile-contract"

// versionTwo is what version 2 adds: app, which it requires and version 1 does not have.
func (m *maker) versionTwo() {
	m.t.Helper()
	const invalid = "invalid-payload"
	two := []string{`"v":1,`, `"v":2,"app":"reference/1.0",`}
	m.good("version 2", "The same act, and the app that signed it.", append(m.chain("18", "close"), two...)...)
	m.good("version 1 after version 2", "Every version ever issued stays accepted, in any order.", m.chain("19", "version 2")...)
	m.bad("version 2 without app", invalid, "Version 2 requires it.", `"v":1,`, `"v":2,`)
	m.bad("version 2, app empty", invalid, "", `"v":1,`, `"v":2,"app":"",`)
	m.bad("version 2, app null", invalid, "", `"v":1,`, `"v":2,"app":null,`)
	m.bad("version 2, app beyond ASCII", invalid, "", `"v":1,`, `"v":2,"app":"blåbær",`)
	m.bad("version 2, app with a line break", invalid, "", `"v":1,`, `"v":2,"app":"a\n",`)
	m.bad("version 1 with app", invalid, "Version 1 does not have it.", `"v":1,`, `"v":1,"app":"reference/1.0",`)

	// Nobody between tablet and server can make an entry of one version into one of another.
	head := header("EdDSA", kidEd)
	sig := b64.EncodeToString(m.sign(m.ed, input(head, m.payload(two...))))
	m.refuse("version 2 turned into version 1", "bad-signature", "A downgrade: the signature is that of version 2.", m.ed,
		input(head, m.payload())+"."+sig)
	sig = b64.EncodeToString(m.sign(m.ed, input(head, m.payload())))
	m.refuse("version 1 turned into version 2", "bad-signature", "", m.ed, input(head, m.payload(two...))+"."+sig)
	m.add(contract.Vector{Name: "version 2 again", Comment: "A replay is a duplicate, whatever the version.", Class: contract.OutcomeDuplicate,
		Repeats: "version 2", Key: m.jwk(m.ed), JWS: m.compact(m.ed, head, m.payload(append(m.chain("18", "close"), two...)...))})
}

// versionThree is what version 3 adds: catalogue, which it requires and the others do not have.
func (m *maker) versionThree() {
	m.t.Helper()
	const invalid = "invalid-payload"
	m.good("version 3", "The same act, and the version of the catalogue that its author saw.",
		append(m.chain("20", "version 1 after version 2"), `"v":1,`, `"v":3,"app":"reference/1.0","catalogue":"2026-11-26.1",`)...)
	m.bad("version 3 without catalogue", invalid, "Version 3 requires it.", `"v":1,`, `"v":3,"app":"reference/1.0",`)
	m.bad("version 3 without app", invalid, "Version 3 requires what version 2 does.", `"v":1,`, `"v":3,"catalogue":"2026-11-26.1",`)
	m.bad("version 3, catalogue empty", invalid, "", `"v":1,`, `"v":3,"app":"reference/1.0","catalogue":"",`)
	m.bad("version 3, catalogue too long", invalid, "At most 40 bytes.", `"v":1,`, `"v":3,"app":"reference/1.0","catalogue":"2026-11-26.1-2026-11-26.1-2026-11-26.1-26.1",`)
	m.bad("version 2 with catalogue", invalid, "Version 2 does not have it.", `"v":1,`, `"v":2,"app":"reference/1.0","catalogue":"2026-11-26.1",`)
}
