"""Weir itself."""

import subprocess
from pathlib import Path

from process import answers
from work import route_prefixes

TITLE = "Weir"


def find(arguments):
    return str(arguments.weir.resolve()) if arguments.weir.is_file() else None


def version(binary):
    output = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10).stdout
    return output.split()[-1] if output.strip() else "unknown"


def prepare(binary, scenario):
    if scenario.row.routes:
        routes = "".join(
            f"  - {{ name: route-{number}, match: {{ path: '{prefix}*' }}, upstream: origin }}\n"
            for number, prefix in enumerate(route_prefixes())
        )
    else:
        routes = "  - { name: all, match: { path: /* }, upstream: origin }\n"
    tls = scenario.certificate
    path = Path(scenario.directory) / "weir.yaml"
    path.write_text(f"""
workers: 1
admin: {{ address: 127.0.0.1:{scenario.admin_port} }}
log: {{ access: false, level: warn }}
listeners:
  - {{ address: 127.0.0.1:{scenario.plain_port} }}
  - {{ address: 127.0.0.1:{scenario.tls_port}, tls: {{ certificate: "file:{tls.chain}", key: "file:{tls.key}" }} }}
upstreams:
  origin:
    targets: [127.0.0.1:{scenario.upstream_port}]
routes:
{routes}""")
    command = [binary, "run", "-c", str(path), "--data-dir", str(scenario.directory / "data")]
    return command, answers(scenario.admin_port, "/readyz")
