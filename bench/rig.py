"""Weir in front of one upstream, for the runs that are about more than cost: slow clients, overload."""

import contextlib
import http.client
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

from credentials import Admin, status_of
from peers.nginx import find, prepare_upstream
from process import Failure, Server, answers

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60
# Connections that the upstream can hold: one for each request under way.
UPSTREAM_CONNECTIONS = 10_000


class Rig:
    """A running Weir and its upstream. `url` is where it listens; `pids()` are its processes; `admin` is its admin API."""

    def __init__(self, server, admin_port, port, data):
        self._server = server
        self._admin_port = admin_port
        self.admin = Admin(admin_port, data)
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def pids(self):
        return self._server.pids()

    def status(self, field=None, path="/small"):
        """What a request with this header field, as it is sent, is answered with."""
        return status_of(self.port, path, field)

    def ask(self, path):
        """The admin listener's answer as text, and the seconds that it took, connecting included."""
        begin = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self._admin_port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        return text, time.perf_counter() - begin

    def metric(self, name, label=""):
        """Sum of the samples whose line contains `label`."""
        text, _ = self.ask("/metrics")
        lines = [line for line in text.splitlines() if re.match(rf"{name}[ {{]", line) and label in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def metrics_by_reason(self, name):
        text, _ = self.ask("/metrics")
        found = re.findall(rf'^{name}{{reason="(\w+)"[^}}]*}} (\d+)$', text, re.M)
        return {reason: int(number) for reason, number in found if int(number)}


@contextlib.contextmanager
def running(weir, settings, base_port, cpus, upstream=None, most_upstream=4096, policies="", routes=()):
    """Starts the upstream (nginx unless another command is given) and Weir with these settings, which may have the policies
    that are named for the route. `routes` are more of them."""
    upstream_port, port, admin_port = base_port, base_port + 1, base_port + 2
    proxy_cpus, load_cpus = cpus
    directory = Path(tempfile.mkdtemp(prefix="weir-bench-"))
    try:
        (directory / "upstream").mkdir()
        if upstream:
            command, ready = upstream(upstream_port)
        else:
            binary = find(None)
            if not binary:
                raise Failure("nginx is missing; run tests/install.sh")
            command, ready = prepare_upstream(binary, upstream_port, directory / "upstream", UPSTREAM_CONNECTIONS)
        path = directory / "weir.yaml"
        path.write_text(f"""
workers: 1
admin: {{ address: 127.0.0.1:{admin_port} }}
log: {{ level: warn, output: "file:{directory}/weir.log" }}
listeners: [{{ address: 127.0.0.1:{port} }}]
upstreams: {{ origin: {{ targets: [127.0.0.1:{upstream_port}], pool: {{ max_connections: {most_upstream} }} }} }}
routes: [{', '.join([f'{{ name: all, match: {{ path: /* }}, policies: [{policies}], upstream: origin }}', *routes])}]
{settings}""")
        command_line = [str(weir.resolve()), "run", "-c", str(path), "--data-dir", str(directory / "data")]
        with (
            Server("upstream", command, [upstream_port], ready, directory / "upstream", load_cpus),
            Server("Weir", command_line, [port, admin_port], answers(admin_port, "/readyz"), directory, proxy_cpus)
            as server,
        ):
            yield Rig(server, admin_port, port, directory / "data")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def split_cpus():
    """CPUs of Weir and of everything else."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Failure("two CPUs are needed: one for Weir, one for all others")
    return {cpus[0]}, set(cpus[1:])


def wait_until(what, condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"not so after {seconds} s: {what}")
        time.sleep(0.1)
