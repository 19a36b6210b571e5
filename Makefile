# Thin: what a developer types. The work is in cargo and in scripts/.
.PHONY: build demo test fuzz bench bench-peers kernel-matrix instructions goldens lint package clean

build:
	scripts/setup
	cargo build --release --locked

demo: build
	scripts/setup --tests
	scripts/demo

test:
	scripts/setup --tests
	scripts/test

fuzz:
	CRYPTO_TRACE_FUZZ_ROUNDS=3000000 cargo test --release --locked -p crypto-trace-format --test fuzz
	CRYPTO_TRACE_FUZZ_ROUNDS=30000 cargo test --release --locked -p crypto-trace-analyze --test fuzz

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
	scripts/instructions

goldens:
	cargo build --locked --bins
	UPDATE_GOLDENS=1 cargo test --locked -p crypto-trace-tests --test golden --test help

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

package:
	scripts/setup
	scripts/package

clean:
	cargo clean
