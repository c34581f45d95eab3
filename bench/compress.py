#!/usr/bin/env python3
"""Compresses the same 20 KiB of JSON with nginx and with Weir, in turns (see docs/compression.md).

nginx compresses with zlib at level 5. Levels of different libraries are not the same: Weir is measured at its
level 5, and at the lowest level whose answer is no larger than nginx's. Only the latter is a comparison.
"""

import argparse
import contextlib
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from measure import cpu_seconds, pin
from peers import nginx
from process import Failure, Server, accepts, answers
from rig import ROOT, split_cpus

NGINX_LEVEL = 5
MOST_TIMES_NGINX = 1.1
CONNECTIONS = 32
SIZE = 20 * 1024


def make_json():
    """Records as an API lists them, the same in each run."""
    chance = random.Random(20)
    words = [word.strip(",.;:()`'\"").lower() for word in (ROOT / "README.md").read_text().split()]
    records = []
    while len(json.dumps(records)) < SIZE:
        records.append({
            "id": f"itm_{chance.randbytes(8).hex()}",
            "name": " ".join(chance.sample(words, 3)),
            "description": " ".join(chance.sample(words, 12)),
            "price": {"amount": chance.randrange(100, 100_000), "currency": chance.choice(["EUR", "USD", "GBP"])},
            "stock": chance.randrange(200),
            "tags": chance.sample(["kitchen", "copper", "garden", "sale", "new", "wood", "steel"], 3),
            "updated": f"2026-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}T08:30:00Z",
        })
    return json.dumps(records).encode()[:SIZE]


def start_upstream(binary, port, directory, body):
    (directory / "items.json").write_bytes(body)
    http = f"""
    sendfile on;
    open_file_cache max=8 inactive=1h;
    open_file_cache_valid 1h;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ default_type application/json; root {directory}; }}
    }}
"""
    return nginx.command(binary, directory, http), accepts(port)


def start_nginx(binary, port, upstream_port, directory):
    http = f"""
    upstream upstream {{
        server 127.0.0.1:{upstream_port};
        keepalive 64;
        keepalive_requests {nginx.UNBOUNDED};
    }}
    gzip on;
    gzip_comp_level {NGINX_LEVEL};
    gzip_types application/json;
    gzip_proxied any;
    gzip_vary on;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://upstream;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffers 4 32k;
        }}
    }}
"""
    return nginx.command(binary, directory, http), accepts(port)


def start_weir(binary, port, upstream_port, directory, coding, level):
    path = directory / "weir.yaml"
    path.write_text(f"""
workers: 1
admin: {{ address: 127.0.0.1:{port + 1} }}
log: {{ access: false, level: warn }}
listeners: [{{ address: 127.0.0.1:{port} }}]
upstreams: {{ origin: {{ targets: [127.0.0.1:{upstream_port}] }} }}
policies: {{ smaller: {{ compress: {{ codings: {coding}, levels: {{ {coding}: {level} }} }} }} }}
routes: [{{ name: all, policies: [smaller], upstream: origin }}]
""")
    command = [binary, "run", "-c", str(path), "--data-dir", str(directory / "data")]
    return command, answers(port + 1, "/readyz")


def fetch(url, coding):
    request = urllib.request.Request(url, headers={"Accept-Encoding": coding})
    with urllib.request.urlopen(request, timeout=10) as answer:
        body = answer.read()
        if answer.headers.get("Content-Encoding", "identity") != coding:
            raise Failure(f"{url} answered {answer.headers.get('Content-Encoding')} in place of {coding}")
    return body


def load(url, coding, seconds, cpus):
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-H", f"Accept-Encoding: {coding}", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, preexec_fn=pin(cpus))
    found = re.search(r"(\d+) requests in", done.stdout)
    if done.returncode or not found or re.search(r"Socket errors|Non-2xx", done.stdout):
        raise Failure(f"wrk: {done.stdout}{done.stderr}")
    return int(found[1])


class Peer:
    """One server at one level: microseconds of CPU for each request, and the size of its answer."""

    def __init__(self, title, coding, start):
        self.title, self.coding, self._start = title, coding, start
        self.times, self.size = [], None

    def measure(self, arguments, port, cpus, seconds):
        proxy_cpus, load_cpus = cpus
        url = f"http://127.0.0.1:{port}/items.json"
        with tempfile.TemporaryDirectory(prefix="weir-bench-") as directory:
            command, ready = self._start(port, Path(directory))
            with Server(self.title, command, [port, port + 1], ready, Path(directory), proxy_cpus) as server:
                self.size = len(fetch(url, self.coding))
                if not seconds:
                    return
                load(url, self.coding, arguments.warm_up, load_cpus)
                before = cpu_seconds(server.pids())
                requests = load(url, self.coding, seconds, load_cpus)
                self.times.append((cpu_seconds(server.pids()) - before) / requests * 1e6)

    @property
    def median(self):
        return statistics.median(self.times)


def compare(arguments):
    binary, weir = nginx.find(None), str(arguments.weir.resolve())
    if not binary or not arguments.weir.is_file():
        raise Failure("nginx or Weir is missing; run tests/install.sh and cargo build --release")
    cpus = split_cpus()
    upstream_port, port = arguments.base_port, arguments.base_port + 1
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-bench-")))
        command, ready = start_upstream(binary, upstream_port, directory, make_json())
        stack.enter_context(Server("upstream", command, [upstream_port], ready, directory, cpus[1]))

        def weir_at(coding, level):
            return Peer(f"Weir, {coding} {level}", coding,
                        lambda port, directory: start_weir(weir, port, upstream_port, directory, coding, level))

        rival = Peer(f"nginx, gzip {NGINX_LEVEL}", "gzip",
                     lambda port, directory: start_nginx(binary, port, upstream_port, directory))
        plain = Peer("Weir, as it is", "identity",
                     lambda port, directory: start_weir(weir, port, upstream_port, directory, "gzip", 5))
        rival.measure(arguments, port, cpus, 0)
        levels = [weir_at("gzip", level) for level in range(1, 10)]
        for peer in levels:
            peer.measure(arguments, port, cpus, 0)
        equal = next((peer for peer in levels if peer.size <= rival.size), levels[-1])
        ours = levels[NGINX_LEVEL - 1]
        peers = list(dict.fromkeys([rival, equal, ours, weir_at("br", 4), weir_at("zstd", 3), plain]))
        for _ in range(arguments.rounds):
            for peer in peers:
                peer.measure(arguments, port, cpus, arguments.seconds)
    print(f"{'':<16}{'bytes':>8}{'µs CPU':>10}{'× nginx':>10}   rounds")
    for peer in peers:
        rounds = " ".join(f"{time:.1f}" for time in peer.times)
        print(f"{peer.title:<16}{peer.size:>8}{peer.median:>10.1f}{peer.median / rival.median:>10.2f}   {rounds}")
    times = equal.median / rival.median
    print(f"at nginx's size or below: {times:.2f} times its CPU, at most {MOST_TIMES_NGINX}")
    return times <= MOST_TIMES_NGINX and equal.size <= rival.size


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement; default: %(default)s")
    parser.add_argument("--warm-up", type=int, default=1, help="seconds before each; default: %(default)s")
    parser.add_argument("--base-port", type=int, default=21380, help="first of 3 ports; default: %(default)s")
    arguments = parser.parse_args()
    sys.exit(0 if compare(arguments) else "compress: missed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"compress: {failure}")
