.PHONY: setup demo test test-aws test-fast check bench format lock

setup:   ## the project's environment in .venv
	scripts/setup
demo:    ## the platform, the iris example, one prediction
	scripts/demo
test:    ## all tests but the cluster's and those of AWS
	scripts/test
test-aws: ## the tests on an emulator of AWS
	scripts/test aws
test-fast: ## the tests that start no processes, within a minute
	scripts/test fast
check:   ## lint, types, layers, plain English, docs
	scripts/check
bench:   ## the figures in the README
	scripts/bench
format:  ## format the code
	.venv/bin/ruff format . && .venv/bin/ruff check --fix .
lock:    ## pin the dependencies again
	scripts/lock
