#!/usr/bin/env python3
"""Holds thousands of slow connections (slowhttptest: header, body, read) and measures the others.

For each mode two things are shown. `held`: with deadlines out of the way, so that every connection stays,
what one of them takes and what normal traffic notices, for nginx and for Weir. How long answers take is compared
with a calm machine, and with `apart`: the same slow connections at another proxy of the same kind on the same CPU, so
that what the machine and the clients make of them is in both. `ended`: with the defaults, how long Weir puts up with
them.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from h2load import h2load
from measure import pin, resident_bytes
from peers import nginx
from process import Failure, Server, accepts, answers
from rig import ROOT, Rig, split_cpus, wait_until
from work import LARGE_BODY, LARGE_PATH, SMALL_BODY, SMALL_PATH

# Of slowhttptest. Each sends the next piece of all its connections at once, at the end of its interval; clients of
# the world do not, so there are many of them, and they begin one after the other.
PROCESSES = 95
INTERVAL = 5
MODES = {
    # One more field, or piece of the body, every few seconds; a few bytes of the answer every second.
    "header": ["-H", "-i", str(INTERVAL), "-x", "24"],
    "body": ["-B", "-i", str(INTERVAL), "-x", "24", "-s", "1048576"],
    "read": ["-X", "-n", "1", "-w", "256", "-y", "512", "-z", "8", "-k", "3"],
}
# Each slow one holds a connection to its upstream.
MOST_UPSTREAM = 20_000
MOST_KIB = 30
MOST_TIMES_CALM = 2
# Normal traffic: far from the limit, so that its p99 is about the slow ones and not about itself. It has an
# upstream of its own.
NORMAL_PATH = "/normal"
NORMAL_CONNECTIONS = 16
NORMAL_RATE = 1_000
ROUNDS = 3

WEIR = """
workers: 1
admin: {{ address: 127.0.0.1:{admin} }}
log: {{ level: warn, output: "file:{directory}/weir.log" }}
listeners: [{{ address: 127.0.0.1:{port} }}]
upstreams:
  slow: {{ targets: [127.0.0.1:{slow}]{pool} }}
  normal: {{ targets: [127.0.0.1:{normal}] }}
routes:
  - {{ name: normal, match: {{ path: {path} }}, upstream: normal }}
  - {{ name: slow, match: {{ path: /* }}, upstream: slow }}
"""
HELD = """
timeouts: { head: 10m, body: 10m, write: 10m, idle: 10m }
limits: { connections: 19000, minimum_rate: false }
"""
DEFAULTS = "limits: { connections: 19000 }\n"
# Like Weir, it reads no body ahead of the upstream and writes no answer to disk.
NGINX = """
client_header_timeout 600s; client_body_timeout 600s; send_timeout 600s;
client_max_body_size 0;
proxy_request_buffering off; proxy_max_temp_file_size 0;
proxy_buffer_size 68k; proxy_buffers 2 68k; proxy_busy_buffers_size 68k;
proxy_http_version 1.1; proxy_set_header Connection "";
upstream slow {{ server 127.0.0.1:{slow}; keepalive 64; }}
upstream normal {{ server 127.0.0.1:{normal}; keepalive 64; }}
server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://slow; }}
    location = {path} {{ proxy_pass http://normal; }}
}}
"""


class Slow:
    """slowhttptest with all its connections open: several, for each looks at all of its connections in one system
    call, which nobody else on that CPU gets into."""

    def __init__(self, mode, stage, arguments):
        path = LARGE_PATH if mode == "read" else SMALL_PATH
        self._command = [
            "slowhttptest", *MODES[mode], "-c", str(arguments.connections // PROCESSES),
            "-r", str(arguments.rate // PROCESSES), "-l", "600", "-p", "60", "-v", "0", "-u", stage.url + path,
        ]
        self._cpus = stage.load_cpus

    def __enter__(self):
        self._processes = []
        for _ in range(PROCESSES):
            self._processes.append(subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                preexec_fn=self._step_back,
            ))
            time.sleep(INTERVAL / PROCESSES)
        return self

    def _step_back(self):
        # It runs when nobody else wants the CPU that it shares with the measuring side: what is asked is
        # what the proxy makes of its connections, not what several programs make of one CPU.
        pin(self._cpus)()
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    def __exit__(self, *_error):
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()


class Stage:
    """A proxy with its two upstreams."""

    def __init__(self, server, ports):
        self._server = server
        self._port, self._admin = ports["port"], ports["admin"]
        self.url = f"http://127.0.0.1:{self._port}"
        _, self.load_cpus = split_cpus()

    def resident(self):
        return resident_bytes(self._server.pids())

    def open(self):
        """Connections of clients that are open now."""
        return count_established(self._port)

    def normal(self, seconds, directory):
        return h2load(self.url + NORMAL_PATH, NORMAL_CONNECTIONS, seconds, directory, self.load_cpus, NORMAL_RATE,
                      start=self._go_first)

    def _go_first(self):
        pin(self.load_cpus)()
        go_first(0)

    def metrics(self):
        return Rig(self._server, self._admin, self._port)


def go_first(process):
    """Takes the CPU whenever there is something to do. With lazy preemption a program that wakes up otherwise waits
    for the next tick, up to 4 ms, if a slow client is in a system call."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(process, os.SCHED_RR, os.sched_param(1))


def count_established(port):
    """Sockets of a local port in /proc/net/tcp that are established."""
    wanted = f":{port:04X}"
    with open("/proc/net/tcp") as lines:
        next(lines)
        return sum(fields[1].endswith(wanted) and fields[3] == "01" for fields in map(str.split, lines))


@contextlib.contextmanager
def stage(peer, arguments, settings="", pool="", number=0):
    names = ("slow", "port", "admin", "normal")
    ports = {name: arguments.base_port + len(names) * number + at for at, name in enumerate(names)}
    proxy_cpus, load_cpus = split_cpus()
    directory = Path(tempfile.mkdtemp(prefix="weir-bench-"))
    try:
        for name in ("slow", "normal", "proxy"):
            (directory / name).mkdir()
        values = {**ports, "path": NORMAL_PATH, "directory": directory, "pool": pool}
        if peer == "nginx":
            command = nginx.command(nginx.find(None), directory / "proxy", NGINX.format(**values), MOST_UPSTREAM)
            ready, listens = accepts(ports["port"]), [ports["port"]]
        else:
            configuration = directory / "proxy" / "weir.yaml"
            configuration.write_text(WEIR.format(**values) + settings)
            command = [str(arguments.weir.resolve()), "run", "-c", str(configuration), "--data-dir",
                       str(directory / "data")]
            ready, listens = answers(ports["admin"], "/readyz"), [ports["port"], ports["admin"]]
        normal, normal_ready = nginx.prepare_upstream(nginx.find(None), ports["normal"], directory / "normal")
        slow = [sys.executable, str(Path(__file__)), "--serve", str(ports["slow"])]
        with (
            Server("slow upstream", slow, [ports["slow"]], accepts(ports["slow"]), directory / "slow", load_cpus),
            Server("normal upstream", normal, [ports["normal"]], normal_ready, directory / "normal", load_cpus) as upstream,
            Server(peer, command, listens, ready, directory / "proxy", proxy_cpus) as server,
        ):
            for process in upstream.pids():
                go_first(process)
            yield Stage(server, ports)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def held(mode, peer, arguments, directory):
    """What a slow connection takes in KiB, by how much p99 of the others rises beside calm, and beside the same slow
    ones at another proxy, and how many of them failed."""
    pool = f", pool: {{ max_connections: {MOST_UPSTREAM} }}"
    with stage(peer, arguments, HELD, pool) as proxy, stage(peer, arguments, HELD, pool, 1) as other:
        measure = lambda: [proxy.normal(arguments.seconds, directory) for _ in range(ROUNDS)]

        def with_slow(holder):
            with Slow(mode, holder, arguments):
                enough = arguments.connections * 0.99
                wait_until("all slow connections are open", lambda: holder.open() >= enough)
                return measure(), holder.open(), holder.resident()

        # The calm before: also what the proxy keeps for good is there then.
        proxy.normal(2, directory)
        calm, (apart, _, _) = measure(), with_slow(other)
        before = proxy.resident()
        beside, open_now, resident = with_slow(proxy)
    each = (resident - before) / 1024 / open_now
    mistakes = sum(sum(run.statuses().values()) - run.count() for run in beside)
    # The medians: one hiccup of the machine should not decide.
    median = lambda runs: statistics.median(run.p99() for run in runs)
    show = lambda runs: ", ".join(f"{p99 * 1e3:.2f}" for p99 in sorted(run.p99() for run in runs))
    of_calm, of_apart = median(beside) / median(calm), median(beside) / median(apart)
    print(f"{mode}, {peer}: {open_now:,} connections held, {each:.1f} KiB each; "
          f"normal traffic at {NORMAL_RATE:,}/s, p99 in ms: calm {show(calm)}; apart {show(apart)}; beside {show(beside)}; "
          f"{of_calm:.2f} times calm, {of_apart:.2f} times apart; {mistakes} without 200", flush=True)
    return each, of_calm, of_apart, mistakes


def ended(mode, arguments):
    with stage("Weir", arguments, DEFAULTS) as proxy:
        rig = proxy.metrics()
        with Slow(mode, proxy, arguments):
            begin = time.monotonic()
            accepted = lambda: rig.metric("weir_connections_accepted_total")
            wait_until("all slow connections came", lambda: accepted() >= arguments.connections * 0.99)
            came = time.monotonic() - begin
            while rig.metric("weir_connections_open") > arguments.connections * 0.01:
                if time.monotonic() - begin > 300:
                    break
                time.sleep(0.5)
            gone = time.monotonic() - begin
        print(f"{mode}: by the defaults, all came within {came:.0f} s and were gone after {gone:.0f} s "
              f"({rig.metrics_by_reason('weir_answers_total')}, {rig.metrics_by_reason('weir_connections_refused_total')})",
              flush=True)


def compare(mode, arguments, directory):
    """Tells whether Weir's figures are as they must be."""
    # For whoever reads the figures: what a proxy makes of them that is known to be good at it.
    held(mode, "nginx", arguments, directory)
    each, of_calm, of_apart, mistakes = held(mode, "Weir", arguments, directory)
    print(f"{mode}: {each:.1f} KiB each, at most {MOST_KIB}; p99 {of_calm:.2f} times calm, {of_apart:.2f} times what the same "
          f"slow connections cost at another process; one of them at most {MOST_TIMES_CALM}", flush=True)
    return each <= MOST_KIB and min(of_calm, of_apart) <= MOST_TIMES_CALM and mistakes == 0


async def serve(port):
    body = SMALL_BODY
    large = LARGE_BODY

    async def answer(reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if b"content-length:" in head:
                    left = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                    while left:
                        left -= len(await reader.readexactly(min(left, 65536)))
                content = large if LARGE_PATH.encode() in head else body
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--modes", default=",".join(MODES), help="default: %(default)s")
    parser.add_argument("--connections", type=int, default=10_000, help="slow ones; default: %(default)s")
    parser.add_argument("--rate", type=int, default=2_000, help="new ones a second; default: %(default)s")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement; default: %(default)s")
    parser.add_argument("--base-port", type=int, default=21280, help="first of 8 ports; default: %(default)s")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if arguments.serve:
        return asyncio.run(serve(arguments.serve))
    if not shutil.which("slowhttptest"):
        raise Failure("slowhttptest is missing; run bench/install.sh")
    # Each may have a connection to its upstream; Weir keeps some files for itself.
    if hard < 2 * arguments.connections + 1_000:
        raise Failure(f"{hard:,} files may be open at once, which is too few for {arguments.connections:,} slow connections; "
                      f"ask for fewer with --connections, or for a higher limit (ulimit -Hn)")
    modes = arguments.modes.split(",")
    with tempfile.TemporaryDirectory() as directory:
        is_good = True
        for mode in modes:
            is_good &= compare(mode, arguments, Path(directory))
            ended(mode, arguments)
    sys.exit(0 if is_good else "slow: missed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"slow: {failure}")
