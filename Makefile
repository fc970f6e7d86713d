.DEFAULT_GOAL := help
.PHONY: help test
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
test: ## run every test of the root module
	go test ./...
