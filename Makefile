# Everything runs in .venv; the first target that needs it makes it.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml)
NATIVE := $(VENV)/.native
TOOLS := $(VENV)/.tools
LOADER := target/release/fairlead-load
FUZZ_SECONDS ?= 60
export CARGO_TERM_COLOR ?= auto
export PIP_QUIET ?= 1

.PHONY: help demo test test-rust test-python test-long check bench fuzz docs build clean
.DEFAULT_GOAL := help

help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(TOOLS): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group build --group test --group check
	@touch $@

$(NATIVE): $(TOOLS) $(RUST_SOURCES) pyproject.toml
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --quiet
	@touch $@

build: $(NATIVE) ## build the native module and install fairlead into .venv

demo: $(NATIVE) ## three sample backends, Fairlead before them, and what it does when one stops
	$(BIN)/fairlead demo

$(LOADER): $(RUST_SOURCES) $(shell find bench/load -name '*.rs' -o -name Cargo.toml)
	cargo build --release --quiet -p fairlead-load

test: test-rust test-python ## unit, property, conformance, contract and end-to-end tests

test-rust:
	cargo test --workspace --quiet

test-python: $(NATIVE) $(LOADER)
	FAIRLEAD_LOAD=$(abspath $(LOADER)) $(BIN)/python -m pytest -q -n 2 --dist loadfile

test-long: $(NATIVE) $(LOADER) ## the tests that take a minute or more
	FAIRLEAD_LOAD=$(abspath $(LOADER)) $(BIN)/python -m pytest -q -m long

check: $(NATIVE) ## formatting, lints, types, layers and the rules of the house
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest fairlead._engine --ignore-disjoint-bases
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m checks

bench: $(NATIVE) $(LOADER) ## measure beside nginx, HAProxy and Envoy (bench/README.md)
	bench/peers/install.sh
	$(BIN)/python bench/run.py

fuzz: ## a minute for each parser (FUZZ_SECONDS=60; needs cargo-fuzz and a nightly toolchain)
	@cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
	for target in $$(cargo +nightly fuzz list); do \
		cargo +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; done

docs: $(NATIVE) ## write the generated reference pages again
	$(BIN)/fairlead schema --format markdown > docs/reference/configuration.md
	$(BIN)/python -m fairlead.simulate.compared > docs/concepts/algorithms-compared.md

clean: ## remove what was built
	rm -rf target $(VENV)
