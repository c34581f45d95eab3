"""Tells what gunicorn's parser understood: one line of JSON on standard output for each request."""

import json
import sys


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    seen = {
        "method": environ["REQUEST_METHOD"],
        "target": environ["RAW_URI"],
        "host": environ.get("HTTP_HOST", ""),
        "type": environ.get("CONTENT_TYPE", ""),
        "cookie": environ.get("HTTP_COOKIE", ""),
        "odd": environ.get("HTTP_X_ODD", ""),
        "forwarded": environ.get("HTTP_X_FORWARDED_FOR", ""),
        "body": body.decode("latin-1"),
    }
    sys.stdout.write(json.dumps(seen) + "\n")
    sys.stdout.flush()
    start_response("200 OK", [("Content-Length", "2"), ("Content-Type", "text/plain")])
    return [b"ok"]
