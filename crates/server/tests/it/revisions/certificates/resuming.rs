//! Who comes back without a full handshake while certificates are changed.

use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};
use rustls_pki_types::ServerName;

use super::{LISTENERS, SHOP, ask, change, config, document, made};
use crate::api::World;
use crate::harness::{Authority, Upstream, Weir, Wire, answer};

/// Whether this client resumes a session.
fn is_resumed(weir: &Weir, client: &Arc<ClientConfig>, name: &'static str) -> bool {
    let name = ServerName::try_from(name).unwrap();
    let connection = ClientConnection::new(Arc::clone(client), name).unwrap();
    let stream = Wire::connect(weir.https()).stream;
    let mut wire = Wire::over(StreamOwned::new(connection, stream));
    // Tickets come with the answer at the latest.
    ask(&mut wire);
    wire.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_ends_the_sessions_of_its_own_names() {
    let authority = Authority::new("servers");
    let server = Upstream::answering(|_| answer(200, &[], "fine"));
    let world = World::begin_with(&config(&server, LISTENERS)).await;
    let (owner, weir) = (&world.owner, &world.weir);
    const OTHER: &str = "/v1/config/certificates/other";
    let put = |path: &str, name: &str| {
        made(&change(
            owner,
            path,
            &document(&authority.issue("server", &[name])),
        ));
    };
    put(SHOP, "shop.test");
    put(OTHER, "other.test");
    let client = authority.trusting(&["http/1.1"]);
    for name in ["shop.test", "other.test"] {
        assert!(!is_resumed(weir, &client, name));
        assert!(is_resumed(weir, &client, name));
    }
    put(OTHER, "other.test");
    put("/v1/config/certificates/third", "third.test");
    assert!(is_resumed(weir, &client, "shop.test"));
    assert!(!is_resumed(weir, &client, "other.test"));
    assert!(is_resumed(weir, &client, "other.test"));
    // Trust in clients is another one from now on, and the certificates are what they were.
    std::fs::write(weir.directory().join("clients.pem"), authority.pem()).unwrap();
    let asking = LISTENERS.replace(
        "tls: {}",
        "tls: { client_certificate: { authorities: file:clients.pem, required: false } }",
    );
    assert_eq!(weir.reload(&config(&server, &asking)).status(), 200);
    assert!(!is_resumed(weir, &client, "shop.test"));
    assert!(is_resumed(weir, &client, "shop.test"));
}
