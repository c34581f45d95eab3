#!/usr/bin/env python3
"""Takes the OTLP receiver away for a minute under load: p99, what is dropped, and when exports go on.

Every request is traced, so that far more is told than there is room for while the receiver is away.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from h2load import h2load
from peers.nginx import find, prepare_upstream
from process import Failure, Server
from rig import ROOT, running, split_cpus, wait_until

# p99 may differ by this much from one measurement to the next without any cause.
NOISE = 1.25
NOISE_SECONDS = 0.0005


class Receiver:
    """An nginx that answers every export with 200."""

    def __init__(self, port, directory, cpus):
        binary = find(None)
        if not binary:
            raise Failure("nginx is missing; run tests/install.sh")
        command, ready = prepare_upstream(binary, port, directory)
        self.server = Server("receiver", command, [port], ready, directory, cpus)


def exported(rig):
    return rig.metric("weir_otlp_exported_total")


def dropped(rig):
    return rig.metric("weir_otlp_dropped_total") + rig.metric("weir_trace_records_dropped_total")


def phase(rig, name, seconds, arguments, directory, cpus):
    before = exported(rig), dropped(rig)
    run = h2load(rig.url, arguments.connections, seconds, directory, cpus, arguments.rate)
    others = {status: count for status, count in run.statuses().items() if status != 200}
    print(f"{name:12} {run.count() / seconds:8,.0f} requests/s, p99 {run.p99() * 1e3:6.2f} ms, other answers: {others or 'none'}; "
          f"exported {exported(rig) - before[0]:,.0f}, dropped {dropped(rig) - before[1]:,.0f}", flush=True)
    return run, not others


def measure(rig, receiver, arguments, directory, cpus):
    with receiver.server:
        there, is_good = phase(rig, "there", arguments.seconds, arguments, directory, cpus)
        if not exported(rig):
            raise Failure("nothing was exported")
    dropped_before = dropped(rig)
    away, was_good = phase(rig, "away", arguments.away, arguments, directory, cpus)
    is_good &= was_good
    lost = dropped(rig) - dropped_before
    exported_before = exported(rig)
    with receiver.server:
        begin = time.monotonic()
        wait_until("exports go on", lambda: exported(rig) > exported_before)
        resumed = time.monotonic() - begin
        back, was_good = phase(rig, "back", arguments.seconds, arguments, directory, cpus)
        is_good &= was_good
    allowed = there.p99() * NOISE + NOISE_SECONDS
    print(f"dropped while away: {lost:,.0f}; exports went on {resumed:.1f} s after the receiver was back")
    print(f"p99 while away {away.p99() * 1e3:.2f} ms; at most {allowed * 1e3:.2f} ms wanted")
    return is_good and lost > 0 and away.p99() <= allowed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--connections", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--rate", type=int, default=5000, help="requests a second; default: %(default)s")
    parser.add_argument("--seconds", type=int, default=20, help="with the receiver; default: %(default)s")
    parser.add_argument("--away", type=int, default=60, help="seconds without it; default: %(default)s")
    parser.add_argument("--sample", default="100%", help="share of traced requests; default: %(default)s")
    parser.add_argument("--base-port", type=int, default=21280, help="first of 4 ports; default: %(default)s")
    arguments = parser.parse_args()
    cpus = _, load_cpus = split_cpus()
    port = arguments.base_port + 3
    settings = (f"tracing: {{ sample: {arguments.sample} }}\n"
                f"otlp: {{ endpoint: 'http://127.0.0.1:{port}', protocol: http, timeout: 2s }}\n")
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        (directory / "receiver").mkdir()
        receiver = Receiver(port, directory / "receiver", load_cpus)
        with running(arguments.weir, settings, arguments.base_port, cpus) as rig:
            is_good = measure(rig, receiver, arguments, directory, load_cpus)
    sys.exit(0 if is_good else "outage: missed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"outage: {failure}")
