.DEFAULT_GOAL := help
.PHONY: help demo test check nested cover fuzz fuzz-durable bench docs simulate-check conformance corpus peers genspeed soak starve rewrites size crash crash-runs bench-store bench-workflow

FUZZTIME ?= 30s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
REVIVE := github.com/mgechev/revive@v1.16.0

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## a load against a misbehaving gateway, bare and wrapped; a service that is killed and loses nothing; a workflow that is killed three times
	go run ./cmd/resilgen generate ./examples/...
	@mkdir -p bin
	go build -o bin/gateway ./examples/payments/gateway
	go build -o bin/service ./examples/payments/service
	go build -o bin/demo ./examples/payments/demo
	go build -o bin/resilgen ./cmd/resilgen
	go build -o bin/provider ./examples/agents/provider
	go build -o bin/research ./examples/agents/research
	go build -o bin/agents ./examples/agents/demo
	@bin/demo bin/gateway bin/service bin/resilgen
	@bin/agents bin/provider bin/research bin/resilgen

test: ## run every test
	go test ./... ./testdata/histories ./testdata/letters ./testdata/workflows

check: nested ## vet, staticcheck, revive, formatting, races, generated files and docs up to date, nested modules
	go vet ./... ./testdata/histories ./testdata/letters ./testdata/workflows
	go run $(STATICCHECK) ./... ./testdata/histories ./testdata/letters ./testdata/workflows
	go run $(REVIVE) -config revive.toml ./... ./testdata/histories ./testdata/letters ./testdata/workflows
	.ci/generated.sh $(STATICCHECK) $(REVIVE)
	@test -z "$$(gofmt -l cmd examples generator runtime templates)" || { gofmt -l cmd examples generator runtime templates; exit 1; }
	go run ./cmd/resilgen check ./examples/... ./testdata/size/with ./testdata/letters ./testdata/workflows
	go vet ./testdata/size/...
	go test -run IsUpToDate ./generator ./generator/policy
	go test -race -short ./runtime/...
	go test -tags resilience_chaos ./runtime/resilience
	go mod tidy -diff

# Each nested module by its own go.mod: go.work joins what need not decide over
# the versions of the root. testdata/peers-durable/temporalserver is not among them:
# to compile a Temporal server takes minutes, and only bench-workflow needs it.
nested:
	go build -o bin/resilgen ./cmd/resilgen
	@test -z "$$(gofmt -l testdata)" || { gofmt -l testdata; exit 1; }
	cd testdata/peers && export GOWORK=off && go vet . && $(CURDIR)/bin/resilgen check . && go test .
	cd testdata/conformance && GOWORK=off $(CURDIR)/bin/resilgen check ./...
	cd testdata/corpus && GOWORK=off go vet .
	cd runtime/resiliencegrpc && export GOWORK=off && go vet . && go test . && go mod tidy -diff
	cd testdata/soak && export GOWORK=off && go vet -tags resilience_chaos . && $(CURDIR)/bin/resilgen check .
	cd testdata/peers-durable && GOWORK=off go vet .
	cd testdata/crash && export GOWORK=off && go vet ./... && $(CURDIR)/bin/resilgen check ./... && go mod tidy -diff
	cd testdata/histogram && export GOWORK=off && go vet . && go test .

cover: ## statement coverage of the rooms that have a goal
	go test -cover ./runtime/resilience ./generator/policy

# CI has ten seconds for each.
HISTORIES ?= $(if $(filter 10s,$(FUZZTIME)),2000,100000)
PLANS ?= $(if $(filter 10s,$(FUZZTIME)),1000,50000)

fuzz: ## fuzz what reads policies, names and expressions in generated code, and what is on disk, FUZZTIME each; 100,000 random histories, 50,000 random runs
	go test -run '^$$' -fuzz FuzzRead -fuzztime $(FUZZTIME) ./generator/policy
	go test -run '^$$' -fuzz FuzzAnnotations -fuzztime $(FUZZTIME) ./generator
	go test -run '^$$' -fuzz FuzzNames -fuzztime $(FUZZTIME) ./generator
	go test -run '^$$' -fuzz FuzzExpressions -fuzztime $(FUZZTIME) ./generator
	go test -run '^$$' -fuzz FuzzFile -fuzztime $(FUZZTIME) ./runtime/overrides
	go test -run TestHistories -count=1 -timeout 0 ./testdata/histories -first 10000 -pairs $(HISTORIES)
	go test -run TestRandomRuns -count=1 -timeout 0 ./runtime/workflow -first-plan 10000 -plans $(PLANS)
	go test -run '^$$' -fuzz FuzzOpen -fuzztime $(FUZZTIME) ./runtime/internal/journal
	go test -run '^$$' -fuzz FuzzLetterRecord -fuzztime $(FUZZTIME) ./runtime/resilience
	go test -run '^$$' -fuzz FuzzCron -fuzztime $(FUZZTIME) ./runtime/workflow
	go test -run '^$$' -fuzz FuzzEntry -fuzztime $(FUZZTIME) ./runtime/workflow

fuzz-durable: fuzz ## and everything else that reads what somebody else may have written
	for f in StrictJSON Filter Patch Scrub Index CheckpointRecord UnpackCell UnpackEntry StoreKey; do \
		go test -run '^$$' -fuzz Fuzz$$f -fuzztime $(FUZZTIME) ./runtime/resilience || exit 1; \
	done
	go test -run '^$$' -fuzz FuzzQuery -fuzztime $(FUZZTIME) ./runtime/ops
	go test -run '^$$' -fuzz FuzzClean -fuzztime $(FUZZTIME) ./cmd/resilgen

bench: ## benchmarks of the runtime
	go test -run '^$$' -bench . -benchmem ./runtime/...

size: ## by how much a wrapper makes the binary of a service grow
	go test -count=1 -v -run 'TestBinaryGrowth|TestServiceDepends' .

docs: ## write the reference and the JSON Schema from the table of keys, and what simulations print
	go test -run 'IsUpToDate|Transcripts' ./generator ./generator/policy ./runtime/resilience ./cmd/resilgen -update

simulate-check: ## half a minute of real load each, held against resilgen simulate
	go test -count=1 -v -run TestSimulateAgreesWithAServer ./examples/payments -real 30s

conformance: ## what the suites of other systems assert, and a count of it
	cd testdata/conformance && export GOWORK=off && test -z "$$(gofmt -l .)" && go vet ./... && go test -count=1 ./streams && go test -count=1

# Callers, delegates and events count too, and nothing may be left behind.
SOAK ?= 10m
soak: ## everything at once under the race detector for SOAK: each count adds up
	cd testdata/soak && GOWORK=off go test -race -tags resilience_chaos -count=1 -timeout 0 -v -soak $(SOAK) .

# 4 ms: tests in virtual time wait for every goroutine, and would take hours.
starve: ## the tests of the runtime under a scheduler that is unfair on purpose
	go run ./testdata/starve -for 5ms -- -timeout 60m ./runtime/... ./testdata/letters ./testdata/workflows
	go run ./testdata/starve -for 40ms -- -timeout 60m ./runtime/internal/... ./runtime/ops ./runtime/overrides ./runtime/workflow ./examples/... ./cmd/...

# 50 processes killed, 100 power cuts, every failing write and flush, a disk with
# room for so much: the last three on a real file system, which needs root.
CRASH ?=
crash: ## kill, power cut, failing disk and full disk, from outside
	cd testdata/crash && GOWORK=off go test -count=1 -timeout 0 -v . $(CRASH)

RUNS ?= 1000
crash-runs: ## RUNS runs of a workflow of ten nodes, killed over and over; what they did stands in a ledger
	cd testdata/crash && GOWORK=off go test -count=1 -timeout 0 -v -run 'TestRuns' . -n-runs $(RUNS)

rewrites: ## an overrides file that is rewritten 10,000 times under load
	go test -count=1 -v -run TestRewrittenUnderLoad ./runtime/overrides -rewrites 10000

# Interfaces of the standard library, and every probe from outside and in place.
# CORPUS_ONLY=. takes every module of the list, some minutes and 3 GB.
CORPUS_ONLY ?= ^[a-z0-9/]+[.][A-Za-z]+ 
corpus: ## real interfaces, five policies: what is generated compiles and implements
	go build -o bin/resilgen ./cmd/resilgen
	cd testdata/corpus && export GOWORK=off && for policy in none retry breaker full letters; do \
		run="sh resilgen.sh $(CURDIR)/bin/resilgen $$policy {{.Dir}} {{.OutPkg}} {{.Out}} {{.Pkg}} {{.Iface}} {{.File}}"; \
		go run . -name $$policy -only '$(CORPUS_ONLY)' -gen "$$run" || exit 1; \
		go run . -name $$policy-out -in probes.tsv -gen "$$run" || exit 1; \
		go run . -name $$policy-in -in probes.tsv -inpkg -gen "$$run" || exit 1; \
	done

peers: ## benchmarks of generated wrappers beside other libraries
	cd testdata/peers && GOWORK=off go test . && GOWORK=off go test -run '^$$' -bench . -benchmem -benchtime=100ms .

# The floor, ourselves and the others in turn, round by round. BENCH_STORE='-t 2s'.
BENCH_STORE ?=
bench-store: ## what a durable record costs, beside other stores and the bare disk
	cd testdata/peers-durable && GOWORK=off go run . -run '^(floor/zero-filled 64M .fdatasync .the floor. 256B|concurrent-append/.*256B|store/.*256B|file-checkpoint/temp.*dir fsync 256B)' $(BENCH_STORE)

bench-workflow: ## what durable steps cost, beside DBOS (SQLite, PostgreSQL), Temporal, plain calls and the bare disk
	cd testdata/peers-durable && GOWORK=off go run . -postgres -temporal -run '^(workflow|engine)/' $(BENCH_STORE)
	cd testdata/peers-durable && GOWORK=off go run . -capacity 100000
	go test -run '^$$' -bench 'MemoryStep|Resume' -benchmem ./runtime/workflow

GOBIN ?= $(CURDIR)/bin/generators
genspeed: ## time the command beside gowrap, moq and mockery
	go build -o bin/resilgen ./cmd/resilgen
	@mkdir -p $(GOBIN)/build && cd $(GOBIN)/build && printf 'module build\n\ngo 1.25\n\nrequire (\n\tgithub.com/hexdigest/gowrap v1.4.3\n\tgithub.com/matryer/moq v0.8.1\n\tgithub.com/vektra/mockery/v3 v3.9.0\n)\n' > go.mod && \
		for tool in github.com/hexdigest/gowrap/cmd/gowrap github.com/matryer/moq github.com/vektra/mockery/v3; do \
			name=$$(basename $$tool); test $$name = v3 && name=mockery; \
			GOWORK=off GOFLAGS=-mod=mod go build -o $(GOBIN)/$$name $$tool || exit 1; \
		done
	go run ./testdata/genspeed -gobin $(GOBIN)
