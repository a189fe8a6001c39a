# The few commands of daily work. Each installs or names what it needs on a fresh Debian 12 with Rust.

CARGO ?= cargo

.PHONY: demo test soak fuzz kotlin swift check deny isolation bench book setup

## The main job, told as a story: a company is founded, people talk, one leaves, the archive is opened and verified.
demo: setup
	$(CARGO) build --quiet --bin hauspost
	target/debug/hauspost demo

## All tests.
test: setup check
	$(CARGO) test --workspace
	/usr/bin/python3 tests/vectors/check.py
	$(MAKE) kotlin swift

## Many more simulated companies than `make test` plays: make soak SEEDS=1000 FROM=1
SEEDS ?= 200
FROM ?= 1000
soak: setup
	HAUSPOST_SEEDS=$(SEEDS) HAUSPOST_FROM=$(FROM) $(CARGO) test -p hauspost-tests --test simulation -- \
		as_many_companies --nocapture

## Bytes that nobody meant, for each family of decoders and the rules: make fuzz SECONDS=600 TARGETS="rules mls"
SECONDS ?= 60
fuzz: setup
	tools/fuzz $(SECONDS) $(TARGETS)

## The Kotlin package and its tests, on the JVM. Nothing was loaded on a phone or an emulator.
kotlin: setup
	tools/kotlin

## The Swift package and its tests, on Linux; makes a Debian with Swift at the first use (two minutes, root).
swift: setup
	tools/bindings swift bindings/swift/.generated
	tools/swift bindings/swift ./run-tests

## What a reader would complain about: form, lints, documentation.
check: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet
	tools/file-length

## What may enter the dependency tree; installs cargo-deny when it is missing.
deny: setup
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --quiet --locked cargo-deny --version 0.20.2
	$(CARGO) deny --log-level error check bans licenses sources

## The demo where only loopback exists, with every address that it tries to reach recorded.
isolation: setup
	$(CARGO) build --quiet --bin hauspost
	tools/isolation

## The performance tables, or some of them: make bench TABLES="messages wire".
bench: setup
	$(CARGO) bench --quiet --package hauspost-tests --bench tables -- $(TABLES)

book:
	mdbook build docs

setup:
	@tools/setup
