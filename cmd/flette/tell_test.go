package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
	"flette/store"
)

var daysAgo = regexp.MustCompile(`@-?[0-9]+`)

// tellProgram has nurses register what a file says of the first person: tell DIR TENANT FILE.
// A line is "ACTOR UNIT VALUE"; @-5 in it is the day five days ago. Each line is a visit of
// its own, over what the unit showed, and is handed in at once.
func tellProgram(ctx context.Context, a *app, tenant model.TenantID, args []string) (err error) {
	var persons []store.Person
	if err := a.view(ctx, tenant, func(v store.View) error {
		persons, err = store.List[store.Person](v, "", "", 1)
		return err
	}); err != nil {
		return err
	}
	file, err := os.Open(args[2])
	if err != nil {
		return err
	}
	defer file.Close()
	nurses := map[string]*nurse{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.SplitN(daysAgo.ReplaceAllStringFunc(lines.Text(), func(s string) string {
			n, _ := strconv.Atoi(s[1:])
			return model.DateInOslo(a.engine.Now() + model.Millis(n)*24*60*60*1000)
		}), " ", 3)
		if len(words) != 3 {
			return fmt.Errorf("no such line: %q", lines.Text())
		}
		n := nurses[words[0]]
		if n == nil {
			if n, err = newNurse(ctx, a, tenant, model.ActorID(words[0])); err != nil {
				return err
			}
			nurses[words[0]] = n
		}
		c := model.Change{Unit: model.Unit(words[1]), Value: jsontext.Value(words[2])}
		if err := a.view(ctx, tenant, func(v store.View) error {
			state, err := v.Unit(persons[0].ID, c.Unit)
			if state != nil {
				for _, h := range state.Heads {
					c.Over = append(c.Over, h.ID)
				}
			}
			return err
		}); err != nil {
			return err
		}
		if err := n.sign(persons[0].ID, []model.Change{c}); err != nil {
			return err
		}
		if err := n.push(ctx); err != nil {
			return err
		}
		n.outbox = nil
	}
	return nil
}
