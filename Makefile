.DEFAULT_GOAL := help
.PHONY: help demo test check cover fuzz bench docs

FUZZTIME ?= 30s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## the same load against a misbehaving gateway, bare and wrapped
	go run ./cmd/resilgen generate ./examples/...
	@mkdir -p bin
	go build -o bin/gateway ./examples/payments/gateway
	go build -o bin/demo ./examples/payments/demo
	@bin/demo bin/gateway

test: ## run every test
	go test ./...

check: ## vet, staticcheck, formatting, races, generated files up to date
	go vet ./...
	go run $(STATICCHECK) ./...
	@test -z "$$(gofmt -l cmd examples generator runtime templates)" || { gofmt -l cmd examples generator runtime templates; exit 1; }
	go run ./cmd/resilgen check ./examples/...
	go test -race ./runtime/...
	go mod tidy -diff

cover: ## statement coverage of the rooms that have a goal
	go test -cover ./runtime/resilience ./generator/policy

fuzz: ## fuzz the reader of policies for FUZZTIME
	go test -run '^$$' -fuzz FuzzRead -fuzztime $(FUZZTIME) ./generator/policy

bench: ## benchmarks of the runtime
	go test -run '^$$' -bench . -benchmem ./runtime/...

docs: ## write docs/policy.md from the table of keys
	UPDATE=1 go test -run TestDocumentIsUpToDate ./generator/policy
