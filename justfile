# Tandem's recipes. `just` alone lists them.

# What every recipe below runs in.
set shell := ["bash", "-euo", "pipefail", "-c"]

export RUST_BACKTRACE := "1"

[private]
default:
    @just --list --unsorted

# Everything a change must pass, without real peers: seconds once built.
ci: fmt lint doc pure directions sizes specs words readme unit fuzz-replay

# Install what the tests need, then run all of them: this is what the README and .ci/run call.
test: (deps "test") build ci-quick integration

[private]
ci-quick: pure directions sizes specs words readme unit fuzz-replay

# Install packages for `demo` or `test`; says what and why, leaves services off.
deps what:
    .ci/deps {{ what }}

# Build everything.
build:
    cargo build --workspace --all-targets --locked

# Formatting.
fmt:
    cargo fmt --all --check

# Lints, as errors.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Documentation, private items too, warnings as errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked --quiet

# The cores compile without sockets, clocks and tasks.
pure:
    cargo check -p tandem-shared -p tandem-component -p tandem-b2bua --no-default-features --locked
    .ci/directions

# Dependency directions, bans and licences, and with cargo-deny installed its checks too.
directions:
    .ci/directions
    if command -v cargo-deny >/dev/null; then cargo deny --offline check bans licenses sources; else echo "cargo-deny is not installed: its checks were left out (.ci/directions made the most important ones)"; fi

# No file over 600 lines without tests, and the names that conventions rule out.
sizes:
    .ci/sizes

# Citations name sections that exist and rows of docs/conformance.toml.
specs:
    .ci/specs

# Spelling, if the checker is installed.
words:
    if command -v typos >/dev/null; then typos; else echo "typos is not installed: spelling was not checked"; fi

# Unit, property, contract and vector tests.
unit:
    cargo test --workspace --lib --bins --locked --quiet
    cargo test -p tandem-shared -p tandem-component -p tandem-b2bua --tests --locked --quiet

# Show Tandem between a private XMPP server and a SIP phone, to be tried by hand until Ctrl-C.
demo:
    .ci/demo/run

# The demo's conversation as a test: exit code 0 or 1, nothing left running.
demo-check:
    .ci/demo/run --check

# The README shows configs/ word for word, and what it shows works.
readme:
    .ci/readme

# Build optimised, install below PREFIX (/usr/local) and /etc/tandem; DESTDIR for packages.
install:
    .ci/install
