"""An issuer's key set over HTTP, which counts who asks for it and can be away."""

import http.server
import threading

from credentials import published


class KeySetServer:
    """Serves the file at every path. A context manager: within it, it is there. It can be entered again."""

    def __init__(self, port, path):
        self._port = port
        self._path = path
        self._server = None
        self.asked = 0

    def settings(self, damping):
        return published(f"http://127.0.0.1:{self._port}/jwks.json", damping)

    def __enter__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                body = outer._path.read_bytes()
                self.send_response(200)
                self.send_header("Content-Type", "application/jwk-set+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error):
        self._server.shutdown()
        self._server.server_close()
