package client

import (
	"context"
	"errors"
	"testing"

	contract "flette/mobile-contract"
	"flette/model"
)

func TestDecideOnWhatWasSeen(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	id := sign(t, tab, memory, 2)
	push(t, tab)
	api, err := NewAPI(APIConfig{URL: f.srv.URL, HTTP: f.client(), Token: "access-supervisor", Sleep: noSleep})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	_, etag, err := api.Review(ctx, "r1")
	if err != nil {
		t.Fatal(err)
	}
	sign(t, tab, memory, 4)
	push(t, tab)
	choice := contract.DecisionRequest{Choose: &id, Reason: &model.Reason{Code: "spoke-with-both"}}
	_, err = api.Decide(ctx, "r1", etag, choice)
	var stale *Error
	if !errors.As(err, &stale) || stale.Status != 412 || stale.Problem.Current == nil || stale.ETag == etag {
		t.Fatalf("got %v", err)
	}
	f.busy = []string{"1"}
	got, err := api.Decide(ctx, "r1", stale.ETag, choice)
	if err != nil || got.Review.State != "closed" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := api.Post(ctx, "/v1/reviews/r1/decision", nil, choice, nil); CodeOf(err) != "precondition-required" {
		t.Errorf("without If-Match: %v", err)
	}
	if _, err := NewAPI(APIConfig{URL: "x"}); err == nil {
		t.Error("an API without a token was made")
	}
}

func TestAnswerThatIsNoProblem(t *testing.T) {
	f := newFake(t)
	f.srv.Config.Handler = nil
	api, err := NewAPI(APIConfig{URL: f.srv.URL, Token: "x", Sleep: noSleep})
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, err := api.Persons(context.Background(), ""); !errors.As(err, &e) || e.Status != 404 || e.Problem == nil || e.Problem.Code != "" {
		t.Errorf("got %v", err)
	}
}
