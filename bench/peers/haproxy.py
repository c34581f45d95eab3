"""HAProxy, from the distribution's package."""

import os
import re
import shutil
import subprocess

from credentials import AUDIENCE, ISSUER
from peers import BUFFER_BYTES, CONNECTIONS, IDLE_SECONDS, UPSTREAM_IDLE
from process import accepts
from work import route_prefixes

TITLE = "HAProxy"


def find(_arguments):
    return shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")


def version(binary):
    output = subprocess.run([binary, "-v"], capture_output=True, text=True, timeout=10).stdout
    return re.search(r"version (\S+)", output)[1]


def prepare(binary, scenario):
    if scenario.row.told or scenario.row.grpc or scenario.row.access not in ("", "jwt"):
        # Its access log does not go to a file by itself in a form that compares; calls are compared with Envoy's. It knows
        # neither our keys nor Cedar.
        return None, None
    directory = scenario.directory
    if scenario.row.routes:
        # `map_beg` indexes its prefixes in a tree.
        (directory / "routes.map").write_text("".join(f"{prefix} upstream\n" for prefix in route_prefixes()))
        backend = f"use_backend %[path,map_beg({directory}/routes.map,none)]"
    else:
        backend = "default_backend upstream"
    (directory / "haproxy.cfg").write_text(f"""
global
    nbthread 1
    maxconn {CONNECTIONS}
    tune.bufsize {BUFFER_BYTES}
    tune.h2.max-concurrent-streams 1000
    ssl-default-bind-options ssl-min-ver TLSv1.3

defaults
    mode http
    maxconn {CONNECTIONS}
    backlog 4096
    timeout connect 5s
    timeout client {IDLE_SECONDS}s
    timeout server {IDLE_SECONDS}s
    timeout http-keep-alive {IDLE_SECONDS}s
    option forwardfor
    http-reuse always

frontend clients
    bind 127.0.0.1:{scenario.plain_port}
    bind 127.0.0.1:{scenario.tls_port} ssl crt {scenario.certificate.bundle} alpn h2,http/1.1
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    {_checks(scenario.issuer) if scenario.row.access else ""}
    {backend}

backend upstream
    server upstream 127.0.0.1:{scenario.upstream_port} pool-max-conn {UPSTREAM_IDLE} pool-purge-delay {IDLE_SECONDS}s

backend none
    http-request return status 404
""")
    command = [binary, "-db", "-f", str(directory / "haproxy.cfg")]
    return command, accepts(scenario.plain_port, scenario.tls_port)


def _checks(issuer):
    """As its manual and its makers' guide have it; the algorithm is named, which spares it a look into the header."""
    return f"""
    acl has_token http_auth_bearer -m found
    http-request deny deny_status 401 unless has_token
    http-request set-var(txn.ends_at) http_auth_bearer,jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 unless {{ http_auth_bearer,jwt_header_query('$.alg') -m str RS256 }}
    http-request deny deny_status 401 unless {{ http_auth_bearer,jwt_payload_query('$.iss') -m str {ISSUER} }}
    http-request deny deny_status 401 unless {{ http_auth_bearer,jwt_payload_query('$.aud') -m str {AUDIENCE} }}
    http-request deny deny_status 401 unless {{ var(txn.ends_at),sub(txn.now) -m int gt 0 }}
    http-request deny deny_status 401 unless {{ http_auth_bearer,jwt_verify("RS256","{issuer.public_key}") -m int 1 }}
"""
