"""Several Weirs on one PostgreSQL, with an upstream, and load on all of them."""

import contextlib
import shutil
import tempfile
import threading
import time
from pathlib import Path

from credentials import Admin, status_of
from h2load import h2load
from peers.nginx import find, prepare_upstream
from process import Failure, Server, answers
from rig import PATIENCE, UPSTREAM_CONNECTIONS


class Node:
    """A running Weir. `port` is where it listens; `admin` is its admin API."""

    def __init__(self, directory, port, admin_port):
        self.directory, self.port, self.admin_port = directory, port, admin_port
        self.admin = Admin(admin_port, directory / "data")

    def ask(self, method, path, body=None):
        return self.admin.ask(method, path, body)

    def serves(self, path, field=None):
        return status_of(self.port, path, field) == 200


@contextlib.contextmanager
def nodes(weir, base_port, count, url, load_cpus, settings="", route="{ name: load, match: { path: / }, upstream: origin }", public_url=None):
    """The first port is the upstream's; each node has two more. `settings` are added to the configuration of each."""
    port = base_port
    own_address = f", public_url: '{public_url}'" if public_url else ""
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-bench-")))
        (root / "upstream").mkdir()
        binary = find(None)
        if not binary:
            raise Failure("nginx is missing; run tests/install.sh")
        command, ready = prepare_upstream(binary, port, root / "upstream", UPSTREAM_CONNECTIONS)
        stack.enter_context(Server("upstream", command, [port], ready, root / "upstream", load_cpus))
        started = []
        for number in range(count):
            directory = root / f"node{number}"
            directory.mkdir()
            node = Node(directory, port + 1 + 2 * number, port + 2 + 2 * number)
            # One installation has one key.
            if started:
                (directory / "data").mkdir(mode=0o700)
                shutil.copy(started[0].directory / "data/installation.key", directory / "data")
            path = directory / "weir.yaml"
            path.write_text(f"""
workers: 1
admin: {{ address: 127.0.0.1:{node.admin_port}{own_address} }}
records: {{ url: "{url}" }}
log: {{ level: warn, output: "file:{directory}/weir.log" }}
listeners: [{{ address: 127.0.0.1:{node.port} }}]
upstreams: {{ origin: {{ targets: [127.0.0.1:{port}] }} }}
routes: [{route}]
{settings}""")
            # On whichever CPU is free: each would have a machine of its own.
            command = [str(weir.resolve()), "run", "-c", str(path), "--data-dir", str(directory / "data")]
            ready = answers(node.admin_port, "/readyz")
            stack.enter_context(Server(f"node {number}", command, [node.port, node.admin_port], ready, directory, None))
            started.append(node)
        for node in started:
            deadline = time.monotonic() + PATIENCE
            while node.ask("GET", "/v1/revisions")[0] != 200:
                if time.monotonic() > deadline:
                    raise Failure("the admin API did not come")
                time.sleep(0.1)
        yield started


def under_load(all_nodes, arguments, cpus, work, path="", fields=lambda: ()):
    """Does the work while each node is under load; whether it came out well, and all of the load was answered with 200. What
    `fields` gives is sent for some seconds, and then asked for again."""
    others, is_over = [], threading.Event()

    def load(node):
        while not is_over.is_set():
            with tempfile.TemporaryDirectory() as directory:
                run = h2load(f"http://127.0.0.1:{node.port}{path}", arguments.connections, 2, Path(directory), cpus, arguments.rate,
                             warm_up=0, fields=fields())
                others.append((run.count(), {status: count for status, count in run.statuses().items() if status != 200}))

    loads = [threading.Thread(target=load, args=(node,)) for node in all_nodes]
    for thread in loads:
        thread.start()
    try:
        time.sleep(1)
        result = work()
    finally:
        is_over.set()
        for thread in loads:
            thread.join()
    count = sum(count for count, _ in others)
    failed = sum(sum(statuses.values()) for _, statuses in others)
    print(f"{count:,} requests meanwhile, {failed} not answered with 200", flush=True)
    return result and count > 0 and failed == 0
