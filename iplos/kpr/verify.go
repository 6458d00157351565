package kpr

import (
	"fmt"

	"flette/store"
)

// maxDifferences ends a verification that finds nothing but differences.
const maxDifferences = 100

// extractRange is a store.Extract without its file.
type extractRange struct {
	ID     string `json:"id"`
	Target string `json:"target"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
}

func (extractRange) DocKind() store.Kind { return store.Extract{}.DocKind() }
func (x extractRange) DocKey() string    { return x.ID }

// VerifyLedger replays the ledger of both targets and returns what is wrong, one sentence
// each and at most about a hundred: breaks of the chain (K1), references that do not point
// at the N of their event (R87), notifications outside the range of their extract, and
// differences between the ledger and the tables derived from it.
func VerifyLedger(v store.View) ([]string, error) {
	extracts, err := store.List[extractRange](v, "", "", 0)
	if err != nil {
		return nil, err
	}
	ranges := make(map[string]extractRange, len(extracts))
	for _, x := range extracts {
		ranges[x.ID] = x
	}
	var out []string
	for _, target := range []string{Production, Test} {
		c := checker{view: v, ranges: ranges, head: Head{Target: target}, events: map[string]event{}}
		if err := c.replay(); err != nil {
			return nil, err
		}
		if err := c.derived(); err != nil {
			return nil, err
		}
		out = append(out, c.found...)
	}
	return out, nil
}

type event struct {
	serial   int64  // of its newest notification
	original string // GUID of the N that stands, "" after a C
}

type checker struct {
	view   store.View
	ranges map[string]extractRange
	head   Head
	events map[string]event // by key of Newest
	found  []string
}

func (c *checker) say(serial int64, format string, args ...any) {
	if len(c.found) < maxDifferences {
		c.found = append(c.found, fmt.Sprintf("kpr ledger %s, serial %d: ", c.head.Target, serial)+fmt.Sprintf(format, args...))
	}
}

func (c *checker) replay() error {
	const page = 500
	after := ""
	for {
		list, err := store.List[store.Notification](c.view, c.head.Target+" ", after, page)
		if err != nil {
			return err
		}
		for i := range list {
			c.notification(&list[i])
		}
		if len(list) < page {
			return nil
		}
		after = list[len(list)-1].DocKey()
	}
}

func (c *checker) notification(n *store.Notification) {
	if n.Serial != c.head.Serial+1 {
		c.say(n.Serial, "the serial before it is %d", c.head.Serial)
	}
	prev := c.head.GUID
	if prev == "" {
		prev = ZeroGUID
	}
	if n.PrevGUID != prev {
		c.say(n.Serial, "it does not name the notification before it")
	}
	if x, ok := c.ranges[n.Extract]; !ok || x.Target != n.Target || n.Serial < x.From || n.Serial > x.To {
		c.say(n.Serial, "no extract holds it")
	}
	key := Newest(*n).DocKey()
	e := c.events[key]
	switch n.Status {
	case StatusNew:
		if e.original != "" || n.Ref != "" {
			c.say(n.Serial, "it tells an event as new that the register has")
		}
		e.original = n.GUID
	case StatusReplace, StatusCancel:
		if e.original == "" || n.Ref != e.original {
			c.say(n.Serial, "it does not point at the original of its event (R87)")
		}
		if n.Status == StatusCancel {
			e.original = ""
		}
	default:
		c.say(n.Serial, "its status is not known")
	}
	e.serial = n.Serial
	c.events[key] = e
	c.head.Serial, c.head.GUID = n.Serial, n.GUID
}

// derived compares the tables that a run reads instead of the ledger.
func (c *checker) derived() error {
	head, err := readHead(c.view, c.head.Target)
	if err != nil {
		return err
	}
	if head.Serial != c.head.Serial || head.GUID != c.head.GUID {
		c.say(c.head.Serial, "the stored end of the chain is serial %d", head.Serial)
	}
	const page = 500
	after := ""
	for {
		list, err := store.List[Newest](c.view, c.head.Target+" ", after, page)
		if err != nil {
			return err
		}
		for _, n := range list {
			key := n.DocKey()
			if c.events[key].serial != n.Serial {
				c.say(n.Serial, "it is kept as the newest of its event and is not")
			} else if told, err := store.Get[store.Notification](c.view, store.Notification(n).DocKey()); err != nil {
				return err
			} else if told != store.Notification(n) {
				c.say(n.Serial, "what is kept as the newest of its event differs from it")
			}
			delete(c.events, key)
		}
		if len(list) < page {
			break
		}
		after = list[len(list)-1].DocKey()
	}
	if len(c.events) > 0 {
		c.say(c.head.Serial, "%d events have no newest notification kept", len(c.events))
	}
	return nil
}
