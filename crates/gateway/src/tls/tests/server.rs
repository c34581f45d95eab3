use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, Error, NamedGroup, PeerIncompatible, SignatureScheme};
use weir_config::model::TlsVersion;

use super::handshake;
use super::pki::{Authority, Leaf, asking_for_clients, listener};
use crate::tls::sni::CertificatesByName;
use crate::tls::{Alpn, TlsContext, keys, server_config};

#[test]
fn the_server_name_picks_the_certificate() {
    let authority = Authority::new("servers");
    let first = authority.server(&["www.example.com", "example.com"]);
    let exact = authority.server(&["API.example.com"]);
    let wildcard = authority.server(&["*.example.com", "*.example.net"]);
    let tls = listener(&[&first, &exact, &wildcard]);
    let config = server_config(&tls, true, &TlsContext::new()).unwrap();
    let client = authority.trusting_client(&[&TLS13], None, &[]);

    let served = |name| {
        let pair = handshake(&client, &config, name).unwrap();
        let server_name = pair.facts().unwrap().server_name;
        assert_eq!(server_name.unwrap(), name.to_ascii_lowercase());
        pair.server_certificate().clone()
    };
    assert_eq!(served("example.com"), first.der);
    assert_eq!(served("api.example.com"), exact.der);
    assert_eq!(served("Api.EXAMPLE.com"), exact.der);
    assert_eq!(served("other.example.com"), wildcard.der);
    assert_eq!(served("OTHER.example.NET"), wildcard.der);
}

#[test]
fn an_unknown_or_absent_name_gets_the_first_certificate() {
    let authority = Authority::new("servers");
    let first = authority.server(&["www.example.com", "192.0.2.1"]);
    let second = authority.server(&["*.example.com", "192.0.2.2"]);
    let keys: Vec<_> = [&first, &second]
        .map(|leaf| keys::certified(&leaf.certificate()).unwrap())
        .into();
    let names = CertificatesByName::new(&keys, &[]);
    let schemes = [SignatureScheme::ECDSA_NISTP256_SHA256];
    let picks_first = |name| Arc::ptr_eq(names.pick(name, &schemes).unwrap(), &keys[0].key);
    // A wildcard is for one label, no more, no fewer, and only at the beginning.
    for unknown in ["example.com", "a.b.example.com", "example.org", "com", ""] {
        assert!(picks_first(Some(unknown)), "{unknown}");
    }
    assert!(picks_first(None));
    assert!(!picks_first(Some("a.example.com")));
    assert!(!picks_first(Some("A.EXAMPLE.COM")));

    let tls = listener(&[&first, &second]);
    let config = server_config(&tls, true, &TlsContext::new()).unwrap();
    let client = authority.trusting_client(&[&TLS13], None, &[]);
    let by_address = handshake(&client, &config, "192.0.2.1").unwrap();
    assert_eq!(*by_address.server_certificate(), first.der);
    assert_eq!(by_address.facts().unwrap().server_name, None);
    // The first certificate is sent, and it is the client's to refuse it.
    let refused = handshake(&client, &config, "elsewhere.example.org")
        .err()
        .unwrap();
    assert!(matches!(
        refused.of_client(),
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })
    ));
}

#[test]
fn of_two_certificates_for_a_name_the_client_gets_the_one_it_can_check() {
    let authority = Authority::new("servers");
    let names = vec!["example.com".to_owned()];
    let ed25519 = authority.sign(
        &CertificateParams::new(names).unwrap(),
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
    );
    let ecdsa = authority.server(&["example.com"]);
    let keys: Vec<_> = [&ed25519, &ecdsa]
        .map(|leaf| keys::certified(&leaf.certificate()).unwrap())
        .into();
    let by_name = CertificatesByName::new(&keys, &[]);
    let picked = |schemes: &[SignatureScheme]| {
        let picked = by_name.pick(Some("example.com"), schemes).unwrap();
        keys.iter().position(|one| Arc::ptr_eq(&one.key, picked))
    };
    let (ed, ec) = (
        SignatureScheme::ED25519,
        SignatureScheme::ECDSA_NISTP256_SHA256,
    );
    assert_eq!(picked(&[ec, ed]), Some(0));
    assert_eq!(picked(&[ec]), Some(1));
    assert_eq!(picked(&[SignatureScheme::RSA_PSS_SHA256]), Some(0));
}

#[test]
fn tls_1_2_is_spoken_by_option_only() {
    let authority = Authority::new("servers");
    let leaf = authority.server(&["example.com"]);
    let old_client = authority.trusting_client(&[&TLS12], None, &[]);
    let mut tls = listener(&[&leaf]);

    let strict = server_config(&tls, true, &TlsContext::new()).unwrap();
    let refused = handshake(&old_client, &strict, "example.com")
        .err()
        .unwrap();
    assert_eq!(
        refused.of_server(),
        Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled)
    );

    tls.minimum_version = TlsVersion::Tls12;
    let lenient = server_config(&tls, true, &TlsContext::new()).unwrap();
    let old = handshake(&old_client, &lenient, "example.com").unwrap();
    assert_eq!(old.facts().unwrap().protocol, TlsVersion::Tls12);
    let both = authority.trusting_client(&[&TLS13, &TLS12], None, &[]);
    let new = handshake(&both, &lenient, "example.com").unwrap();
    assert_eq!(new.facts().unwrap().protocol, TlsVersion::Tls13);
}

#[test]
fn alpn_prefers_http_2_where_it_is_on() {
    let authority = Authority::new("servers");
    let leaf = authority.server(&["example.com"]);
    let context = TlsContext::new();
    let tls = listener(&[&leaf]);
    let both = server_config(&tls, true, &context).unwrap();
    let only_1 = server_config(&tls, false, &context).unwrap();
    let agreed = |config, offered: &[&str]| {
        let client = authority.trusting_client(&[&TLS13], None, offered);
        handshake(&client, config, "example.com").map(|pair| pair.facts().unwrap().alpn)
    };
    assert_eq!(
        agreed(&both, &["http/1.1", "h2"]).unwrap(),
        Some(Alpn::Http2)
    );
    assert_eq!(agreed(&both, &["http/1.1"]).unwrap(), Some(Alpn::Http11));
    assert_eq!(agreed(&both, &[]).unwrap(), None);
    assert_eq!(
        agreed(&only_1, &["h2", "http/1.1"]).unwrap(),
        Some(Alpn::Http11)
    );
    let refused = agreed(&only_1, &["h2"]).err().unwrap();
    assert_eq!(refused.of_server(), Error::NoApplicationProtocol);
}

#[test]
fn key_exchange_prefers_the_hybrid_with_ml_kem() {
    let authority = Authority::new("servers");
    let leaf = authority.server(&["example.com"]);
    let config = server_config(&listener(&[&leaf]), true, &TlsContext::new()).unwrap();
    let client = authority.trusting_client(&[&TLS13], None, &[]);
    let pair = handshake(&client, &config, "example.com").unwrap();
    let group = pair.server.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
}

struct Mutual {
    servers: Authority,
    clients: Authority,
    leaf: Leaf,
}

impl Mutual {
    fn new() -> Self {
        let servers = Authority::new("servers");
        let leaf = servers.server(&["example.com"]);
        Self {
            servers,
            clients: Authority::new("clients"),
            leaf,
        }
    }

    fn connect(
        &self,
        required: bool,
        client: Option<&Leaf>,
    ) -> Result<super::Pair, super::Failure> {
        let tls = asking_for_clients(listener(&[&self.leaf]), &self.clients, required);
        let config = server_config(&tls, true, &TlsContext::new()).unwrap();
        let client = self.servers.trusting_client(&[&TLS13], client, &[]);
        handshake(&client, &config, "example.com")
    }
}

#[test]
fn a_required_client_certificate_must_be_there_and_good() {
    let mutual = Mutual::new();
    let good = mutual
        .connect(true, Some(&mutual.clients.client()))
        .unwrap();
    assert!(good.facts().unwrap().client_subject.is_some());

    let absent = mutual.connect(true, None).err().unwrap();
    assert_eq!(absent.of_server(), Error::NoCertificatesPresented);
}

#[test]
fn an_optional_client_certificate_may_be_absent_but_not_bad() {
    let mutual = Mutual::new();
    let absent = mutual.connect(false, None).unwrap();
    assert_eq!(absent.facts().unwrap().client_subject, None);
    let good = mutual
        .connect(false, Some(&mutual.clients.client()))
        .unwrap();
    assert!(good.facts().unwrap().client_fingerprint.is_some());
}

#[test]
fn bad_client_certificates_are_refused_required_or_not() {
    let mutual = Mutual::new();
    let stranger = Authority::new("clients").client();
    let expired = mutual.clients.client_until(2020);
    let wrong_purpose = mutual.clients.server(&["example.com"]);
    for required in [true, false] {
        let refusal = |leaf| match mutual
            .connect(required, Some(leaf))
            .err()
            .unwrap()
            .of_server()
        {
            Error::InvalidCertificate(error) => error,
            other => panic!("{other}"),
        };
        // The same name on another key: the signature decides.
        assert!(matches!(
            refusal(&stranger),
            CertificateError::BadSignature | CertificateError::UnknownIssuer
        ));
        assert!(matches!(
            refusal(&expired),
            CertificateError::ExpiredContext { .. }
        ));
        assert!(matches!(
            refusal(&wrong_purpose),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. }
        ));
    }
}

#[test]
fn sessions_go_on_across_a_reload_of_the_same_settings() {
    let authority = Authority::new("servers");
    let leaf = authority.server(&["example.com"]);
    for (minimum, version) in [(TlsVersion::Tls13, &TLS13), (TlsVersion::Tls12, &TLS12)] {
        let context = TlsContext::new();
        let mut tls = listener(&[&leaf]);
        tls.minimum_version = minimum;
        let client = authority.trusting_client(&[version], None, &[]);

        let before = server_config(&tls, true, &context).unwrap();
        assert!(
            !handshake(&client, &before, "example.com")
                .unwrap()
                .is_resumed()
        );
        assert!(
            handshake(&client, &before, "example.com")
                .unwrap()
                .is_resumed()
        );

        let after = server_config(&tls.clone(), true, &context).unwrap();
        drop(before);
        assert!(
            handshake(&client, &after, "example.com")
                .unwrap()
                .is_resumed()
        );
    }
}

#[test]
fn what_no_configuration_uses_any_more_is_forgotten() {
    let authority = Authority::new("servers");
    let leaf = authority.server(&["example.com"]);
    let context = TlsContext::new();
    let tls = listener(&[&leaf]);
    let client = authority.trusting_client(&[&TLS13], None, &[]);
    let before = server_config(&tls, true, &context).unwrap();
    handshake(&client, &before, "example.com").unwrap();
    drop(before);
    let after = server_config(&tls, true, &context).unwrap();
    assert!(
        !handshake(&client, &after, "example.com")
            .unwrap()
            .is_resumed()
    );
}

#[test]
fn a_ticket_opens_no_listener_with_other_rules_for_clients() {
    let mutual = Mutual::new();
    let context = TlsContext::new();
    let open = listener(&[&mutual.leaf]);
    let optional = asking_for_clients(open.clone(), &mutual.clients, false);
    let required = asking_for_clients(open.clone(), &mutual.clients, true);
    let other_authority = asking_for_clients(open.clone(), &Authority::new("others"), true);
    let configs: Vec<_> = [&open, &optional, &required]
        .map(|tls| server_config(tls, true, &context).unwrap())
        .into();

    for weaker in &configs[..2] {
        let client = mutual.servers.trusting_client(&[&TLS13], None, &[]);
        assert!(
            !handshake(&client, weaker, "example.com")
                .unwrap()
                .is_resumed()
        );
        let refused = handshake(&client, &configs[2], "example.com")
            .err()
            .unwrap();
        assert_eq!(refused.of_server(), Error::NoCertificatesPresented);
    }

    let presented = mutual.clients.client();
    let client = mutual
        .servers
        .trusting_client(&[&TLS13], Some(&presented), &[]);
    handshake(&client, &configs[2], "example.com").unwrap();
    assert!(
        handshake(&client, &configs[2], "example.com")
            .unwrap()
            .is_resumed()
    );
    let after = server_config(&other_authority, true, &context).unwrap();
    let refused = handshake(&client, &after, "example.com").err().unwrap();
    assert!(matches!(refused.of_server(), Error::InvalidCertificate(_)));
}

#[test]
fn early_data_is_not_accepted() {
    let authority = Authority::new("servers");
    let leaf = authority.server(&["example.com"]);
    let config = server_config(&listener(&[&leaf]), true, &TlsContext::new()).unwrap();
    let mut client = authority.trusting_client(&[&TLS13], None, &[]);
    Arc::get_mut(&mut client).unwrap().enable_early_data = true;
    handshake(&client, &config, "example.com").unwrap();
    let mut pair = handshake(&client, &config, "example.com").unwrap();
    assert!(pair.is_resumed());
    assert!(!pair.client.is_early_data_accepted());
    assert!(pair.server.early_data().is_none());
}

#[test]
fn plain_http_on_a_tls_listener_is_a_clean_fault() {
    let authority = Authority::new("servers");
    let leaf = authority.server(&["example.com"]);
    let config = server_config(&listener(&[&leaf]), true, &TlsContext::new()).unwrap();
    let mut server = rustls::ServerConnection::new(config.config).unwrap();
    server
        .read_tls(&mut &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..])
        .unwrap();
    assert!(matches!(
        server.process_new_packets(),
        Err(Error::InvalidMessage(_))
    ));
}
