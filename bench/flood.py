#!/usr/bin/env python3
"""Sends tokens that are not good from many addresses beside valid traffic from 127.0.0.1: p99 of the valid, and how often the
issuer is asked for its keys.

All but Weir share the other CPUs; what floods goes behind what measures.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from credentials import Issuer, bearer, policies
from flood_sender import KINDS, Flood, bad_tokens
from h2load import h2load
from key_set_server import KeySetServer
from process import Failure, check_ports
from rig import ROOT, running, split_cpus

MOST_SLOWER = 2


def valid(rig, token, arguments, directory, cpus):
    run = h2load(rig.url, arguments.connections, arguments.seconds, directory, cpus, arguments.valid_rate, fields=[bearer(token)])
    return run, {status: count for status, count in run.statuses().items() if status != 200}


def most_asked(seconds, damping):
    """Once at the start, and then once in each interval that began."""
    return 2 + int(seconds // damping)


def measure(rig, issuer, arguments, directory, cpus):
    """One p99 beside another for each round; whether nothing went wrong otherwise."""
    good = issuer.token("ada")
    bad = bad_tokens(good, arguments.kinds)
    answers = [rig.status(bearer(token)) for token in bad[: len(KINDS)]]
    if rig.status(bearer(good)) != 200 or rig.status() != 401 or any(answer != 401 for answer in answers):
        raise Failure(f"a good token is answered with {rig.status(bearer(good))}, none with {rig.status()}, bad ones with {answers}")
    addresses = [f"127.0.{number // 250}.{number % 250 + 2}" for number in range(arguments.addresses)]
    ratios, is_good = [], True
    for _ in range(arguments.rounds):
        calm, failed_calm = valid(rig, good, arguments, directory, cpus)
        with Flood(rig.port, bad, addresses, arguments.rate, cpus) as flood:
            beside, failed = valid(rig, good, arguments, directory, cpus)
        ratios.append(beside.p99() / calm.p99())
        is_good &= not failed and not failed_calm and 200 not in flood.statuses
        print(f"calm         {calm.count() / arguments.seconds:8,.0f} valid requests/s, p99 {calm.p99() * 1e3:6.2f} ms; "
              f"other answers: {failed_calm or 'none'}")
        print(f"beside       {beside.count() / arguments.seconds:8,.0f} valid requests/s, p99 {beside.p99() * 1e3:6.2f} ms; "
              f"other answers: {failed or 'none'}; {ratios[-1]:.2f} x calm")
        print(f"flood        {flood.rate:8,.0f} answers/s of {arguments.rate:,} wanted: {dict(flood.statuses)}; "
              f"{flood.closed:,} connections closed, {flood.refused:,} refused", flush=True)
    return ratios, is_good


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--rate", type=int, default=50_000, help="tokens a second that are not good; default: %(default)s")
    parser.add_argument("--valid-rate", type=int, default=2000, help="good requests a second; default: %(default)s")
    parser.add_argument("--connections", type=int, default=16, help="of good requests; default: %(default)s")
    parser.add_argument("--addresses", type=int, default=64, help="that flood, one connection each; default: %(default)s")
    parser.add_argument("--kinds", default=",".join(KINDS), help="what is sent; default: %(default)s")
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="p99 is compared by their median; default: %(default)s")
    parser.add_argument("--bans", action="store_true", help="with `overload.bans`, which is off by default")
    parser.add_argument("--key-set", choices=["file", "url"], default="url",
                        help="where the issuer's keys are: with `url`, who asks for them is counted; default: %(default)s")
    parser.add_argument("--damping", type=int, default=30,
                        help="least seconds between two questions for unknown keys; default: %(default)s")
    parser.add_argument("--base-port", type=int, default=21320, help="first of 4 ports; default: %(default)s")
    arguments = parser.parse_args()
    arguments.kinds = arguments.kinds.split(",")
    if unknown := set(arguments.kinds) - set(KINDS):
        parser.error(f"unknown kinds: {', '.join(unknown)}; there are {', '.join(KINDS)}")
    cpus = _, load_cpus = split_cpus()
    port = arguments.base_port + 3
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        issuer = Issuer(directory / "issuer")
        check_ports([port])
        with KeySetServer(port, issuer.key_set) as server:
            settings = policies(server.settings(arguments.damping) if arguments.key_set == "url" else f"'file:{issuer.key_set}'")
            if arguments.bans:
                settings += "\noverload: { bans: true }"
            with running(arguments.weir, settings, arguments.base_port, cpus, policies="callers") as rig:
                ratios, is_good = measure(rig, issuer, arguments, directory, load_cpus)
    slower = statistics.median(ratios)
    print(f"p99, median of {arguments.rounds} rounds: {slower:.2f} x calm (goal {MOST_SLOWER})")
    if arguments.key_set == "url":
        # Each measurement has a second to warm up.
        most = most_asked(2 * arguments.rounds * (arguments.seconds + 1), arguments.damping)
        print(f"the issuer was asked for its keys {server.asked} times; at most {most} wanted")
        is_good &= 1 <= server.asked <= most
    sys.exit(0 if is_good and slower <= MOST_SLOWER else "flood: missed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"flood: {failure}")
