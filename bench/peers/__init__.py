"""The servers that are measured. Each module has the same four names:

    TITLE                       how the report calls it
    find(arguments)             path of the binary, or None where it is not installed
    version(binary)             what it says of itself
    prepare(binary, scenario)   writes its configuration, returns its command line and readiness probe

What all configurations have in common, so that the same work is compared:

- one worker thread (process, for nginx), no access log but in `told` (nginx and Weir only), no compression, no request buffering rules;
- keep-alive on both sides without a bound on requests, and room for more idle upstream connections
  than the load has requests in flight, so that no peer connects to the upstream while measured;
- 16 KiB for a head; buffers for bodies as each peer works best with (tried on the 64 KiB rows);
- `X-Forwarded-For` and `X-Forwarded-Proto` are added, as any deployment has it (except `hyper`);
- TLS 1.3 only, the same ECDSA P-256 certificate, ALPN `h2` and `http/1.1`;
- what a peer does beyond that by default and lets itself be told not to, it is told not to do.
"""

from dataclasses import dataclass
from pathlib import Path

from credentials import Issuer
from work import Certificate, Row

# Idle connections that a peer may keep to the upstream.
UPSTREAM_IDLE = 512
# Connections that a peer must be able to hold: clients, idle clients and upstream.
CONNECTIONS = 8192
IDLE_SECONDS = 600
BUFFER_BYTES = 16 * 1024


@dataclass(frozen=True)
class Scenario:
    """What one server is to do: for which row, where, and in front of what."""

    row: Row
    plain_port: int
    tls_port: int
    admin_port: int
    upstream_port: int
    certificate: Certificate
    # Of the tokens that are good.
    issuer: Issuer
    directory: Path


def load_modules():
    """All peers by name, in the order of the report."""
    from peers import envoy, haproxy, hyper, nginx, weir

    return {"nginx": nginx, "haproxy": haproxy, "envoy": envoy, "hyper": hyper, "weir": weir}
