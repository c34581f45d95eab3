//! Which sessions go on when certificates are changed.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::{Resumption, Tls12Resumption};
use rustls::version::{TLS12, TLS13};
use weir_config::model::{ListenerTls, TlsVersion};

use super::handshake;
use super::names::with_named;
use super::pki::{Authority, Leaf, asking_for_clients};
use crate::tls::{ServerTls, TlsContext, keys, server_config};

const NAME: &str = "one.example";

/// Whether a client that was here before comes back without a full handshake.
fn is_resumed(client: &Arc<ClientConfig>, tls: &ServerTls, name: &str) -> bool {
    let config = tls.for_all().unwrap_or_else(|| tls.for_name(Some(name)));
    handshake(client, &config, name).unwrap().is_resumed()
}

fn from_1_2(tls: ListenerTls) -> ListenerTls {
    ListenerTls {
        minimum_version: TlsVersion::Tls12,
        ..tls
    }
}

/// Clients that come back by tickets, and by the number of a session that the server remembers.
fn clients(authority: &Authority) -> [Arc<ClientConfig>; 3] {
    let by_ticket = |version| authority.trusting_client(&[version], None, &[]);
    let mut by_number = by_ticket(&TLS12);
    let resumption = Resumption::in_memory_sessions(256);
    Arc::get_mut(&mut by_number).unwrap().resumption =
        resumption.tls12_resumption(Tls12Resumption::SessionIdOnly);
    [by_ticket(&TLS13), by_ticket(&TLS12), by_number]
}

#[test]
fn a_change_of_one_certificate_ends_the_sessions_of_its_names() {
    let authority = Authority::new("servers");
    let [one, two, wildcard] =
        [NAME, "two.example", "*.wild.example"].map(|name| authority.server(&[name]));
    let settings = |own: &[&Leaf], named: &[&Leaf]| from_1_2(with_named(own, named));
    for client in clients(&authority) {
        let context = TlsContext::new();
        let make = |own: &[&Leaf], named: &[&Leaf]| {
            server_config(&settings(own, named), true, &context).unwrap()
        };
        let before = make(&[], &[&one, &two, &wildcard]);
        let names = [NAME, "two.example", "a.wild.example"];
        for name in names {
            assert!(!is_resumed(&client, &before, name));
            assert!(is_resumed(&client, &before, name));
        }
        // Another one is there for other names, and one is renewed.
        let other = authority.server(&["three.example"]);
        let renewed = authority.server(&["two.example"]);
        let after = make(&[], &[&one, &renewed, &other, &wildcard]);
        drop(before);
        assert!(is_resumed(&client, &after, NAME));
        assert!(!is_resumed(&client, &after, "two.example"));
        assert!(is_resumed(&client, &after, "two.example"));
        assert!(is_resumed(&client, &after, "a.wild.example"));
        // Another certificate is for a name from now on, by which the client asked before.
        let exact = authority.server(&["a.wild.example"]);
        let after = make(&[&one], &[&renewed, &wildcard, &exact]);
        assert!(is_resumed(&client, &after, NAME));
        assert!(!is_resumed(&client, &after, "a.wild.example"));
        // The only one answers every name, as it did for its own.
        let after = make(&[&one], &[]);
        assert!(is_resumed(&client, &after, NAME));
    }
}

#[test]
fn other_rules_for_clients_end_sessions_whatever_the_certificates_are() {
    let (servers, trusted) = (Authority::new("servers"), Authority::new("clients"));
    let leaves = [NAME, "two.example"].map(|name| servers.server(&[name]));
    let open = with_named(&[], &[&leaves[0], &leaves[1]]);
    let optional = asking_for_clients(open.clone(), &trusted, false);
    let required = asking_for_clients(open.clone(), &trusted, true);
    let others = asking_for_clients(open.clone(), &Authority::new("clients"), false);
    let presented = trusted.client();
    for version in [&TLS13, &TLS12] {
        let context = TlsContext::new();
        let make =
            |tls: &ListenerTls| server_config(&from_1_2(tls.clone()), true, &context).unwrap();
        let (open, optional, required, others) =
            (make(&open), make(&optional), make(&required), make(&others));
        // Without a certificate: what was let in here is not let in there.
        let client = servers.trusting_client(&[version], None, &[]);
        for weaker in [&open, &optional] {
            is_resumed(&client, weaker, NAME);
            assert!(is_resumed(&client, weaker, NAME));
            let config = required.for_name(Some(NAME));
            assert!(handshake(&client, &config, NAME).is_err());
        }
        // With one: a ticket does not outlive the trust in who signed it.
        let client = servers.trusting_client(&[version], Some(&presented), &[]);
        is_resumed(&client, &required, NAME);
        assert!(is_resumed(&client, &required, NAME));
        let config = others.for_name(Some(NAME));
        assert!(handshake(&client, &config, NAME).is_err());
        assert!(!is_resumed(&client, &open, NAME));
    }
}

#[test]
fn an_unchanged_certificate_is_not_read_again_and_a_forgotten_one_is_gone() {
    let authority = Authority::new("servers");
    let leaves = [NAME, "two.example"].map(|name| authority.server(&[name]));
    let tls = with_named(&[&leaves[0]], &[&leaves[1]]);
    let picked = |config: &ServerTls, name| {
        let picked = config.certificates.pick(Some(name), &[]);
        Arc::clone(picked.unwrap())
    };
    let before = server_config(&tls, true, &TlsContext::new()).unwrap();
    // In a context of its own, as when a configuration is checked.
    let checked = server_config(&tls.clone(), true, &TlsContext::new()).unwrap();
    for name in [NAME, "two.example"] {
        let (before, after) = (picked(&before, name), picked(&checked, name));
        assert!(Arc::ptr_eq(&before, &after));
    }
    let forgotten = Arc::downgrade(&keys::certified(&leaves[0].certificate()).unwrap());
    assert!(forgotten.upgrade().is_some());
    drop((before, checked));
    assert!(forgotten.upgrade().is_none(), "the key lives on");
    // A key of another certificate is as wrong as the first time.
    let mut mixed = leaves[0].certificate();
    keys::certified(&mixed).unwrap();
    mixed.key = leaves[1].certificate().key;
    assert!(keys::certified(&mixed).is_err());
}
