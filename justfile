# Tandem's recipes. `just` alone lists them.

# What every recipe below runs in.
set shell := ["bash", "-euo", "pipefail", "-c"]

export RUST_BACKTRACE := "1"

[private]
default:
    @just --list --unsorted

# Everything a change must pass, without real peers: seconds once built.
ci: fmt lint doc pure sizes specs words readme unit fuzz-replay

# Install what the tests need, then run all of them: this is what the README and .ci/run call.
test: (deps "test") build ci-quick integration demo-check

[private]
ci-quick: pure sizes specs words readme unit

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
    cargo check -p tandem-shared -p tandem-component -p tandem-b2bua --no-default-features --locked --quiet
    @just directions

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

# Unit and property tests.
unit:
    cargo test --workspace --locked --quiet --lib --bins

# Every contract, vector, corpus, simulation and real-peer test: the whole matrix on Prosody, on ejabberd what differs there.
integration:
    TANDEM_TEST_BINARIES="$PWD/target/debug" cargo test --workspace --locked --test '*' -- --test-threads=2

# Fuzz corpora replayed on the stable compiler, with fixed mutations of each input.
fuzz-replay:
    cargo test --workspace --locked --quiet --test corpus

# The long run: the matrix on both servers, random kills, 20,000 simulated days, a minute of fuzzing for each target.
test-long: (deps "test") build
    just integration
    TANDEM_TEST_SERVER=ejabberd just integration
    TANDEM_HOLD_SECONDS=30 TANDEM_SOAK_CALLS=600 TANDEM_TEST_BINARIES="$PWD/target/debug" cargo test --locked -p integration-tests --test calls --test call_media -- --test-threads=2 hold soak
    TANDEM_PROMISE_RUNS=20 TANDEM_TEST_BINARIES="$PWD/target/debug" cargo test --workspace --locked --test promise -- --test-threads=1 --nocapture
    TANDEM_SIM_RUNS=20000 cargo test --workspace --locked --test simulation -- --nocapture
    just fuzz-grow 60

# 10,000 calls and 50,000 messages over a registered trunk whose registrar begins anew: nothing may stay behind.
soak-trunks: build
    TANDEM_SOAK_TRUNK_CALLS=10000 TANDEM_SOAK_TRUNK_MESSAGES=50000 TANDEM_TEST_BINARIES="$PWD/target/debug" cargo test --locked -p integration-tests --test trunks -- --nocapture soak

# Let each fuzz target look for new inputs for some seconds; needs nightly and cargo-fuzz. Found inputs stay in fuzz/corpus-growth.
fuzz-grow seconds:
    cd fuzz && for target in $(cargo +nightly fuzz list); do mkdir -p "corpus-growth/$target" && cargo +nightly fuzz run "$target" "corpus-growth/$target" "corpus/$target" -- -max_total_time={{ seconds }} -max_len=4096 -rss_limit_mb=1500; done

# The same SIP scenarios against our b2bua and two agents on other stacks, side by side (docs/decisions/0001).
sip-scorecard *ARGS:
    cargo build --release --locked -p tandem-b2bua -p tandem-component
    CARGO_TARGET_DIR="$PWD/target/agents" cargo build --release --locked --manifest-path integration-tests/agents/Cargo.toml
    integration-tests/scorecard/run {{ ARGS }}

# Messages per second, CPU per message, latency and memory, beside a floor program (docs/PERFORMANCE.md).
bench-messages *ARGS:
    cargo build --release --locked -p tandem-b2bua -p tandem-component -p integration-tests
    target/release/bench-messages {{ ARGS }}

# What a packet of a call costs, beside rtpengine and a floor program (docs/PERFORMANCE.md).
bench-media *ARGS: (deps "bench")
    cargo build --release --locked -p tandem-b2bua -p integration-tests
    target/release/bench-media {{ ARGS }}

# Calls set up and ended a second, what a set-up takes, and memory (docs/PERFORMANCE.md).
bench-calls *ARGS:
    cargo build --release --locked -p tandem-b2bua -p tandem-component -p integration-tests
    target/release/bench-calls {{ ARGS }}

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
