package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flette/model"
	"flette/store"
)

// outdateProgram makes the findings those of former rules: outdate DIR TENANT. Those of persons go, and one
// that no rule finds comes.
func outdateProgram(ctx context.Context, a *app, tenant model.TenantID, _ []string) error {
	return a.update(ctx, tenant, func(tx store.Tx) error {
		found, err := store.List[store.Finding](tx, "", "", 0)
		for _, f := range found {
			err = errors.Join(err, store.Delete(tx, f))
		}
		persons, err2 := store.List[store.Person](tx, "", "", 1)
		if err = errors.Join(err, err2); err != nil {
			return err
		}
		return errors.Join(
			store.Put(tx, store.Finding{Rule: "R0", Severity: "M", Person: persons[0].ID, Detail: "Of former rules.", Since: 1}),
			store.Put(tx, store.RulesState{Version: "former", Done: true}))
	})
}

// judgedProgram waits until a server has judged the findings anew: judged DIR TENANT.
func judgedProgram(args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		reports, err := doOp(ctx, dataFlags{Data: args[0]}, verifyOp, model.TenantID(args[1]))
		if err != nil {
			return err
		}
		if !reports[0].FormerRules {
			return nil
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("the findings still follow former rules: %w", err)
		}
	}
}
