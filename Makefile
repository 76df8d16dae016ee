.PHONY: setup demo test test-fast check bench format lock

setup:   ## the project's environment in .venv
	scripts/setup
demo:    ## the platform, the iris example, one prediction
	scripts/demo
test:    ## every test but the cluster's
	scripts/test
test-fast: ## the tests that start no processes, within a minute
	scripts/test fast
check:   ## lint, types, layers, docs
	scripts/check
bench:   ## the figures that the README claims
	scripts/bench
format:  ## as it should look
	.venv/bin/ruff format . && .venv/bin/ruff check --fix .
lock:    ## pin anew what is installed
	scripts/lock
