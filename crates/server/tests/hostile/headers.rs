//! Forged, nominated and injected fields.

use std::fmt::Write;

use crate::harness::free_address;
use crate::harness::http1::{Talk, talk};
use crate::harness::http2::{self, Client};
use crate::harness::upstream::{Seen, Upstream};
use crate::harness::weir::Weir;

/// Everything by which a client may claim to be someone else, each with a value of its own.
const CLAIMS: [&str; 26] = [
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-User",
    "X-Forwarded-Server",
    "X-Forwarded-Anything",
    "Forwarded",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Original-URL",
    "X-Original-Host",
    "X-Rewrite-URL",
    "X-Remote-User",
    "Remote-User",
    "X-Auth-Request-User",
    "X-SSL-Client-Verify",
    "X-SSL-Client-Cert",
    "SSL-Client-Subject",
    "X-Client-Cert",
    "Client-Cert",
    "Client-Cert-Chain",
];

/// A value that no honest message contains.
const FORGED: &str = "203.0.113.66";

fn get(address: std::net::SocketAddr, fields: &str) -> Talk {
    let request =
        format!("GET /case HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{fields}\r\n");
    talk(address, request.as_bytes())
}

/// The names of the fields whose value contains a text.
fn containing(seen: &Seen, text: &str) -> Vec<String> {
    let found = seen
        .fields
        .iter()
        .filter(|(_, value)| String::from_utf8_lossy(value).contains(text));
    found.map(|(name, _)| name.clone()).collect()
}

#[test]
fn claims_of_an_untrusted_client_are_dropped_in_every_spelling() {
    let upstream = Upstream::start();
    let weir = Weir::in_front_of(upstream.address);
    let spellings: [fn(&str) -> String; 6] = [
        str::to_owned,
        str::to_lowercase,
        str::to_uppercase,
        |name| name.replace('-', "_"),
        |name| name.replacen('-', "_", 1),
        |name| name.to_uppercase().replace('-', "_"),
    ];
    for spell in spellings {
        let mut fields = String::new();
        for claim in CLAIMS {
            // Twice: neither the first nor the last of them may pass.
            let _ = write!(fields, "{0}: {FORGED}\r\n{0}: {FORGED}\r\n", spell(claim));
        }
        let answered = get(weir.address, &fields);
        assert_eq!(answered.statuses(), [200]);
        let seen = upstream.next();
        assert_eq!(
            containing(&seen, FORGED),
            Vec::<String>::new(),
            "{}",
            spell("X-Any")
        );
        assert_eq!(seen.value("x-forwarded-for").unwrap(), "127.0.0.1");
        assert_eq!(seen.value("x-forwarded-proto").unwrap(), "http");
        assert_eq!(seen.value("x-forwarded-host").unwrap(), "a.test");
        assert_eq!(
            seen.value("forwarded").unwrap(),
            "for=127.0.0.1;host=a.test;proto=http"
        );
    }
    // The same over HTTP/2.
    let names: Vec<String> = CLAIMS
        .iter()
        .flat_map(|name| [name.to_lowercase(), name.to_lowercase().replace('-', "_")])
        .collect();
    let mut fields = http2::get("/case").to_vec();
    fields.extend(
        names
            .iter()
            .map(|name| (name.as_bytes(), FORGED.as_bytes())),
    );
    assert_eq!(
        Client::connect(weir.address).request(&fields).status(),
        Some(200)
    );
    let seen = upstream.next();
    assert_eq!(containing(&seen, FORGED), Vec::<String>::new());
    assert_eq!(seen.value("x-forwarded-for").unwrap(), "127.0.0.1");
}

#[test]
fn lists_of_trusted_proxies_are_continued_and_read_from_the_right() {
    let upstream = Upstream::start();
    let weir = Weir::start(&format!(
        "listeners: [{{ address: '@listen' }}]
upstreams: {{ all: {{ targets: ['{}'] }} }}
trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]
routes:
  - name: all
    match: {{ path: /* }}
    upstream: all
    headers: {{ request: {{ set: {{ x-client: '{{client.address}}' }} }} }}
",
        upstream.address
    ));
    for (fields, client) in [
        ("", "127.0.0.1"),
        ("X-Forwarded-For: 192.0.2.1", "192.0.2.1"),
        // What an untrusted address has put in front is not believed.
        ("X-Forwarded-For: 203.0.113.66, 192.0.2.1", "192.0.2.1"),
        (
            "X-Forwarded-For: 203.0.113.66, 192.0.2.1, 10.0.0.1",
            "192.0.2.1",
        ),
        (
            "X-Forwarded-For: 203.0.113.66\r\nX-Forwarded-For: 192.0.2.1",
            "192.0.2.1",
        ),
        ("X-Forwarded-For: 10.1.1.1, 10.0.0.1", "10.1.1.1"),
        // What is no address ends the walk.
        (
            "X-Forwarded-For: 203.0.113.66, unknown, 10.0.0.1",
            "10.0.0.1",
        ),
        ("X-Forwarded-For: 203.0.113.66, , 10.0.0.1", "10.0.0.1"),
        ("X-Forwarded-For: 203.0.113.66, 0x0a000001", "127.0.0.1"),
        ("X-Forwarded-For: 203.0.113.66, 010.0.0.1", "127.0.0.1"),
        ("X-Forwarded-For: ::ffff:10.0.0.1", "10.0.0.1"),
        (
            "X-Forwarded-For: 203.0.113.66, ::ffff:192.0.2.1",
            "192.0.2.1",
        ),
        ("Forwarded: for=203.0.113.66, for=192.0.2.1", "192.0.2.1"),
        ("Forwarded: for=\"203.0.113.66, for=192.0.2.1", "127.0.0.1"),
        ("Forwarded: for=192.0.2.1;for=203.0.113.66", "127.0.0.1"),
        // An underscore is no proxy's spelling.
        ("X_Forwarded_For: 203.0.113.66", "127.0.0.1"),
        // A client that forges the field which is made of the address.
        (
            "X-Client: 203.0.113.66\r\nX_Client: 203.0.113.66",
            "127.0.0.1",
        ),
    ] {
        let fields = if fields.is_empty() {
            String::new()
        } else {
            format!("{fields}\r\n")
        };
        assert_eq!(get(weir.address, &fields).statuses(), [200], "{fields}");
        let seen = upstream.next();
        assert_eq!(seen.value("x-client").unwrap(), client, "{fields}");
        assert!(
            seen.value("x-forwarded-for")
                .unwrap()
                .ends_with("127.0.0.1"),
            "{fields}"
        );
        assert!(
            seen.fields.iter().all(|(name, _)| !name.contains('_')),
            "{fields}"
        );
    }
}

#[test]
fn connection_options_cannot_remove_what_the_back_end_relies_on() {
    let upstream = Upstream::start();
    let weir = Weir::in_front_of(upstream.address);
    let bytes = "POST /case HTTP/1.1\r\nHost: a.test\r\nCookie: a=b\r\nAuthorization: Bearer x\r\n\
        Content-Length: 5\r\nContent-Type: text/plain\r\nX-Own: y\r\nKeep-Alive: timeout=5\r\n\
        Proxy-Authorization: Basic x\r\nTE: gzip\r\nUpgrade: websocket\r\n\
        Connection: close, host, x-forwarded-for, content-length, x-own\r\n\
        Connection: cookie, Authorization, CONTENT-TYPE, forwarded, x-real-ip, via,x-request-id\r\n\
        \r\nhello";
    assert_eq!(talk(weir.address, bytes.as_bytes()).statuses(), [200]);
    let seen = upstream.next();
    assert_eq!(seen.body, b"hello");
    for (name, value) in [
        ("host", "a.test"),
        ("cookie", "a=b"),
        ("authorization", "Bearer x"),
        ("content-length", "5"),
        ("content-type", "text/plain"),
        ("x-forwarded-for", "127.0.0.1"),
        ("via", "1.1 weir"),
    ] {
        assert_eq!(seen.value(name).as_deref(), Some(value), "{name}");
    }
    for name in [
        "connection",
        "keep-alive",
        "proxy-authorization",
        "te",
        "upgrade",
        "x-own",
    ] {
        assert_eq!(seen.value(name), None, "{name}");
    }
    // Each with its own comparison: not without bound.
    let options = "Connection: ".to_owned() + &"x-a, ".repeat(2000) + "x-a\r\n";
    let answered = get(weir.address, &options);
    assert_eq!(answered.statuses(), [400]);
    assert!(upstream.take().is_empty());
}

#[test]
fn fields_that_become_dangerous_variables_are_dropped() {
    // CVE-2016-5385: `Proxy` becomes HTTP_PROXY.
    let upstream = Upstream::start();
    let weir = Weir::in_front_of(upstream.address);
    let fields =
        format!("Proxy: {FORGED}\r\nProxy-Connection: {FORGED}\r\nHTTP2-Settings: {FORGED}\r\n");
    assert_eq!(get(weir.address, &fields).statuses(), [200]);
    assert_eq!(containing(&upstream.next(), FORGED), Vec::<String>::new());
}

#[test]
fn a_request_id_cannot_be_forged_or_injected() {
    let upstream = Upstream::start();
    let weir = Weir::start(&format!(
        "listeners: [{{ address: '@listen' }}]
upstreams: {{ all: {{ targets: ['{}'] }} }}
routes:
  - name: all
    match: {{ path: /* }}
    upstream: all
    headers:
      request: {{ set: {{ x-request-id: '{{request.id}}' }} }}
      response: {{ set: {{ x-request-id: '{{request.id}}' }} }}
",
        upstream.address
    ));
    let mut identifiers = std::collections::HashSet::new();
    for fields in [
        "X-Request-ID: forged\r\n",
        "X-Request-ID: a\r\nX-Request-ID: b\r\n",
        "x_request_id: forged\r\n",
        "X-Request-ID: {request.id}\r\n",
        "X-Request-ID: \"}\t{\"level\":\"error\"\r\n",
    ] {
        let answered = get(weir.address, fields);
        let seen = upstream.next();
        let identifier = seen.value("x-request-id").unwrap();
        assert!(
            identifier
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        );
        assert_eq!(
            answered.answers[0].value("x-request-id"),
            Some(identifier.as_str())
        );
        assert_eq!(seen.values("x_request_id"), Vec::<String>::new());
        assert!(identifiers.insert(identifier), "an identifier came twice");
    }
    // A refusal carries an identifier of its own, too.
    let refused = get(weir.address, "X-Request-ID: forged\r\nX: \0\r\n");
    let identifier = refused.answers[0].value("x-request-id").unwrap();
    assert_ne!(identifier, "forged");
}

#[test]
fn nothing_that_a_client_sends_splits_a_response_or_a_request() {
    let upstream = Upstream::start();
    let weir = Weir::start(&format!(
        "listeners: [{{ address: '@listen' }}]
upstreams: {{ all: {{ targets: ['{}'] }} }}
routes:
  - name: echo
    match: {{ path: '/echo/{{name}}/*' }}
    upstream: all
    headers:
      request:
        set: {{ x-name: '{{path.name}}', x-tail: '{{path.*}}', x-query: '{{request.query}}', x-copy: '{{request.header.x-odd}}', x-host: '{{request.host}}' }}
      response:
        set: {{ x-name: '{{path.name}}', x-tail: '{{path.*}}', x-query: '{{request.query}}', x-copy: '{{request.header.x-odd}}', x-host: '{{request.host}}' }}
  - name: moved
    match: {{ path: /moved/* }}
    redirect: {{ to: '/to/{{path.*}}?from={{request.header.x-odd}}&{{request.query}}' }}
  - name: rewritten
    match: {{ path: '/rewritten/{{name}}/*' }}
    upstream: all
    rewrite: {{ path: '/new/{{path.name}}/{{path.*}}?old={{request.header.x-odd}}' }}
",
        upstream.address
    ));
    let injections = [
        "%0d%0aX-Injected:%20yes",
        "%0aX-Injected:%20yes",
        "%0dX-Injected:%20yes",
        "%0D%0A%0D%0A<html>",
        "%e5%98%8a%e5%98%8dX-Injected:%20yes",
        "%00X-Injected",
        "%250d%250aX-Injected:%20yes",
        "%c4%8d%c4%8aX-Injected:yes",
        "%7f",
        "%20HTTP/1.1%0d%0aX-Injected:%20yes",
    ];
    for injection in injections {
        for target in [
            format!("/echo/{injection}/x"),
            format!("/echo/a/{injection}"),
            format!("/echo/a/x?{injection}"),
            format!("/moved/{injection}"),
            format!("/moved/x?{injection}"),
            format!("/rewritten/{injection}/x"),
            format!("/rewritten/a/{injection}"),
            format!("/rewritten/a/x?{injection}"),
        ] {
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nX-Odd: {injection}\r\n\r\n"
            );
            let answered = talk(weir.address, request.as_bytes());
            assert_eq!(answered.answers.len(), 1, "{target}: {answered:?}");
            assert!(answered.rest.is_empty(), "{target}");
            let answer = &answered.answers[0];
            assert_eq!(answer.value("x-injected"), None, "{target}");
            assert!(!answer.body.starts_with(b"<html>"), "{target}");
            // The upstream reads strictly: it would complain about a broken line.
            for seen in upstream.take() {
                assert_eq!(seen.values("x-injected"), Vec::<String>::new(), "{target}");
                assert!(
                    !seen.target.contains(['\r', '\n', ' ', '\0']),
                    "{target}: {seen:?}"
                );
            }
        }
    }
}

#[test]
fn a_redirect_stays_on_its_host() {
    let upstream = Upstream::start();
    let weir = Weir::start(&format!(
        "listeners: [{{ address: '@listen' }}]
upstreams: {{ all: {{ targets: ['{}'] }} }}
routes:
  - {{ name: tail, match: {{ path: /tail/* }}, redirect: {{ to: '/{{path.*}}' }} }}
  - {{ name: whole, match: {{ path: /whole/* }}, redirect: {{ to: '{{request.path}}' }} }}
  - {{ name: secure, match: {{ path: /secure/* }}, redirect: {{ to: 'https://{{request.host}}{{request.path}}', status: 308 }} }}
  - {{ name: fixed, match: {{ path: /fixed/* }}, redirect: {{ to: 'https://good.test/{{path.*}}' }} }}
  - {{ name: field, match: {{ path: /field }}, redirect: {{ to: '/login?next={{request.header.x-next}}' }} }}
  - {{ name: all, match: {{ path: /* }}, upstream: all }}
",
        upstream.address
    ));
    let evil = [
        "/evil.test",
        "//evil.test",
        "%2fevil.test",
        "%2f%2fevil.test",
        "\\evil.test",
        "%5cevil.test",
        "%5c%5cevil.test",
        "/\\evil.test",
        "https://evil.test",
        "https:evil.test",
        "http:%2f%2fevil.test",
        "javascript:alert(1)",
        "@evil.test",
        ".evil.test",
        ":80@evil.test",
        "%09/evil.test",
        "%0a/evil.test",
        "..//evil.test",
        "../evil.test",
        "../../evil.test",
        ".;/evil.test",
        "%00/evil.test",
        "?//evil.test",
        "#//evil.test",
        "%3f",
        "%23",
        "%e3%80%82evil.test",
        "data:text/html,x",
    ];
    for place in ["tail", "whole", "secure", "fixed"] {
        for text in evil {
            let request = format!(
                "GET /{place}/{text} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
            );
            let answered = talk(weir.address, request.as_bytes());
            assert_eq!(answered.answers.len(), 1, "{place} {text}");
            let answer = &answered.answers[0];
            let Some(location) = answer.value("location") else {
                assert!(
                    answer.status == 400 || upstream.take().len() == 1,
                    "{place} {text}: {answer:?}"
                );
                continue;
            };
            let is_good = match place {
                "secure" => location.starts_with("https://a.test/"),
                "fixed" => location.starts_with("https://good.test/"),
                _ => location.starts_with('/') && !location.starts_with("//"),
            };
            assert!(is_good, "{place} {text} leads to {location}");
            assert!(
                !location.contains(['\\', '\r', '\n', '\t', ' ', '\0']),
                "{place} {text}: {location}"
            );
        }
    }
    let answered = talk(
        weir.address,
        b"GET /field HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nX-Next: https://evil.test&x=#y\r\n\r\n",
    );
    let location = answered.answers[0].value("location").unwrap();
    let next = location.strip_prefix("/login?next=").unwrap();
    assert!(!next.contains(['&', '#', ' ']), "{location}");
}

#[test]
fn a_loop_ends_with_508() {
    let address = free_address();
    let weir = Weir::start(&format!(
        "listeners: [{{ address: '@listen' }}, {{ address: '{address}' }}]
upstreams: {{ itself: {{ targets: ['{address}'] }} }}
routes: [{{ name: all, match: {{ path: /* }}, upstream: itself }}]
"
    ));
    for fields in [
        "",
        "Via: 1.1 a, 1.1 b\r\n",
        "Connection: via\r\n",
        "Max-Forwards: 100\r\n",
    ] {
        let answered = get(weir.address, fields);
        assert_eq!(answered.statuses(), [508], "{fields}");
        answered.answers[0].assert_problem(fields);
    }
    let memory = weir.peak_memory();
    println!("{memory} KiB at most");
    assert!(memory < 72 * 1024, "{memory} KiB");
}

#[test]
fn what_is_stated_follows_each_request_of_a_connection() {
    let upstream = Upstream::start();
    let weir = Weir::in_front_of(upstream.address);
    let mut bytes = String::new();
    for host in ["a.test", "b.test:81", "a.test", "[::1]:82"] {
        let _ = write!(
            bytes,
            "GET /case HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: c.test\r\n\r\n"
        );
    }
    bytes.push_str("GET /case HTTP/1.0\r\nX-Forwarded-Host: c.test\r\n\r\n");
    assert_eq!(talk(weir.address, bytes.as_bytes()).statuses(), [200; 5]);
    let seen = upstream.take();
    let stated: Vec<_> = seen
        .iter()
        .map(|seen| seen.value("x-forwarded-host"))
        .collect();
    let stated: Vec<_> = stated.iter().map(Option::as_deref).collect();
    assert_eq!(
        stated,
        [
            Some("a.test"),
            Some("b.test:81"),
            Some("a.test"),
            Some("[::1]:82"),
            None
        ]
    );
    assert_eq!(
        seen[3].value("forwarded").unwrap(),
        "for=127.0.0.1;host=\"[::1]:82\";proto=http"
    );
    assert_eq!(
        seen[4].value("forwarded").unwrap(),
        "for=127.0.0.1;proto=http"
    );
}
