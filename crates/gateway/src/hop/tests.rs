use http::Version;
use http::header::VIA;
use ipnet::IpNet;
use std::net::IpAddr;

use super::*;

mod client;

fn fields(pairs: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).expect(name);
        fields.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect(value),
        );
    }
    fields
}

fn listed(fields: &Fields) -> Vec<(&str, &str)> {
    fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().expect("ASCII")))
        .collect()
}

fn address(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn networks(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().expect(text)).collect()
}

#[test]
fn fields_of_the_connection_end_here() {
    let mut message = fields(&[
        ("host", "example.com"),
        ("connection", "keep-alive, x-mine"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic x"),
        ("proxy-authenticate", "Basic"),
        ("proxy", "http://evil.test"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAM"),
        ("te", "gzip"),
        ("trailer", "x-checksum"),
        ("x-mine", "1"),
        ("X-Mine", "2"),
        ("accept", "*/*"),
    ]);
    let stripped = strip_hop_by_hop(&mut message).expect("few options");
    assert_eq!(
        listed(&message),
        [
            ("host", "example.com"),
            ("trailer", "x-checksum"),
            ("accept", "*/*")
        ]
    );
    let expected = Stripped {
        keep_alive: true,
        ..Stripped::default()
    };
    assert_eq!(stripped, expected);
}

#[test]
fn nominating_a_field_that_matters_does_not_remove_it() {
    let protected = [
        "host",
        "content-length",
        "content-type",
        "transfer-encoding-not",
        "x-forwarded-for",
        "x-forwarded-anything",
        "forwarded",
        "x-real-ip",
        "authorization",
        "cookie",
        "x-user-id",
        "x-remote-user",
        "client-cert",
        "via",
        "origin",
        "if-match",
    ];
    for name in protected {
        let mut message = fields(&[("connection", &format!("close,{name}")), (name, "1")]);
        let stripped = strip_hop_by_hop(&mut message).expect("few options");
        if name == "transfer-encoding-not" {
            assert!(message.is_empty(), "an unknown field can be nominated");
            continue;
        }
        assert_eq!(listed(&message), [(name, "1")]);
        assert_eq!((stripped.protected, stripped.close), (1, true), "{name}");
    }
}

#[test]
fn an_upgrade_is_reported_if_it_is_announced() {
    let mut message = fields(&[
        ("upgrade", "websocket"),
        ("connection", "Keep-Alive, Upgrade"),
    ]);
    let stripped = strip_hop_by_hop(&mut message).expect("few options");
    assert_eq!(
        stripped.upgrade,
        Some(HeaderValue::from_static("websocket"))
    );
    assert!(message.is_empty());

    let mut message = fields(&[("upgrade", "websocket")]);
    let stripped = strip_hop_by_hop(&mut message).expect("few options");
    assert_eq!(stripped.upgrade, None);
    assert!(message.is_empty());
}

#[test]
fn only_trailers_are_left_of_te() {
    let mut message = fields(&[
        ("te", "gzip;q=0.5, Trailers"),
        ("connection", "te"),
        ("te", "x"),
    ]);
    let stripped = strip_hop_by_hop(&mut message).expect("few options");
    assert!(stripped.trailers);
    assert_eq!(listed(&message), [("te", "trailers")]);
}

#[test]
fn odd_options_are_passed_over_and_floods_are_refused() {
    let mut message = fields(&[("connection", ", ,\t,a b,\"x\",;,close"), ("x", "1")]);
    let stripped = strip_hop_by_hop(&mut message).expect("few options");
    assert!(stripped.close);
    assert_eq!(listed(&message), [("x", "1")]);

    let flood = vec!["x-a"; 33].join(",");
    let mut message = fields(&[("connection", &flood)]);
    assert_eq!(strip_hop_by_hop(&mut message), Err(TooManyOptions));
}

fn info(peer: &str, trusted: bool) -> ForwardingInfo<'static> {
    ForwardingInfo {
        peer: address(peer),
        trusted,
        scheme: "https",
        host: "example.com:8443",
        received_version: Version::HTTP_2,
    }
}

#[test]
fn what_an_untrusted_peer_states_is_dropped() {
    let mut message = fields(&[
        ("x-forwarded-for", "10.0.0.1"),
        ("X-Forwarded-For", "10.0.0.2"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/admin"),
        ("x-forwarded-user", "root"),
        ("x-real-ip", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("x_forwarded_for", "10.0.0.1"),
        ("X_Forwarded-For", "10.0.0.1"),
        ("x_real_ip", "10.0.0.1"),
        ("remote_user", "root"),
        ("client-cert", ":AAAA:"),
        ("x-original-url", "/admin"),
        ("accept", "*/*"),
        ("x_custom", "1"),
    ]);
    rebuild_forwarding(
        &mut message,
        &info("192.0.2.7", false),
        &mut ForwardingCache::default(),
    );
    assert_eq!(
        listed(&message),
        [
            ("accept", "*/*"),
            ("x_custom", "1"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "example.com:8443"),
            (
                "forwarded",
                "for=192.0.2.7;host=\"example.com:8443\";proto=https"
            ),
            ("via", "2 weir"),
        ]
    );
}

#[test]
fn a_trusted_peers_lists_are_continued() {
    let mut message = fields(&[
        ("x-forwarded-for", "198.51.100.1"),
        ("forwarded", "for=198.51.100.1"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-port", "80"),
        ("x-real-ip", "198.51.100.1"),
        ("x_forwarded_for", "forged"),
        ("via", "1.1 edge"),
    ]);
    rebuild_forwarding(
        &mut message,
        &info("2001:db8::1", true),
        &mut ForwardingCache::default(),
    );
    assert_eq!(
        listed(&message),
        [
            ("x-forwarded-for", "198.51.100.1, 203.0.113.9, 2001:db8::1"),
            (
                "forwarded",
                "for=198.51.100.1, for=\"[2001:db8::1]\";host=\"example.com:8443\";proto=https"
            ),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-port", "80"),
            ("x-real-ip", "198.51.100.1"),
            ("via", "1.1 edge"),
            ("x-forwarded-host", "example.com:8443"),
            ("via", "2 weir"),
        ]
    );
}

#[test]
fn both_forms_of_a_trusted_peers_statement_agree() {
    let last = "for=127.0.0.1;host=inner.test;proto=http";
    // What the proxy sent, then X-Forwarded-For, -Proto, -Host and Forwarded of the result.
    for (sent, expected) in [
        (
            &[
                ("x-forwarded-for", "203.0.113.9, 2001:db8::1"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "shop.example"),
            ][..],
            [
                "203.0.113.9, 2001:db8::1, 127.0.0.1",
                "https",
                "shop.example",
                "for=203.0.113.9;host=shop.example;proto=https, for=\"[2001:db8::1]\", for=127.0.0.1",
            ],
        ),
        (
            &[("x-forwarded-proto", "https")],
            [
                "127.0.0.1",
                "https",
                "inner.test",
                "for=127.0.0.1;host=inner.test;proto=https",
            ],
        ),
        (
            &[
                ("x-forwarded-for", "a, b,, 203.0.113.9:80"),
                ("x-forwarded-proto", "ht;tp"),
                ("x-forwarded-host", "a\";for=1, b"),
            ],
            [
                "a, b,, 203.0.113.9:80, 127.0.0.1",
                "ht;tp",
                "a\";for=1, b",
                "for=unknown, for=203.0.113.9, for=127.0.0.1",
            ],
        ),
        (
            &[(
                "forwarded",
                "For=\"[2001:db8::1]:4711\";proto=https;host=\"shop.example:8443\", for=_hidden",
            )],
            [
                "2001:db8::1, unknown, 127.0.0.1",
                "https",
                "shop.example:8443",
                &format!(
                    "For=\"[2001:db8::1]:4711\";proto=https;host=\"shop.example:8443\", for=_hidden, {last}"
                ),
            ],
        ),
        (
            &[("forwarded", "proto=\"a b\";host=\"a,b\"")],
            [
                "unknown, 127.0.0.1",
                "http",
                "inner.test",
                &format!("proto=\"a b\";host=\"a,b\", {last}"),
            ],
        ),
        (
            &[
                ("x-forwarded-for", "198.51.100.1"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "a.test"),
                ("forwarded", "for=203.0.113.9;host=b.test"),
            ],
            [
                "198.51.100.1, 127.0.0.1",
                "https",
                "a.test",
                &format!("for=203.0.113.9;host=b.test, {last}"),
            ],
        ),
    ] {
        let mut message = fields(sent);
        let info = ForwardingInfo {
            scheme: "http",
            host: "inner.test",
            ..info("127.0.0.1", true)
        };
        rebuild_forwarding(&mut message, &info, &mut ForwardingCache::default());
        let found = [
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "forwarded",
        ]
        .map(|name| {
            let name = HeaderName::from_static(name);
            let values: Vec<_> = message.get_all(&name).collect();
            assert_eq!(values.len(), 1, "{name} after {sent:?}");
            values[0].to_str().expect("ASCII").to_owned()
        });
        assert_eq!(found, expected, "after {sent:?}");
    }
}

#[test]
fn hosts_are_quoted_where_rfc_7239_asks_for_it() {
    for (host, expected) in [
        ("example.com", "for=192.0.2.7;host=example.com;proto=http"),
        ("[::1]:80", "for=192.0.2.7;host=\"[::1]:80\";proto=http"),
        ("a\"b\\c", "for=192.0.2.7;host=\"a\\\"b\\\\c\";proto=http"),
        ("", "for=192.0.2.7;proto=http"),
        ("a\r\nb", "for=192.0.2.7;proto=http"),
        ("é", "for=192.0.2.7;proto=http"),
    ] {
        let mut message = Fields::new();
        let info = ForwardingInfo {
            host,
            scheme: "http",
            ..info("::ffff:192.0.2.7", false)
        };
        rebuild_forwarding(&mut message, &info, &mut ForwardingCache::default());
        let forwarded = message.get(&http::header::FORWARDED).expect("forwarded");
        assert_eq!(forwarded, expected);
    }
}

#[test]
fn via_grows_until_it_is_a_loop() {
    let mut message = fields(&[
        ("via", "1.0 edge, 1.1 Weir (x) ,2  weir"),
        ("via", "weir, 1.1 weirdo"),
    ]);
    assert_eq!(check_via_loop(&message, 2), Ok(()));
    append_via(&mut message, Version::HTTP_11);
    assert_eq!(check_via_loop(&message, 2), Err(ViaLoop { passes: 3 }));
    let last = message.get_all(&VIA).last();
    assert_eq!(last, Some(&HeaderValue::from_static("1.1 weir")));
}

#[test]
fn random_fields_do_not_panic_and_nothing_of_the_connection_is_left() {
    const NAMES: [&str; 12] = [
        "connection",
        "te",
        "upgrade",
        "x-forwarded-for",
        "forwarded",
        "via",
        "x_forwarded_for",
        "x-a",
        "transfer-encoding",
        "host",
        "x-forwarded-proto",
        "__________",
    ];
    const VALUES: [&str; 16] = [
        "close", ",", " ", "te", "x-a", "host", "trailers", "for=", "\"", "\\", ";", "10.0.0.1",
        "[::1]", ":80", "1.1 weir", "\u{e9}",
    ];
    let trusted = networks(&["10.0.0.0/8"]);
    let mut random = fastrand::Rng::with_seed(42);
    let mut cache = ForwardingCache::default();
    for round in 0..30_000 {
        let mut message = Fields::new();
        for _ in 0..random.usize(0..6) {
            let name = HeaderName::from_static(NAMES[random.usize(0..NAMES.len())]);
            let value: String = (0..random.usize(0..5))
                .map(|_| VALUES[random.usize(0..VALUES.len())])
                .collect();
            message.append(
                name,
                HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
            );
        }
        let client = client_address(&message, address("10.0.0.1"), &trusted);
        assert!(
            client.is_ipv4() || client == address("::1"),
            "{client} from {message:?}"
        );
        let _ = check_via_loop(&message, 3);
        strip_hop_by_hop(&mut message).expect("few options");
        rebuild_forwarding(&mut message, &info("10.0.0.1", round % 2 == 0), &mut cache);
        for name in [
            "connection",
            "upgrade",
            "transfer-encoding",
            "x_forwarded_for",
        ] {
            assert!(
                !message.contains(&HeaderName::from_static(name)),
                "{name} in {message:?}"
            );
        }
        let list = message.get_all(&forwarding::X_FORWARDED_FOR).count();
        assert_eq!(list, 1, "{message:?}");
    }
}

#[test]
fn what_is_kept_of_a_connection_is_not_said_about_another_host_or_peer() {
    let mut cache = ForwardingCache::default();
    let mut stated = |peer: &str, host: &'static str| {
        let mut message = Fields::new();
        let info = ForwardingInfo {
            host,
            ..info(peer, false)
        };
        rebuild_forwarding(&mut message, &info, &mut cache);
        let value = message.get(&http::header::FORWARDED).unwrap();
        String::from_utf8(value.as_bytes().to_vec()).unwrap()
    };
    let first = stated("192.0.2.7", "a.test");
    assert_eq!(first, "for=192.0.2.7;host=a.test;proto=https");
    assert_eq!(stated("192.0.2.7", "a.test"), first);
    assert_eq!(
        stated("192.0.2.7", "b.test"),
        "for=192.0.2.7;host=b.test;proto=https"
    );
    assert_eq!(
        stated("192.0.2.8", "b.test"),
        "for=192.0.2.8;host=b.test;proto=https"
    );
}
