//! TLS and the PROXY protocol.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName};

use crate::harness::{
    Authority, Curl, Nginx, Setup, Upstream, Weir, Wire, curl, forward, wait_until,
};

/// A Weir with certificates of a test authority in its directory, in front of a server that answers
/// with what it saw.
struct Bench {
    weir: Weir,
    authority: Authority,
    upstream: Upstream,
}

impl Bench {
    /// `tls` are the listener's settings; without a certificate among them, `weir.crt` is used.
    fn new(tls: &str) -> Self {
        Self::with(tls, "")
    }

    fn with(tls: &str, route: &str) -> Self {
        let setup = Setup::new();
        let authority = Authority::new("test");
        let directory = setup.directory.path();
        authority
            .issue("weir", &["weir.test"])
            .write(directory, "weir");
        authority
            .issue("other", &["other.test", "*.wild.test"])
            .write(directory, "other");
        authority
            .issue("billing", &["billing.test"])
            .write(directory, "client");
        Authority::new("stranger")
            .issue("billing", &["billing.test"])
            .write(directory, "stranger");
        setup.write("ca.pem", authority.pem());
        let upstream = Upstream::echo();
        let certificate = if tls.contains("certificates:") {
            ""
        } else {
            "certificate: file:weir.crt, key: file:weir.key, "
        };
        let weir = setup.start(&format!(
            "listeners: [{{ address: $HTTPS, tls: {{ {certificate}{tls} }} }}]\n\
             upstreams:\n  up: {{ targets: [\"{}\"] }}\n\
             routes: [{{ name: all, match: {{ path: /* }}, upstream: up{route} }}]\n",
            upstream.address
        ));
        Self {
            weir,
            authority,
            upstream,
        }
    }

    fn path(&self, name: &str) -> String {
        self.weir.setup().path(name).display().to_string()
    }

    fn curl(&self, host: &str, arguments: &[&str]) -> Curl {
        let port = self.weir.https().port();
        let resolve = format!("{host}:{port}:127.0.0.1");
        let (url, authorities) = (format!("https://{host}:{port}/"), self.path("ca.pem"));
        let mut all = vec!["--cacert", &authorities, "--resolve", &resolve];
        all.extend_from_slice(arguments);
        all.push(&url);
        curl(&all)
    }

    /// The certificate that answers for a name.
    fn certificate(&self, name: &'static str) -> CertificateDer<'static> {
        let mut wire = tls(&self.authority, plain(self.weir.https()), name);
        wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(wire.response("GET").status(), 200);
        wire.stream.conn.peer_certificates().unwrap()[0]
            .clone()
            .into_owned()
    }
}

type TlsWire = Wire<StreamOwned<ClientConnection, TcpStream>>;

fn plain(address: SocketAddr) -> TcpStream {
    Wire::connect(address).stream
}

/// TLS over a connection on which something may have been said before.
fn tls(authority: &Authority, stream: TcpStream, name: &'static str) -> TlsWire {
    let config = authority.trusting(&["http/1.1"]);
    let name = ServerName::try_from(name).unwrap();
    Wire::over(StreamOwned::new(
        ClientConnection::new(config, name).unwrap(),
        stream,
    ))
}

#[test]
fn tls_1_3_is_the_least_unless_told_otherwise() {
    let strict = Bench::new("");
    let run = strict.curl("weir.test", &["-v"]);
    assert_eq!(run.answer().status(), 200);
    assert!(run.stderr.contains("TLSv1.3"), "{}", run.stderr);
    let refused = strict.curl("weir.test", &["--tls-max", "1.2"]);
    assert_eq!(refused.exit, 35, "{}", refused.stderr);
    let lenient = Bench::new("min_version: \"1.2\"");
    assert_eq!(
        lenient
            .curl("weir.test", &["--tls-max", "1.2"])
            .answer()
            .status(),
        200
    );
    assert_eq!(lenient.curl("weir.test", &[]).answer().status(), 200);
}

#[test]
fn the_server_name_picks_the_certificate() {
    let bench = Bench::new(
        "certificates: [{ certificate: file:weir.crt, key: file:weir.key }, \
         { certificate: file:other.crt, key: file:other.key }]",
    );
    for host in ["weir.test", "other.test", "a.wild.test", "OTHER.test"] {
        assert_eq!(bench.curl(host, &[]).answer().status(), 200, "{host}");
    }
    // The first certificate answers for unknown names: the client refuses it.
    assert_eq!(bench.curl("unknown.test", &[]).exit, 60);
    assert_eq!(
        bench.certificate("weir.test"),
        bench.certificate("weir.test")
    );
    assert_ne!(
        bench.certificate("weir.test"),
        bench.certificate("other.test")
    );
}

const SUBJECT: &str = ", headers: { request: { set: { x-subject: \"{tls.client.subject}\", \
                       x-fingerprint: \"{tls.client.fingerprint}\", x-name: \"{tls.server_name}\" } } }";

#[test]
fn a_required_client_certificate_is_required() {
    let bench = Bench::with(
        "client_certificate: { authorities: file:ca.pem, required: true }",
        SUBJECT,
    );
    assert_ne!(bench.curl("weir.test", &[]).exit, 0);
    let (certificate, key) = (bench.path("stranger.crt"), bench.path("stranger.key"));
    assert_ne!(
        bench
            .curl("weir.test", &["--cert", &certificate, "--key", &key])
            .exit,
        0
    );
    assert_eq!(bench.upstream.accepted(), 0);
    let (certificate, key) = (bench.path("client.crt"), bench.path("client.key"));
    let arguments = [
        "--cert",
        &certificate,
        "--key",
        &key,
        "-H",
        "X-Subject: CN=forged",
    ];
    let seen = bench.curl("weir.test", &arguments).answer().text();
    assert!(
        seen.contains("\nx-subject: CN=billing\n") && !seen.contains("forged"),
        "{seen}"
    );
    assert!(seen.contains("\nx-name: weir.test\n"), "{seen}");
    let fingerprint = seen
        .lines()
        .find_map(|line| line.strip_prefix("x-fingerprint: "))
        .unwrap();
    assert_eq!(fingerprint.len(), 64, "{fingerprint}");
}

#[test]
fn an_optional_client_certificate_may_be_missing_but_not_wrong() {
    let bench = Bench::with(
        "client_certificate: { authorities: file:ca.pem, required: false }",
        SUBJECT,
    );
    let without = bench
        .curl("weir.test", &["-H", "X-Subject: CN=forged"])
        .answer();
    assert_eq!(without.status(), 200);
    assert!(!without.text().contains("CN="), "{}", without.text());
    let (certificate, key) = (bench.path("client.crt"), bench.path("client.key"));
    let with = bench
        .curl("weir.test", &["--cert", &certificate, "--key", &key])
        .answer();
    assert!(
        with.text().contains("\nx-subject: CN=billing\n"),
        "{}",
        with.text()
    );
    let (certificate, key) = (bench.path("stranger.crt"), bench.path("stranger.key"));
    assert_ne!(
        bench
            .curl("weir.test", &["--cert", &certificate, "--key", &key])
            .exit,
        0
    );
}

#[test]
fn strict_transport_security_is_on_every_answer() {
    let bench = Bench::new("hsts: { max_age: 1h, include_subdomains: true, preload: false }");
    let answer = bench.curl("weir.test", &[]).answer();
    assert_eq!(
        answer.all("strict-transport-security"),
        ["max-age=3600; includeSubDomains"]
    );
    let none = Bench::new("hsts: false").curl("weir.test", &[]).answer();
    assert!(none.get("strict-transport-security").is_none());
}

#[test]
fn a_new_certificate_is_taken_up_when_its_file_changes() {
    let bench = Bench::new("");
    let before = bench.certificate("weir.test");
    let mut kept = tls(&bench.authority, plain(bench.weir.https()), "weir.test");
    kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(kept.response("GET").status(), 200);
    let leaf = bench.authority.issue("weir", &["weir.test"]);
    bench.weir.replace_file("weir.key", &leaf.key);
    bench.weir.replace_file("weir.crt", &leaf.certificate);
    assert_ne!(before, leaf.der);
    wait_until("the new certificate is served", || {
        bench.certificate("weir.test") == leaf.der
    });
    kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(kept.response("GET").status(), 200);
    // A key that does not fit changes nothing.
    let stray = bench.authority.issue("weir", &["weir.test"]);
    bench.weir.replace_file("weir.key", &stray.key);
    wait_until("the pair is refused", || {
        bench.weir.log().contains("refused")
    });
    assert_eq!(bench.certificate("weir.test"), leaf.der);
}

/// An upstream over TLS with these settings.
fn secure(target: SocketAddr, tls: &str) -> String {
    format!(
        "upstreams:\n  up: {{ targets: [\"{target}\"], tls: {{ {tls} }} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n"
    )
}

#[test]
fn a_server_over_tls_is_verified() {
    let setup = Setup::new();
    let authority = Authority::new("test");
    setup.write("ca.pem", authority.pem());
    setup.write("stranger.pem", Authority::new("stranger").pem());
    authority
        .issue("nginx", &["nginx.test"])
        .write(setup.directory.path(), "nginx");
    let nginx = Nginx::secure(setup.directory.path(), "");
    let weir = setup.start(&secure(
        nginx.address,
        "server_name: nginx.test, authorities: file:ca.pem",
    ));
    assert_eq!(weir.get("/").text(), "nginx.test  NONE");
    let refused = |tls: &str| {
        assert_eq!(weir.reload(&secure(nginx.address, tls)).status(), 200);
        weir.get("/").assert_problem(502, "upstream_tls_failed");
    };
    refused("server_name: nginx.test, authorities: file:stranger.pem");
    refused("server_name: other.test, authorities: file:ca.pem");
    refused("authorities: file:ca.pem");
    refused("server_name: nginx.test");
    // A server that does not speak TLS at all.
    let plain = Upstream::new(|mut wire| {
        wire.send("220 mail.test\r\n");
        wire.rest();
    });
    weir.reload(&secure(
        plain.address,
        "server_name: nginx.test, authorities: file:ca.pem",
    ));
    weir.get("/").assert_problem(502, "upstream_tls_failed");
    weir.reload(&secure(
        nginx.address,
        "server_name: nginx.test, authorities: file:ca.pem",
    ));
    assert_eq!(weir.get("/").status(), 200);
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let setup = Setup::new();
    let authority = Authority::new("test");
    setup.write("ca.pem", authority.pem());
    let directory = setup.directory.path();
    authority
        .issue("nginx", &["nginx.test"])
        .write(directory, "nginx");
    authority
        .issue("gateway", &["gateway.test"])
        .write(directory, "gateway");
    let nginx = Nginx::secure(
        directory,
        &format!(
            "ssl_client_certificate {}; ssl_verify_client on;",
            setup.path("ca.pem").display()
        ),
    );
    let trust = "server_name: nginx.test, authorities: file:ca.pem";
    let weir = setup.start(&secure(
        nginx.address,
        &format!("{trust}, certificate: file:gateway.crt, key: file:gateway.key"),
    ));
    assert_eq!(weir.get("/").text(), "nginx.test CN=gateway SUCCESS");
    weir.reload(&secure(nginx.address, trust));
    assert_eq!(weir.get("/").status(), 400);
}

#[test]
fn the_proxy_protocol_tells_the_client_in_clear_text_and_before_tls() {
    let setup = Setup::new();
    let authority = Authority::new("test");
    authority
        .issue("weir", &["weir.test"])
        .write(setup.directory.path(), "weir");
    let upstream = Upstream::echo();
    let weir = setup.start(&format!(
        "listeners:\n  - {{ address: $HTTP, proxy_protocol: true }}\n\
         \x20 - {{ address: $HTTPS, proxy_protocol: true, tls: {{ certificate: file:weir.crt, key: file:weir.key }} }}\n{}",
        forward(upstream.address)
    ));
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
    v2.extend_from_slice(
        &"2001:db8::7"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets(),
    );
    v2.extend_from_slice(
        &"2001:db8::1"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets(),
    );
    v2.extend_from_slice(&[0x30, 0x39, 0x01, 0xbb]);
    let headers: [(&[u8], &str); 3] = [
        (
            b"PROXY TCP4 203.0.113.7 192.0.2.1 12345 443\r\n",
            "203.0.113.7",
        ),
        (&v2, "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    ];
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    for (header, client) in headers {
        let line = format!("\nx-forwarded-for: {client}\n");
        let mut wire = Wire::connect(weir.http());
        wire.send([header, request.as_bytes()].concat());
        let seen = wire.response("GET").text();
        assert!(seen.contains(&line), "{seen}");

        let mut stream = plain(weir.https());
        stream.write_all(header).unwrap();
        let mut wire = tls(&authority, stream, "weir.test");
        wire.send(request);
        let seen = wire.response("GET").text();
        assert!(seen.contains(&line), "{seen}");
    }
    // Without the header, or with a wrong one, nobody is served.
    let asked = upstream.accepted();
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"PROXY TCP4 1.2.3 4\r\n",
    ] {
        let mut wire = Wire::connect(weir.http());
        wire.send(bytes);
        assert_eq!(wire.rest(), b"");
    }
    assert!(upstream.accepted() <= asked);
    let run = curl(&["--haproxy-protocol", &weir.url("/")]);
    assert!(
        run.answer()
            .text()
            .contains("\nx-forwarded-for: 127.0.0.1\n")
    );
}

#[test]
fn a_client_that_speaks_clear_text_to_tls_is_left() {
    let bench = Bench::new("");
    let mut wire = Wire::connect(bench.weir.https());
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // An alert at most.
    assert!(!wire.rest().starts_with(b"HTTP"));
    assert_eq!(bench.upstream.accepted(), 0);
}

#[test]
fn a_request_over_a_resumed_session_is_served() {
    let bench = Bench::new("");
    let config: Arc<_> = bench.authority.trusting(&["http/1.1"]);
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let name = ServerName::try_from("weir.test").unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut wire = Wire::over(StreamOwned::new(connection, plain(bench.weir.https())));
        wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(wire.response("GET").status(), 200);
        kinds.push(wire.stream.conn.handshake_kind());
        wire.rest();
    }
    assert_eq!(kinds[2], Some(rustls::HandshakeKind::Resumed), "{kinds:?}");
}
