"""Clients that open requests and abandon them as fast as they can, in front of servers that never answer.

`abandon.py [--requests 1000000] [--weir target/release/weir]` starts the gateway with every limit of its
upstream set (breaker, bulkhead, hedges, deadline) and goes on until it has seen that many requests
abandoned while they were under way: half of those sent are HTTP/1.1 connections that end once their
request is sent, half are HTTP/2 streams that are reset. It prints how memory and descriptors went, and
fails if anything is left: requests under way, places, a queue, connections of servers, or memory that
grows with the number of requests.
"""

import argparse
import selectors
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

# Steps in which the work is done; the first ones warm up.
STEPS = 20
WARM = 4
# KiB that the process may grow by after that: buffers and the allocator's slack, not a part of each request.
ALLOWED_KIB = 8 * 1024
# Requests that are sent before the gateway is asked what it saw.
ROUND = 2_000
# HTTP/2 streams per connection: a client that resets too many is sent away.
STREAMS = 50
HTTP1_AT_A_TIME = 64
PATIENCE = 30

CONFIG = """\
workers: 2
admin: {{ address: 127.0.0.1:{admin} }}
data: {directory}/data
log: {{ access: false }}
listeners: [{{ address: "127.0.0.1:{http}" }}]
upstreams:
  silent:
    targets: ["127.0.0.1:{first}", "127.0.0.1:{second}"]
    health: {{ passive: false }}
    breaker: {{ window: 2s, slow_call: 5s, open_for: 1s }}
    concurrency: {{ limit: 500, queue: 500, wait: 1s }}
    hedge: {{ after: 2ms, attempts: 1 }}
    timeouts: {{ total: 5s }}
routes:
  - {{ name: all, upstream: silent }}
"""


class SilentServer:
    """Accepts, reads and never answers."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self._listener.getsockname()[1]
        self.open = 0
        self.seen = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        selector = selectors.DefaultSelector()
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is self._listener:
                    try:
                        connection, _ = self._listener.accept()
                    except BlockingIOError:
                        continue
                    connection.setblocking(False)
                    selector.register(connection, selectors.EVENT_READ)
                    self.open += 1
                    continue
                try:
                    piece = key.fileobj.recv(65536)
                except BlockingIOError:
                    continue
                except OSError:
                    piece = b""
                if piece:
                    self.seen += 1
                    continue
                selector.unregister(key.fileobj)
                key.fileobj.close()
                self.open -= 1


def http1(port, count):
    """Connections that end, half of them with a reset, once their request is sent."""
    request = b"GET /abandoned HTTP/1.1\r\nHost: a.test\r\n\r\n"
    reset = struct.pack("ii", 1, 0)
    for start in range(0, count, HTTP1_AT_A_TIME):
        connections = []
        for at in range(min(HTTP1_AT_A_TIME, count - start)):
            connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            if at % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            connection.sendall(request)
            connections.append(connection)
        for connection in connections:
            connection.close()


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def http2(port, count):
    """Streams that are reset once their request is sent."""
    # Indexed fields of HPACK's static table (RFC 7541, appendix A): GET, http, /; and a literal authority.
    head = bytes([0x82, 0x86, 0x84, 0x01, 0x06]) + b"a.test"
    for start in range(0, count, STREAMS):
        pieces = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame(4, 0, 0)]
        streams = [1 + 2 * at for at in range(min(STREAMS, count - start))]
        pieces += [frame(1, 0x5, stream, head) for stream in streams]
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(b"".join(pieces))
            # The settings' acknowledgement says that the gateway is at work.
            connection.recv(65536)
            connection.sendall(b"".join(frame(3, 0, stream, struct.pack(">I", 8)) for stream in streams))


def metrics(admin):
    text = urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=PATIENCE).read().decode()
    values = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            name = series.split("{")[0]
            values[series] = float(value)
            values[name] = values.get(name, 0) + (float(value) if name != series else 0)
    return values


LEFT = ["weir_upstream_in_flight", "weir_upstream_concurrency_in_use", "weir_upstream_concurrency_queued",
        "weir_connections_open"]
ABANDONED = 'weir_answers_total{reason="client_closed"}'


def left(admin, servers):
    """What is still there after all clients have gone."""
    values = metrics(admin)
    found = {name: values[name] for name in LEFT if values[name]}
    if any(server.open for server in servers):
        found["connections of servers"] = sum(server.open for server in servers)
    return found


def wait_calm(admin, servers):
    end = time.monotonic() + PATIENCE
    while found := left(admin, servers):
        if time.monotonic() > end:
            return found
        time.sleep(0.05)
    return {}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def run(weir, requests, directory):
    servers = [SilentServer(), SilentServer()]
    admin, http = free_port(), free_port()
    path = Path(directory) / "weir.yaml"
    path.write_text(CONFIG.format(admin=admin, http=http, directory=directory,
                                  first=servers[0].port, second=servers[1].port))
    process = subprocess.Popen([weir, "run", "-c", str(path)], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                metrics(admin)
                break
            except OSError:
                if time.monotonic() > end or process.poll() is not None:
                    sys.exit("abandon: weir does not answer")
                time.sleep(0.05)
        return work(admin, http, servers, requests)
    finally:
        process.kill()
        process.wait()


def work(admin, http, servers, requests):
    warm, sent = None, 0
    begun = time.monotonic()
    for step in range(1, STEPS + 1):
        while metrics(admin)[ABANDONED] < requests * step // STEPS:
            http1(http, ROUND // 2)
            http2(http, ROUND // 2)
            sent += ROUND
            if sent > requests * 20:
                print(f"{sent} requests were sent, and {metrics(admin)[ABANDONED]:.0f} seen")
                return 1
        if found := wait_calm(admin, servers):
            print(f"left behind: {found}")
            return 1
        values = metrics(admin)
        memory = values["process_resident_memory_bytes"] / 1024
        warm = memory if step == WARM else warm
        print(f"{values[ABANDONED]:>9.0f} requests: {memory:8.0f} KiB, {values['process_open_fds']:.0f} descriptors, "
              f"{sum(server.seen for server in servers)} reached a server, "
              f"{values['weir_upstream_hedges_total']:.0f} hedges", flush=True)
    values = metrics(admin)
    grown = values["process_resident_memory_bytes"] / 1024 - warm
    took = time.monotonic() - begun
    print(f"{values[ABANDONED]:.0f} requests abandoned while they were under way, of {sent} sent, in {took:.0f} s; nothing "
          f"is left; {grown:.0f} KiB more than after {WARM * requests // STEPS}")
    if grown > ALLOWED_KIB:
        print(f"memory grows: more than {ALLOWED_KIB} KiB")
        return 1
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--weir", default="target/release/weir")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weir-abandon-") as directory:
        sys.exit(run(arguments.weir, arguments.requests, directory))


if __name__ == "__main__":
    main()
