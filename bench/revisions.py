#!/usr/bin/env python3
"""Has 10,000 routes made, changed and taken back by the admin API, on three nodes of one PostgreSQL under load;
then the PostgreSQL is killed and started again a minute later.

Times are from the moment the request is sent to the first answer of the last route, on each node.
"""

import argparse
import json
import sys
import threading
import time
from pathlib import Path

from cluster import nodes, under_load
from postgres import database
from process import Failure
from rig import PATIENCE, ROOT, split_cpus

NODES = 3
LIMIT = 1.0


def batch(prefix, count):
    def document(number):
        return {
            "match": {"host": f"h{number % 100}.example", "path": f"/{prefix}/{number}/*", "methods": ["GET", "POST"]},
            "upstream": "origin",
            "rewrite": {"path": "/"},
            "headers": {"request": {"set": {"x-route": str(number)}}},
        }
    last = {"match": {"path": f"/{prefix}/last"}, "upstream": "origin", "rewrite": {"path": "/"}}
    changes = [{"kind": "route", "name": f"r{number}", "document": document(number)} for number in range(count - 1)]
    return {"changes": [*changes, {"kind": "route", "name": "zz-last", "document": last}]}


def visible(node, path, begin, seen, number):
    while not node.serves(path):
        time.sleep(0.005)
    seen[number] = time.perf_counter() - begin


def measure(all_nodes, name, path, body, probe):
    """Sends the request to the first node; whether every node served `probe` in time."""
    seen = [None] * NODES
    body = json.dumps(body).encode()
    begin = time.perf_counter()
    watchers = [threading.Thread(target=visible, args=(node, probe, begin, seen, number)) for number, node in enumerate(all_nodes)]
    for watcher in watchers:
        watcher.start()
    status, answer = all_nodes[0].ask("POST", path, body)
    answered = time.perf_counter() - begin
    if status != 201 or not answer["in_effect"]:
        raise Failure(f"{name}: {status} {str(answer)[:500]}")
    for watcher in watchers:
        watcher.join()
    times = ", ".join(f"{seconds:.2f}" for seconds in seen)
    print(f"{name:10} answered after {answered:.2f} s; served on the nodes after {times} s", flush=True)
    return max(seen) <= LIMIT


def without_records(all_nodes, server, seconds):
    """Kills PostgreSQL and starts it again; whether the admin API said so meanwhile and came back by itself."""
    server.kill()
    time.sleep(seconds)
    refused = [node.ask("GET", "/v1/revisions")[0] for node in all_nodes]
    server.__enter__()
    begin = time.perf_counter()
    for node in all_nodes:
        while node.ask("GET", "/v1/revisions")[0] != 200:
            if time.perf_counter() - begin > PATIENCE:
                raise Failure("the admin API did not come back")
            time.sleep(0.05)
    print(f"away       PostgreSQL for {seconds} s: the admin API answered {refused}, "
          f"and was back {time.perf_counter() - begin:.1f} s after it", flush=True)
    # Nodes listen for each other's revisions again within a second.
    time.sleep(1)
    return all(status == 503 for status in refused)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--routes", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--connections", type=int, default=8, help="per node; default: %(default)s")
    parser.add_argument("--rate", type=int, default=500, help="requests a second and node; default: %(default)s")
    parser.add_argument("--away", type=int, default=60, help="seconds without PostgreSQL; default: %(default)s")
    parser.add_argument("--base-port", type=int, default=21300, help="first of 8 ports; default: %(default)s")
    arguments = parser.parse_args()
    _, load_cpus = split_cpus()

    def work(all_nodes, server):
        first, second = batch("one", arguments.routes), batch("two", arguments.routes)
        return all([
            measure(all_nodes, "made", "/v1/revisions", first, "/one/last"),
            measure(all_nodes, "changed", "/v1/revisions", second, "/two/last"),
            measure(all_nodes, "taken back", "/v1/revisions/1/rollback", {}, "/one/last"),
            without_records(all_nodes, server, arguments.away),
            measure(all_nodes, "once more", "/v1/revisions", second, "/two/last"),
        ])

    with database(arguments.base_port + 1 + 2 * NODES, load_cpus) as (url, server), nodes(arguments.weir, arguments.base_port, NODES, url, load_cpus) as all_nodes:
        is_good = under_load(all_nodes, arguments, load_cpus, lambda: work(all_nodes, server))
    sys.exit(0 if is_good else "revisions: missed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"revisions: {failure}")
