//! Certificates that clients show.

use crate::harness::{Authority, Message, Setup, Upstream, Weir, curl};

struct Bench {
    weir: Weir,
    upstream: Upstream,
}

impl Bench {
    /// Clients may show `client.crt` and `other.crt`, which the authority signed, or nothing.
    fn new(mtls: &str) -> Self {
        let setup = Setup::new();
        let authority = Authority::new("test");
        let directory = setup.directory.path();
        authority
            .issue("weir", &["weir.test"])
            .write(directory, "weir");
        authority
            .issue("billing", &["billing.test"])
            .write(directory, "client");
        authority
            .issue("orders", &["orders.test"])
            .write(directory, "other");
        setup.write("ca.pem", authority.pem());
        let upstream = Upstream::echo();
        let weir = setup.start(&format!(
            "listeners: [{{ address: $HTTP }}, {{ address: $HTTPS, tls: {{ certificate: file:weir.crt, key: file:weir.key, \
               client_certificate: {{ authorities: file:ca.pem, required: false }} }} }}]\n\
             upstreams: {{ up: {{ targets: ['{}'] }} }}\n\
             policies:\n  machines: {{ mtls: {mtls} }}\n  \
               who: {{ identity: {{ claims: {{ x-fingerprint: fingerprint }} }} }}\n\
             routes: [{{ name: items, policies: [machines, who], upstream: up }}]\n",
            upstream.address
        ));
        Self { weir, upstream }
    }

    fn path(&self, name: &str) -> String {
        self.weir.setup().path(name).display().to_string()
    }

    /// Over TLS, with a certificate or without.
    fn get(&self, certificate: Option<&str>, version: &str) -> Message {
        let port = self.weir.https().port();
        let resolve = format!("weir.test:{port}:127.0.0.1");
        let (url, authority) = (format!("https://weir.test:{port}/"), self.path("ca.pem"));
        let mut arguments = vec!["--cacert", &authority, "--resolve", &resolve, version];
        let files = certificate.map(|name| {
            (
                self.path(&format!("{name}.crt")),
                self.path(&format!("{name}.key")),
            )
        });
        if let Some((certificate, key)) = &files {
            arguments.extend(["--cert", certificate, "--key", key]);
        }
        arguments.extend(["-H", "X-Weir-Subject: root", &url]);
        curl(&arguments).answer()
    }
}

#[test]
fn a_listed_certificate_says_who_is_calling_over_either_protocol() {
    let bench = Bench::new("{ names: ['dns:billing.test'], subject: common_name }");
    for version in ["--http1.1", "--http2"] {
        let answer = bench.get(Some("client"), version);
        assert_eq!(answer.status(), 200);
        let seen = answer.text();
        assert!(seen.contains("x-weir-subject: billing"), "{seen}");
        assert!(seen.contains("x-weir-method: certificate"), "{seen}");
        assert!(seen.contains("x-weir-issuer: CN=test"), "{seen}");
        assert!(
            seen.contains("x-fingerprint: ") && !seen.contains("root"),
            "{seen}"
        );
    }
}

#[test]
fn another_certificate_and_none_are_told_apart_and_nothing_of_the_list() {
    let bench = Bench::new("{ subjects: [CN=billing] }");
    assert_eq!(bench.get(Some("client"), "--http2").status(), 200);
    let before = bench.upstream.accepted();
    for version in ["--http1.1", "--http2"] {
        let refused = bench.get(Some("other"), version);
        refused.assert_problem(401, "credential_refused");
        assert_eq!(
            refused.get("www-authenticate"),
            Some("Certificate realm=\"weir\"")
        );
        assert!(!refused.text().contains("billing"), "{}", refused.text());
        let missing = bench.get(None, version);
        missing.assert_problem(401, "credential_missing");
        assert_eq!(
            missing.get("www-authenticate"),
            Some("Certificate realm=\"weir\"")
        );
    }
    // On a listener without TLS nobody can show one.
    let plain = bench.weir.get("/");
    plain.assert_problem(401, "credential_missing");
    assert_eq!(bench.upstream.accepted(), before);
}

#[test]
fn without_a_list_every_verified_certificate_is_good() {
    let bench = Bench::new("{ subject: dns }");
    for (name, subject) in [("client", "billing.test"), ("other", "orders.test")] {
        let seen = bench.get(Some(name), "--http2").text();
        assert!(
            seen.contains(&format!("x-weir-subject: {subject}")),
            "{seen}"
        );
    }
}
