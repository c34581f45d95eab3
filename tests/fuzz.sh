#!/bin/bash
# Runs every target in fuzz/ for the given number of seconds. Needs a nightly toolchain, because
# libFuzzer's instrumentation is unstable; cargo-fuzz is built into the target directory if missing.
set -euo pipefail

seconds="${1:-20}"
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-$PWD/target}"
export PATH="$target/tools/bin:$PATH"

if ! ls fuzz/fuzz_targets/*.rs >/dev/null 2>&1; then
    echo "fuzz: no targets in fuzz/fuzz_targets" >&2
    exit 1
fi
if ! rustc +nightly --version >/dev/null 2>&1; then
    echo "fuzz: needs a nightly toolchain (rustup toolchain install nightly --profile minimal)" >&2
    exit 1
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install --locked --root "$target/tools" cargo-fuzz@0.13.2
fi

for file in fuzz/fuzz_targets/*.rs; do
    name="$(basename "$file" .rs)"
    echo "fuzz: $name for ${seconds}s"
    # A toolchain override, since rust-toolchain.toml pins the stable one.
    # What it finds interesting goes to the target directory; the seeds stay as they are.
    corpus="$target/fuzz/corpus/$name"
    mkdir -p "$corpus"
    RUSTUP_TOOLCHAIN=nightly cargo fuzz run --target-dir "$target/fuzz" "$name" \
        "$corpus" "fuzz/seeds/$name" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048
done
