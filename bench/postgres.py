"""A PostgreSQL of our own, which can be killed and started again."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from process import Failure, Server


def account():
    """PostgreSQL refuses to run as root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []


def programs():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise Failure("PostgreSQL is missing; run tests/install.sh")
    return found[-1].parent


@contextlib.contextmanager
def database(port, cpus):
    directory = Path(tempfile.mkdtemp(prefix="weir-bench-postgres-"))
    logs = Path(tempfile.mkdtemp(prefix="weir-bench-"))
    if account():
        shutil.chown(directory, "postgres", "postgres")
    try:
        initdb = [*account(), programs() / "initdb", "--auth=trust", "--username=weir", "--no-sync", "-D", directory / "data"]
        subprocess.run(initdb, check=True, capture_output=True, cwd="/")
        command = [*account(), str(programs() / "postgres"), "-D", str(directory / "data"), "-p", str(port),
                   "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={directory}"]
        is_ready = [programs() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        with Server("PostgreSQL", command, [port], lambda: subprocess.run(is_ready).returncode == 0, logs, cpus) as server:
            yield f"postgres://weir@127.0.0.1:{port}/postgres?sslmode=disable", server
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(logs, ignore_errors=True)
