# netmirror: see README.md. Everything here runs with Go and a POSIX shell;
# what the tests need beside that, `make test` installs where it may.

GOOS        ?= linux
GOARCH      ?= $(shell go env GOARCH)
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
NFPM        ?= github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
BIN         := bin/netmirror

.PHONY: build dist dist-check image test demo bench deps lint unit property fuzz random e2e packages screenshots clean

## build: a static binary for linux/GOARCH in bin/
build:
	CGO_ENABLED=0 GOOS=$(GOOS) GOARCH=$(GOARCH) go build -trimpath -ldflags='-s -w' -o $(BIN) .

## dist: deb, rpm and .tar.gz for amd64 and arm64, and their SHA256SUMS, in dist/
dist:
	NFPM=$(NFPM) deploy/dist.sh

## dist-check: whether two builds of HEAD that share nothing are the same, byte for byte
dist-check:
	NFPM=$(NFPM) deploy/dist-check.sh

## image: a container image of this clone, netmirror:latest; needs Docker with BuildKit
image:
	DOCKER_BUILDKIT=1 docker build -f deploy/docker/Dockerfile --build-arg VERSION="$$(deploy/dist.sh version)" -t netmirror .

## test: everything: vet, linter, race tests, random connections, fuzzing, end to end, packages
# Much of the time the end-to-end tests wait for something, so random input runs beside them, at the
# lowest priority.
test: deps lint unit
	$(MAKE) -j2 --output-sync=target e2e random
	$(MAKE) packages

random:
	nice -n 19 $(MAKE) property
	nice -n 19 $(MAKE) fuzz

## demo: a service, its mirror and a shadow of it, live, in namespaces of their own
demo: build
	go run ./e2e/demo -netmirror $(BIN)

## bench: what netmirror costs, with the bars it is held to, in one table; with
## BASE=path beside that binary, with PEER=path beside that vxlan-to-http, with
## BENCH="-only Requests -json" (go run ./bench -h) in other ways. 6 minutes, 9 on a loaded machine; needs root.
bench: build
	go run ./bench -bin $(BIN) $(if $(BASE),-base $(BASE)) $(if $(PEER),-peer $(PEER)) $(BENCH)

# gcc for the race detector; nginx, curl and nft for the end-to-end tests.
deps:
	@sh e2e/deps.sh

lint:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "run gofmt -w on:" $$unformatted; exit 1; fi
	go mod tidy -diff
	go vet ./...
	go run $(STATICCHECK) ./...

# Four packages at a time: many of their tests wait more than they compute. The longest one
# comes first.
unit:
	CGO_ENABLED=1 go test -p 4 -race -timeout 15m ./stack $$(go list ./... | grep -v -e /e2e -e /deploy -e /stack$$)

## property: the promise on CASES random connections and mirrors; SEED=N repeats a run
CASES ?= 5000
SEED  ?= 0
property:
	go test -run '^(TestPromise|TestHostileSegments|TestConnectionsInSequence)$$' -timeout 60m ./stack -rapid.checks=$(CASES) -rapid.seed=$(SEED)

## fuzz: each fuzz target for FUZZTIME, a number of inputs (20000x) or a time (10s)
FUZZTIME ?= 20000x
fuzz:
	@sh e2e/fuzz.sh $(FUZZTIME)

e2e: build
	NETMIRROR_BIN=$(CURDIR)/$(BIN) CGO_ENABLED=1 go test -race -timeout 25m ./e2e/...

# The packages are built, installed, started, asked, upgraded and purged.
packages:
	NFPM=$(NFPM) go test -timeout 10m ./deploy/...

## screenshots: the pictures of the status page in docs/, of made-up figures; needs chromium
screenshots:
	NETMIRROR_SCREENSHOTS=$(CURDIR)/docs go test -count=1 -run '^TestScreenshots$$' ./status

clean:
	rm -rf bin dist
