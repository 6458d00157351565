package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"flette/model"
	"flette/model/ident"
	"flette/store"
)

type tenantCmd struct {
	Add      tenantAddCmd      `cmd:"" help:"Add a municipality."`
	List     tenantListCmd     `cmd:"" help:"List the municipalities."`
	Contacts tenantContactsCmd `cmd:"" help:"Set whom the register may call."`
}

// contactArg is a contact as it is written on the command line.
type contactArg store.Contact

// contactTypes are those of code list 8471 that a sender may name.
var contactTypes = []string{"1", "15", "16", "17"}

// UnmarshalText reads type:name:phone:email.
func (c *contactArg) UnmarshalText(b []byte) error {
	part := strings.Split(string(b), ":")
	if len(part) != 4 {
		return fmt.Errorf("a contact is written type:name:phone:email")
	}
	*c = contactArg{Type: part[0], Name: strings.TrimSpace(part[1]), Phone: strings.TrimSpace(part[2]), Email: strings.TrimSpace(part[3])}
	if !slices.Contains(contactTypes, c.Type) {
		return fmt.Errorf("the type of a contact is one of %s (code list 8471)", strings.Join(contactTypes, ", "))
	}
	if c.Name == "" || strings.Count(c.Email, "@") != 1 {
		return fmt.Errorf("a contact has a name and an e-mail address; the phone number may be empty")
	}
	return nil
}

func contactsOf(in []contactArg) []store.Contact {
	var out []store.Contact
	for _, c := range in {
		out = append(out, store.Contact(c))
	}
	return out
}

type tenantAddCmd struct {
	dataFlags
	ID      tenantArg    `required:"" placeholder:"ID" help:"Short name for ever: 1-40 of a-z, 0-9 and hyphen."`
	Name    string       `required:"" help:"Name as people know it."`
	Kommune string       `required:"" placeholder:"NNNN" help:"Municipality number, four digits."`
	Contact []contactArg `sep:"none" placeholder:"TYPE:NAME:PHONE:EMAIL" help:"Whom the register may call; types 1, 15, 16, 17 (code list 8471). May be given again."`

	Recreate bool `help:"Begin the record empty although the keys say that there was one: the store is lost, and there is no backup to restore."`
	JSON     bool `help:"Print JSON."`
}

// Help is shown by --help.
func (*tenantAddCmd) Help() string {
	return `Adds a municipality: an own store, an own journal and own keys. Its key file is written to
the folder of the keys; keep a copy of it apart from the data, because nothing can be read
without it. A running server serves the new municipality at once.

When the key file is there and the store is not, the store was lost: restore a backup (flette
restore), or give --recreate. Tablets that had been enrolled are then enrolled again, keep
their ids, and hand in all that they keep.

Example:

    flette tenant add --data /srv/flette --id testvik --name "Testvik kommune" --kommune 9999`
}

// Validate checks the municipality number.
func (c *tenantAddCmd) Validate() error {
	if c.Kommune == "" {
		return nil // kong says that it is missing
	}
	if _, err := ident.ParseKommune(c.Kommune); err != nil {
		return fmt.Errorf("--kommune: %s", problemOf(err).Detail)
	}
	if strings.TrimSpace(c.Name) == "" {
		return fmt.Errorf("--name: a municipality has a name")
	}
	return nil
}

// tenantView is a municipality as the command line shows it.
type tenantView struct {
	ID       model.TenantID  `json:"id"`
	Name     string          `json:"name"`
	Kommune  string          `json:"kommune"`
	Epoch    string          `json:"epoch"`
	Entries  int64           `json:"entries"`
	Contacts []store.Contact `json:"contacts"`
	KeyFile  string          `json:"key_file"`
}

type tenantAdd struct {
	store.Tenant
	Recreate bool `json:"recreate,omitzero"`
}

var tenantAddOp = op[tenantAdd, tenantView]{name: "tenant-add", run: func(ctx context.Context, a *app, in tenantAdd) (tenantView, error) {
	ids, err := a.store.Tenants(ctx)
	if err != nil {
		return tenantView{}, err
	}
	// Asked before a key file is made: a store whose key file is lost must not get a new one.
	if slices.Contains(ids, in.ID) {
		return tenantView{}, problemf("tenant-exists", "there is a municipality %s already", in.ID)
	}
	if err := a.createTenant(ctx, in.Tenant, in.Recreate); err != nil {
		return tenantView{}, err
	}
	if a.tenantsChanged != nil {
		if err := a.tenantsChanged(ctx); err != nil {
			return tenantView{}, err
		}
	}
	return a.tenantView(ctx, in.ID)
}}

func (a *app) tenantView(ctx context.Context, id model.TenantID) (out tenantView, err error) {
	err = a.view(ctx, id, func(v store.View) error {
		t := v.Tenant()
		out = tenantView{ID: t.ID, Name: t.Name, Kommune: t.Kommune, Epoch: t.Epoch, Entries: v.Size(), Contacts: t.Contacts, KeyFile: a.keyFile(t.ID)}
		return nil
	})
	return out, err
}

// Run adds the municipality.
func (c *tenantAddCmd) Run(ctx context.Context, out *output) error {
	t, err := doOp(ctx, c.dataFlags, tenantAddOp, tenantAdd{Recreate: c.Recreate, Tenant: store.Tenant{
		ID: model.TenantID(c.ID), Name: strings.TrimSpace(c.Name), Kommune: c.Kommune, Contacts: contactsOf(c.Contact),
	}})
	if err != nil {
		return err
	}
	return out.print(c.JSON, t, func() string {
		return fmt.Sprintf("added %s (%s, municipality %s)\nkeep a copy of %s apart from the data folder", t.ID, t.Name, t.Kommune, t.KeyFile)
	})
}

type tenantListCmd struct {
	dataFlags
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (*tenantListCmd) Help() string {
	return `Lists the municipalities of a data folder with their number of journal entries.

Example:

    flette tenant list --data /srv/flette`
}

var tenantListOp = op[struct{}, []tenantView]{name: "tenant-list", reads: true, run: func(ctx context.Context, a *app, _ struct{}) ([]tenantView, error) {
	ids, err := a.store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	out := []tenantView{}
	for _, id := range ids {
		t, err := a.tenantView(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}}

// Run lists the municipalities.
func (c *tenantListCmd) Run(ctx context.Context, out *output) error {
	list, err := doOp(ctx, c.dataFlags, tenantListOp, struct{}{})
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		rows := [][]string{{"ID", "KOMMUNE", "ENTRIES", "NAME"}}
		for _, t := range list {
			rows = append(rows, []string{string(t.ID), t.Kommune, fmt.Sprint(t.Entries), t.Name})
		}
		return table(rows)
	})
}

type tenantContactsCmd struct {
	tenantFlags
	Contact []contactArg `required:"" sep:"none" placeholder:"TYPE:NAME:PHONE:EMAIL" help:"Whom the register may call; types 1, 15, 16, 17 (code list 8471). May be given again."`
	JSON    bool         `help:"Print JSON."`
}

// Help is shown by --help.
func (*tenantContactsCmd) Help() string {
	return `Sets whom the register may call about messages, instead of those set before. Without
contacts no message can be made.

Example:

    flette tenant contacts --data /srv/flette --tenant testvik --contact "1:Test Testesen:55500000:test@testvik.example"`
}

type tenantContacts struct {
	Tenant   model.TenantID  `json:"tenant"`
	Contacts []store.Contact `json:"contacts"`
}

var tenantContactsOp = op[tenantContacts, tenantView]{name: "tenant-contacts", run: func(ctx context.Context, a *app, in tenantContacts) (tenantView, error) {
	err := a.update(ctx, in.Tenant, func(tx store.Tx) error {
		t := tx.Tenant()
		t.Contacts = in.Contacts
		return tx.PutTenant(t)
	})
	if err != nil {
		return tenantView{}, err
	}
	return a.tenantView(ctx, in.Tenant)
}}

// Run sets the contacts.
func (c *tenantContactsCmd) Run(ctx context.Context, out *output) error {
	t, err := doOp(ctx, c.dataFlags, tenantContactsOp, tenantContacts{c.id(), contactsOf(c.Contact)})
	if err != nil {
		return err
	}
	return out.print(c.JSON, t, func() string { return fmt.Sprintf("%s has %s", t.ID, plural(len(t.Contacts), "contact")) })
}
