use std::sync::Arc;

use rustls::version::TLS12;
use rustls::{CertificateError, Error, ServerConfig};
use rustls_pki_types::ServerName;
use weir_config::model::{TlsVersion, UpstreamHttp2, UpstreamTls};

use super::pki::{Authority, asking_for_clients, listener, material, upstream};
use super::{Failure, Pair, handshake_with_name};
use crate::tls::{Alpn, TlsContext, client_config, fingerprint, server_config, server_name};

fn connect(tls: &UpstreamTls, host: &str, server: &Arc<ServerConfig>) -> Result<Pair, Failure> {
    let config = client_config(tls, UpstreamHttp2::Negotiate).unwrap();
    handshake_with_name(&config, server, server_name(tls, host).unwrap())
}

fn certificate_error(result: Result<Pair, Failure>) -> CertificateError {
    match result.err().unwrap().of_client() {
        Error::InvalidCertificate(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_target_must_be_trusted_and_bear_the_name() {
    let authority = Authority::new("targets");
    let leaf = authority.server(&["a.internal", "192.0.2.1", "2001:db8::1"]);
    let server = server_config(&listener(&[&leaf]), true, &TlsContext::new()).unwrap();
    let tls = upstream(&authority);
    for host in [
        "a.internal",
        "A.Internal",
        "a.internal.",
        "192.0.2.1",
        "2001:db8::1",
    ] {
        connect(&tls, host, &server).unwrap();
    }
    for host in ["b.internal", "192.0.2.2", "2001:db8::2"] {
        assert!(matches!(
            certificate_error(connect(&tls, host, &server)),
            CertificateError::NotValidForNameContext { .. }
        ));
    }
    let named = UpstreamTls {
        server_name: Some("a.internal".to_owned()),
        ..tls
    };
    connect(&named, "192.0.2.77", &server).unwrap();

    let stranger = upstream(&Authority::new("strangers"));
    assert_eq!(
        certificate_error(connect(&stranger, "a.internal", &server)),
        CertificateError::UnknownIssuer
    );
}

#[test]
fn an_expired_target_certificate_is_refused() {
    let authority = Authority::new("targets");
    let mut params = rcgen::CertificateParams::new(vec!["a.internal".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let leaf = authority.sign(&params, rcgen::KeyPair::generate().unwrap());
    let server = server_config(&listener(&[&leaf]), true, &TlsContext::new()).unwrap();
    assert!(matches!(
        certificate_error(connect(&upstream(&authority), "a.internal", &server)),
        CertificateError::ExpiredContext { .. }
    ));
}

#[test]
fn the_client_certificate_is_presented_when_asked_for() {
    let authority = Authority::new("targets");
    let clients = Authority::new("gateways");
    let leaf = authority.server(&["a.internal"]);
    let asking = asking_for_clients(listener(&[&leaf]), &clients, true);
    let server = server_config(&asking, true, &TlsContext::new()).unwrap();
    let mut tls = upstream(&authority);
    assert_eq!(
        connect(&tls, "a.internal", &server)
            .err()
            .unwrap()
            .of_server(),
        Error::NoCertificatesPresented
    );
    tls.certificate = Some(clients.client().certificate());
    let facts = connect(&tls, "a.internal", &server)
        .unwrap()
        .facts()
        .unwrap();
    assert!(facts.client_subject.unwrap().starts_with("CN=billing,"));
}

#[test]
fn alpn_offers_what_the_upstream_may_speak() {
    let authority = Authority::new("targets");
    let leaf = authority.server(&["a.internal"]);
    let context = TlsContext::new();
    let both = server_config(&listener(&[&leaf]), true, &context).unwrap();
    let only_1 = server_config(&listener(&[&leaf]), false, &context).unwrap();
    let tls = upstream(&authority);
    let agreed = |http2, server| {
        let config = client_config(&tls, http2).unwrap();
        let name = server_name(&tls, "a.internal").unwrap();
        handshake_with_name(&config, server, name)
            .map(|pair| pair.client.alpn_protocol().and_then(Alpn::from_wire))
    };
    assert_eq!(
        agreed(UpstreamHttp2::Negotiate, &both).unwrap(),
        Some(Alpn::Http2)
    );
    assert_eq!(
        agreed(UpstreamHttp2::Negotiate, &only_1).unwrap(),
        Some(Alpn::Http11)
    );
    assert_eq!(
        agreed(UpstreamHttp2::Never, &both).unwrap(),
        Some(Alpn::Http11)
    );
    assert_eq!(
        agreed(UpstreamHttp2::Always, &both).unwrap(),
        Some(Alpn::Http2)
    );
    assert!(agreed(UpstreamHttp2::Always, &only_1).is_err());
}

#[test]
fn tls_1_2_towards_targets_is_spoken_by_option_only() {
    let authority = Authority::new("targets");
    let leaf = authority.server(&["a.internal"]);
    let old = ServerConfig::builder_with_provider(crate::tls::provider())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der.clone()],
            leaf.key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    let old = Arc::new(old);
    let mut tls = upstream(&authority);
    assert!(connect(&tls, "a.internal", &old).is_err());
    tls.minimum_version = TlsVersion::Tls12;
    connect(&tls, "a.internal", &old).unwrap();
}

#[test]
fn sessions_with_targets_are_resumed() {
    let authority = Authority::new("targets");
    let leaf = authority.server(&["a.internal"]);
    let server = server_config(&listener(&[&leaf]), true, &TlsContext::new()).unwrap();
    let tls = upstream(&authority);
    let config = client_config(&tls, UpstreamHttp2::Negotiate).unwrap();
    let name: ServerName<'static> = server_name(&tls, "a.internal").unwrap();
    let connect = || handshake_with_name(&config, &server, name.clone()).unwrap();
    assert!(!connect().is_resumed());
    assert!(connect().is_resumed());
}

#[test]
fn names_that_no_certificate_can_bear_are_told() {
    let tls = upstream(&Authority::new("targets"));
    for host in ["", ".", "a b", "a..b", "[::1]", "-a", "a\0b", "ü.example"] {
        let text = server_name(&tls, host).unwrap_err().to_string();
        assert_eq!(
            text,
            format!("{host:?} is neither a host name nor an IP address")
        );
    }
}

#[test]
fn a_fingerprint_changes_with_each_setting_and_with_nothing_else() {
    let authority = Authority::new("targets");
    let leaf = authority.client();
    let plain = upstream(&authority);
    let print = |tls: &UpstreamTls| fingerprint::upstream(tls, UpstreamHttp2::Negotiate);

    let mut moved = plain.clone();
    moved.authorities = Some(material("moved/ca.pem", authority.pem()));
    assert_eq!(print(&moved), print(&plain));

    let mut key_only = leaf.certificate();
    key_only.key = authority.client().certificate().key;
    let variants = [
        plain.clone(),
        UpstreamTls {
            server_name: Some("a".to_owned()),
            ..plain.clone()
        },
        UpstreamTls {
            server_name: Some(String::new()),
            ..plain.clone()
        },
        UpstreamTls {
            authorities: None,
            ..plain.clone()
        },
        UpstreamTls {
            authorities: Some(material("ca.pem", Authority::new("targets").pem())),
            ..plain.clone()
        },
        UpstreamTls {
            certificate: Some(leaf.certificate()),
            ..plain.clone()
        },
        UpstreamTls {
            certificate: Some(key_only),
            ..plain.clone()
        },
        UpstreamTls {
            minimum_version: TlsVersion::Tls12,
            ..plain.clone()
        },
    ];
    let mut prints: Vec<_> = variants.iter().map(print).collect();
    prints.push(fingerprint::upstream(&plain, UpstreamHttp2::Always));
    prints.push(fingerprint::upstream(&plain, UpstreamHttp2::Never));
    let count = prints.len();
    let distinct: std::collections::HashSet<_> = prints.into_iter().collect();
    assert_eq!(distinct.len(), count);
}
