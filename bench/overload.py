#!/usr/bin/env python3
"""Offers Weir three times what it can do, and counts what it answers in time (see docs/overload.md).

Weir's worker shares its CPU with busy loops (--hogs), so that one generator on the other CPU is able to
offer more than enough. The rate is kept up whatever comes back, as far as connections are free: open loop
up to the number of connections.
"""

import argparse
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from h2load import h2load
from measure import pin
from process import Failure
from rig import ROOT, running, split_cpus

# An answer that takes longer is no use to anybody.
IN_TIME = 1.0
GOODPUT = 0.9
# Rates at which the peak is looked for, in what 64 connections reach.
PEAK_RATES = (0.4, 0.5, 0.55, 0.6, 0.7, 0.85, 1.0)
# Seconds for the connections to be made and the overload to set in.
WARM_UP = 8
ADMIN_SECONDS = 0.1


class Prober(threading.Thread):
    """Asks the admin listener all the time and keeps what each answer took."""

    def __init__(self, rig):
        super().__init__(daemon=True)
        self._rig = rig
        self._end = threading.Event()
        self.seconds = {"/healthz": [], "/metrics": []}
        self.delays, self.pressures = [], []

    def run(self):
        # It shares a CPU with the load: what it waits for that one is not to be taken for Weir's time.
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -20)
        while not self._end.wait(0.1):
            for path, seconds in self.seconds.items():
                text, took = self._rig.ask(path)
                seconds.append(took)
            values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
            self.delays.append(float(values["weir_event_loop_delay_seconds"]))
            self.pressures.append(float(values["weir_shedding_pressure"]))

    def finish(self):
        self._end.set()
        self.join()


def measure(rig, arguments, directory, load_cpus):
    few = h2load(rig.url, 64, arguments.seconds, directory, load_cpus).count() / arguments.seconds
    print(f"with 64 connections: {few:,.0f} requests/s")
    # The most that it answers in time over as many connections as the overload has: each of thousands of
    # sockets costs more than one of a few, for any server.
    goodputs = {}
    for share in PEAK_RATES:
        run = h2load(rig.url, arguments.connections, arguments.seconds, directory, load_cpus, share * few, WARM_UP)
        goodputs[share] = run.count(200, IN_TIME) / arguments.seconds
    peak = max(goodputs.values())
    tried = ", ".join(f"{share * few:,.0f}: {goodput:,.0f}" for share, goodput in goodputs.items())
    print(f"peak over {arguments.connections:,} connections: {peak:,.0f}/s in time (offered and answered: {tried})")
    rate = arguments.times * peak
    prober = Prober(rig)
    prober.start()
    run = h2load(rig.url, arguments.connections, arguments.seconds, directory, load_cpus, rate, WARM_UP)
    prober.finish()
    good = run.count(200, IN_TIME) / arguments.seconds
    total = sum(run.statuses().values())
    print(f"offered: {rate:,.0f} requests/s over {arguments.connections:,} connections for {arguments.seconds} s; "
          f"sent and answered: {total / arguments.seconds:,.0f}/s, {total / arguments.seconds / peak:.1f} peaks")
    print(f"answers by status: {run.statuses()}")
    print(f"p99 of those with 200: {run.p99() * 1e3:.0f} ms; of those with 503: {run.p99(503) * 1e3:.0f} ms")
    print(f"event loop late: {max(prober.delays) * 1e3:.0f} ms at most, {statistics.median(prober.delays) * 1e3:.0f} ms "
          f"median; pressure {max(prober.pressures):.2f} at most")
    print(f"goodput (200 within {IN_TIME:g} s): {good:,.0f}/s, {good / peak:.1%} of peak; at least {GOODPUT:.0%} wanted")
    is_good = good >= GOODPUT * peak
    for path, seconds in prober.seconds.items():
        print(f"{path}: {len(seconds)} answers, {max(seconds) * 1e3:.1f} ms at most; {ADMIN_SECONDS * 1e3:.0f} ms allowed")
        is_good &= max(seconds) <= ADMIN_SECONDS
    print(f"refused: {rig.metrics_by_reason('weir_answers_total')}")
    return is_good


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--connections", type=int, default=9000, help="default: %(default)s")
    parser.add_argument("--seconds", type=int, default=20, help="of the overload; default: %(default)s")
    parser.add_argument("--times", type=float, default=3, help="offered, in peaks; default: %(default)s")
    parser.add_argument("--hogs", type=int, default=3, help="busy loops on Weir's CPU; default: %(default)s")
    parser.add_argument("--delay", default="250ms", help="overload.delay; default: %(default)s")
    parser.add_argument("--base-port", type=int, default=21180, help="first of 3 ports; default: %(default)s")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cpus = proxy_cpus, load_cpus = split_cpus()
    settings = f"overload: {{ delay: {arguments.delay} }}\n"
    loop = [sys.executable, "-c", "while True: pass"]
    with running(arguments.weir, settings, arguments.base_port, cpus) as rig, tempfile.TemporaryDirectory() as directory:
        hogs = [subprocess.Popen(loop, preexec_fn=pin(proxy_cpus), start_new_session=True) for _ in range(arguments.hogs)]
        try:
            time.sleep(0.5)
            is_good = measure(rig, arguments, Path(directory), load_cpus)
        finally:
            for hog in hogs:
                hog.kill()
                hog.wait()
    sys.exit(0 if is_good else "overload: missed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"overload: {failure}")
