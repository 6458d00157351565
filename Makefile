# Everything works on a bare Debian with Go, gcc and git. `make help` lists the targets.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
TOOLS    := $(CURDIR)/bin/tools
LINTER   := $(TOOLS)/golangci-lint
LINTER_V := 2.15.0
PKG      ?= ./...
FUZZTIME ?= 20s
CHECKS   ?= 2000
BENCH    ?= .
HISTORIES?= 10000

# The race detector needs cgo and a C compiler.
RACE := $(if $(shell command -v $$(go env CC) 2>/dev/null),-race)

.PHONY: help build tools xmllint chromium npm vet lint test test-long sim sim-long fuzz bench demo clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

build: ## static binary in bin/flette
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.release=$(VERSION)' -o bin/flette ./cmd/flette

tools: xmllint chromium npm $(LINTER) ## install what tests and lint use, where that is allowed

xmllint:
	@command -v xmllint >/dev/null && exit; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing libxml2-utils for xmllint"; \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends libxml2-utils; } >/dev/null 2>&1 \
	    || echo "libxml2-utils could not be installed; tests that need xmllint are skipped"; \
	else echo "xmllint not found; install libxml2-utils to run the tests that need it"; fi

chromium:
	@command -v chromium >/dev/null && exit; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing chromium"; \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 \
	    || echo "chromium could not be installed; tests that need a browser are skipped"; \
	else echo "chromium not found; install it to run the tests that need a browser"; fi

# What others wrote for the same question, to compare with in tests; nothing of it is shipped.
ORACLES := model/ident/testdata/oracle
npm: $(TOOLS)/npm/node_modules
$(TOOLS)/npm/node_modules: $(ORACLES)/package-lock.json
	@if ! command -v npm >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing npm"; { apt-get update -qq && apt-get install -y -qq --no-install-recommends npm; } >/dev/null 2>&1 || true; fi; \
	mkdir -p $(TOOLS)/npm; cp $(ORACLES)/package.json $(ORACLES)/package-lock.json $(TOOLS)/npm; \
	if npm ci --prefix $(TOOLS)/npm --ignore-scripts --no-audit --no-fund >/dev/null 2>&1; then touch $@; \
	else echo "npm packages could not be installed; tests that compare with them are skipped"; fi

# A linter of the right version that is already installed is used as it is.
$(LINTER):
	@mkdir -p $(TOOLS); have=$$(command -v golangci-lint || echo "$$(go env GOPATH)/bin/golangci-lint"); \
	if "$$have" version 2>/dev/null | grep -qF 'version $(LINTER_V) '; then ln -sf "$$have" $@; \
	else echo "installing golangci-lint $(LINTER_V)"; \
	  GOBIN=$(TOOLS) GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(LINTER_V); fi

$(TOOLS)/gotest: $(wildcard internal/tools/gotest/*.go)
	@go build -o $@ ./internal/tools/gotest

vet: ## go vet and gofmt
	@go vet $(PKG)
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not formatted by gofmt:"; echo "$$out"; exit 1; fi

lint: $(LINTER) ## golangci-lint with the import rules
	@$(LINTER) run $(PKG)

test: xmllint chromium npm $(TOOLS)/gotest ## go vet, gofmt and all tests; the last line counts the tests
	@$(if $(RACE),,echo "no C compiler: running without the race detector";) rc=0; \
	$(MAKE) vet || rc=1; $(if $(and $(RACE),$(filter ./...,$(PKG))),$(MAKE) sim || rc=1;) $(TOOLS)/gotest $(RACE) -timeout 20m $(PKG) || rc=1; exit $$rc

# The race detector makes a history ten times slower, so `test` has few of them with it, and all without.
sim: ## the histories, cuts and races of internal/sim and 100 restores, without the race detector
	@mkdir -p bin; if go test -count=1 -v -timeout 15m ./internal/sim >bin/sim.log 2>&1 && \
	  go test -count=1 -v -timeout 15m -run TestRestoresLoseNothing ./api >>bin/sim.log 2>&1; \
	then grep -E 'histories|entries in|places to cut|old answers|^ok' bin/sim.log; else cat bin/sim.log; exit 1; fi

sim-long: ## HISTORIES histories, a cut at every byte, ten times the races
	@go test -count=1 -v -timeout 12h ./internal/sim -run 'TestHistories' -histories $(HISTORIES)
	@go test -count=1 -v -timeout 12h ./internal/sim -run 'TestEveryByte' -everybyte 1
	@go test -count=1 -v -timeout 12h ./internal/sim -run 'TestLinearizable' -histories 2000 | grep -v '^ *--- PASS'

test-long: xmllint chromium npm $(TOOLS)/gotest ## tests three times, property tests with CHECKS cases, every crash point, power cut and flip, every fuzz target for FUZZTIME, sim-long
	@$(TOOLS)/gotest $(RACE) -count=3 -timeout 60m $(PKG)
	@$(TOOLS)/gotest -timeout 60m $$(go list -f '{{$$p := .ImportPath}}{{range .TestImports}}{{if eq . "pgregory.net/rapid"}}{{$$p}}{{end}}{{end}}' $(PKG)) -rapid.checks=$(CHECKS)
	@FLETTE_LONG=1 $(TOOLS)/gotest -count=1 -timeout 120m ./internal/crash
	@FLETTE_LONG=1 $(TOOLS)/gotest -count=1 -timeout 60m -run 'Flips|Damaged' ./store/bolt
	@$(MAKE) fuzz
	@$(MAKE) sim-long

fuzz: ## every fuzz target for FUZZTIME
	@for pkg in $$(go list -f '{{.Dir}}' $(PKG)); do \
	  for name in $$(cat $$pkg/*_test.go 2>/dev/null | sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p'); do \
	    echo "$$name in $${pkg#$(CURDIR)/}"; \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$pkg | grep -vE '^(fuzz: (elapsed|minimizing)|PASS|ok)' || [ "$${PIPESTATUS[0]}" = 0 ]; \
	  done; done

bench: ## all benchmarks, to standard output; BENCH=regexp picks some
	@go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 60m $(PKG) | grep -vE '^(PASS|ok|\?)'

demo: ## the story of a working day, on this machine
	@go run ./cmd/flette demo $(ARGS)

clean: ## remove what was built
	@rm -rf bin dist
