#!/usr/bin/env python3
"""Measures Weir beside other proxies on this machine, in interleaved rounds (see docs/benchmarks.md)."""

import argparse
import dataclasses
import json
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

import credentials
import report
from idle import IdleConnections
from load import check_sample, run_load
from measure import child_cpu_seconds, cpu_seconds, machine, machine_cpu_seconds, resident_bytes
from peers import CONNECTIONS, Scenario, load_modules
from peers.nginx import prepare_upstream
from process import Failure, Server
from work import IDLE_CONNECTIONS, OPEN, ROWS, make_certificate, make_openssl_configuration

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ["wrk", "h2load", "curl", "openssl"]
# Ports of one peer: plain, TLS, admin.
PORTS_PER_PEER = 3


@dataclasses.dataclass
class Bench:
    """All that stays the same from one measurement to the next."""

    seconds: int
    warm_up: int
    base_port: int
    upstream_port: int
    directory: Path
    certificate: object
    issuer: object
    environment: dict
    proxy_cpus: object
    load_cpus: object
    upstream: Server | None = None


@dataclasses.dataclass
class Sample:
    """One peer in one round of one row. Times in seconds, sizes in bytes.

    `busy` and `others` are shares of one core: taken by the peer, and by processes that are no part of this.
    """

    requests: int = 0
    cpu: float = 0
    cpu_per_request: float = 0
    busy: float = 0
    throughput: float = 0
    p50: float = 0
    p99: float = 0
    resident: int = 0
    start: float = 0
    others: float = 0
    idle_bytes: float | None = None
    # Warm-up included.
    answered: int = 0
    mistakes: list = dataclasses.field(default_factory=list)


def measure(bench, row, name, index, module, binary, round_number):
    """Starts the peer afresh, loads it and returns a Sample, or None where the row is not for it.

    Afresh, for memory to be comparable, and so that chance (how memory was laid out, which connections
    survived) differs from round to round as it does from day to day.
    """
    directory = bench.directory / row.name / f"{name}-{round_number}"
    directory.mkdir(parents=True)
    ports = [bench.base_port + 1 + index * PORTS_PER_PEER + offset for offset in range(PORTS_PER_PEER)]
    scenario = Scenario(row, *ports, bench.upstream_port, bench.certificate, bench.issuer, directory)
    command, ready = module.prepare(binary, scenario)
    if command is None:
        return None
    url = f"https://127.0.0.1:{scenario.tls_port}" if row.tls else f"http://127.0.0.1:{scenario.plain_port}"

    with Server(module.TITLE, command, ports, ready, directory, bench.proxy_cpus) as server:
        sample = Sample(start=server.start_seconds)
        known = who_calls(row, bench.issuer, scenario)
        sample.mistakes += check_sample(row, url, bench.environment, bench.certificate, known)
        if sample.mistakes:
            return sample
        if row.idle:
            # Before any load, whose freed memory would serve the idle connections and hide what they take.
            before = resident_bytes(server.pids())
            with IdleConnections(scenario.plain_port, IDLE_CONNECTIONS, row.path, bench.load_cpus) as idle:
                sample.idle_bytes = (resident_bytes(server.pids()) - before) / IDLE_CONNECTIONS
                measure_load(bench, row, url, server, directory, sample, known)
                sample.mistakes += idle.mistakes()
        else:
            measure_load(bench, row, url, server, directory, sample, known)
        sample.mistakes += check_sample(row, url, bench.environment, bench.certificate, known)
    if row.told:
        # The server has ended: nothing is left to be written.
        lines = count_lines(directory / "access.log")
        if lines < sample.answered:
            sample.mistakes.append(f"{lines:,} lines in the log for {sample.answered:,} answers")
    return sample


def who_calls(row, issuer, scenario):
    """Credentials for the load, or None where nobody is asked."""
    if not row.access:
        return None
    if row.access == "api_key":
        admin = credentials.Admin(scenario.admin_port, scenario.directory / "data")
        return credentials.key_credentials([key for _, key in admin.make_keys()])
    return issuer.credentials(rules=row.access == "cedar")


def count_lines(path):
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def measure_load(bench, row, url, server, directory, sample, known):
    warm_up = run_load(row, url, bench.warm_up, bench.environment, bench.load_cpus, directory, known)
    peer_before = cpu_seconds(server.pids())
    ours_before = child_cpu_seconds() + cpu_seconds(bench.upstream.pids())
    machine_before = machine_cpu_seconds()
    outcome = run_load(row, url, bench.seconds, bench.environment, bench.load_cpus, directory, known)
    machine_spent = machine_cpu_seconds() - machine_before
    ours = child_cpu_seconds() + cpu_seconds(bench.upstream.pids()) - ours_before
    pids = server.pids()
    sample.cpu = cpu_seconds(pids) - peer_before
    sample.resident = resident_bytes(pids)
    sample.requests = outcome.requests
    sample.answered = warm_up.requests + outcome.requests
    sample.p50, sample.p99 = outcome.p50, outcome.p99
    sample.others = max(0, machine_spent - ours - sample.cpu) / outcome.seconds
    sample.mistakes += outcome.mistakes
    if outcome.requests:
        sample.throughput = outcome.requests / outcome.seconds
        sample.cpu_per_request = sample.cpu / outcome.requests
        sample.busy = sample.cpu / outcome.seconds


def run_rows(bench, rows, peers, rounds, upstream_binary):
    """Returns {row name: {peer name: [Sample, …]}}."""
    directory = bench.directory / "upstream"
    directory.mkdir()
    command, ready = prepare_upstream(upstream_binary, bench.upstream_port, directory)
    results = {}
    with Server("upstream", command, [bench.upstream_port], ready, directory, bench.load_cpus) as bench.upstream:
        for row in rows:
            contestants = [(row, *peer, index) for index, peer in enumerate(peers)]
            if row.access:
                open_to_all = dataclasses.replace(row, access="", remembers=True)
                contestants += [(open_to_all, OPEN, *rest) for _, name, *rest in contestants if name == "weir"]
            samples = results[row.name] = {name: [] for _, name, *_ in contestants}
            for round_number in range(rounds):
                for work, name, module, binary, index in contestants:
                    try:
                        sample = measure(bench, work, name, index, module, binary, round_number)
                    except Failure as failure:
                        # The other peers' figures are still good.
                        sample = Sample(mistakes=[str(failure)])
                    if sample:
                        samples[name].append(sample)
                        print(report.progress(row, name, round_number, sample), file=sys.stderr, flush=True)
    return results


def split_cpus(pinning):
    """CPUs of the proxy and of everything else; (None, None) leaves both to the kernel."""
    cpus = sorted(os.sched_getaffinity(0))
    if not pinning or len(cpus) < 2:
        return None, None
    return {cpus[0]}, set(cpus[1:])


def choose(names, known, what):
    chosen = [name for name in names.split(",") if name]
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        raise Failure(f"unknown {what}: {', '.join(unknown) or 'none given'}; there are {', '.join(known)}")
    return [name for name in known if name in chosen]


def find_peers(arguments):
    """(name, module, binary) of each peer to measure. Peers asked for by name must be there."""
    modules = load_modules()
    names = choose(arguments.peers, modules, "peers") if arguments.peers else list(modules)
    peers = []
    for name in names:
        binary = modules[name].find(arguments)
        if binary:
            peers.append((name, modules[name], binary))
        elif arguments.peers or name != "hyper":
            raise Failure(f"{name} is not installed; run bench/install.sh and tests/install.sh, or choose --peers")
    return peers


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default=",".join(row.name for row in ROWS), help="default: %(default)s")
    parser.add_argument("--peers", help="nginx,haproxy,envoy,hyper,weir; default: all, hyper if it is built")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement; default: %(default)s")
    parser.add_argument("--warm-up", type=int, default=1, help="seconds before each; default: %(default)s")
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--hyper", type=Path, default=ROOT / "target/hyper-proxy/release/hyper-proxy")
    parser.add_argument("--envoy", help="default: the one in bench/.venv")
    parser.add_argument("--base-port", type=int, default=21080, help="first of 16 ports; default: %(default)s")
    parser.add_argument("--no-pin", action="store_true", help="leave the choice of CPUs to the kernel")
    parser.add_argument("--json", type=Path, help="also write every sample to this file")
    parser.add_argument("--output", type=Path, default=ROOT / "BENCHMARKS.md", help="default: %(default)s")
    arguments = parser.parse_args()
    for option in ("rounds", "seconds", "warm_up"):
        if not 1 <= getattr(arguments, option) <= 600:
            parser.error(f"--{option.replace('_', '-')} must be from 1 to 600")
    return arguments


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    rows_by_name = {row.name: row for row in ROWS}
    rows = [rows_by_name[name] for name in choose(arguments.rows, rows_by_name, "rows")]
    peers = find_peers(arguments)
    missing = [command for command in NEEDED if not shutil.which(command)]
    upstream_binary = load_modules()["nginx"].find(arguments)
    if missing or not upstream_binary:
        raise Failure(f"missing: {', '.join(missing) or 'nginx'}; run tests/install.sh")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * CONNECTIONS:
        raise Failure(f"open files are limited to {hard}; {2 * CONNECTIONS} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * CONNECTIONS, hard))

    directory = ROOT / "bench/out"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    proxy_cpus, load_cpus = split_cpus(not arguments.no_pin)
    bench = Bench(
        seconds=arguments.seconds,
        warm_up=arguments.warm_up,
        base_port=arguments.base_port,
        upstream_port=arguments.base_port,
        directory=directory,
        certificate=make_certificate(directory / "certificate"),
        issuer=credentials.Issuer(directory / "issuer") if any(row.access for row in rows) else None,
        environment=os.environ | {"OPENSSL_CONF": str(make_openssl_configuration(directory))},
        proxy_cpus=proxy_cpus,
        load_cpus=load_cpus,
    )
    about = machine() | report.provenance(ROOT) | {
        "pinned": proxy_cpus is not None,
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "versions": {module.TITLE: module.version(binary) for _, module, binary in peers},
    }
    results = run_rows(bench, rows, peers, arguments.rounds, upstream_binary)
    titles = {name: module.TITLE for name, module, _ in peers}
    text = report.render(rows, titles, results, about)
    print(text)
    if arguments.json:
        plain = {row: {peer: [dataclasses.asdict(sample) for sample in samples] for peer, samples in by_peer.items()}
                 for row, by_peer in results.items()}
        arguments.json.write_text(json.dumps({"about": about, "rows": plain}, indent=1) + "\n")
    if "weir" in titles and len(rows) == len(ROWS):
        report.write(arguments.output, text)
    else:
        print(f"{arguments.output.name} is left as it is: that takes Weir and every row", file=sys.stderr)
    if any(sample.mistakes for by_peer in results.values() for samples in by_peer.values() for sample in samples):
        sys.exit("bench: some runs had errors and have no figure")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
