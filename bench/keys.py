#!/usr/bin/env python3
"""A million API keys in PostgreSQL: what it takes to look up one that Weir does not know, what a known one costs, and how much
memory they take.

The keys are real ones, whose texts follow from their numbers, so that each can be used; 64 more are made by the admin API.
"""

import argparse
import dataclasses
import hashlib
import http.client
import os
import random
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from credentials import KEY_ALPHABET, KEY_HEADER, KEY_PREFIX, KEY_PUBLIC, KEY_RANDOM, SCOPE, Credentials, key_credentials
from credentials import key_field, with_checksum
from flood_sender import Connection
from load import percentile, run_load
from measure import cpu_seconds, resident_bytes
from postgres import database
from process import Failure
from rig import PATIENCE, ROOT, running, split_cpus
from work import ROWS, SMALL_PATH

MOST_COLD = 0.005
MOST_CACHED = 1e-6
# Of what was taken when half of the keys were used.
MOST_GROWTH = 1.1
# More than the process remembers in the room that it has here, beside the workers (`credential_cache`): half of the keys must fill that.
REMEMBERED = 100_000
SETTINGS = """
policies: { programs: { api_key: {} } }
limits: { credential_cache: 8MiB }
"""
OPEN_PATH = "/open"
OPEN_ROUTE = f"{{ name: open, match: {{ path: {OPEN_PATH} }}, upstream: origin }}"
# Crockford's alphabet, as in crates/core/src/id.rs.
ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LETTERS = bytes(ord(KEY_ALPHABET[byte % len(KEY_ALPHABET)]) for byte in range(256))
COLUMNS = "id, tenant_id, created_at, updated_at, version, name, public_part, key_hash, permissions, scopes"
TOGETHER = 16


def key_text(salt, number):
    """The key of a number; nobody who does not have the salt guesses it."""
    random_part = hashlib.sha512(salt + number.to_bytes(8, "big")).digest()[:KEY_RANDOM].translate(LETTERS)
    return with_checksum(KEY_PREFIX + random_part.decode())


def key_id(number):
    text = "".join(ID_ALPHABET[number >> 5 * place & 31] for place in reversed(range(8)))
    return f"key_01{'0' * 16}{text}"


def insert(url, tenant, salt, count):
    """Rows as the admin API would have written them; returns seconds."""
    begin = time.monotonic()
    now = time.time_ns() // 1000
    command = ["psql", "-q", "-v", "ON_ERROR_STOP=1", "-c", f"COPY api_keys ({COLUMNS}) FROM STDIN", "-c", "VACUUM ANALYZE api_keys", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as psql:
        for number in range(count):
            text = key_text(salt, number)
            public = text[len(KEY_PREFIX):][:KEY_PUBLIC]
            digest = hashlib.sha256(text.encode()).hexdigest()
            psql.stdin.write(f"{key_id(number)}\t{tenant}\t{now + number}\t{now + number}\t1\tkey {number}\t{public}\t\\\\x{digest}\t[]\t"
                             f"[\"{SCOPE}\"]\n")
        _, errors = psql.communicate()
    if psql.returncode != 0:
        raise Failure(f"the keys could not be written: {errors.strip()[-500:]}")
    return time.monotonic() - begin


def cold(rig, keys):
    """Seconds of each request, one after the other, each with a key that was not used before."""
    connection = http.client.HTTPConnection("127.0.0.1", rig.port, timeout=PATIENCE)
    times = []
    for key in keys:
        begin = time.perf_counter()
        connection.request("GET", SMALL_PATH, headers={KEY_HEADER: key})
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - begin)
        if answer.status != 200:
            raise Failure(f"a good key was answered with {answer.status}")
    connection.close()
    return sorted(times)


def use_each(port, keys, connections):
    """Sends one request with each key; how many were not answered with 200."""
    blocks = (b"".join(f"GET {SMALL_PATH} HTTP/1.1\r\nHost: bench\r\n{key_field(key)}\r\n\r\n".encode() for key in keys[at : at + TOGETHER])
              for at in range(0, len(keys), TOGETHER))
    sizes = (min(TOGETHER, len(keys) - at) for at in range(0, len(keys), TOGETHER))
    todo, failed, under_way = zip(blocks, sizes), 0, 0

    def more(connection):
        block, size = next(todo, (None, 0))
        if block:
            connection.send(block, size)
        return size

    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = Connection("127.0.0.1", port)
            connection.open()
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            under_way += more(connection)
        while under_way:
            ready = selector.select(PATIENCE)
            if not ready:
                raise Failure(f"{under_way} requests were not answered")
            for key, _ in ready:
                found = key.data.receive()
                if found is None:
                    raise Failure("a connection was closed")
                failed += sum(status != b"200" for status in found)
                under_way -= len(found)
                if not key.data.waits_for:
                    under_way += more(key.data)
        for key in list(selector.get_map().values()):
            key.data.close()
    return failed


def cached(rig, credentials, arguments, directory, cpus):
    """CPU seconds that a key costs once it is known: medians of both, in rounds."""
    row = next(row for row in ROWS if row.name == "api-key")
    costs = {SMALL_PATH: [], OPEN_PATH: []}
    for _ in range(arguments.rounds):
        for path, of_path in costs.items():
            work = dataclasses.replace(row, path=path)
            run_load(work, rig.url, 1, os.environ, cpus, directory, credentials)
            before = cpu_seconds(rig.pids())
            outcome = run_load(work, rig.url, arguments.seconds, os.environ, cpus, directory, credentials)
            if outcome.mistakes:
                raise Failure("; ".join(outcome.mistakes))
            of_path.append((cpu_seconds(rig.pids()) - before) / outcome.requests)
    differences = [checked - unchecked for checked, unchecked in zip(costs[SMALL_PATH], costs[OPEN_PATH])]
    print(f"cached: {statistics.median(costs[SMALL_PATH]) * 1e6:.2f} µs a request, {statistics.median(costs[OPEN_PATH]) * 1e6:.2f} µs "
          f"on a route that asks nobody: {statistics.median(differences) * 1e6:+.2f} µs (goal {MOST_CACHED * 1e6:.0f})")
    return statistics.median(differences)


def measure(rig, url, arguments, directory, cpus):
    made = [key for _, key in rig.admin.make_keys()]
    tenant = rig.admin.must("GET", "/v1/organizations/bench")["id"]
    salt = os.urandom(16)
    seconds = insert(url, tenant, salt, arguments.keys)
    print(f"{arguments.keys:,} keys written in {seconds:.0f} s", flush=True)
    credentials = key_credentials(made)
    for name, bad in credentials.bad.items():
        if rig.status(bad) != 401:
            raise Failure(f"{name} is answered with {rig.status(bad)}")
    memory = {"before": resident_bytes(rig.pids())}

    numbers = list(range(arguments.keys))
    random.Random(64).shuffle(numbers)
    first, rest = numbers[: arguments.cold], numbers[arguments.cold :]
    times = cold(rig, [key_text(salt, number) for number in first])
    print(f"cold: {len(times):,} keys, p50 {percentile(times, 50) * 1e3:.2f} ms, p99 {percentile(times, 99) * 1e3:.2f} ms "
          f"(goal {MOST_COLD * 1e3:.0f})", flush=True)
    cost = cached(rig, Credentials(credentials.good), arguments, directory, cpus)

    half, failed = len(rest) // 2, 0
    for name, part in (("half used", rest[:half]), ("all used", rest[half:])):
        begin = time.monotonic()
        failed += use_each(rig.port, [key_text(salt, number) for number in part], arguments.connections)
        memory[name] = resident_bytes(rig.pids())
        print(f"{name}: {len(part) / (time.monotonic() - begin):,.0f} requests/s, {failed} not answered with 200", flush=True)
    print("memory: " + ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in memory.items()))
    grows = memory["all used"] / memory["half used"]
    is_bounded = arguments.keys < 4 * REMEMBERED or grows <= MOST_GROWTH
    return percentile(times, 99) <= MOST_COLD and cost <= MOST_CACHED and not failed and is_bounded


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--keys", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--cold", type=int, default=10_000, help="of them, looked up one by one; default: %(default)s")
    parser.add_argument("--connections", type=int, default=32, help="over which all others are used; default: %(default)s")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--base-port", type=int, default=21330, help="first of 4 ports; default: %(default)s")
    arguments = parser.parse_args()
    if not 1 <= arguments.cold < arguments.keys:
        parser.error("--cold must be fewer than --keys")
    cpus = _, load_cpus = split_cpus()
    os.sched_setaffinity(0, load_cpus)
    with database(arguments.base_port + 3, load_cpus) as (url, _server), tempfile.TemporaryDirectory() as directory:
        settings = f'records: {{ url: "{url}" }}\n{SETTINGS}'
        with running(arguments.weir, settings, arguments.base_port, cpus, policies="programs", routes=[OPEN_ROUTE]) as rig:
            is_good = measure(rig, url, arguments, Path(directory), load_cpus)
    sys.exit(0 if is_good else "keys: missed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"keys: {failure}")
