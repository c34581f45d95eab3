#!/usr/bin/env python3
"""Thousands of WebSockets that echo numbered messages while the configuration is reloaded and the binary upgraded.

`reload`: every socket keeps a few messages on their way, and meanwhile the configuration changes several times,
up to a route of another name. Nothing may be lost, come twice or come in another order. `upgrade`: the same
during `weir upgrade`. The old process serves its sockets until the end of its drain and then closes each of
them with 1001; clients connect again, which brings them to the successor, and send again what was not
answered. No socket may end without a close frame.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import cpu_seconds, resident_bytes
from process import Failure, Server, accepts, answers
from rig import ROOT, split_cpus

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT_OR_BINARY = (1, 2)
BINARY, CLOSE = 2, 8
# Messages of each socket that are on their way at a time.
WINDOW = 2
# Bytes that messages have beside their numbers, by turns: each form of a frame's length but the longest.
SIZES = (0, 60, 200, 1_000)
# Sockets that are opened side by side.
OPENING = 100
RELOADS = 4
MOST_KIB = 30
PATIENCE = 60

WEIR = """
workers: 1
drain_timeout: {drain}s
admin: {{ address: 127.0.0.1:{admin} }}
log: {{ level: warn, access: false, output: "file:{directory}/weir.log" }}
listeners: [{{ address: 127.0.0.1:{port} }}]
limits: {{ connections: {most} }}
upstreams:
  echo: {{ targets: [127.0.0.1:{echo}], pool: {{ max_connections: {most} }} }}
routes:
  - {{ name: {name}, match: {{ path: /* }}, upstream: echo, websocket: {{ idle: {idle} }} }}
"""


def mask(key, payload):
    length = len(payload)
    keys = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(length, "big")


def frame(opcode, payload, key=b""):
    """A whole frame; with a key it is a client's."""
    bit, length = (0x80 if key else 0), len(payload)
    if length < 126:
        head = bytes((0x80 | opcode, bit | length))
    else:
        head = struct.pack(">BBH", 0x80 | opcode, bit | 126, length)
    return head + key + (mask(key, payload) if key else payload)


class Frames(asyncio.Protocol):
    """Reads a handshake, then frames. Every frame of this program is whole and shorter than 64 KiB."""

    def __init__(self):
        self.transport = None
        self._input = b""
        self._is_open = False

    def opened(self, head):
        """Tells whether frames follow."""
        raise NotImplementedError

    def came(self, opcode, payload):
        raise NotImplementedError

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self._input += data
        if not self._is_open:
            head, end, rest = self._input.partition(b"\r\n\r\n")
            if not end:
                return
            self._is_open = self.opened(head.decode())
            self._input = rest if self._is_open else b""
        data, at = self._input, 0
        while len(data) - at >= 2:
            first, second = data[at], data[at + 1]
            begin, length = at + 2, second & 0x7F
            if length == 126:
                length = int.from_bytes(data[begin : begin + 2], "big")
                begin += 2
            key = b""
            if second & 0x80:
                key = data[begin : begin + 4]
                begin += 4
            if len(data) < begin + length:
                break
            payload = data[begin : begin + length]
            at = begin + length
            self.came(first & 0x0F, mask(key, payload) if key else payload)
        self._input = data[at:]


class Echo(Frames):
    """The target's side: sends every message back behind the number of its answer."""

    def __init__(self):
        super().__init__()
        self._answered = 0

    def opened(self, head):
        key = next(line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept.encode()
        )
        return True

    def came(self, opcode, payload):
        if opcode in TEXT_OR_BINARY:
            self.transport.write(frame(opcode, struct.pack(">Q", self._answered) + payload))
            self._answered += 1
        elif opcode == CLOSE:
            self.transport.write(frame(CLOSE, payload))
            self.transport.close()


class Refused(Exception):
    """A WebSocket could not be opened."""


class Counts:
    """What became of the messages of all sockets."""

    def __init__(self):
        self.sent = self.echoed = self.wrong = self.again = 0
        self.told = self.cut = self.refused = 0
        self.mistakes = []
        self.is_stopping = False


class Client(Frames):
    """A socket. `first` is the number of its first message: what an earlier one had answered is not sent again."""

    def __init__(self, counts, number, first, opened, ended):
        super().__init__()
        self._counts, self._number = counts, number
        self._next, self._expected, self._answers = first, first, 0
        self._opened, self._ended = opened, ended
        self._key = random.randbytes(4)
        self._is_told = False

    def connection_made(self, transport):
        super().connection_made(transport)
        key = base64.b64encode(random.randbytes(16)).decode()
        transport.write(
            f"GET /{self._number} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def opened(self, head):
        status = head.split("\r\n")[0]
        is_open = " 101 " in status
        if is_open:
            self._opened.set_result(self)
        else:
            self._opened.set_exception(Refused(status))
            self.transport.abort()
        return is_open

    def _message(self, number):
        return struct.pack(">II", self._number, number) + bytes(SIZES[number % len(SIZES)])

    def send(self):
        self.transport.write(frame(BINARY, self._message(self._next), self._key))
        self._next += 1
        self._counts.sent += 1

    def fill(self):
        while self._next - self._expected < WINDOW:
            self.send()

    def came(self, opcode, payload):
        if opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big")
            self._is_told = code in (1000, 1001)
            self.transport.write(frame(CLOSE, payload, self._key))
            self.transport.close()
        elif opcode in TEXT_OR_BINARY:
            self._counts.echoed += 1
            if payload != struct.pack(">Q", self._answers) + self._message(self._expected):
                self._counts.wrong += 1
            self._answers += 1
            self._expected += 1
            if not self._counts.is_stopping:
                self.send()

    @property
    def unanswered(self):
        return self._next - self._expected

    def connection_lost(self, _error):
        if not self._is_open:
            if not self._opened.done():
                self._opened.set_exception(Refused("no answer to a handshake"))
            return
        self._counts.told += self._is_told
        self._counts.cut += not self._is_told
        self._ended(self._number, self._expected, self.unanswered)


class Sockets:
    """All of them."""

    def __init__(self, port, count):
        self._port, self._count = port, count
        self.counts = Counts()
        self._open = {}
        self._coming_back = set()
        self._gate = asyncio.Semaphore(OPENING)

    async def _connect(self, number, first=0):
        loop = asyncio.get_running_loop()
        opened = loop.create_future()
        async with self._gate:
            make = lambda: Client(self.counts, number, first, opened, self._ended)
            await loop.create_connection(make, "127.0.0.1", self._port)
            self._open[number] = await asyncio.wait_for(opened, PATIENCE)

    async def open(self):
        await asyncio.gather(*(self._connect(number) for number in range(self._count)))

    def _ended(self, number, first, unanswered):
        del self._open[number]
        if self.counts.is_stopping and not unanswered:
            return
        # Said to nobody who could answer: it is said again.
        self.counts.sent -= unanswered
        self.counts.again += unanswered
        task = asyncio.ensure_future(self._come_back(number, first))
        self._coming_back.add(task)
        task.add_done_callback(self._coming_back.discard)

    async def _come_back(self, number, first):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                await self._connect(number, first)
                break
            except (OSError, Refused, asyncio.TimeoutError) as error:
                # All come back together, which may be more than a worker takes: those who came too many wait.
                self.counts.refused += 1
                if "503" not in str(error) or time.monotonic() > deadline:
                    return self.counts.mistakes.append(str(error))
                await asyncio.sleep(random.uniform(0.5, 1.5))
        # Handshakes would stand behind thousands of messages here, in the client.
        if self.are_all_open():
            self._fill()

    def talk(self):
        self.counts.is_stopping = False
        self._fill()

    def _fill(self):
        for socket in self._open.values():
            socket.fill()

    async def settle(self):
        """Says nothing new and waits for what is on its way."""
        self.counts.is_stopping = True
        unanswered = lambda: sum(socket.unanswered for socket in self._open.values())
        await until(lambda: not unanswered() and not self._coming_back)

    def are_all_open(self):
        return len(self._open) == self._count


async def until(condition, seconds=PATIENCE):
    """Waits as long as that; what is missing then shows in the counts."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)


def report(name, counts, extra=""):
    lost = counts.sent - counts.echoed
    print(f"{name}: {counts.sent:,} sent, {counts.echoed:,} echoed, {lost} lost, {counts.wrong} reordered or changed{extra}",
          flush=True)
    for mistake in counts.mistakes[:5]:
        print(f"  {mistake}", flush=True)
    return counts.sent > 0 and lost == 0 and counts.wrong == 0 and not counts.mistakes


async def reload(stage, sockets, seconds):
    counts = sockets.counts
    sockets.talk()
    for turn in range(RELOADS):
        await asyncio.sleep(seconds / (RELOADS + 1))
        # The last ones have no route of the sockets' name any more.
        stage.configure(idle=f"{turn + 6}m", name="all" if turn < RELOADS // 2 else f"other{turn}")
        await stage.command("reload")
    await asyncio.sleep(seconds / (RELOADS + 1))
    await sockets.settle()
    is_good = report("reload", counts, f"; {RELOADS} reloads, {counts.told + counts.cut} sockets ended")
    return is_good and counts.told + counts.cut == 0


async def upgrade(stage, sockets, seconds):
    sockets.counts.__init__()
    counts = sockets.counts
    sockets.talk()
    await asyncio.sleep(1)
    first = stage.serving()
    await stage.command("upgrade")
    if stage.serving() == first:
        raise Failure("the upgrade did not take place")
    before = counts.echoed
    await until(lambda: counts.told + counts.cut > 0)
    drained = counts.echoed - before
    await until(lambda: not alive(first))
    await until(sockets.are_all_open)
    await asyncio.sleep(seconds / 5)
    await sockets.settle()
    is_good = report("upgrade", counts, f"; {drained:,} echoed by the old process while it drained, then {counts.told:,} sockets "
                     f"closed with 1001, {counts.cut} cut; {counts.again:,} messages that were on their way sent again; {counts.refused:,} handshakes refused for load, and repeated")
    return is_good and drained > 0 and counts.cut == 0 and sockets.are_all_open()


def alive(pid):
    """Whether it runs; our own child stays in the table until it is waited for."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


class Stage:
    """Weir and the server that echoes."""

    def __init__(self, arguments, directory):
        self._weir, self._directory = str(arguments.weir.resolve()), directory
        names = ("echo", "port", "admin")
        self.ports = {name: arguments.base_port + at for at, name in enumerate(names)}
        self._values = {**self.ports, "directory": directory, "most": arguments.sockets + 1_000,
                        "drain": arguments.seconds}
        self._path = directory / "weir.yaml"
        self._options = ["-c", str(self._path), "--data-dir", str(directory / "data")]
        self.configure()

    def configure(self, idle="5m", name="all"):
        # As a whole: Weir looks at the file by itself, too.
        new = self._path.with_suffix(".new")
        new.write_text(WEIR.format(**self._values, idle=idle, name=name))
        new.replace(self._path)

    def serving(self):
        return int((self._directory / "data" / "weir.pid").read_text())

    async def command(self, name):
        command = [self._weir, name, *self._options]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise Failure(f"weir {name}: {done.stderr.strip()}")

    def processes(self):
        """The target, then Weir."""
        proxy_cpus, load_cpus = split_cpus()
        echo = [sys.executable, str(Path(__file__)), "--serve", str(self.ports["echo"])]
        for name in ("echo", "proxy"):
            (self._directory / name).mkdir()
        return (
            Server("echo server", echo, [self.ports["echo"]], accepts(self.ports["echo"]), self._directory / "echo", load_cpus),
            Server("Weir", [self._weir, "run", *self._options], [self.ports["port"], self.ports["admin"]],
                   answers(self.ports["admin"], "/readyz"), self._directory / "proxy", proxy_cpus),
        )

    @contextlib.contextmanager
    def running(self):
        echo, weir = self.processes()
        with echo, weir:
            try:
                yield
            finally:
                # After an upgrade it is no child of ours.
                with contextlib.suppress(OSError, ValueError):
                    os.kill(self.serving(), signal.SIGKILL)


async def run(arguments, stage):
    sockets = Sockets(stage.ports["port"], arguments.sockets)
    pid = stage.serving()
    before = resident_bytes([pid])
    await sockets.open()
    # The handshakes' buffers go back first.
    await asyncio.sleep(1)
    idle = (resident_bytes([pid]) - before) / 1024 / arguments.sockets
    begin = cpu_seconds([pid])
    is_good = await reload(stage, sockets, arguments.seconds)
    each = (cpu_seconds([pid]) - begin) / max(1, sockets.counts.echoed)
    after = (resident_bytes([pid]) - before) / 1024 / arguments.sockets
    print(f"memory: {arguments.sockets:,} sockets, {idle:.1f} KiB each (at most {MOST_KIB}), {after:.1f} after the messages; "
          f"{each * 1e6:.1f} µs of Weir for a message there and back", flush=True)
    is_good &= idle <= MOST_KIB
    return await upgrade(stage, sockets, arguments.seconds) and is_good


async def serve(port):
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", type=Path, default=ROOT / "target/release/weir", help="default: %(default)s")
    parser.add_argument("--sockets", type=int, default=5_000, help="default: %(default)s")
    parser.add_argument("--seconds", type=int, default=10, help="of each part, and of the drain; default: %(default)s")
    parser.add_argument("--base-port", type=int, default=21380, help="first of 3 ports; default: %(default)s")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not 1 <= arguments.sockets <= 20_000 or not 5 <= arguments.seconds <= 600:
        parser.error("--sockets must be from 1 to 20000, --seconds from 5 to 600")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if arguments.serve:
        return asyncio.run(serve(arguments.serve))
    if not arguments.weir.is_file():
        raise Failure(f"{arguments.weir} is not there; run cargo build --release")
    _, load_cpus = split_cpus()
    directory = Path(tempfile.mkdtemp(prefix="weir-bench-"))
    try:
        stage = Stage(arguments, directory)
        with stage.running():
            os.sched_setaffinity(0, load_cpus)
            is_good = asyncio.run(run(arguments, stage))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit(0 if is_good else "websockets: missed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"websockets: {failure}")
