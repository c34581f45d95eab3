//! From where is asked, behind proxies: what the throttle of sign-ins, sessions and the audit are told.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{FORWARDED, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use weir_gateway::{Fields, hop};

use super::Shared;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Puts the client's address in the place of the peer's, as far as `admin.trusted_proxies` are believed.
pub(super) async fn look_behind(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let running = shared.node.gateway.snapshot();
    let trusted = &running.config.admin.trusted_proxies;
    if !trusted.is_empty()
        && let Some(&ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>()
    {
        let client = client(&request, peer.ip(), trusted);
        if client != peer.ip().to_canonical() {
            // Nobody says from which port.
            let client = ConnectInfo(SocketAddr::new(client, 0));
            request.extensions_mut().insert(client);
        }
    }
    next.run(request).await
}

/// By the rules of the data plane ([`hop::client_address`]), which reads no field of who is not trusted.
fn client(request: &Request, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let mut fields = Fields::new();
    for name in [X_FORWARDED_FOR, FORWARDED] {
        for value in request.headers().get_all(&name) {
            fields.append(name.clone(), value.clone());
        }
    }
    hop::client_address(&fields, peer, trusted)
}
