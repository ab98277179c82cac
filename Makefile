# Podman's bindings: no C, and nothing that only a local engine needs.
export CGO_ENABLED = 0
TAGS := remote,containers_image_openpgp,exclude_graphdriver_btrfs
export GOFLAGS = -tags=$(TAGS) -buildvcs=false

LINTER := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

build: ## the program, build/review-executor
	@go build -trimpath -ldflags "-s -w" -o build/review-executor ./cmd/review-executor

man: build ## manual pages, in build/man
	@build/review-executor man build/man

demo: build ## a review host on this machine, with two branches of an example deployed
	@scripts/demo.sh start

demo-stop: build ## end the demo; nothing stays
	@scripts/demo.sh stop

test: build ## everything: linters, unit tests, and the program on a real Podman and Apache
	@scripts/test.sh

lint: build/golangci-lint ## the linters alone
	@build/golangci-lint run

fmt: ## format the Go files
	@gofmt -l -w .

bench: build ## measure; prints a table and writes build/bench.json
	@go run ./internal/bench

build/golangci-lint:
	@GOBIN=$(CURDIR)/build GOFLAGS= go install $(LINTER)

.PHONY: help build man demo demo-stop test lint fmt bench
