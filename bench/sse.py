#!/usr/bin/env python3
"""Holds thousands of event streams and measures how long an event takes from the upstream to its client.

The upstream writes events at a steady rate to one stream after another, each with the time at which it was
written; the subscribers compare that with the time at which they read the event's first byte. Both are one
process each, on CPUs of their own, and share the machine's clock.
"""

import argparse
import gc
import resource
import select
import socket
import sys
import time
from pathlib import Path

from load import percentile
from measure import cpu_seconds, resident_bytes
from process import Failure, accepts
from rig import ROOT, running, split_cpus

MOST_P99_SECONDS = 0.005
REQUEST = b"GET /events HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
CONNECT_AT_A_TIME = 250


def serve(port, count, rate):
    """Accepts all streams, then writes `rate` events a second, to one after another."""
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    streams = []
    while len(streams) < count:
        stream, _ = listener.accept()
        head = b""
        while b"\r\n\r\n" not in head:
            piece = stream.recv(65536)
            if not piece:
                break
            head += piece
        if not head:
            # The probe for readiness.
            continue
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.sendall(HEAD)
        streams.append(stream)
    gc.disable()
    begin = time.monotonic()
    sent = 0
    while True:
        due = int((time.monotonic() - begin) * rate)
        while sent < due:
            stream = streams[sent % count]
            sent += 1
            try:
                stream.sendall(b"data: %d\n\n" % time.monotonic_ns())
            except OSError:
                return
        time.sleep(0.0002)


def subscribe(port, count):
    """All subscribers, with the heads of their answers read."""
    streams = {}
    for _ in range(0, count, CONNECT_AT_A_TIME):
        batch = []
        for _ in range(min(CONNECT_AT_A_TIME, count - len(streams))):
            stream = socket.create_connection(("127.0.0.1", port), timeout=30)
            stream.sendall(REQUEST)
            batch.append(stream)
            streams[stream.fileno()] = stream
        for stream in batch:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = stream.recv(1)
                if not piece:
                    raise Failure("a stream ended before it began")
                head += piece
            if not head.startswith(b"HTTP/1.1 200 "):
                raise Failure(f"not an event stream: {head[:200]!r}")
            stream.setblocking(False)
    return streams


def listen(streams, seconds):
    """How long each event took, in seconds, and how many came in all."""
    poll = select.epoll()
    for number in streams:
        poll.register(number, select.EPOLLIN)
    delays = []
    gc.disable()
    begin = time.monotonic()
    while time.monotonic() < begin + seconds:
        for number, _ in poll.poll(0.1):
            piece = streams[number].recv(65536)
            now = time.monotonic_ns()
            if not piece:
                raise Failure("a stream ended")
            for line in piece.split(b"\n"):
                if line.startswith(b"data: "):
                    delays.append((now - int(line[6:])) / 1e9)
    gc.enable()
    return delays


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--subscribers", type=int, default=5_000, help="default: %(default)s")
    parser.add_argument("--rate", type=int, default=2_000, help="events a second in all; default: %(default)s")
    parser.add_argument("--seconds", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--base-port", type=int, default=21380, help="first of 3 ports; default: %(default)s")
    parser.add_argument("--direct", action="store_true", help="without Weir: what the measuring itself takes")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if arguments.serve:
        return serve(arguments.serve, arguments.subscribers, arguments.rate)

    def upstream(port):
        command = [sys.executable, str(Path(__file__)), "--serve", str(port)]
        return [*command, f"--subscribers={arguments.subscribers}", f"--rate={arguments.rate}"], accepts(port)

    with running(arguments.weir, "", arguments.base_port, split_cpus(), upstream, most_upstream=20_000) as rig:
        before = resident_bytes(rig.pids())
        streams = subscribe(arguments.base_port if arguments.direct else rig.port, arguments.subscribers)
        held = (resident_bytes(rig.pids()) - before) / arguments.subscribers
        spent = cpu_seconds(rig.pids())
        delays = sorted(listen(streams, arguments.seconds))
        spent = cpu_seconds(rig.pids()) - spent
    if len(delays) < arguments.rate * arguments.seconds * 0.9:
        raise Failure(f"only {len(delays)} events in {arguments.seconds} s")
    p50, p99 = percentile(delays, 50), percentile(delays, 99)
    print(f"{arguments.subscribers} subscribers, {len(delays)} events: p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, "
          f"most {delays[-1] * 1e3:.2f} ms; {spent / len(delays) * 1e6:.1f} us of CPU an event, {held / 1024:.1f} KiB a stream")
    sys.exit(0 if p99 <= MOST_P99_SECONDS else "sse: missed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"sse: {failure}")
