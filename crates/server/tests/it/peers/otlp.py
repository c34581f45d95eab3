"""A receiver of telemetry: oteltest's sinks, which parse with OpenTelemetry's own protobuf classes.

Usage: otlp.py KIND PORT [CERTIFICATE KEY]   with KIND one of grpc, grpcs and http

Prints each span and log record as a line of JSON.
"""

import gzip
import json
import logging
import sys
import threading

import grpc
from oteltest.sink import GrpcSink, HttpSink

OUTPUT = threading.Lock()


def value(any_value):
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(item) for item in any_value.array_value.values]
    return getattr(any_value, kind) if kind else None


def attributes(pairs):
    return {pair.key: value(pair.value) for pair in pairs}


class Printer:
    def tell(self, found, headers, resource):
        found["headers"] = {name.lower(): text for name, text in headers.items() if isinstance(text, str)}
        found["resource"] = attributes(resource.attributes)
        with OUTPUT:
            print(json.dumps(found), flush=True)

    def handle_trace(self, request, headers):
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    found = {
                        "signal": "span",
                        "scope": scope_spans.scope.name,
                        "name": span.name,
                        "kind": span.kind,
                        "trace_id": span.trace_id.hex(),
                        "span_id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "state": span.trace_state,
                        "flags": span.flags,
                        "start": span.start_time_unix_nano,
                        "end": span.end_time_unix_nano,
                        "status": span.status.code,
                        "events": [event.name for event in span.events],
                        "attributes": attributes(span.attributes),
                    }
                    self.tell(found, headers, resource_spans.resource)

    def handle_logs(self, request, headers):
        for resource_logs in request.resource_logs:
            for scope_logs in resource_logs.scope_logs:
                for record in scope_logs.log_records:
                    found = {
                        "signal": "log",
                        "event": record.event_name,
                        "severity": record.severity_text,
                        "number": record.severity_number,
                        "body": value(record.body),
                        "trace_id": record.trace_id.hex(),
                        "span_id": record.span_id.hex(),
                        "attributes": attributes(record.attributes),
                    }
                    self.tell(found, headers, resource_logs.resource)

    def handle_metrics(self, request, headers):
        pass


class Decompressing(HttpSink):
    """The sink reads no compressed exports, as a receiver has to; the standard library does it here."""

    def handle_trace(self, post_data, headers):
        super().handle_trace(decompressed(post_data, headers), headers)

    def handle_logs(self, post_data, headers):
        super().handle_logs(decompressed(post_data, headers), headers)


def decompressed(data, headers):
    coding = {name.lower(): text for name, text in headers.items()}.get("content-encoding")
    return gzip.decompress(data) if coding == "gzip" else data


def main():
    kind, port, *material = sys.argv[1:]
    logger = logging.getLogger("otlp")
    if kind == "http":
        sink = Decompressing(Printer(), logger, port=int(port), daemon=False)
        sink.start()
        return
    # The sink has no setting for TLS, but shows its server.
    sink = GrpcSink(Printer(), logger, port=0 if material else int(port))
    if material:
        certificate, key = (open(name, "rb").read() for name in material)
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        sink.svr.add_secure_port(f"127.0.0.1:{port}", credentials)
    sink.start()
    sink.wait_for_termination()


main()
