# Thin: what a developer types. The work is in cargo, in xtask/ and in scripts/.
.PHONY: build demo test test-fleet test-peers fuzz bench bench-peers kernel-matrix instructions goldens lint package clean

build:
	scripts/setup
	cargo build --release --locked -p crypto-trace-capture -p crypto-trace-analyze --bins

demo: build
	scripts/setup --tests
	scripts/demo

test:
	scripts/setup --tests
	scripts/test

# A cluster of Spark on loopback, one of whose workers is killed; two minutes, and 450 MB the first time.
test-fleet:
	scripts/setup --fleet
	cargo build --locked -p crypto-trace-analyze --bins
	python3 fleet/spark/test_cluster.py target/debug/crypto-trace-analyze

# SSH, IKE, QUIC and DTLS by real stacks, compared with tshark and with what they say themselves; they are installed below
# target/peers: some 1.2 GB the first time.
test-peers:
	scripts/setup --peers
	cargo build --locked -p crypto-trace-capture -p crypto-trace-analyze --bins
	tests/peers/run.py
	tests/peers/quic.py

fuzz:
	cargo xtask fuzz

bench:
	bench/run

bench-peers:
	bench/run peers

kernel-matrix:
	scripts/setup --matrix
	tests/kernels/matrix
	tests/kernels/costs

instructions:
	scripts/setup --matrix
	cargo xtask instructions

goldens:
	cargo build --locked --bins
	UPDATE_GOLDENS=1 cargo test --locked -p crypto-trace-tests --test golden --test help --test answers

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

package:
	scripts/setup
	cargo xtask package

clean:
	cargo clean
