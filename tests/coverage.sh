#!/bin/bash
# Line coverage of the whole test suite: a summary on stdout, HTML in the given directory.
# Needs rustup's llvm-tools; cargo-llvm-cov is built into the target directory if missing.
set -euo pipefail

output="${1:-target/coverage}"
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-$PWD/target}"
export PATH="$target/tools/bin:$PATH"

if ! ls "$(rustc --print sysroot)"/lib/rustlib/*/bin/llvm-profdata >/dev/null 2>&1; then
    if ! rustup component add llvm-tools; then
        echo "coverage: needs the llvm-tools component of $(rustc --version) (rustup component add llvm-tools)" >&2
        exit 1
    fi
fi
if ! cargo llvm-cov --version >/dev/null 2>&1; then
    cargo install --locked --root "$target/tools" cargo-llvm-cov@0.9.1
fi

cargo llvm-cov --workspace --no-report
cargo llvm-cov report --html --output-dir "$output"
cargo llvm-cov report
echo "coverage: $output/html/index.html"
