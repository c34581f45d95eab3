"""A gRPC server without generated code: messages are bytes. Its first line of output is its port.

    grpc_server.py [--certificate FILE --key FILE]

Lines behind the port tell what the server saw.
"""

import argparse
import json
import threading
import time
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

LARGE = 64 * 1024


def say(*words):
    print(*words, flush=True)


class Service(grpc.GenericRpcHandler):
    """`test.Echo`; what a call is asked stands in its first message."""

    def __init__(self, health_servicer):
        self.health = health_servicer
        self.released = threading.Event()
        self.sent = 0
        self.failed = {}
        self.handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Count": grpc.stream_unary_rpc_method_handler(self.count),
            "Two": grpc.unary_stream_rpc_method_handler(self.two),
            "Release": grpc.unary_unary_rpc_method_handler(self.release),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "Large": grpc.unary_stream_rpc_method_handler(self.large),
            "Sent": grpc.unary_unary_rpc_method_handler(self.sent_so_far),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "FailLate": grpc.unary_stream_rpc_method_handler(self.fail_late),
            "FailTimes": grpc.unary_unary_rpc_method_handler(self.fail_times),
            "Tell": grpc.unary_unary_rpc_method_handler(self.tell),
            "Slow": grpc.unary_unary_rpc_method_handler(self.slow),
            "Wait": grpc.unary_unary_rpc_method_handler(self.wait),
            "FirstThenWait": grpc.unary_stream_rpc_method_handler(self.first_then_wait),
            "SetHealth": grpc.unary_unary_rpc_method_handler(self.set_health),
        }

    def service(self, details):
        """None where there is no such method: UNIMPLEMENTED."""
        service, _, method = details.method.rpartition("/")
        return self.handlers.get(method) if service == "/test.Echo" else None

    def unary(self, message, context):
        context.send_initial_metadata((("x-initial", "1"),))
        context.set_trailing_metadata((("x-trailing", "2"), ("x-odd-bin", b"\x00\xff\n")))
        return message

    def count(self, messages, context):
        return str(sum(1 for _ in messages)).encode()

    def two(self, message, context):
        """Sends the second message only when another call says so: none may wait for the other."""
        yield b"first"
        self.released.wait(20)
        yield b"second"

    def release(self, message, context):
        self.released.set()
        return b""

    def chat(self, messages, context):
        for message in messages:
            yield b"re: " + message

    def large(self, message, context):
        for _ in range(int(message)):
            self.sent += 1
            yield b"x" * LARGE

    def sent_so_far(self, message, context):
        return str(self.sent).encode()

    def fail(self, message, context):
        code, _, details = message.decode().partition(":")
        context.set_trailing_metadata((("x-trailing", "2"),))
        context.abort(list(grpc.StatusCode)[int(code)], details)

    def fail_late(self, message, context):
        yield b"one"
        self.fail(message, context)

    def fail_times(self, message, context):
        """`KEY:TIMES:CODE[:PUSHBACK]`: fails so many times."""
        key, times, code, *pushback = message[:64].decode().split(";")[0].split(":")
        self.failed[key] = self.failed.get(key, 0) + 1
        say("attempt", key, len(message), dict(context.invocation_metadata()).get("x-weir-mark", ""))
        if self.failed[key] > int(times):
            return b"attempt %d" % self.failed[key]
        if pushback:
            context.set_trailing_metadata((("grpc-retry-pushback-ms", pushback[0]),))
        context.abort(list(grpc.StatusCode)[int(code)], "not yet")

    def tell(self, message, context):
        known = {}
        for key, value in context.invocation_metadata():
            known[key] = value if isinstance(value, str) else value.hex()
        known["peer"] = context.peer()
        known["remaining"] = context.time_remaining()
        return json.dumps(known).encode()

    def slow(self, message, context):
        time.sleep(int(message) / 1000)
        return b"done"

    def wait(self, message, context):
        """Never answers, and tells how the call ended."""
        ended = threading.Event()
        context.add_callback(ended.set)
        say("waiting")
        ended.wait(60)
        say("cancelled")
        return b""

    def first_then_wait(self, message, context):
        """The same after a first reply. Nobody asks for another one once the call has ended, so it is told at once."""
        ended = threading.Event()
        context.add_callback(lambda: (say("cancelled"), ended.set()))
        yield b"first"
        ended.wait(60)

    def set_health(self, message, context):
        service, _, status = message.decode().partition("=")
        self.health.set(service, getattr(health_pb2.HealthCheckResponse, status))
        return b""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    arguments = parser.parse_args()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=[("grpc.so_reuseport", 0)])
    servicer = health.HealthServicer()
    servicer.set("test.Echo", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_generic_rpc_handlers((Service(servicer),))
    if arguments.certificate:
        with open(arguments.certificate, "rb") as certificate, open(arguments.key, "rb") as key:
            credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say(port)
    server.wait_for_termination()


main()
