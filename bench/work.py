"""What is measured: the rows of the table, and the files and paths that they are made of."""

import hashlib
import random
import subprocess
from dataclasses import dataclass

from credentials import COUNT

SMALL_PATH = "/small"
LARGE_PATH = "/large"
# Answered by no route of the 10,000: shows that a proxy looked its routes up.
UNROUTED_PATH = "/svc-unknown/items"
ROUTES = 10_000
# Requests go round over this many of the routes, spread evenly from the first to the last.
ROUTED_PATHS = 64
IDLE_CONNECTIONS = 1_000
TLS_CIPHER = "TLS_AES_128_GCM_SHA256"
TLS_GROUP = "X25519"
TOKENS = "HTTP/1.1, small JSON, an RS256 token required"
# A peer in rows that let somebody in: Weir that lets in everybody, measured beside the others.
OPEN = "open"

SMALL_BODY = (
    b'{"id":"itm_01HZX3Q8K4","name":"Copper kettle","price":{"amount":4900,"currency":"EUR"},'
    b'"stock":12,"tags":["kitchen","copper"],"updated":"2026-01-31"}\n'
)
# One message in gRPC's frame, as it is asked and as it is answered.
GRPC_BODY = b"\0\0\0\0\x10" + b"sixteen bytes..."
GRPC_PATH = "/bench.Items/Get"
# Incompressible, and the same in each run.
LARGE_BODY = random.Random(64).randbytes(64 * 1024)


@dataclass(frozen=True)
class Goal:
    """At most so many times the CPU per request of a peer in the same row."""

    peer: str
    most: float


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    title: str
    protocol: str  # "h1", "h1+tls", "h2" (with prior knowledge) or "h2+tls"
    body: bytes = SMALL_BODY
    path: str = SMALL_PATH
    routes: bool = False
    idle: bool = False
    # Weir with all that watches over upstreams and load; the others as in the first row.
    guarded: bool = False
    # An access log in a file; Weir also traces one request of a hundred.
    told: bool = False
    # Unary calls, over HTTP/2 on both sides.
    grpc: bool = False
    # Who is let in: "jwt", "api_key" or "cedar" (a token that rules are asked about); nobody is asked where it is empty.
    access: str = ""
    # Weir's memory of credentials that it found to be good; the others have none by default.
    remembers: bool = True
    # What Weir's figure may be at most.
    goals: tuple = ()

    @property
    def tls(self):
        return self.protocol.endswith("tls")

    @property
    def body_hash(self):
        return hashlib.sha256(self.body).hexdigest()

    def paths(self):
        """Paths that the load goes round over."""
        if not self.routes:
            return [self.path]
        return [f"{route_prefix(number * (ROUTES - 1) // (ROUTED_PATHS - 1))}items" for number in range(ROUTED_PATHS)]


ROWS = [
    Row("plain", "HTTP/1.1, small JSON", "h1"),
    Row("tls", "HTTP/1.1 over TLS 1.3, small JSON", "h1+tls"),
    Row("h2", "HTTP/2 over TLS 1.3, small JSON", "h2+tls"),
    Row("large", "HTTP/1.1, 64 KiB body", "h1", LARGE_BODY, LARGE_PATH),
    Row("large-tls", "HTTP/1.1 over TLS 1.3, 64 KiB body", "h1+tls", LARGE_BODY, LARGE_PATH),
    Row("large-h2", "HTTP/2 over TLS 1.3, 64 KiB body", "h2+tls", LARGE_BODY, LARGE_PATH),
    Row("routes", f"HTTP/1.1, small JSON, {ROUTES:,} routes", "h1", routes=True),
    Row("guarded", "HTTP/1.1, small JSON, Weir alone with health checks, breaker, limits, split", "h1", guarded=True),
    Row("told", "HTTP/1.1, small JSON, access log in a file; Weir's in JSON, and 1 % traces", "h1", told=True),
    Row("grpc", "gRPC unary over HTTP/2 without TLS", "h2", GRPC_BODY, GRPC_PATH, grpc=True),
    Row("jwt", f"{TOKENS}, {COUNT} tokens in turn", "h1", access="jwt",
        goals=(Goal("haproxy", 0.40), Goal("envoy", 0.40), Goal(OPEN, 1.15))),
    Row("jwt-new", f"{TOKENS}, each verified anew", "h1", access="jwt", remembers=False, goals=(Goal("haproxy", 1.0),)),
    Row("api-key", f"HTTP/1.1, small JSON, an API key required, {COUNT} keys in turn", "h1", access="api_key",
        goals=(Goal(OPEN, 1.15),)),
    Row("cedar", f"{TOKENS}, and two Cedar rules", "h1", access="cedar", goals=(Goal(OPEN, 1.25),)),
    Row("idle", f"HTTP/1.1, small JSON, beside {IDLE_CONNECTIONS:,} idle connections", "h1", idle=True),
]


def route_prefix(number):
    return f"/svc-{number:05}/"


def route_prefixes():
    return [route_prefix(number) for number in range(ROUTES)]


@dataclass(frozen=True)
class Certificate:
    """ECDSA P-256 for localhost, as files. `bundle` holds chain and key, as HAProxy wants them."""

    chain: object
    key: object
    bundle: object


def make_certificate(directory):
    directory.mkdir(parents=True, exist_ok=True)
    certificate = Certificate(directory / "tls.crt", directory / "tls.key", directory / "tls.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", certificate.key, "-out", certificate.chain],
        check=True, capture_output=True, timeout=30,
    )
    certificate.bundle.write_bytes(certificate.chain.read_bytes() + certificate.key.read_bytes())
    return certificate


def make_openssl_configuration(directory):
    """Fixes version, cipher and group for wrk and curl; h2load takes no notice and has options for it.

    Left alone, the servers would settle on different ciphers: some follow the client's order, which
    begins with AES-256, others prefer AES-128, and bulk encryption would be compared instead of proxies.
    """
    path = directory / "openssl.cnf"
    path.write_text(
        "openssl_conf = settings\n"
        "[settings]\nssl_conf = ssl\n"
        "[ssl]\nsystem_default = defaults\n"
        f"[defaults]\nMinProtocol = TLSv1.3\nCiphersuites = {TLS_CIPHER}\nGroups = {TLS_GROUP}\n"
    )
    return path
