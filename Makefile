# Everything a contributor runs. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

export WEIR_TEST_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/weir
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

# Seconds that each fuzz target runs.
FUZZ_SECONDS ?= 20
# Passed on to bench/run.py, e.g. BENCH_ARGS="--rows plain --rounds 3".
BENCH_ARGS ?=
# Passed on to `weir run`, e.g. ARGS="-c weir.yaml".
ARGS ?=

.PHONY: help run test check bench docs fuzz coverage tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build Weir and run it (ARGS="-c FILE")
	cargo run --bin weir -- run $(ARGS)

test: tools check ## install what the tests need, then run every test
	cargo test --workspace --all-targets --no-fail-fast
	cargo test --workspace --doc
	python3 -m unittest discover -s bench

check: ## formatting, lints and, with cargo-deny, dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	tests/dependencies.sh

bench: tools ## measure Weir beside its peers and write BENCHMARKS.md (BENCH_ARGS=…)
	cargo build --release --bin weir
	cargo build --release --manifest-path bench/hyper-proxy/Cargo.toml --target-dir $(TARGET_DIR)/hyper-proxy
	bench/install.sh
	python3 bench/run.py --weir $(TARGET_DIR)/release/weir \
		--hyper $(TARGET_DIR)/hyper-proxy/release/hyper-proxy $(BENCH_ARGS)

docs: tools ## run the examples in README.md and docs/, and check their links
	cargo test --package weir-server --test it docs::

fuzz: ## run each fuzz target for FUZZ_SECONDS (nightly Rust)
	tests/fuzz.sh $(FUZZ_SECONDS)

coverage: tools ## line coverage of the test suite, as HTML under target/coverage
	tests/coverage.sh $(TARGET_DIR)/coverage

tools: # servers and clients of the end-to-end tests
	tests/install.sh
