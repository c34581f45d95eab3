#!/usr/bin/env python3
"""Holds thousands of slow connections (slowhttptest: header, body, read) and measures the others.

For each mode two things are shown. `held`: with deadlines out of the way, so that every connection stays,
what one of them takes and what normal traffic notices. `ended`: with the defaults, how long Weir puts up
with them.
"""

import argparse
import asyncio
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from h2load import h2load
from measure import pin, resident_bytes
from process import Failure, accepts
from rig import ROOT, running, split_cpus, wait_until
from work import LARGE_BODY, LARGE_PATH, SMALL_BODY, SMALL_PATH

MODES = {
    # One more field, or piece of the body, every few seconds; a few bytes of the answer every second.
    "header": ["-H", "-i", "5", "-x", "24"],
    "body": ["-B", "-i", "5", "-x", "24", "-s", "1048576"],
    "read": ["-X", "-n", "1", "-w", "256", "-y", "512", "-z", "8", "-k", "3"],
}
HELD = """
timeouts: { head: 10m, body: 10m, write: 10m, idle: 10m }
limits: { connections: 19000, minimum_rate: false }
"""
DEFAULTS = "limits: { connections: 19000 }\n"
# Each slow one holds a connection to the upstream.
MOST_UPSTREAM = 20_000
MOST_KIB = 30
MOST_TIMES_CALM = 2
# Normal traffic: far from the limit, so that its p99 is about the slow ones and not about itself.
NORMAL_CONNECTIONS = 16
NORMAL_RATE = 1_000
CALM_ROUNDS = 3


def upstream(port):
    """A server that reads bodies to their end before it answers: this file, as a program."""
    return [sys.executable, str(Path(__file__)), "--serve", str(port)], accepts(port)


class Slow:
    """slowhttptest with all its connections open."""

    def __init__(self, mode, rig, arguments, cpus):
        path = LARGE_PATH if mode == "read" else SMALL_PATH
        self._command = [
            "slowhttptest", *MODES[mode], "-c", str(arguments.connections), "-r", str(arguments.rate),
            "-l", "600", "-p", "60", "-v", "0", "-u", rig.url + path,
        ]
        self._cpus = cpus

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=self._step_back,
        )
        return self

    def _step_back(self):
        # It runs when nobody else wants the CPU that it shares with the measuring side: what is asked is
        # what Weir makes of its connections, not what two programs make of one CPU.
        pin(self._cpus)()
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    def __exit__(self, *_error):
        self._process.kill()
        self._process.wait()


def normal(rig, seconds, directory, cpus):
    return h2load(rig.url + SMALL_PATH, NORMAL_CONNECTIONS, seconds, directory, cpus, NORMAL_RATE)


def held(mode, arguments, directory, cpus):
    """Tells whether the figures are as they must be."""
    with running(arguments.weir, HELD, arguments.base_port, cpus, upstream, MOST_UPSTREAM) as rig:
        # The calm before: also what Weir keeps for good is there then.
        normal(rig, 2, directory, cpus[1])
        calm = sorted(normal(rig, arguments.seconds, directory, cpus[1]).p99() for _ in range(CALM_ROUNDS))
        before = resident_bytes(rig.pids())
        with Slow(mode, rig, arguments, cpus[1]):
            enough = arguments.connections * 0.99
            wait_until("all slow connections are open", lambda: rig.metric("weir_connections_open") >= enough)
            runs = [normal(rig, arguments.seconds, directory, cpus[1]) for _ in range(CALM_ROUNDS)]
            open_now = rig.metric("weir_connections_open")
            each = (resident_bytes(rig.pids()) - before) / 1024 / open_now
        beside = sorted(run.p99() for run in runs)
        mistakes = sum(sum(run.statuses().values()) - run.count() for run in runs)
    # The medians: one hiccup of the machine should not decide.
    times = beside[CALM_ROUNDS // 2] / calm[CALM_ROUNDS // 2]
    show = lambda values: ", ".join(f"{value * 1e3:.2f}" for value in values)
    print(f"{mode}: {open_now:,.0f} connections held, {each:.1f} KiB each (at most {MOST_KIB})")
    print(f"{mode}: normal traffic at {NORMAL_RATE:,}/s, p99 in ms: calm {show(calm)}; beside {show(beside)}; "
          f"{times:.2f} times (at most {MOST_TIMES_CALM}); {mistakes} without 200")
    return each <= MOST_KIB and times <= MOST_TIMES_CALM and mistakes == 0


def ended(mode, arguments, directory, cpus):
    with running(arguments.weir, DEFAULTS, arguments.base_port, cpus, upstream) as rig:
        most = 0
        with Slow(mode, rig, arguments, cpus[1]):
            begin = time.monotonic()
            accepted = lambda: rig.metric("weir_connections_accepted_total")
            wait_until("all slow connections came", lambda: accepted() >= arguments.connections * 0.99)
            came = time.monotonic() - begin
            while rig.metric("weir_connections_open") > arguments.connections * 0.01:
                most = max(most, rig.metric("weir_connections_open"))
                if time.monotonic() - begin > 300:
                    break
                time.sleep(0.5)
            gone = time.monotonic() - begin
        print(f"{mode}: by the defaults, all came within {came:.0f} s and were gone after {gone:.0f} s "
              f"({rig.metrics_by_reason('weir_answers_total')}, {rig.metrics_by_reason('weir_connections_refused_total')})")


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
    parser.add_argument("--base-port", type=int, default=21280, help="first of 3 ports; default: %(default)s")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if arguments.serve:
        return asyncio.run(serve(arguments.serve))
    if not shutil.which("slowhttptest"):
        raise Failure("slowhttptest is missing; run bench/install.sh")
    modes = arguments.modes.split(",")
    cpus = split_cpus()
    with tempfile.TemporaryDirectory() as directory:
        is_good = True
        for mode in modes:
            is_good &= held(mode, arguments, Path(directory), cpus)
            ended(mode, arguments, Path(directory), cpus)
    sys.exit(0 if is_good else "slow: missed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"slow: {failure}")
