"""Load generators and the check of a sample. Every way in which a run can go wrong ends in `mistakes`."""

import hashlib
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from measure import pin
from process import Failure
from work import GRPC_BODY, TLS_CIPHER, TLS_GROUP, UNROUTED_PATH

WRK_CONNECTIONS = 64
# As many requests in flight as streams times connections: what a few proxies or browsers would hold.
H2_CONNECTIONS = 16
H2_STREAMS = 10
# Head of an answer; more would mean that something else than the body came.
MOST_HEAD_BYTES = 1024


@dataclass
class Outcome:
    """What the load generator saw. Latencies in seconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    mistakes: list = field(default_factory=list)


def run_load(row, url, seconds, environment, cpus, directory, credentials=None):
    """Loads the server for `seconds` and returns an Outcome."""
    if row.protocol.startswith("h2"):
        return _run_h2load(row, url, seconds, environment, cpus, directory)
    return _run_wrk(row, url, seconds, environment, cpus, directory, credentials)


def _run(command, seconds, environment, cpus):
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=seconds + 30, preexec_fn=pin(cpus),
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"{command[0]} did not end") from None
    if done.returncode != 0:
        raise Failure(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def _run_wrk(row, url, seconds, environment, cpus, directory, credentials):
    script = Path(__file__).with_name("wrk.lua")
    fields = []
    if credentials:
        file = directory / "fields"
        file.write_text("".join(f"{line}\n" for line in credentials.good))
        fields = [f"@{file}"]
    output = _run(
        ["wrk", "-t1", f"-c{WRK_CONNECTIONS}", f"-d{seconds}s", "--timeout", "5s", "-s", str(script), url, "--",
         *row.paths(), *fields],
        seconds, environment, cpus,
    )
    result = json.loads(re.search(r"^RESULT (.*)$", output, re.M)[1])
    mistakes = [
        f"{result[kind]} {text}"
        for kind, text in (("connect", "failed connects"), ("read", "read errors"), ("write", "write errors"),
                           ("status", "answers of 400 and above"), ("timeout", "timeouts"))
        if result[kind]
    ]
    requests = result["requests"]
    if requests == 0:
        return Outcome(0, seconds, 0, 0, [*mistakes, "no request was answered"])
    # wrk counts the bytes of unfinished answers too, hence no upper bound on the last ones in flight.
    surplus = WRK_CONNECTIONS * len(row.body)
    if not len(row.body) * requests <= result["bytes"] <= (len(row.body) + MOST_HEAD_BYTES) * requests + surplus:
        mistakes.append(f"{result['bytes'] / requests:.0f} bytes an answer")
    return Outcome(requests, result["microseconds"] / 1e6, result["p50"] / 1e6, result["p99"] / 1e6, mistakes)


def _run_h2load(row, url, seconds, environment, cpus, directory):
    log = directory / "h2load.log"
    log.unlink(missing_ok=True)
    asked = []
    if row.grpc:
        (directory / "message").write_bytes(GRPC_BODY)
        asked = [f"--data={directory}/message", "--header=content-type: application/grpc", "--header=te: trailers"]
    output = _run(
        ["h2load", "-t1", f"-c{H2_CONNECTIONS}", f"-m{H2_STREAMS}", f"-D{seconds}", f"--log-file={log}", *asked,
         f"--tls13-ciphers={TLS_CIPHER}", f"--groups={TLS_GROUP}", *(url + path for path in row.paths())],
        seconds, environment, cpus,
    )
    counts = re.search(
        r"^requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
        output, re.M,
    )
    _total, finished, succeeded, _failed, errored, timeouts = map(int, counts.groups())
    mistakes = []
    if not row.tls and "Application protocol: h2c" not in output:
        mistakes.append("HTTP/2 was not spoken")
    elif row.tls and "Application protocol: h2" not in output:
        mistakes.append("HTTP/2 was not negotiated")
    if row.tls and f"Cipher: {TLS_CIPHER}" not in output:
        mistakes.append(f"{TLS_CIPHER} was not negotiated")
    # Counts heads, those of unfinished answers too.
    good, *bad = map(int, re.search(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output, re.M).groups())
    if finished == 0:
        return Outcome(0, seconds, 0, 0, [*mistakes, "no request was answered"])
    if good < finished or succeeded < finished or any(bad):
        mistakes.append(f"{max(finished - min(good, succeeded), *bad)} answers other than 2xx")
    if errored or timeouts:
        mistakes.append(f"{errored} errors, {timeouts} timeouts")
    body_bytes = int(re.search(r"^traffic: .*\((\d+)\) data$", output, re.M)[1])
    surplus = H2_CONNECTIONS * H2_STREAMS * len(row.body)
    if not len(row.body) * finished <= body_bytes <= len(row.body) * finished + surplus:
        mistakes.append(f"{body_bytes / finished:.0f} body bytes an answer")
    # Each line: start, status, duration in microseconds.
    durations = sorted(int(line.split()[2]) for line in log.read_text().splitlines())
    log.unlink()
    return Outcome(finished, seconds, percentile(durations, 50) / 1e6, percentile(durations, 99) / 1e6, mistakes)


def percentile(ordered, percent):
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def check_sample(row, url, environment, certificate, credentials=None):
    """One request by curl, or by gRPC's own client, which share no code with the load: status and body's hash. With
    credentials also that those are refused which are not good."""
    if row.grpc:
        return _check_call(row, url, environment)
    mistakes = []
    version = "2" if row.protocol.startswith("h2") else "1.1"
    path = row.paths()[-1]
    field = credentials.good[-1] if credentials else None
    seen_version, status, body = _curl(row, url + path, environment, certificate, field)
    if (seen_version, status) != (version, "200"):
        mistakes.append(f"sample: HTTP/{seen_version} {status} in place of HTTP/{version} 200")
    if hashlib.sha256(body).hexdigest() != row.body_hash:
        mistakes.append(f"sample: wrong body of {len(body)} bytes")
    if row.routes:
        _version, status, _body = _curl(row, url + UNROUTED_PATH, environment, certificate)
        if status != "404":
            mistakes.append(f"sample: {status} for a path that has no route")
    for name, bad in credentials.bad.items() if credentials else ():
        _version, status, _body = _curl(row, url + path, environment, certificate, bad)
        if status not in ("401", "403"):
            mistakes.append(f"sample: {status} for {name}")
    return mistakes


def _curl(row, url, environment, certificate, field=None):
    version = "--http2" if row.protocol.startswith("h2") else "--http1.1"
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", version, "--max-time", "5", "--cacert", str(certificate.chain),
         "-w", "%{stderr}RESULT %{http_version} %{http_code}\n", *(["-H", field] if field else []), url],
        env=environment, capture_output=True, timeout=10, stdin=subprocess.DEVNULL,
    )
    result = re.search(rb"^RESULT (\S+) (\d+)$", done.stderr, re.M)
    if done.returncode != 0 or not result:
        return "?", done.stderr.decode(errors="replace").strip(), b""
    return result[1].decode(), result[2].decode(), done.stdout


# The message that comes back, in gRPC's frame again; an error says which status.
CALL = """
import sys, grpc
call = grpc.insecure_channel(sys.argv[1]).unary_unary(
    sys.argv[2], request_serializer=bytes, response_deserializer=bytes)
message = call(sys.stdin.buffer.read()[5:], timeout=5)
sys.stdout.buffer.write(b"\\0" + len(message).to_bytes(4, "big") + message)
"""


def _check_call(row, url, environment):
    done = subprocess.run(
        [str(Path(__file__).parent / ".venv/bin/python"), "-c", CALL, url.partition("//")[2], row.path],
        env=environment, capture_output=True, timeout=20, input=GRPC_BODY,
    )
    if done.returncode != 0:
        return [f"sample: {done.stderr.decode(errors='replace').strip()[-300:]}"]
    if hashlib.sha256(done.stdout).hexdigest() != row.body_hash:
        return [f"sample: wrong message of {len(done.stdout)} bytes"]
    return []
