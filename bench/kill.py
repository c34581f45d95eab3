#!/usr/bin/env python3
"""Kills one of three targets under load and revives it: counts what fails, and how long answers take meanwhile."""

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from load import percentile
from measure import pin
from peers import nginx
from process import Failure, Server, accepts, answers
from work import SMALL_BODY, SMALL_PATH

ROOT = Path(__file__).resolve().parent.parent
TARGETS = 3
# Goals of the project; the exit status is 1 beyond them.
MOST_FAILED = 0.0001
MOST_SLOWER = 3
CONFIGURATION = """
workers: {workers}
admin: {{ address: 127.0.0.1:{admin} }}
log: {{ access: false }}
listeners: [{{ address: 127.0.0.1:{port} }}]
upstreams:
  origin:
    targets: {targets}
    health:
      active: {{ path: {path}, interval: 1s }}
      passive: {{ eject_for: 2s }}
      slow_start: 2s
routes:
  - {{ name: all, match: {{ path: /* }}, upstream: origin }}
"""


@dataclass
class Request:
    """One line of h2load's log: microseconds since 1970, status, microseconds until the end."""

    start: int
    status: int
    took: int

    @property
    def failed(self):
        return self.status != 200


@dataclass
class Phase:
    name: str
    requests: list

    @property
    def failed(self):
        return sum(request.failed for request in self.requests)

    def took(self, percent):
        """In milliseconds."""
        ordered = sorted(request.took for request in self.requests)
        return percentile(ordered, percent) / 1000 if ordered else 0


def read_log(text):
    """What h2load wrote; the last line may be cut."""
    lines = (line.split() for line in text.splitlines())
    return [Request(*map(int, words[:3])) for words in lines if len(words) >= 3]


def split(requests, killed, revived):
    """Phases by when a request ended: those under way at the kill belong to what it did to them."""
    phases = [Phase("calm", []), Phase("killed", []), Phase("revived", [])]
    for request in requests:
        end = request.start + request.took
        phases[(end >= killed) + (end >= revived)].requests.append(request)
    return phases


class Watch(threading.Thread):
    """Looks at the health of a target until told to stop; `changes` are (microseconds since 1970, state)."""

    def __init__(self, port, address, token):
        super().__init__(daemon=True)
        self._port = port
        self._headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
        self._address = address
        self._ended = threading.Event()
        self.changes = []

    def run(self):
        while not self._ended.wait(0.005):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1)
                connection.request("GET", "/v1/upstreams", headers=self._headers)
                told = json.load(connection.getresponse())
                connection.close()
            except (OSError, http.client.HTTPException, ValueError):
                continue
            targets = told["upstreams"][0]["targets"]
            state = next(target["health"]["state"] for target in targets if target["address"] == self._address)
            if not self.changes or self.changes[-1][1] != state:
                self.changes.append((now(), state))

    def end(self):
        self._ended.set()
        self.join()

    def first(self, states, since):
        return next((at for at, state in self.changes if at >= since and state in states), None)


def now():
    return time.time_ns() // 1000


def target(binary, port, directory, cpus):
    """A server of one process, so that one signal ends it."""
    directory.mkdir()
    body = SMALL_BODY.decode().replace("\n", "\\n")
    text = f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 '{body}'; }} }}"
    command = [*nginx.command(binary, directory, text), "-g", "master_process off;"]
    return Server(f"target {port}", command, [port], accepts(port), directory, cpus)


def weir(arguments, ports, directory, cpus):
    directory.mkdir()
    port, admin, *targets = ports
    path = directory / "weir.yaml"
    path.write_text(CONFIGURATION.format(
        workers=arguments.workers, admin=admin, port=port, path=SMALL_PATH,
        targets=json.dumps([f"127.0.0.1:{target}" for target in targets]),
    ))
    command = [str(arguments.weir.resolve()), "run", "-c", str(path), "--data-dir", str(directory / "data")]
    return Server("Weir", command, [port, admin], answers(admin, "/readyz"), directory, cpus)


def load(arguments, port, log, seconds, cpus):
    """h2load, which sends at its rate whether answers come or not."""
    rate = arguments.rate / arguments.connections
    return subprocess.Popen(
        ["h2load", "--h1", "-t1", f"-c{arguments.connections}", f"-D{seconds}", f"--rps={rate}", f"--log-file={log}",
         f"http://127.0.0.1:{port}{SMALL_PATH}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=pin(cpus),
    )


def run(arguments, directory):
    """Returns the phases, when the target was out and back in milliseconds, and what h2load says went wrong."""
    ports = range(arguments.base_port, arguments.base_port + 2 + TARGETS)
    cpus = sorted(os.sched_getaffinity(0))
    proxy_cpus, load_cpus = ({cpus[0]}, set(cpus[1:])) if arguments.pin and len(cpus) > 1 else (None, None)
    binary = nginx.find(arguments)
    targets = [target(binary, port, directory / f"target-{port}", load_cpus) for port in ports[2:]]
    log = directory / "h2load.log"
    started = []
    try:
        for server in targets:
            started.append(server.__enter__())
        with weir(arguments, ports, directory / "weir", proxy_cpus):
            token = directory / "weir/data/operator.token"
            watch = Watch(ports[1], f"127.0.0.1:{ports[2]}", token)
            watch.start()
            generator = load(arguments, ports[0], log, 3 * arguments.seconds, load_cpus)
            try:
                time.sleep(arguments.seconds)
                killed = now()
                started.remove(targets[0])
                targets[0].kill()
                time.sleep(arguments.seconds)
                started.append(targets[0].__enter__())
                revived = now()
                output, _ = generator.communicate(timeout=arguments.seconds + 30)
                made = counters(ports[1])
            finally:
                generator.kill()
                generator.wait()
                watch.end()
    finally:
        for server in started:
            server.__exit__()
    counts = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", output)
    if generator.returncode != 0 or not counts:
        raise Failure(f"h2load failed: {output.strip()[-500:]}")
    out = watch.first({"ejected", "unhealthy"}, killed)
    back = watch.first({"healthy"}, revived)
    lost = max(map(int, counts.groups()))
    return split(read_log(log.read_text()), killed, revived), killed, out, revived, back, lost, made


def counters(admin):
    """Repeats, and answers that Weir made itself, as its metrics tell."""
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    repeats = re.search(r"^weir_upstream_retries_total (\d+)$", text, re.M)
    made = re.findall(r'^weir_answers_total\{reason="(\w+)"\} ([1-9]\d*)$', text, re.M)
    return ", ".join([f"{repeats[1]} repeats", *(f"{count} {reason}" for reason, count in made)])


def report(arguments, phases, killed, out, revived, back, lost, made):
    """Prints the figures; tells whether failures were as few as they may be, and how much slower answers were."""
    everything = [request for phase in phases for request in phase.requests]
    failed = max(sum(phase.failed for phase in phases), lost)
    late = sum(request.failed for request in everything if out and request.start > out)
    print(f"{arguments.rate:,} requests/s wanted over {arguments.connections} connections; one of {TARGETS} targets "
          f"killed after {arguments.seconds} s and revived after {2 * arguments.seconds} s\n")
    print(f"{'phase':10}{'requests':>10}{'per s':>9}{'failed':>8}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    for phase in phases:
        print(f"{phase.name:10}{len(phase.requests):>10,}{len(phase.requests) / arguments.seconds:>9,.0f}"
              f"{phase.failed:>8}{phase.took(50):>9.2f}{phase.took(99):>9.2f}{phase.took(100):>9.2f}")
    calm = phases[0].took(99)
    slower = max(phase.took(99) for phase in phases[1:]) / calm if calm else 0
    share = failed / max(1, len(everything))
    print(f"\nfailed: {failed} of {len(everything):,} ({share:.4%}; goal {MOST_FAILED:.2%})")
    print(f"Weir counted: {made}")
    print(f"failed after the target was out: {late if out else 'it never was'} (goal 0)")
    print(f"p99: {slower:.2f} x calm")
    if out:
        print(f"out {(out - killed) / 1000:.0f} ms after the kill", end="")
    print(f", back {(back - revived) / 1000:.0f} ms after it was revived" if back else ", never back")
    return bool(everything) and share <= MOST_FAILED and bool(out) and late == 0 and bool(back), slower


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--rate", type=int, default=20_000, help="requests per second; default: %(default)s")
    parser.add_argument("--connections", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--seconds", type=int, default=6, help="of each of three phases; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="p99 is their median; default: %(default)s")
    parser.add_argument("--workers", type=int, default=1, help="of Weir; default: %(default)s")
    parser.add_argument("--base-port", type=int, default=21180, help="first of 5 ports; default: %(default)s")
    parser.add_argument("--pin", action="store_true", help="a CPU for Weir, the others for the rest")
    arguments = parser.parse_args()
    if not 4 <= arguments.seconds <= 600:
        parser.error("--seconds must be from 4 to 600")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if not 1 <= arguments.connections <= arguments.rate:
        parser.error("--connections must be from 1 to the rate")
    return arguments


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    if not shutil.which("h2load") or not nginx.find(arguments):
        raise Failure("missing: h2load or nginx; run tests/install.sh")
    if not arguments.weir.is_file():
        raise Failure(f"{arguments.weir} is not there; run cargo build --release")
    rounds = []
    for _ in range(arguments.rounds):
        directory = ROOT / "bench/out/kill"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        rounds.append(report(arguments, *run(arguments, directory)))
        print()
    slower = statistics.median(slower for _, slower in rounds)
    print(f"p99, median of {arguments.rounds} rounds: {slower:.2f} x calm (goal {MOST_SLOWER})")
    if slower > MOST_SLOWER or not all(is_good for is_good, _ in rounds):
        sys.exit("kill: beyond the goals")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"kill: {failure}")
    except KeyboardInterrupt:
        sys.exit("kill: interrupted")
