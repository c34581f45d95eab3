#!/usr/bin/env python3
"""Takes the issuer of tokens and the PostgreSQL with the API keys away for a minute under load: what is known goes on, and what is
not is answered with 503 until they are back.
"""

import argparse
import contextlib
import sys
import tempfile
import threading
from pathlib import Path

from credentials import AUDIENCE, ISSUER, KEY_ID, Issuer, bearer, key_field, made_up_key, spoiled
from h2load import h2load
from key_set_server import KeySetServer
from postgres import database
from process import Failure, check_ports
from rig import ROOT, running, split_cpus, wait_until
from work import SMALL_PATH

KEYS_PATH = "/keys"
KEYS_ROUTE = f"{{ name: keys, match: {{ path: {KEYS_PATH} }}, policies: [programs], upstream: origin }}"
# The key that the issuer signs with from the outage on.
LATER_KEY_ID = "second"
# Seconds after which the issuer may be asked again for a key that it did not have.
DAMPING = 5


class Both:
    """Issuer and records, which go away and come back together."""

    def __init__(self, issuer_server, database_server):
        self._issuer, self._database = issuer_server, database_server

    @contextlib.contextmanager
    def away(self):
        self._issuer.__exit__()
        self._database.kill()
        try:
            yield
        finally:
            self._database.__enter__()
            self._issuer.__enter__()


def phase(rig, name, loads, seconds, arguments, cpus):
    """Each load is a path and a header field; whether every answer was 200."""
    runs = {}

    def run(path, field):
        with tempfile.TemporaryDirectory() as directory:
            runs[path] = h2load(rig.url + path, arguments.connections, seconds, Path(directory), cpus, arguments.rate, warm_up=0,
                                fields=[field])

    threads = [threading.Thread(target=run, args=load) for load in loads.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    is_good = True
    for path in loads:
        if path not in runs:
            raise Failure(f"the load of {path} failed")
        others = {status: count for status, count in runs[path].statuses().items() if status != 200}
        is_good &= not others and runs[path].count() > 0
        print(f"{name:8}{path:8}{runs[path].count():>9,} requests, p99 {runs[path].p99() * 1e3:6.2f} ms, other answers: {others or 'none'}",
              flush=True)
    return is_good


def expect(rig, expected):
    """Whether each request is answered as it should be. {(what, path, header field): status}."""
    is_good = True
    for (what, path, field), status in expected.items():
        answered = rig.status(field, path)
        print(f"        {what}: {answered}, {status} wanted", flush=True)
        is_good &= answered == status
    return is_good


def measure(rig, both, issuer, arguments, cpus):
    known_key, unknown_key = (key_field(key) for _, key in rig.admin.make_keys(2))
    token = issuer.token("ada")
    later = bearer(issuer.token("ada", key_id=LATER_KEY_ID))
    loads = {SMALL_PATH: bearer(token), KEYS_PATH: known_key}
    wait_until("the issuer's keys are known", lambda: rig.status(bearer(token)) == 200)
    is_good = phase(rig, "there", loads, arguments.seconds, arguments, cpus)
    changed = bearer(spoiled(token))
    with both.away():
        is_good &= phase(rig, "away", loads, arguments.away, arguments, cpus)
        unknown = {
            ("a new token by a known key", SMALL_PATH, bearer(issuer.token("eva"))): 200,
            ("a changed token", SMALL_PATH, changed): 401,
            ("a key that was not used before", KEYS_PATH, unknown_key): 503,
            ("a mistyped key", KEYS_PATH, unknown_key[:-1]): 401,
            ("a made-up key", KEYS_PATH, key_field(made_up_key())): 503,
        }
        if arguments.key_set == "url":
            unknown["a token by a key that is not known", SMALL_PATH, later] = 503
        is_good &= expect(rig, unknown)
        issuer.publish([KEY_ID, LATER_KEY_ID])
    is_good &= phase(rig, "back", loads, arguments.seconds, arguments, cpus)
    wait_until("the other key is known", lambda: rig.status(unknown_key, KEYS_PATH) == 200)
    if arguments.key_set == "url":
        wait_until("the issuer's new key is known", lambda: rig.status(later) == 200, seconds=120)
    return is_good & expect(rig, {("a changed token", SMALL_PATH, changed): 401})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--connections", type=int, default=16, help="of each load; default: %(default)s")
    parser.add_argument("--rate", type=int, default=2000, help="requests a second of each load; default: %(default)s")
    parser.add_argument("--seconds", type=int, default=10, help="before and after; default: %(default)s")
    parser.add_argument("--away", type=int, default=60, help="seconds without both; default: %(default)s")
    parser.add_argument("--key-set", choices=["file", "url"], default="url",
                        help="where the issuer's keys are: a file cannot be away; default: %(default)s")
    parser.add_argument("--base-port", type=int, default=21340, help="first of 5 ports; default: %(default)s")
    arguments = parser.parse_args()
    cpus = _, load_cpus = split_cpus()
    server_port, database_port = arguments.base_port + 3, arguments.base_port + 4
    check_ports([server_port])
    with contextlib.ExitStack() as stack:
        issuer = Issuer(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "issuer")
        url, database_server = stack.enter_context(database(database_port, load_cpus))
        issuer_server = stack.enter_context(KeySetServer(server_port, issuer.key_set))
        key_set = issuer_server.settings(DAMPING) if arguments.key_set == "url" else f"'file:{issuer.key_set}'"
        settings = f"""
records: {{ url: "{url}" }}
policies:
  callers: {{ jwt: {{ issuer: '{ISSUER}', audience: {AUDIENCE}, jwks: {key_set} }} }}
  programs: {{ api_key: {{}} }}
"""
        rig = stack.enter_context(
            running(arguments.weir, settings, arguments.base_port, cpus, policies="callers", routes=[KEYS_ROUTE]))
        is_good = measure(rig, Both(issuer_server, database_server), issuer, arguments, load_cpus)
    sys.exit(0 if is_good else "issuer_away: missed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"issuer_away: {failure}")
