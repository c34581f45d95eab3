"""The smallest proxy that hyper allows (bench/hyper-proxy): what the library alone costs."""

import tomllib
from pathlib import Path

from process import accepts

TITLE = "hyper alone"
LOCK = Path(__file__).resolve().parent.parent / "hyper-proxy/Cargo.lock"


def find(arguments):
    return str(arguments.hyper.resolve()) if arguments.hyper.is_file() else None


def version(_binary):
    packages = tomllib.loads(LOCK.read_text())["package"]
    return next(package["version"] for package in packages if package["name"] == "hyper")


def prepare(binary, scenario):
    if scenario.row.routes or scenario.row.told or scenario.row.grpc or scenario.row.access:
        return None, None
    tls = scenario.certificate
    command = [binary, f"127.0.0.1:{scenario.plain_port}", f"127.0.0.1:{scenario.tls_port}",
               f"127.0.0.1:{scenario.upstream_port}", str(tls.chain), str(tls.key)]
    return command, accepts(scenario.plain_port, scenario.tls_port)
