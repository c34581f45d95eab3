#!/bin/bash
# Holds the dependencies against deny.toml, where cargo-deny is installed. Says what it left out.
set -euo pipefail

cd "$(dirname "$0")/.."
if ! cargo deny --version >/dev/null 2>&1; then
    echo "dependencies: not checked, cargo-deny is missing (cargo install --locked cargo-deny@0.20.2)"
    exit 0
fi
cargo deny --all-features check bans licenses sources
if cargo deny fetch db >/dev/null 2>&1; then
    cargo deny --all-features check --disable-fetch advisories
else
    echo "dependencies: advisories not checked, the RustSec database cannot be reached"
fi
