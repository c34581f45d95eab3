#!/bin/bash
# Installs Envoy for the benchmark into bench/.venv. nginx, HAProxy and the load generators are Debian
# packages, which tests/install.sh installs.
set -euo pipefail

cd "$(dirname "$0")"
sum="$(sha256sum requirements.txt)"
[ "$(cat .venv/stamp 2>/dev/null || true)" = "$sum" ] && exit 0
python3 -m venv --clear .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
echo "$sum" > .venv/stamp
