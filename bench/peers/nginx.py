"""nginx, from the distribution's package."""

import os
import re
import shutil
import subprocess

from peers import BUFFER_BYTES, CONNECTIONS, IDLE_SECONDS, UPSTREAM_IDLE
from process import accepts
from work import GRPC_BODY, LARGE_BODY, LARGE_PATH, SMALL_BODY, route_prefixes

TITLE = "nginx"
UNBOUNDED = 1_000_000_000


def find(_arguments):
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


def version(binary):
    output = subprocess.run([binary, "-v"], capture_output=True, text=True, timeout=10).stderr
    return re.search(r"nginx/(\S+)", output)[1]


def prepare(binary, scenario):
    if scenario.row.grpc or scenario.row.access:
        # Its module for gRPC is measured as little as those of the others: the row is about Envoy. Who is calling it
        # asks a server behind it, or its commercial form does.
        return None, None
    tls = scenario.certificate
    if scenario.row.routes:
        # Prefix locations are kept in a tree, which is nginx's fastest way to look up many prefixes.
        locations = "".join(f"location {prefix} {{ proxy_pass http://upstream; }}\n" for prefix in route_prefixes())
        locations += "location / { return 404; }\n"
    else:
        locations = "location / { proxy_pass http://upstream; }\n"
    # One buffer holds the whole 64 KiB answer with its head: 5 % less time than eight of 16 KiB, and no
    # difference for small answers. Nothing goes through a temporary file.
    # As nginx does it with the least work: in its own form, many lines in one write.
    log = f"access_log {scenario.directory}/access.log combined buffer=64k flush=1s;" if scenario.row.told else ""
    http = f"""
    {log}
    upstream upstream {{
        server 127.0.0.1:{scenario.upstream_port};
        keepalive {UPSTREAM_IDLE};
        keepalive_requests {UNBOUNDED};
        keepalive_timeout {IDLE_SECONDS}s;
    }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_buffer_size {BUFFER_BYTES};
    proxy_buffers 2 68k;
    proxy_busy_buffers_size 68k;
    proxy_max_temp_file_size 0;
    server {{
        listen 127.0.0.1:{scenario.plain_port} backlog=4096;
        listen 127.0.0.1:{scenario.tls_port} ssl http2 backlog=4096;
        ssl_certificate {tls.chain};
        ssl_certificate_key {tls.key};
        ssl_protocols TLSv1.3;
        ssl_buffer_size {BUFFER_BYTES};
        http2_max_concurrent_streams 1000;
        {locations}
    }}
"""
    return command(binary, scenario.directory, http), accepts(scenario.plain_port, scenario.tls_port)


def prepare_upstream(binary, port, directory, connections=CONNECTIONS):
    """The server behind every peer: both bodies from memory or page cache."""
    (directory / "large.bin").write_bytes(LARGE_BODY)
    (directory / "grpc.bin").write_bytes(GRPC_BODY)
    json = SMALL_BODY.decode().replace("\n", "\\n")
    # `open_file_cache` leaves one sendfile(2) for the large body.
    http = f"""
    sendfile on;
    open_file_cache max=8 inactive=1h;
    open_file_cache_valid 1h;
    etag off;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        listen 127.0.0.2:{port} backlog=4096;
        location / {{
            default_type application/json;
            return 200 '{json}';
        }}
        location = {LARGE_PATH} {{
            default_type application/octet-stream;
            alias {directory}/large.bin;
        }}
    }}
    server {{
        listen 127.0.0.3:{port} http2 backlog=4096;
        http2_max_concurrent_streams 1000;
        root {directory};
        default_type application/grpc;
        add_trailer grpc-status 0 always;
        # A call is a POST, which nginx refuses for files.
        error_page 405 =200 /grpc.bin;
        location / {{ return 405; }}
        location = /grpc.bin {{ }}
    }}
"""
    return command(binary, directory, http, connections), accepts(port)


def command(binary, directory, http, connections=CONNECTIONS):
    """Writes the configuration around `http` and returns the command line."""
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Started by root, nginx would give its worker to a user that cannot read the scratch directory.
    user = "user root;" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(f"""
{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile {2 * connections};
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections {connections}; }}
http {{
    {"" if "access_log" in http else "access_log off;"}
    server_tokens off;
    tcp_nodelay on;
    keepalive_requests {UNBOUNDED};
    keepalive_timeout {IDLE_SECONDS}s;
    {temporary}
    {http}
}}
""")
    return [binary, "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", "stderr"]
