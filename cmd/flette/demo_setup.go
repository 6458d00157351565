package main

import (
	"context"
	"fmt"
	gosync "sync"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
)

// municipality uses the engine directly, as the command line of an operator does.
func (s *story) municipality(ctx context.Context) (told, error) {
	if err := s.a.createTenant(ctx, demoTenantDoc(), false); err != nil {
		return told{}, err
	}
	units, err := s.a.engine.ImportUnits(ctx, demoTenant, demoUnits())
	if err != nil {
		return told{}, err
	}
	cast := demoPeople(s.seed)
	persons, err := s.a.engine.ImportPersons(ctx, demoTenant, cast)
	if err != nil {
		return told{}, err
	}
	s.people = persons.Persons
	for _, p := range cast {
		s.names = append(s.names, p.Name)
	}
	s.units = map[string]string{}
	if err := s.a.store.View(ctx, demoTenant, func(v store.View) error {
		tree, err := store.List[store.OrgUnit](v, "", "", 0)
		for _, u := range tree {
			s.units[u.Local] = u.ID
		}
		return err
	}); err != nil {
		return told{}, err
	}
	s.day = planDay(s.seed, s.units)
	if s.url, err = s.serve(s.a); err != nil {
		return told{}, err
	}
	if s.admin, err = s.api(demoAdmin, model.RoleAdmin, demoAdminName); err != nil {
		return told{}, err
	}
	if s.super, err = s.api(demoSuper, model.RoleSupervisor, demoSuperName); err != nil {
		return told{}, err
	}
	counts := map[string]int64{"units": int64(units.New), "persons": int64(persons.New), "tablets": demoTablets}
	return told{fmt.Sprintf("Testvik, with %d units and %d persons who do not exist, is served at %s.", units.New, persons.New, s.url), counts},
		hold(same("persons", persons.New, demoPersons), same("units", units.New, len(demoUnits())))
}

// enrolment: a code admits one device, once.
func (s *story) enrolment(ctx context.Context) (told, error) {
	s.began = s.clock.Now()
	s.tablets = make([]*demoTablet, demoTablets)
	codes := make([]string, demoTablets)
	var mu gosync.Mutex
	err := together(allTablets(), func(i int) error {
		t, err := s.newTablet(i)
		if err != nil {
			return err
		}
		s.tablets[i] = t
		invite, err := s.admin.Invite(ctx, tabletLabel(i))
		if err != nil {
			return err
		}
		codes[i] = invite.Code
		out, err := t.Enrol(ctx, demoTenant, invite.Code, tabletLabel(i))
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		s.vkey = out.JournalKey
		return nil
	})
	if err != nil {
		return told{}, err
	}
	stranger, err := s.newTablet(0)
	if err != nil {
		return told{}, err
	}
	_, spent := stranger.Enrol(ctx, demoTenant, codes[0], "Nettbrett fra en fremmed")
	list, err := s.admin.Devices(ctx, "")
	if err != nil {
		return told{}, err
	}
	enrolled := 0
	for _, d := range list.Devices {
		if d.Kind == "tablet" && d.State == "active" {
			enrolled++
		}
	}
	return told{fmt.Sprintf("%d tablets are enrolled; a stranger who had read a used code was turned away.", enrolled),
			map[string]int64{"tablets": int64(enrolled), "strangers_refused": 1}},
		hold(same("enrolled tablets", enrolled, demoTablets), refused("the used code", spent, "invite-invalid"))
}

// login: the caseload arrives whole, also on the tablet whose clock is wrong.
func (s *story) login(ctx context.Context) (told, error) {
	items := make([]int, demoTablets)
	err := together(allTablets(), func(i int) error {
		persons := make([]model.PersonID, 0, 20)
		for _, p := range caseloadOf(i) {
			persons = append(persons, s.people[p])
		}
		if _, err := s.admin.Assign(ctx, contract.AssignRequest{Actor: nurseOf(i), Persons: persons}); err != nil {
			return fmt.Errorf("caseload of nurse %d: %w", i+1, err)
		}
		token, err := s.a.userToken(demoTenant, nurseOf(i), model.Roles(model.RoleNurse), nurseName(i), tokenLife)
		if err != nil {
			return err
		}
		t := s.tablets[i]
		if _, err := t.Login(ctx, token); err != nil {
			return fmt.Errorf("nurse %d logs in: %w", i+1, err)
		}
		pulled, err := t.Pull(ctx)
		if err != nil {
			return fmt.Errorf("nurse %d pulls: %w", i+1, err)
		}
		items[i] = pulled.Items
		return same(fmt.Sprintf("persons on tablet %d", i+1), len(t.Persons()), len(persons))
	})
	counts := map[string]int64{"nurses": demoTablets}
	for i := range items {
		counts["items_pulled"] += int64(items[i])
		counts["persons_on_tablets"] += int64(len(s.tablets[i].Persons()))
	}
	return told{"Every nurse has the own persons on the tablet, three of them visited by two nurses.", counts},
		hold(err, same("persons on all tablets", counts["persons_on_tablets"], demoPersons+int64(len(shared))))
}
