#!/bin/bash
# Installs what the end-to-end tests talk to: Debian packages, a Python venv and a Node server.
# Does nothing where all is there already. Python and Node packages go to $WEIR_TEST_TOOLS
# (default ~/.cache/weir): venv/bin/gunicorn, node/node_modules/.bin/json-server.
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
tools="${WEIR_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}"
mkdir -p "$tools"

# One installation at a time: two checkouts may share $tools.
exec 9>"$tools/.lock"
flock 9

install_debian_packages() {
    local missing=() entry
    # command:package
    for entry in nginx:nginx haproxy:haproxy wrk:wrk h2load:nghttp2-client curl:curl \
        openssl:openssl chromium:chromium node:nodejs npm:npm dnsmasq:dnsmasq-base \
        prometheus:prometheus sqlmap:sqlmap; do
        PATH="$PATH:/usr/sbin" command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
    done
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    [ ${#missing[@]} -gt 0 ] || return 0

    if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
        echo "tests/install.sh: missing: ${missing[*]}; install these packages, or run this script as root on Debian" >&2
        exit 1
    fi
    apt-get update -q
    # The packages' own services must not start: the tests run each server on ports of their own.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod +x "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
}

# Names and sizes of what lies in a directory, but for what Python compiles in passing.
contents() {
    find "$1" -name '*.pyc' -prune -o -type f -printf '%P %s\n' 2>/dev/null | sort | sha256sum
}

# install_once NAME INPUT -- COMMAND…: runs the command, which fills $tools/NAME, unless it ran before
# with this input and all of it is there still: caches are cleaned, and copies of them not always whole.
install_once() {
    local name="$1" input="$2" stamp="$tools/$1.stamp"
    shift 3
    [ "$(cat "$stamp" 2>/dev/null)" = "$(sha256sum < "$input"; contents "$tools/$name")" ] && return 0
    "$@"
    { sha256sum < "$input"; contents "$tools/$name"; } > "$stamp"
}

install_python_packages() {
    python3 -m venv --clear "$tools/venv"
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
}

install_node_packages() {
    rm -rf "$tools/node"
    mkdir -p "$tools/node"
    cp "$here/node/package.json" "$here/node/package-lock.json" "$tools/node/"
    npm ci --prefix "$tools/node" --ignore-scripts --no-audit --no-fund --loglevel=error
}

# The official tests of JSON Schema, which come with the sources of Python's validator.
install_schema_suite() {
    local download
    download="$(mktemp -d)"
    "$tools/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
        --no-binary :all: --dest "$download" "$(cat "$here/schema-suite.txt")"
    tar -xzf "$download"/jsonschema-*.tar.gz -C "$download"
    rm -rf "$tools/json-schema-test-suite"
    mkdir "$tools/json-schema-test-suite"
    mv "$download"/jsonschema-*/json/{tests,remotes,LICENSE} "$tools/json-schema-test-suite/"
    rm -rf "$download"
}

install_debian_packages
install_once venv "$here/requirements.txt" -- install_python_packages
install_once node "$here/node/package-lock.json" -- install_node_packages
install_once json-schema-test-suite "$here/schema-suite.txt" -- install_schema_suite
