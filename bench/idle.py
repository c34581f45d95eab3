"""Keep-alive connections that stay idle: each has had one answer and waits for its next request.

As a program, `idle.py PORT COUNT PATH` opens them, says `ready`, waits for a line on stdin, uses every
connection once more, says how many still worked, and ends.
"""

import socket
import subprocess
import sys
from pathlib import Path

from measure import pin
from process import Failure
from work import SMALL_BODY

SECONDS = 30


class IdleConnections:
    """A child process that holds `count` connections. Leaving the context closes them."""

    def __init__(self, port, count, path, cpus):
        self._command = [sys.executable, str(Path(__file__)), str(port), str(count), path]
        self._count = count
        self._cpus = cpus

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=pin(self._cpus)
        )
        if self._process.stdout.readline() != "ready\n":
            self.__exit__()
            raise Failure(f"could not open {self._count} idle connections")
        return self

    def __exit__(self, *_error):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def mistakes(self):
        """Uses each connection once more; a server that saves memory by closing them gets no figure."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        alive = int(self._process.stdout.readline() or 0)
        return [] if alive == self._count else [f"{self._count - alive} of {self._count} idle connections were closed"]


def _exchange(connection, request):
    """Sends the request and reads its whole answer; false if it is not the expected one."""
    answer = b""
    try:
        connection.sendall(request)
        while not answer.endswith(SMALL_BODY):
            piece = connection.recv(65536)
            if not piece:
                return False
            answer += piece
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.1 200")


def main():
    port, count, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    connections = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        connections.append(connection)
        if not _exchange(connection, request):
            sys.exit("idle: no answer")
    print("ready", flush=True)
    if sys.stdin.readline():
        print(sum(_exchange(connection, request) for connection in connections), flush=True)


if __name__ == "__main__":
    main()
