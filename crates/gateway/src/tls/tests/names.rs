//! Certificates that stand by themselves, beside those of a listener.

use std::sync::Arc;

use rustls::AlertDescription;
use rustls::version::TLS13;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;
use weir_config::model::{ListenerTls, NamedCertificate};

use super::pki::{Authority, Leaf, listener};
use super::{Failure, handshake};
use crate::tls::{self, ServerTls, TlsContext, server_config};

pub(super) fn with_named(own: &[&Leaf], named: &[&Leaf]) -> ListenerTls {
    let named = named
        .iter()
        .enumerate()
        .map(|(index, leaf)| NamedCertificate {
            name: format!("named-{index}"),
            certificate: leaf.certificate(),
            listeners: None,
            is_beside: true,
        });
    ListenerTls {
        named: named.collect(),
        ..listener(own)
    }
}

#[test]
fn a_listeners_own_go_first_and_an_exact_name_before_a_wildcard() {
    let authority = Authority::new("servers");
    let own = authority.server(&["own.example", "*.own.example"]);
    let wildcard = authority.server(&["*.shop.example", "a.own.example"]);
    let exact = authority.server(&["a.shop.example", "own.example"]);
    let later = authority.server(&["a.shop.example", "later.example"]);
    let tls = with_named(&[&own], &[&wildcard, &exact, &later]);
    let config = server_config(&tls, true, &TlsContext::new()).unwrap();
    let client = authority.trusting_client(&[&TLS13], None, &[]);
    let served = |name| {
        handshake(&client, &config, name)
            .unwrap()
            .server_certificate()
            .clone()
    };
    assert_eq!(served("own.example"), own.der);
    assert_eq!(served("a.own.example"), own.der);
    assert_eq!(served("a.shop.example"), exact.der);
    assert_eq!(served("b.shop.example"), wildcard.der);
    assert_eq!(served("later.example"), later.der);
    // Everybody else gets the first of its own, which is the client's to refuse.
    let refused = handshake(&client, &config, "unknown.example").err();
    assert!(matches!(refused, Some(Failure::Client(_))));
}

#[tokio::test]
async fn a_name_that_no_certificate_is_for_is_not_recognized() {
    let authority = Authority::new("servers");
    let leaf = authority.server(&["shop.example"]);
    let some = with_named(&[], &[&leaf]);
    let none = with_named(&[], &[]);
    let context = TlsContext::new();
    for (tls, name, is_known) in [
        (&some, "shop.example", true),
        (&some, "SHOP.example", true),
        (&some, "other.example", false),
        // No name is sent.
        (&some, "192.0.2.1", false),
        (&none, "shop.example", false),
    ] {
        let config = server_config(tls, true, &context).unwrap();
        let (near, far) = tokio::io::duplex(64 << 10);
        let client = TlsConnector::from(authority.trusting_client(&[&TLS13], None, &[]));
        let name_asked = ServerName::try_from(name).unwrap();
        let (connected, accepted) =
            tokio::join!(client.connect(name_asked, near), tls::accept(config, far));
        assert_eq!(accepted.is_ok(), is_known, "{name}");
        let Err(error) = connected else {
            assert!(is_known, "{name}");
            continue;
        };
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        let expected = rustls::Error::AlertReceived(AlertDescription::UnrecognisedName);
        assert_eq!(cause, Some(&expected), "{name}");
    }
}

/// An answer that is no ClientHello at all.
#[tokio::test]
async fn garbage_is_no_handshake() {
    use tokio::io::AsyncWriteExt;

    let config = server_config(&with_named(&[], &[]), true, &TlsContext::new()).unwrap();
    let config = Arc::new(config);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 64],
        &[22, 3, 1, 255, 255],
        &[],
    ] {
        let (mut near, far) = tokio::io::duplex(64 << 10);
        near.write_all(bytes).await.unwrap();
        near.shutdown().await.unwrap();
        let accepted = tls::accept(ServerTls::clone(&config), far).await;
        assert!(accepted.is_err(), "{bytes:?}");
    }
}
