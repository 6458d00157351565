package sim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
)

// action is something that happens. do says in a few words what came of it, "" when nothing
// could.
type action struct {
	name   string
	weight int
	do     func(*world) string
}

// actions is the whole of what can happen: to add a feature, add rows.
var actions = slices.Concat(workActions, networkActions, clockActions, deviceActions, officeActions, rogueActions, serverActions, restoreActions, lifeActions)

// ready is a tablet in use.
func (w *world) ready() *tablet {
	var in []*tablet
	for _, t := range w.tablets {
		if !t.gone {
			in = append(in, t)
		}
	}
	if len(in) == 0 {
		return w.newTablet("nurse-0")
	}
	return pick(w, in)
}

func reason(code string) *model.Reason { return &model.Reason{Code: code, Text: "oppdiktet"} }

// patient draws somebody to visit: nearly always one that the tablet shows.
func (t *tablet) patient() model.PersonID {
	cards := t.c.Persons()
	if len(cards) == 0 || t.w.chance(0.04) {
		return pick(t.w, t.w.persons)
	}
	return cards[t.w.rng.IntN(len(cards))].Person
}

var workActions = []action{
	{"visit", 60, func(w *world) string { return w.visit(w.ready(), model.ActRegister) }},
	{"confirm", 8, func(w *world) string { return w.confirm(w.ready()) }},
	{"correct", 8, func(w *world) string { return w.visit(w.ready(), model.ActCorrect) }},
	{"unseen", 12, func(w *world) string { return w.unseen(w.ready()) }},
	{"meet", 12, (*world).meet},
	{"void", 14, func(w *world) string { return w.undo(w.ready(), model.ActVoid) }},
	{"reinstate", 10, func(w *world) string { return w.undo(w.ready(), model.ActReinstate) }},
	{"void-decision", 6, func(w *world) string { return w.voidDecision(w.ready()) }},
	{"decide-on-tablet", 6, func(w *world) string { return w.decideHere(w.ready()) }},
	{"wrong-value", 4, func(w *world) string { return w.wrongValue(w.ready()) }},
	{"sync", 50, func(w *world) string { return w.sync(w.ready()) }},
	{"push", 20, func(w *world) string { return w.push(w.ready()) }},
	{"pull", 12, func(w *world) string { return w.pull(w.ready()) }},
	{"login", 34, func(w *world) string { t := w.ready(); return w.loginOf(t, t.owner) }},
	{"other-user", 6, (*world).otherUser},
	{"audit", 3, func(w *world) string { return w.audit(w.ready()) }},
}

func (w *world) visit(t *tablet, kind model.Act) string {
	who := t.patient()
	var changes []model.Change
	for range 1 + w.rng.IntN(4) {
		u := w.unit(who)
		if !slices.ContainsFunc(changes, func(c model.Change) bool { return c.Unit == u }) {
			changes = append(changes, model.Change{Unit: u, Value: w.value(u)})
		}
	}
	var why *model.Reason
	if kind == model.ActCorrect {
		why = reason("wrong-value")
	}
	return w.signed(t, who, kind, changes, why)
}

func (w *world) signed(t *tablet, who model.PersonID, kind model.Act, changes []model.Change, why *model.Reason) string {
	id, err := t.sign(who, kind, changes, why)
	if err != nil {
		return fmt.Sprintf("%s: %v", t.name, err)
	}
	return fmt.Sprintf("%s %s: %s %s on %s", t.name, id.String()[:6], kind, changes[0].Unit, who.String()[:8])
}

// confirm signs the shown values anew.
func (w *world) confirm(t *tablet) string {
	who := t.patient()
	var changes []model.Change
	for _, u := range fixed {
		if v, ok := t.c.View(who, u); ok && len(v.Heads) > 0 && len(v.Heads[0].Value) > 0 && w.chance(0.5) {
			changes = append(changes, model.Change{Unit: u, Value: v.Heads[0].Value})
		}
	}
	if len(changes) == 0 {
		return ""
	}
	return w.signed(t, who, model.ActConfirm, changes, nil)
}

// unseen signs as one who has not seen what is there, or who saw something that the server
// has never heard of.
func (w *world) unseen(t *tablet) string {
	who := t.patient()
	u := w.unit(who)
	c := model.Change{Unit: u, Value: w.value(u), Over: []model.EntryID{}}
	if w.chance(0.2) {
		c.Over = []model.EntryID{{1, byte(w.rng.IntN(3))}}
	} else if all := w.o.units[place{who, u}]; len(all) > 0 && w.chance(0.5) {
		c.Over = []model.EntryID{pick(w, all).id} // perhaps long overwritten
	}
	return w.signed(t, who, model.ActRegister, []model.Change{c}, nil)
}

// meet is two visits at the same moment to the millisecond, on one unit.
func (w *world) meet() string {
	a, b := w.ready(), w.ready()
	who := a.patient()
	u := w.unit(who)
	out := ""
	for _, t := range []*tablet{a, b} {
		out += w.signed(t, who, model.ActRegister, []model.Change{{Unit: u, Value: w.value(u)}}, nil) + "; "
	}
	w.count("clock tie")
	return out
}

// undo voids or reinstates something: what the tablet shows, or anything that ever was.
func (w *world) undo(t *tablet, kind model.Act) string {
	who := t.patient()
	u := w.unit(who)
	c := model.Change{Unit: u}
	if v, ok := t.c.View(who, u); ok && len(v.Heads) > 0 && kind == model.ActVoid && w.chance(0.6) {
		c.Target = &v.Heads[w.rng.IntN(len(v.Heads))].Entry
	} else if all := w.o.units[place{who, u}]; len(all) > 0 {
		target := pick(w, all).id
		c.Target = &target
		// A reinstate is meant for a void.
		for _, a := range all {
			if kind == model.ActReinstate && a.kind == model.ActVoid && w.chance(0.7) {
				c.Target = &a.id
			}
		}
	} else {
		return ""
	}
	if w.chance(0.4) {
		c.Over = []model.EntryID{}
	}
	return w.signed(t, who, kind, []model.Change{c}, reason("made-in-error"))
}

// voidDecision tries to take a decision back: a supervisor may.
func (w *world) voidDecision(t *tablet) string {
	if w.chance(0.5) {
		w.loginOf(t, pick(w, supervisors))
		w.pull(t)
	}
	cards := t.c.Persons()
	var made []place
	for _, at := range w.o.places() {
		mine := slices.ContainsFunc(cards, func(c contract.PersonCard) bool { return c.Person == at.person })
		if mine && slices.ContainsFunc(w.o.units[at], func(a act) bool { return a.kind == model.ActDecide }) {
			made = append(made, at)
		}
	}
	if len(made) == 0 {
		return ""
	}
	at := pick(w, made)
	for _, a := range slices.Backward(w.o.units[at]) {
		if a.kind == model.ActDecide {
			return w.signed(t, at.person, model.ActVoid, []model.Change{{Unit: at.unit, Target: &a.id}}, reason("made-in-error"))
		}
	}
	return ""
}

// decideHere is a decide entry by whoever holds the tablet: nurses may not.
func (w *world) decideHere(t *tablet) string {
	who := t.patient()
	for range 6 {
		u := w.unit(who)
		if v, ok := t.c.View(who, u); ok && len(v.Heads) > 1 || w.chance(0.1) {
			return w.signed(t, who, model.ActDecide, []model.Change{{Unit: u, Value: w.value(u)}}, reason("spoke-with-both"))
		}
	}
	return ""
}

var wrongValues = []struct {
	unit        model.Unit
	value, code string
}{
	{"score/assist_memory", `{"score":7}`, "score-out-of-range"},
	{"person/household", `{"code":"4"}`, "value-invalid"},
	{"score/assist_new_2019_a", `{"score":3}`, "unit-closed"},
	{"score/no_such_thing", `{"score":3}`, "unknown-unit"},
}

// wrong gives the code of a value that is none; a nurse may confirm what she sees of her own.
func wrong(changes []model.Change) string {
	for _, c := range changes {
		for _, bad := range wrongValues {
			if c.Unit == bad.unit && string(c.Value) == bad.value {
				return bad.code
			}
		}
	}
	return ""
}

func (w *world) wrongValue(t *tablet) string {
	bad := pick(w, wrongValues)
	return w.signed(t, t.patient(), model.ActRegister, []model.Change{{Unit: bad.unit, Value: []byte(bad.value)}}, nil)
}

func (w *world) push(t *tablet) string {
	t.finishKey()
	report, err := t.c.Push(background)
	died := t.crashed()
	t.newKey()
	w.note(t, err)
	if t.stored.Wiped != "" && !errors.Is(err, client.ErrWiped) {
		w.count("tablet erased itself")
	}
	out := fmt.Sprintf("%s: %d results", t.name, len(report.Results))
	if err != nil {
		out += ", " + err.Error()
	}
	if died {
		out += ", died"
	}
	return out
}

// note sorts the errors of a call: a law that is broken ends the history.
func (w *world) note(t *tablet, err error) {
	if err == nil {
		return
	}
	if errors.Is(err, client.ErrRewound) || errors.Is(err, client.ErrCheckpoint) {
		w.fail("F", "%s: %v", t.name, err)
	}
	if code := client.CodeOf(err); code != "" {
		w.count("told " + code)
		if code == "store-rewound" && w.restores == 0 || code == "internal" {
			w.fail("F", "%s: %v", t.name, err)
		}
	}
}

func (w *world) pull(t *tablet) string {
	how, items, news, err := w.fetch(t)
	t.crashed()
	w.note(t, err)
	for _, n := range news {
		w.count("news " + n.Type)
	}
	if err != nil {
		return fmt.Sprintf("%s: %s: %v", t.name, how, err)
	}
	w.count("view by " + how)
	if len(t.c.Outbox()) == 0 {
		w.sameView(t)
		w.count("view compared")
	}
	return fmt.Sprintf("%s: %s of %d items", t.name, how, items)
}

// fetch pulls; now and then it loads the whole caseload as a stream, or repairs the view.
func (w *world) fetch(t *tablet) (how string, items int, news []contract.PullItem, err error) {
	switch n := w.rng.IntN(10); {
	case n == 0:
		r, err := t.c.Load(background)
		news := r.News
		if err == nil { // one that was cut has persons of before: what changed since comes by a pull
			var rest *client.PullReport
			rest, err = t.c.Pull(background)
			news = append(news, rest.News...)
		}
		return "load", r.Items, news, err
	case n == 1:
		r, err := t.c.Repair(background)
		if err == nil { // a repair compares records; that a time has been given an end comes by a pull
			_, err = t.c.Pull(background)
		}
		return "repair", len(r.Loaded), nil, err
	}
	r, err := t.c.Pull(background)
	return "pull", r.Items, r.News, err
}

func (w *world) sync(t *tablet) string { return w.push(t) + "; " + w.pull(t) }

func (w *world) loginOf(t *tablet, actor model.ActorID) string {
	err := t.login(actor)
	t.crashed()
	w.note(t, err)
	if err != nil {
		return fmt.Sprintf("%s: %s: %v", t.name, actor, err)
	}
	return fmt.Sprintf("%s: %s", t.name, actor)
}

// otherUser is a colleague or a supervisor who takes the tablet.
func (w *world) otherUser() string {
	t := w.ready()
	if w.chance(0.5) {
		return w.loginOf(t, pick(w, supervisors))
	}
	return w.loginOf(t, pick(w, w.tablets).owner)
}

func (w *world) audit(t *tablet) string {
	err := t.c.Audit(background)
	w.note(t, err)
	if err == nil {
		w.count("audit")
	}
	return fmt.Sprintf("%s: %v", t.name, err)
}

var networkActions = []action{
	{"late-receipt", 8, (*world).lateReceipt},
	{"weather", 20, func(w *world) string {
		t, n := w.ready(), w.rng.IntN(len(weathers))
		t.weather = weathers[n]
		return fmt.Sprintf("%s: %d", t.name, n)
	}},
	{"no-coverage", 10, func(w *world) string {
		t := w.ready()
		t.offline = w.now + pick(w, []model.Millis{10 * minute, hour, 8 * hour, 3 * day})
		return fmt.Sprintf("%s for %d min", t.name, (t.offline-w.now)/minute)
	}},
	{"sixty-days-away", 1, func(w *world) string {
		t := w.ready()
		t.offline = w.now + 60*day
		w.count("offline for 60 days")
		return t.name
	}},
	{"arrives-late", 16, func(w *world) string {
		if len(w.late) == 0 {
			return ""
		}
		i := w.rng.IntN(len(w.late))
		path := w.late[i].method + " " + w.late[i].url[len(baseURL):]
		w.arrive(i)
		w.count("net request arrives late")
		if len(path) > 40 {
			path = path[:40]
		}
		return path
	}},
}

// lateReceipt is a push whose answers are all lost; a pull that brings what became of it, and
// of a colleague's work on the same unit; and the push again.
func (w *world) lateReceipt() string {
	t, other := w.ready(), w.ready()
	who := t.patient()
	u := w.unit(who)
	work := func(t *tablet) string {
		return w.signed(t, who, model.ActRegister, []model.Change{{Unit: u, Value: w.value(u)}}, nil)
	}
	out := work(t) + "; " + work(other)
	before := w.chance(0.5)
	if before {
		w.push(other)
	}
	was := t.weather
	t.weather = weather{lose: 1}
	w.push(t)
	t.weather = weather{}
	if !before {
		w.push(other)
	}
	out += "; " + w.pull(t) + "; " + w.push(t)
	t.weather = was
	return out
}

var clockActions = []action{
	{"seconds", 40, func(w *world) string { w.now += model.Millis(1 + w.rng.IntN(20_000)); return "+s" }},
	{"minutes", 30, func(w *world) string { w.now += model.Millis(1+w.rng.IntN(60)) * minute; return "+min" }},
	{"night", 6, func(w *world) string { w.now += model.Millis(8+w.rng.IntN(10)) * hour; return "+night" }},
	{"weeks", 2, func(w *world) string { w.now += model.Millis(3+w.rng.IntN(25)) * day; return "+weeks" }},
	{"wall-clock", 10, func(w *world) string {
		t := w.ready()
		at := pick(w, []model.Millis{
			1000, 4070908800000, w.now + 3*hour, w.now - 3*hour, w.now - 40*minute, w.now + 90*second, w.now - 2*365*day, w.now, w.now,
		})
		t.setWall(at)
		t.drift = pick(w, []float64{0, 0, 2e-5, -2e-5, 1e-3, -1e-3})
		return fmt.Sprintf("%s: %s", t.name, at.RFC3339())
	}},
	{"server-clock", 2, func(w *world) string {
		w.jumps++
		w.skew = pick(w, []model.Millis{0, 0, 20 * minute, -20 * minute, 3 * hour, -3 * hour, 10 * 365 * day})
		w.count("server clock set")
		return w.serverNow().RFC3339()
	}},
}

var serverActions = []action{
	{"restart", 4, func(w *world) string { w.restart(false); w.count("server restart"); return "" }},
	{"kill", 4, func(w *world) string { w.restart(true); w.count("server killed"); return "" }},
	{"server-away", 2, func(w *world) string {
		// What is on its way is lost with the process, or arrives at the next one.
		w.late = slices.DeleteFunc(w.late, func(*wire) bool { return w.chance(0.5) })
		w.restart(true)
		return fmt.Sprintf("%d requests left", len(w.late))
	}},
}

var _ http.RoundTripper = (*tablet)(nil)
