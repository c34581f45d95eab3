#!/bin/bash
# Installs Envoy, and grpcio as a client, for the benchmark into bench/.venv, and slowhttptest, a Debian package, for slow.py. nginx,
# HAProxy and the load generators are Debian packages, too, which tests/install.sh installs.
set -euo pipefail

if ! command -v slowhttptest >/dev/null; then
    if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
        DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends slowhttptest
    else
        echo "bench/install.sh: slowhttptest is missing, which only slow.py needs; install the package" >&2
    fi
fi

cd "$(dirname "$0")"
sum="$(sha256sum requirements.txt)"
[ "$(cat .venv/stamp 2>/dev/null || true)" = "$sum" ] && exit 0
python3 -m venv --clear .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
echo "$sum" > .venv/stamp
