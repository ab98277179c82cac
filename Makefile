# Podman's bindings: no C, and nothing that only a local engine needs.
export CGO_ENABLED = 0
TAGS := remote,containers_image_openpgp,exclude_graphdriver_btrfs
export GOFLAGS = -tags=$(TAGS) -buildvcs=false

LINTER := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# From 2.46 on it needs modules that Go's proxy does not have.
NFPM := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

build: ## the program, build/review-executor
	@go build -trimpath -ldflags "-s -w -X main.linkedVersion=$$(scripts/version.sh)" -o build/review-executor ./cmd/review-executor

man: build ## manual pages, in build/man
	@build/review-executor man build/man

package: build/nfpm ## a .deb and an .rpm for this machine, in build/package
	@rm -rf build/package && NFPM=build/nfpm scripts/package.sh build/package "$$(go env GOARCH)" && ls build/package/*.deb build/package/*.rpm

release: build/nfpm ## packages, archives, SBOMs and checksums for amd64 and arm64, in build/release
	@NFPM=build/nfpm scripts/release.sh build/release amd64 arm64 && cat build/release/SHA256SUMS

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

build/nfpm:
	@GOBIN=$(CURDIR)/build GOFLAGS= go install $(NFPM)

.PHONY: help build man package release demo demo-stop test lint fmt bench
