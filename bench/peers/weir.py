"""Weir itself."""

import subprocess
from pathlib import Path

from credentials import AUDIENCE, ISSUER
from process import answers
from work import route_prefixes

TITLE = "Weir"

# All that watches over upstreams and load, with its defaults where it has some.
GUARDED_UPSTREAMS = """
  origin: &guarded
    targets: [127.0.0.1:PORT, 127.0.0.2:PORT]
    balance: least_request
    health: { active: { path: / }, passive: { failure_rate: 50% }, slow_start: 10s }
    breaker: true
    concurrency: { limit: 1024 }
    hedge: { after: 1s }
    timeouts: { total: 30s }
  next: *guarded
"""
GUARDED_ROUTE = """
  - name: all
    match: { path: /* }
    split: { upstreams: { origin: 90, next: 10 }, guard: { error_rate: 5%, latency: 500ms } }
    priority: high
"""
GUARDS = """
limits: { connections_per_address: 10000 }
overload: { memory: 1GiB, bans: true }
"""

# One line of JSON for each request, and one request of a hundred as spans; the upstream takes the exports.
TOLD = """
log: {{ level: warn, output: "file:{directory}/access.log" }}
tracing: {{ sample: 1% }}
otlp: {{ endpoint: "http://127.0.0.1:{port}", protocol: http }}
"""
QUIET = "log: { access: false, level: warn }"

# By what a row asks for.
POLICIES = {"": "", "jwt": "callers", "api_key": "programs", "cedar": "callers, readers"}
FORGETFUL = "limits: { credential_cache: 0B }"
RULES = """
permit (principal, action in Action::"read", resource)
when { principal.scopes.contains("catalog:read") };

forbid (principal, action, resource)
when { principal.hasTag("plan") && principal.getTag("plan") == "closed" };
"""


def find(arguments):
    return str(arguments.weir.resolve()) if arguments.weir.is_file() else None


def version(binary):
    output = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10).stdout
    return output.split()[-1] if output.strip() else "unknown"


def prepare(binary, scenario):
    row = scenario.row
    if row.routes:
        routes = "".join(
            f"  - {{ name: route-{number}, match: {{ path: '{prefix}*' }}, upstream: origin }}\n"
            for number, prefix in enumerate(route_prefixes())
        )
    elif row.guarded:
        routes = GUARDED_ROUTE
    else:
        routes = f"  - {{ name: all, match: {{ path: /* }}, policies: [{POLICIES[row.access]}], upstream: origin }}\n"
    tls = scenario.certificate
    upstreams = f"""  origin:
    targets: [127.0.0.1:{scenario.upstream_port}]
"""
    if row.grpc:
        upstreams = f"  origin: {{ targets: [127.0.0.3:{scenario.upstream_port}], http2: true }}\n"
    if row.guarded:
        upstreams = GUARDED_UPSTREAMS.replace("PORT", str(scenario.upstream_port))
    path = Path(scenario.directory) / "weir.yaml"
    path.write_text(f"""
workers: 1
admin: {{ address: 127.0.0.1:{scenario.admin_port} }}
{TOLD.format(directory=scenario.directory, port=scenario.upstream_port) if row.told else QUIET}
listeners:
  - {{ address: 127.0.0.1:{scenario.plain_port} }}
  - {{ address: 127.0.0.1:{scenario.tls_port}, tls: {{ certificate: "file:{tls.chain}", key: "file:{tls.key}" }} }}
upstreams:
{upstreams}
{GUARDS if row.guarded else ""}
{_access(scenario) if row.access else ""}
{"" if row.remembers else FORGETFUL}
routes:
{routes}""")
    command = [binary, "run", "-c", str(path), "--data-dir", str(scenario.directory / "data")]
    return command, answers(scenario.admin_port, "/readyz")


def _access(scenario):
    callers = f"""
policies:
  callers: {{ jwt: {{ issuer: "{ISSUER}", audience: {AUDIENCE}, jwks: "file:{scenario.issuer.key_set}" }} }}
"""
    match scenario.row.access:
        case "jwt":
            return callers
        case "cedar":
            (scenario.directory / "policy.cedar").write_text(RULES)
            return callers + "  readers: { require: { cedar: \"file:policy.cedar\" } }\n"
        case "api_key":
            return "policies: { programs: { api_key: {} } }"
