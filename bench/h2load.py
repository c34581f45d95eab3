"""h2load over HTTP/1.1, with a rate or as fast as it goes, and what came of each request."""

import collections
import subprocess
from dataclasses import dataclass

from load import percentile
from measure import pin
from process import Failure


@dataclass
class Run:
    """Durations in seconds, sorted, by status."""

    seconds: float
    by_status: dict

    def count(self, status=200, within=None):
        durations = self.by_status.get(status, [])
        return len(durations) if within is None else sum(duration <= within for duration in durations)

    def p99(self, status=200):
        durations = self.by_status.get(status)
        return percentile(durations, 99) if durations else float("inf")

    def statuses(self):
        return {status: len(durations) for status, durations in sorted(self.by_status.items())}


def h2load(url, connections, seconds, directory, cpus, rate=None, warm_up=1, start=None, fields=()):
    """`rate` is in requests a second of all connections together; what is sent in the `warm_up` does not count.
    `start` is a preexec_fn in place of the one that keeps it on its CPUs; `fields` are header fields as they are sent."""
    log = directory / f"h2load-{connections}.log"
    log.unlink(missing_ok=True)
    command = ["h2load", "--h1", "-t1", f"-c{connections}", "-m1", f"-D{seconds}",
               f"--warm-up-time={warm_up}", f"--log-file={log}", *(f"--header={field}" for field in fields), url]
    if rate is not None:
        command.append(f"--rps={rate / connections:.3f}")
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + warm_up + 120, preexec_fn=start or pin(cpus), stdin=subprocess.DEVNULL
    )
    if done.returncode != 0 or not log.exists():
        raise Failure(f"h2load failed: {(done.stderr or done.stdout).strip()[-500:]}")
    by_status = collections.defaultdict(list)
    with open(log) as lines:
        # Each line: start, status, duration, both times in microseconds.
        for line in lines:
            _start, status, duration = line.split()[:3]
            by_status[int(status)].append(int(duration) / 1e6)
    log.unlink()
    for durations in by_status.values():
        durations.sort()
    return Run(seconds, dict(by_status))
