"""Requests with tokens that are not good, from other addresses than 127.0.0.1, as many as are wanted or as go."""

import base64
import collections
import json
import multiprocessing
import os
import re
import secrets
import selectors
import socket
import time

# Each is sent again when all were: far more than anything that keeps refused tokens in mind would have room for.
TOKENS = 20_000
# Requests that are sent in one go over one connection, and waited for.
TOGETHER = 16
STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d) ")
STATUS_BYTES = len(b"HTTP/1.1 200 ")
KINDS = {
    "unknown-key": "a well-formed token whose key id is made up, another one each time",
    "signature": "the right key id and claims, and a signature by nobody",
    "garbage": "no token at all",
}


def bad_tokens(good, kinds, count=TOKENS):
    """In turn one of each kind."""
    header, claims, signature = good.split(".")
    length = len(base64.urlsafe_b64decode(signature + "=="))
    original = json.loads(base64.urlsafe_b64decode(header + "=="))

    def text(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def unknown_key():
        made_up = json.dumps(original | {"kid": secrets.token_hex(8)}).encode()
        return f"{text(made_up)}.{claims}.{text(secrets.token_bytes(length))}"

    make = {
        "unknown-key": unknown_key,
        # The first byte keeps it below the modulus, so that it is worth a calculation.
        "signature": lambda: f"{header}.{claims}.{text(bytes(1) + secrets.token_bytes(length - 1))}",
        "garbage": lambda: secrets.token_urlsafe(64),
    }
    return [make[kinds[number % len(kinds)]]() for number in range(count)]


class Flood:
    """A context manager; afterwards `statuses` are the answers by status, `closed` and `refused` the connections that ended
    or did not come about, and `rate` the answers a second."""

    def __init__(self, port, tokens, addresses, rate, cpus):
        self._arguments = port, tokens, addresses, rate, cpus
        self.statuses, self.closed, self.refused, self.rate = collections.Counter(), 0, 0, 0

    def __enter__(self):
        self._ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("fork").Process(target=_send, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        return self

    def __exit__(self, *_error):
        self._ours.send("enough")
        if self._ours.poll(30):
            self.statuses, self.closed, self.refused, seconds = self._ours.recv()
            self.rate = sum(self.statuses.values()) / seconds
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


class Connection:
    def __init__(self, address, port):
        self.address, self._port = address, port
        self.socket = None
        self.waits_for = 0
        self._tail = b""

    def open(self):
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=5, source_address=(self.address, 0))
        self.waits_for, self._tail = 0, b""

    def send(self, block, count):
        # Nothing is under way, so that there is room for all of it.
        self.socket.sendall(block)
        self.waits_for = count

    def receive(self):
        """Statuses that came; none if the other side closed."""
        data = self.socket.recv(1 << 18)
        if not data:
            return None
        found = STATUS.findall(self._tail + data)
        # One that is cut is seen with the next bytes, and none is seen twice.
        self._tail = (self._tail + data)[-(STATUS_BYTES - 1):]
        self.waits_for -= len(found)
        return found

    def close(self):
        self.socket.close()
        self.socket = None


def _send(pipe, port, tokens, addresses, rate, cpus):
    # Whoever measures goes before, at once: beside a process that is merely nice it would wait for the rest of that one's slice.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    if cpus:
        os.sched_setaffinity(0, cpus)
    requests = [f"GET /small HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode() for token in tokens]
    blocks = [b"".join(requests[at : at + TOGETHER]) for at in range(0, len(requests) - TOGETHER + 1, TOGETHER)]
    connections = [Connection(address, port) for address in addresses]
    statuses, closed, refused, sent = collections.Counter(), 0, 0, 0
    begin = time.monotonic()
    with selectors.DefaultSelector() as selector:
        while not pipe.poll():
            allowed = rate * (time.monotonic() - begin)
            for connection in connections:
                if sent + TOGETHER > allowed:
                    break
                if connection.waits_for > 0:
                    continue
                try:
                    if connection.socket is None:
                        connection.open()
                        selector.register(connection.socket, selectors.EVENT_READ, connection)
                    connection.send(blocks[sent // TOGETHER % len(blocks)], TOGETHER)
                except OSError:
                    refused += 1
                    if connection.socket is not None:
                        selector.unregister(connection.socket)
                        connection.close()
                sent += TOGETHER
            # Those served last come last.
            connections = connections[1:] + connections[:1]
            for key, _ in selector.select(0.001):
                connection = key.data
                try:
                    found = connection.receive()
                except OSError:
                    found = None
                if found is None:
                    closed += 1
                    selector.unregister(connection.socket)
                    connection.close()
                    connection.waits_for = 0
                else:
                    statuses.update(int(status) for status in found)
    pipe.send((statuses, closed, refused, time.monotonic() - begin))
