//! What shapes answers: CORS, security headers, compression, answers of the configuration.

mod browser;
mod compress;
mod cors;
mod decoders;
mod respond;
mod security;
mod streams;

use std::net::SocketAddr;

/// A route `all` to this upstream with a policy `shape`.
fn with(policy: &str, upstream: SocketAddr) -> String {
    format!(
        "upstreams: {{ up: {{ targets: [{upstream}] }} }}\n\
         policies: {{ shape: {policy} }}\n\
         routes: [{{ name: all, policies: [shape], upstream: up }}]\n"
    )
}
