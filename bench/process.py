"""Servers as child processes: started, waited for and ended by their own process id."""

import http.client
import os
import select
import signal
import socket
import subprocess
import time

from measure import pin, process_tree

START_SECONDS = 30
STOP_SECONDS = 5


class Failure(Exception):
    """The benchmark cannot go on; the text says why."""


def check_ports(ports):
    """Fails if a port of 127.0.0.1 is taken: we would measure somebody else's server."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise Failure(f"port {port} is not free: {error.strerror}; choose others with --base-port") from None


class Server:
    """One server and its descendants. A context manager: on leaving, all of them are gone."""

    def __init__(self, name, command, ports, ready, directory, cpus):
        self.name = name
        self._command = command
        self._ports = ports
        self._ready = ready
        self._directory = directory
        self._cpus = cpus
        self._process = None
        self.start_seconds = None

    def __enter__(self):
        check_ports(self._ports)
        log = open(self._directory / "output.log", "wb")
        begin = time.perf_counter()
        with log:
            self._process = subprocess.Popen(
                self._command, cwd=self._directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=pin(self._cpus), start_new_session=True,
            )
        try:
            self._wait_until_ready(begin + START_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        self.start_seconds = time.perf_counter() - begin
        return self

    def __exit__(self, *_error):
        tree = process_tree(self._process.pid)
        self._process.terminate()
        try:
            self._process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        for pid in tree:
            _kill_if_in_session(pid, self._process.pid)
        self._process.wait()

    def kill(self):
        """Ends it as a crash would. It can be entered again."""
        for pid in process_tree(self._process.pid):
            _kill_if_in_session(pid, self._process.pid)
        self._process.wait()

    def pids(self):
        """The server and its descendants, as of now."""
        if self._process.poll() is not None:
            raise Failure(f"{self.name} ended with status {self._process.returncode}: {self._last_words()}")
        return process_tree(self._process.pid)

    def _wait_until_ready(self, deadline):
        while not self._ready():
            if self._process.poll() is not None:
                raise Failure(f"{self.name} did not start: {self._last_words()}")
            if time.perf_counter() > deadline:
                raise Failure(f"{self.name} was not ready after {START_SECONDS} s: {self._last_words()}")
            time.sleep(0.002)

    def _last_words(self):
        return (self._directory / "output.log").read_text(errors="replace")[-2000:].strip() or "it said nothing"


def _kill_if_in_session(pid, session):
    """Ends a leftover of the server and waits for its end.

    The session is checked, for its pid may be somebody else's by now.
    """
    try:
        if os.getsid(pid) != session:
            return
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        # Readable when the process has ended.
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll(STOP_SECONDS * 1000)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def accepts(*ports):
    """Readiness of a server that is ready as soon as it listens."""

    def ready():
        for port in ports:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) != 0:
                    return False
        return True

    return ready


def answers(port, path):
    """Readiness of a server that says so by 200 on a path."""

    def ready():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready
