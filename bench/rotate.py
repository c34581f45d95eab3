#!/usr/bin/env python3
"""Has the keys that sign tokens rotated under load on two nodes of one PostgreSQL, and revokes API keys and tokens.

No token that is good may be refused meanwhile, and what is revoked on one node must be refused on both within a second. The nodes
know the tokens that are revoked as their own; those of the rotation so too, or by the key set that they publish.
"""

import argparse
import base64
import contextlib
import json
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from cluster import nodes, under_load
from credentials import AUDIENCE, Issuer, bearer, key_field, published, status_of
from postgres import database
from process import Failure
from rig import ROOT, split_cpus, wait_until

NODES = 2
LIMIT = 1.0
# For whatever is never refused.
PATIENCE = 10
# Seconds after which an issuer may be asked again for an unknown key: less than what lies between two rotations.
DAMPING = 1
TOKENS_PATH, OWN_PATH, KEYS_PATH = "/tokens", "/own", "/keys"
ROUTES = (f"{{ name: tokens, match: {{ path: {TOKENS_PATH} }}, policies: [callers], upstream: origin }}, "
          f"{{ name: own, match: {{ path: {OWN_PATH} }}, policies: [own], upstream: origin }}, "
          f"{{ name: keys, match: {{ path: {KEYS_PATH} }}, policies: [programs], upstream: origin }}")
POLICIES = """
policies:
  callers: {{ jwt: {{ audience: {audience}, {known_by} }} }}
  own: {{ jwt: {{ audience: {audience}, jwks: weir }} }}
  programs: {{ api_key: {{}} }}
"""


class Copy(threading.Thread):
    """Keeps a file like the set at an address, as whoever has no other way would do it."""

    def __init__(self, address, path):
        super().__init__(daemon=True)
        self._address, self._path = address, path
        self._is_over = threading.Event()

    def run(self):
        while not self._is_over.wait(0.1):
            with contextlib.suppress(OSError):
                new = urllib.request.urlopen(self._address, timeout=5).read()
                if new != self._path.read_bytes():
                    beside = self._path.with_suffix(".new")
                    beside.write_bytes(new)
                    beside.replace(self._path)

    def __enter__(self):
        self.start()

    def __exit__(self, *_error):
        self._is_over.set()
        self.join()


class Tokens:
    """Tokens of one session, asked of either node; `newest` is what the load sends."""

    def __init__(self, all_nodes):
        self._session = all_nodes[0].admin.sign_in()
        self.newest = self.ask(all_nodes[0])

    def ask(self, node):
        answer = node.admin.must("POST", "/v1/tokens", {"audience": AUDIENCE}, token=self._session)
        return answer["access_token"]


def key_id(token):
    header = token.partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]


def rotate(all_nodes, tokens, arguments):
    """Whether each node signed with the new key in time, and no node refused what the old or the new one signed."""
    first, refused, is_good = all_nodes[0].admin, 0, True
    for number in range(arguments.rotations):
        # There may be a next one, which was published before.
        first.must("POST", "/v1/signing-keys", {}, statuses=(200, 409))
        time.sleep(arguments.pause)
        key = first.must("POST", "/v1/signing-keys", {"now": True})["kid"]
        begin = time.perf_counter()
        seen = [None] * NODES
        while None in seen and time.perf_counter() - begin < PATIENCE:
            for at, node in enumerate(all_nodes):
                token = tokens.ask(node)
                refused += sum(status_of(other.port, TOKENS_PATH, bearer(token)) != 200 for other in all_nodes)
                if seen[at] is None and key_id(token) == key:
                    seen[at] = time.perf_counter() - begin
        refused += sum(status_of(node.port, TOKENS_PATH, bearer(tokens.newest)) != 200 for node in all_nodes)
        tokens.newest = tokens.ask(all_nodes[0])
        is_good &= None not in seen and max(seen) <= LIMIT
        print(f"rotation {number + 1}: signed with after {shown(seen)} s on the nodes; {refused} good tokens refused so far", flush=True)
    return is_good and not refused


def shown(seconds):
    return ", ".join("never" if each is None else f"{each:.2f}" for each in seconds)


def refused_after(all_nodes, path, field, revoke):
    """Seconds from the request that revokes until each node refuses; None where it goes on."""
    for node in all_nodes:
        wait_until(f"{path} is open on each node", lambda: node.serves(path, field))
    seen = [None] * len(all_nodes)
    begin = time.perf_counter()

    def watch(at, node):
        while seen[at] is None and time.perf_counter() - begin < PATIENCE:
            if status_of(node.port, path, field) == 401:
                seen[at] = time.perf_counter() - begin

    watchers = [threading.Thread(target=watch, args=each) for each in enumerate(all_nodes)]
    for watcher in watchers:
        watcher.start()
    revoke()
    for watcher in watchers:
        watcher.join()
    return seen


def revoke_keys(all_nodes, arguments):
    first, last = all_nodes[0].admin, all_nodes[-1].admin
    is_good = True
    for name, key in first.make_keys(arguments.revocations):
        path = f"/v1/organizations/bench/api-keys/{name}/revoke"
        seen = refused_after(all_nodes, KEYS_PATH, key_field(key), lambda: last.must("POST", path))
        is_good &= None not in seen and max(seen) <= LIMIT
        print(f"API key revoked on the last node: refused after {shown(seen)} s", flush=True)
    return is_good


def revoke_tokens(all_nodes, tokens, arguments):
    last, is_good = all_nodes[-1].admin, True
    for _ in range(arguments.revocations):
        token = tokens.ask(all_nodes[0])
        # Whoever knows tokens by a key set alone does not hear of it.
        seen = refused_after(all_nodes, OWN_PATH, bearer(token), lambda: last.must("POST", "/v1/tokens/revoke", {"token": token}))
        is_good &= None not in seen and max(seen) <= LIMIT
        print(f"token revoked on the last node: refused after {shown(seen)} s", flush=True)
    return is_good


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--parts", default="rotation,keys,tokens", help="what is done; default: %(default)s")
    parser.add_argument("--rotations", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--pause", type=float, default=3, help="seconds between a key's publication and its use; default: %(default)s")
    parser.add_argument("--revocations", type=int, default=5, help="of each kind; default: %(default)s")
    parser.add_argument("--connections", type=int, default=8, help="per node; default: %(default)s")
    parser.add_argument("--rate", type=int, default=1000, help="requests a second and node; default: %(default)s")
    parser.add_argument("--key-set", choices=["weir", "file", "url"], default="weir",
                        help="how the nodes know tokens in the rotation: as their own, by a copy of the key set in a file, or by its "
                             "address; default: %(default)s")
    parser.add_argument("--base-port", type=int, default=21350, help="first of 6 ports; default: %(default)s")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    if unknown := set(parts) - {"rotation", "keys", "tokens"}:
        parser.error(f"unknown parts: {', '.join(unknown)}")
    _, load_cpus = split_cpus()
    issuer = f"http://127.0.0.1:{arguments.base_port + 2}"
    address = f"{issuer}/.well-known/jwks.json"
    with contextlib.ExitStack() as stack:
        # What stands in the file before the first node publishes its keys.
        placeholder = Issuer(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "issuer").key_set
        known_by = {
            "weir": "jwks: weir",
            "file": f"issuer: '{issuer}', jwks: 'file:{placeholder}'",
            "url": f"issuer: '{issuer}', jwks: {published(address, DAMPING)}",
        }[arguments.key_set]
        url, _server = stack.enter_context(database(arguments.base_port + 1 + 2 * NODES, load_cpus))
        settings = POLICIES.format(audience=AUDIENCE, known_by=known_by)
        all_nodes = stack.enter_context(
            nodes(arguments.weir, arguments.base_port, NODES, url, load_cpus, settings, ROUTES, public_url=issuer))
        if arguments.key_set == "file":
            stack.enter_context(Copy(address, placeholder))
        tokens = Tokens(all_nodes)
        for node in all_nodes:
            wait_until("a token is taken", lambda: node.serves(TOKENS_PATH, bearer(tokens.newest)))

        def work():
            return all([
                "rotation" not in parts or rotate(all_nodes, tokens, arguments),
                "keys" not in parts or revoke_keys(all_nodes, arguments),
                "tokens" not in parts or revoke_tokens(all_nodes, tokens, arguments),
            ])

        is_good = under_load(all_nodes, arguments, load_cpus, work, TOKENS_PATH, lambda: [bearer(tokens.newest)])
    sys.exit(0 if is_good else "rotate: missed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"rotate: {failure}")
