# `make run` and `make test` do all set-up themselves; `make help` lists the rest.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# -trimpath everywhere: what was compiled for bin/quorate is then used again by
# linters and generators, in the copy that .ci/generated works on too.
export GOFLAGS := $(GOFLAGS) -buildvcs=false -trimpath

# Flags for go test: -short makes random walks shorter, and leaves no test out.
TESTFLAGS ?=

# Inside frontend: a Node that is new enough, the system's or one from npm.
NODE = PATH="$$(../.ci/node):$$PATH"
# The race detector doesn't watch SQLite, which is C as Go and knows what its
# pointers are, nor the arithmetic within the standard library's cryptography.
UNWATCHED = "-gcflags=modernc.org/...=-d=checkptr=0 -race=false" -gcflags=crypto/internal/...=-race=false
GOTEST = .ci/in-memory go tool gotestsum --format pkgname-and-test-fails --hide-summary skipped -- -race $(UNWATCHED) -timeout 20m $(TESTFLAGS)

FRONTEND_SOURCES := $(shell find frontend -path frontend/node_modules -prune -o -path frontend/dist -prune -o -type f -print 2>/dev/null)

.PHONY: help run build test check generate bench lint format servers clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: build ## set up, build and start the demo on http://127.0.0.1:8080
	bin/quorate demo --data data/demo

build: bin/quorate ## build the dashboard, bin/quorate and its name as a plugin of age

.PHONY: bin/quorate
bin/quorate: frontend/dist/index.html
	go build -o $@ ./cmd/quorate
	ln -sf quorate bin/age-plugin-quorate

frontend/node_modules/.package-lock.json: frontend/package.json frontend/package-lock.json
	cd frontend && $(NODE) npm ci --no-audit --no-fund
	@touch $@

frontend/dist/index.html: frontend/node_modules/.package-lock.json $(FRONTEND_SOURCES)
	cd frontend && $(NODE) npm run build
	@touch $@

servers: ## install what the tests need and this machine lacks: PostgreSQL, Redis, Prometheus, Chromium, protoc, Python
	.ci/servers

test: servers build ## run every test, on private servers
	cd frontend && $(NODE) npm test && $(NODE) npm run e2e
	$(GOTEST) $$(go list ./... | grep -v /internal/e2e)
	$(GOTEST) ./internal/e2e # alone: it kills servers by the clock

check: lint ## lint, import rules, that the API breaks no client, and that generated code is up to date
	go test ./internal/archtest
	GOOS=windows go build "-gcflags=all=-N -l -dwarf=false" ./client # thrown away: not optimised
	go run ./internal/tools/schemadiff
	.ci/generated

lint: frontend/node_modules/.package-lock.json frontend/dist/index.html ## static analysis of Go, protobuf and the dashboard
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt: run make format:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go tool staticcheck ./...
	cd internal/rpc && ../../frontend/node_modules/.bin/buf lint
	cd frontend && $(NODE) npm run check

format: ## format Go
	gofmt -w $$(git ls-files '*.go')

generate: frontend/node_modules/.package-lock.json ## write all generated code anew
	cd internal/rpc && ../../frontend/node_modules/.bin/buf generate
	go generate ./ent
	go run ./internal/tools/graphgen
	cd frontend && $(NODE) npm run codegen
	go run ./internal/tools/apidocs

bench: servers ## run the benchmarks (figures for docs/benchmarks.md)
	.ci/bench

clean: ## remove what was built and installed here
	rm -rf bin data .tools frontend/node_modules frontend/dist/assets frontend/dist/index.html
