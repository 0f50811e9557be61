# Every task of the project. `make check` is the only definition of each check: CI and people call the same.
# Needs Python 3.10 or newer with pip, and cargo; everything else is installed into .venv.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# The frameworks that golden vectors and benchmarks are compared with: gigabytes, so outside the tree and shared
# by all checkouts. An environment of your own that has them will do: GRU_RS_PEERS=/path make golden-check
PEERS := $(or $(GRU_RS_PEERS),$(HOME)/.cache/gru-rs-peers)
PEERS_PACKAGES := torch keras onnx onnxruntime onnxscript safetensors pytest pytest-timeout expecttest typer rich scikit-learn rapidfuzz coremltools

# And those whose layouts are checked beside their engines alone, which do not fit in with them.
FRAMEWORKS := $(or $(GRU_RS_FRAMEWORKS),$(HOME)/.cache/gru-rs-frameworks)
FRAMEWORKS_PACKAGES := numpy pytest pytest-timeout jax equinox flax mlx[cpu] paddlepaddle ncnn dyNET38

# One interpreter for every build, so that maturin and clippy do not undo each other's work.
export PYO3_PYTHON := $(abspath $(BIN)/python)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Their examples are tried where PyTorch and Keras are.
NEED_PEERS := python/gru_rs/torch python/gru_rs/io/_torch.py python/gru_rs/io/_keras.py

# Stamp files: what is done and up to date is not done again.
VENV_READY := $(BIN)/.ready
DEVELOPED := $(BIN)/.developed
EXAMPLES_READY := $(BIN)/.examples
PEERS_READY := $(PEERS)/.has-$(subst $() ,-,$(PEERS_PACKAGES))
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
SOURCES := $(shell find src -name '*.rs') Cargo.toml $(wildcard Cargo.lock build.rs) pyproject.toml

.PHONY: help
help: ## list the targets (the default), and how to run one test
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n%s\n' 'One test:'
	@printf '  %-62s %s\n' \
	    'cargo test --test models' 'one file, tests/models.rs' \
	    'cargo test --test models -- NAME' 'of it the tests whose names hold NAME' \
	    '$(BIN)/python -m pytest tests/python/test_stream.py' 'one file (tests/python/README.md has the map)' \
	    '$(BIN)/python -m pytest tests/python/test_stream.py::NAME' 'one test with all its cases' \
	    '$(BIN)/python -m pytest "FILE::NAME[CASE]"' 'one case; --collect-only lists them' \
	    'GRU_RS_ISA=avx2 cargo test --test layers' 'any of these under one instruction set'

# Set-up -----------------------------------------------------------------------------------------------------

.PHONY: venv develop demo
venv: $(VENV_READY) ## an empty environment in .venv
develop: $(DEVELOPED) ## build the package into .venv, with all tools for development
demo: $(EXAMPLES_READY) ## train a GRU and an LSTM on real reviews; try, save and load the model
	$(BIN)/python examples/sentiment.py

$(VENV_READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "gru-rs needs Python 3.10 or newer")'
	@command -v cargo > /dev/null || { echo "gru-rs is built with cargo: see https://rustup.rs" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'maturin>=1.16,<2'
	touch $@

$(DEVELOPED): $(VENV_READY) $(SOURCES)
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --extras dev,sklearn,cli
	touch $@

$(EXAMPLES_READY): $(DEVELOPED) examples/requirements.txt
	$(BIN)/python -m pip install --quiet -r examples/requirements.txt
	touch $@

# Checks and tests -------------------------------------------------------------------------------------------

.PHONY: check format stubs
check: stubs ## formatting, lints, types, stubs, and the house rules: imports, circles, sizes
	cargo fmt --check
	cargo clippy --all-targets --no-default-features -- -D warnings
	cargo clippy --all-targets --features python,files -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cargo test --test architecture
	$(BIN)/python -m pytest tests/python/test_architecture.py
stubs: $(DEVELOPED) ## types of the package, and its stubs against the built module
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml --allowlist .ci/stubtest.txt gru_rs
format: $(DEVELOPED) ## format all code, and mend what the linters can
	cargo fmt
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: test test-rust test-edge edge test-speed test-python test-slow fuzz test-instructions test-aarch64 test-avx512 test-asan test-miri doctest examples
test: test-rust test-speed test-python ## all tests, with few Hypothesis examples
test-rust: ## the Rust tests and the examples in its documentation
	cargo test
test-edge: ## models, streams and files without threads, and the examples in Rust
	cargo test --no-default-features --features files --lib --examples --test files --test models --test streams
edge: ## examples/edge.rs as a small program without threads, and its size
	cargo build --profile edge --example edge --no-default-features --features files
	@printf 'target/edge/examples/edge: %d bytes\n' "$$(wc -c < target/edge/examples/edge)"
test-speed: ## the kernels' share of the peak, with optimization
	cargo test --release --test speed
test-instructions: $(VENV_READY) ## the kernels' instruction counts against the recorded ones (needs valgrind)
	$(BIN)/python benches/instructions.py
# Elsewhere, and outside the regular CI: docs/isas.md has their records.
test-aarch64: ## the Rust tests for aarch64 and NEON, emulated (root, debootstrap)
	bash tests/aarch64.sh
test-avx512: ## the Rust tests on AVX-512, emulated where the CPU has none (Bochs; two hours)
	bash tests/avx512.sh
test-asan: ## the Rust tests under AddressSanitizer (nightly Rust)
	RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=target/asan GRU_RS_STRIDE=4099 \
	    cargo +nightly test --tests --target $(HOST)
test-miri: ## the Rust tests of the scalar path under Miri, with few and small cases (nightly Rust with miri)
	MIRIFLAGS=-Zmiri-disable-isolation GRU_RS_ISA=scalar GRU_RS_STRIDE=4194301 GRU_RS_CASES=4 \
	    cargo +nightly miri test --lib --test activation --test bits --test layers --test operations
test-python: $(DEVELOPED) ## the Python tests, with few Hypothesis examples
	$(BIN)/python -m pytest tests/python
test-slow: $(DEVELOPED) ## the Hypothesis tests with many examples, 100,000 calls of networks that are written, and of shared estimators
	HYPOTHESIS_PROFILE=slow $(BIN)/python -m pytest tests/python -m hypothesis --timeout 1800
	GRU_RS_LONG=1 $(BIN)/python -m pytest -s tests/python/test_snapshots.py tests/python/test_shared_estimators.py \
	    -k "threads or weights" --timeout 600
FUZZ_SECONDS ?= 600
fuzz: $(DEVELOPED) ## load files that were damaged and edited, for FUZZ_SECONDS (10 minutes), then call at random; seeds of the clock's
	GRU_RS_LONG=1 GRU_RS_FUZZ=$$(awk 'BEGIN {print $(FUZZ_SECONDS) / 136}') \
	    $(BIN)/python -m pytest -s tests/python/test_mutants.py --timeout 3600
	GRU_RS_LONG=1 GRU_RS_SEED=$$(date +%s) $(BIN)/python -m pytest -s tests/python/test_random_calls.py \
	    tests/python/test_races.py --timeout 3600
doctest: $(DEVELOPED) ## every example in the documentation of both languages
	cargo test --doc --features files
	$(BIN)/python -m pytest --doctest-modules python/gru_rs $(addprefix --ignore ,$(NEED_PEERS))
examples: $(EXAMPLES_READY) ## run the examples, briefly
	for script in sentiment intent entities electricity watch japanese_vowels fortunes pronunciation chatbot; do \
	    $(BIN)/python examples/$$script.py --quick || exit; \
	done
	$(BIN)/python examples/g2p.py
	$(BIN)/python examples/nsnet2.py --quick
	if [[ -e ../shared/data/fsdd/fsdd.npz ]]; then \
	    for script in digits smallest_digits connected_digits; do \
	        $(BIN)/python examples/$$script.py --quick || exit; \
	    done; \
	else echo "digits.py: no ../shared/data/fsdd, and nowhere to fetch it from"; fi

# Peers ------------------------------------------------------------------------------------------------------

.PHONY: golden golden-check test-peers conformance bench bench-peers bench-models bench-language bench-bridge bench-isas bench-edge bench-reading bench-serving
golden: $(PEERS_READY) ## write the golden vectors anew from PyTorch, Keras and ONNX Runtime
	$(PEERS)/bin/python tests/golden/generate.py
	$(PEERS)/bin/python tests/golden/training.py
golden-check: $(PEERS_READY) ## ask the same peers again, and compare with the committed vectors
	$(PEERS)/bin/python tests/golden/generate.py --check
	$(PEERS)/bin/python tests/golden/training.py --check
test-peers: $(DEVELOPED) $(PEERS_READY) ## the bridge beside PyTorch, Keras and ONNX Runtime
	PYTHONPATH=python $(PEERS)/bin/python -m pytest tests/peers --doctest-modules $(wildcard $(NEED_PEERS))
ENGINES ?=
conformance: $(DEVELOPED) $(PEERS_READY) ## which engine computes GRU, LSTM and RNN nodes right (ENGINES="onnxruntime mnn": these): docs/engines.md
	PYTHONPATH=tests:python $(BIN)/python -m conformance $(ENGINES)
.PHONY: test-frameworks
test-frameworks: $(DEVELOPED) ## layouts of Equinox, Flax, MLX, Chainer, Paddle, ncnn and DyNet beside their engines (2 GB of them)
	test -x $(FRAMEWORKS)/bin/python || $(PYTHON) -m venv $(FRAMEWORKS)
	$(FRAMEWORKS)/bin/python -m pip install --quiet $(FRAMEWORKS_PACKAGES)
	PYTHONPATH=python $(FRAMEWORKS)/bin/python -m pytest tests/frameworks
bench: ## benchmarks of kernels, layers and steps (criterion)
	cargo bench
bench-peers: $(DEVELOPED) $(PEERS_READY) ## time gru-rs beside its peers (25 minutes), into benches/record and docs/benchmarks.md
	$(PEERS)/bin/python -m pip install --quiet jax openvino matplotlib
	PYTHONPATH=python $(PEERS)/bin/python benches/peers.py --record benches/record --docs docs

bench-models: $(DEVELOPED) $(PEERS_READY) ## time the training of models beside PyTorch (10 minutes), into benches/record
	$(PEERS)/bin/python -m pip install --quiet python_speech_features rapidfuzz scikit-learn safetensors
	PYTHONPATH=python $(PEERS)/bin/python benches/models.py --record benches/record
bench-language: $(DEVELOPED) $(PEERS_READY) ## time CTC, language models and generation beside PyTorch (5 minutes), into benches/record
	$(PEERS)/bin/python -m pip install --quiet rapidfuzz scikit-learn safetensors
	PYTHONPATH=python $(PEERS)/bin/python benches/language.py --record benches/record
bench-reading: $(DEVELOPED) ## time reading of columns and lists (BASE=an older checkout beside it), into benches/record
	PYTHONPATH=python $(BIN)/python benches/reading.py $(if $(BASE),--base $(BASE))
bench-serving: $(DEVELOPED) $(PEERS_READY) ## time predictions and steps of streams beside PyTorch and ONNX Runtime (BASE=an older checkout, too), into benches/record
	PYTHONPATH=python $(PEERS)/bin/python benches/serving.py $(if $(BASE),--base $(BASE))
bench-bridge: $(DEVELOPED) $(PEERS_READY) ## time accelerated models, and trained ones beside their engines (7 minutes), into benches/record
	$(PEERS)/bin/python -m pip install --quiet g2p-en==2.1.0 threadpoolctl
	PYTHONPATH=python $(PEERS)/bin/python benches/bridge.py --record benches/record
bench-isas: $(DEVELOPED) ## time the instruction sets of this machine beside each other (BASE=an older checkout, too), into benches/record
	PYTHONPATH=python $(BIN)/python benches/isas.py --record benches/record $(if $(BASE),--base $(BASE))
bench-edge: $(DEVELOPED) $(PEERS_READY) ## time single steps and narrow weights beside ONNX Runtime (8 minutes), into benches/record
	PYTHONPATH=python $(PEERS)/bin/python benches/edge.py --record benches/record

# No --clear: GRU_RS_PEERS may name an environment that holds more than ours. pip finishes what was begun.
$(PEERS_READY):
	if ! KERAS_BACKEND=torch $(PEERS)/bin/python -c 'import torch, keras, onnx, onnxruntime, onnxscript, coremltools, safetensors, pytest, pytest_timeout, expecttest' 2> /dev/null; then \
	    $(PYTHON) -m venv $(PEERS); \
	    $(PEERS)/bin/python -m pip install --quiet $(PEERS_PACKAGES); \
	fi
	touch $@

# Release ----------------------------------------------------------------------------------------------------

.PHONY: wheel audit clean
# On Linux zig links, against the glibc of 2014 that Rust itself asks for: with the machine's own the wheel would load
# on systems as new as this one only. Debian 12 gives manylinux_2_34.
ANY_LINUX := $(if $(filter Linux,$(shell uname)),--zig --compatibility manylinux2014)
wheel: $(VENV_READY) ## a wheel and a source distribution in dist
	rm -rf dist
	$(if $(ANY_LINUX),$(BIN)/python -m pip install --quiet ziglang)
	PATH="$(abspath $(BIN)):$$PATH" maturin build --release --locked $(ANY_LINUX) --out dist
	$(BIN)/python -m pip install --quiet zopflipy
	$(BIN)/python .ci/press.py dist
	$(BIN)/maturin sdist --out dist
audit: $(VENV_READY) ## what is in dist: its tags, its symbols, its files, its description
	$(BIN)/python -m pip install --quiet abi3audit auditwheel twine
	$(BIN)/python .ci/audit.py dist
	$(BIN)/abi3audit --strict --summary dist/*.whl
	$(BIN)/twine check --strict dist/*
clean: ## remove everything that make made here (not the peers, which other checkouts may share)
	cargo clean
	rm -rf $(VENV) dist examples/output .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f python/gru_rs/_core*.so
