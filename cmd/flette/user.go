package main

import (
	"context"
	"fmt"
	"time"

	"flette/model"
)

type userCmd struct {
	Token userTokenCmd `cmd:"" help:"Print a break-glass access token."`
}

// maxToken is the longest life of a token that no identity provider stands behind.
const maxToken = 12 * time.Hour

type userTokenCmd struct {
	tenantFlags
	Actor actorArg      `required:"" placeholder:"ID" help:"Who will work with it: the id that stands in the record."`
	Role  []string      `required:"" enum:"nurse,supervisor,admin,operator" placeholder:"ROLE" help:"Roles: nurse, supervisor, admin, operator; with commas between."`
	Name  string        `help:"Name to show to colleagues."`
	Valid time.Duration `default:"8h" help:"Life of the token, at most 12h."`
}

// Help is shown by --help.
func (*userTokenCmd) Help() string {
	return `Prints an access token, and nothing else, for the day when no identity provider answers or
for a place that has none. Who holds it is that user until it ends; it cannot be taken back.

While it is valid the token logs its user in on a tablet, as often as that is asked. The lease
that a tablet gets for it may outlive the token: it lasts until 12 hours after the token was
printed, whatever --valid says.

Example:

    flette user token --data /srv/flette --tenant testvik --actor anne --role nurse --name "Anne Test" --valid 8h`
}

// Validate checks the life.
func (c *userTokenCmd) Validate() error {
	if c.Valid < time.Minute || c.Valid > maxToken {
		return fmt.Errorf("--valid: a token lives from one minute to %s", maxToken)
	}
	return nil
}

type userToken struct {
	Tenant  model.TenantID `json:"tenant"`
	Actor   model.ActorID  `json:"actor"`
	Roles   []string       `json:"roles"`
	Name    string         `json:"name"`
	Seconds int64          `json:"seconds"`
}

var userTokenOp = op[userToken, string]{name: "user-token", reads: true, run: func(ctx context.Context, a *app, in userToken) (string, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return "", err
	}
	token, err := a.userToken(in.Tenant, in.Actor, model.ParseRoles(in.Roles), in.Name, time.Duration(in.Seconds)*time.Second)
	if err == nil {
		// Break-glass leaves a trace where somebody looks.
		a.log.Warn("access token issued on the command line", "tenant", in.Tenant, "actor", in.Actor, "roles", in.Roles)
	}
	return token, err
}}

// Run prints the token.
func (c *userTokenCmd) Run(ctx context.Context, out *output) error {
	token, err := doOp(ctx, c.dataFlags, userTokenOp, userToken{
		Tenant: c.id(), Actor: model.ActorID(c.Actor), Roles: c.Role, Name: c.Name, Seconds: int64(c.Valid / time.Second),
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out.stdout, token)
	return err
}
