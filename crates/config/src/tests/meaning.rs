use std::time::Duration;

use http::{Method, StatusCode};

use super::{BASE, Folder, loaded, options};
use crate::load_text;
use crate::model::{
    Action, Balance, EncodedSlash, HostHeader, Hsts, LogFormat, LogLevel, LogOutput, PolicyKind,
    RetryCondition, Rewrite, TlsVersion, UpstreamHttp2, ValueMatch,
};
use crate::pattern::{HostPattern, PathPattern};
use crate::template::Template;

#[test]
fn listeners_mean_what_they_say() {
    let folder = Folder::new();
    let text = "\
listeners:
- address: '[::1]:8443'
  proxy_protocol: true
  http2: false
  tls:
    certificates:
    - {certificate: file:tls.crt, key: file:tls.key}
    client_certificate: {authorities: file:authorities.pem, required: false}
    hsts: {max_age: 30d, preload: true}
- address: 127.0.0.1:8444
  tls: {certificate: file:tls.crt, key: file:tls.key, min_version: 1.2, hsts: true}
- address: 127.0.0.1:8445
  tls: {certificate: file:tls.crt, key: file:tls.key, client_certificate: {authorities: file:authorities.pem}}
";
    let loaded = load_text(text, "weir.yaml", folder.path(), &options()).unwrap();
    let [first, second, third] = loaded.config.listeners.as_slice() else {
        panic!()
    };
    assert!(first.proxy_protocol && !first.http2);
    let tls = first.tls.as_ref().unwrap();
    assert_eq!(tls.certificates.len(), 1);
    assert_eq!(tls.minimum_version, TlsVersion::Tls13);
    assert!(!tls.client_certificate.as_ref().unwrap().required);
    let month = Duration::from_secs(30 * 86_400);
    assert_eq!(
        tls.hsts,
        Some(Hsts {
            max_age: month,
            include_subdomains: false,
            preload: true
        })
    );

    assert!(!second.proxy_protocol && second.http2);
    let tls = second.tls.as_ref().unwrap();
    assert_eq!(tls.minimum_version, TlsVersion::Tls12);
    assert_eq!(tls.hsts.unwrap().max_age, Duration::from_secs(365 * 86_400));
    assert!(tls.client_certificate.is_none());
    let tls = third.tls.as_ref().unwrap();
    assert!(tls.client_certificate.as_ref().unwrap().required);
    assert_eq!(tls.hsts, None);
}

#[test]
fn upstreams_mean_what_they_say() {
    let folder = Folder::new();
    let text = format!(
        "{BASE}upstreams:
  b:
    targets: ['A.internal:80', {{address: '[::1]:81', weight: 3, zone: eu-1}}]
    balance: least_request
    tls: {{server_name: a.internal, authorities: file:authorities.pem, certificate: file:tls.crt, key: file:tls.key, min_version: '1.2'}}
    http2: false
    retry: {{attempts: 2, when: [connect, 502], budget: 5%}}
    timeouts: {{connect: 100ms}}
    pool: {{max_idle: 0}}
  a: {{targets: ['a:1'], tls: true, http2: true}}
routes:
- {{name: one, match: {{path: /1}}, upstream: b}}
- {{name: two, match: {{path: /2}}, upstream: a}}
"
    );
    let loaded = load_text(&text, "weir.yaml", folder.path(), &options()).unwrap();
    assert_eq!(loaded.warnings, []);
    let [a, b] = loaded.config.upstreams.as_slice() else {
        panic!()
    };
    assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "b"));
    assert_eq!(a.http2, UpstreamHttp2::Always);
    assert!(a.tls.as_ref().unwrap().server_name.is_none());
    assert_eq!(
        a.retry.when,
        [RetryCondition::Connect, RetryCondition::Reset]
    );
    assert_eq!((a.retry.attempts, a.retry.budget_percent), (1, 20));
    assert_eq!(a.balance, Balance::RoundRobin);

    assert_eq!(b.targets[0].host, "a.internal");
    assert_eq!(
        (b.targets[1].host.as_str(), b.targets[1].weight),
        ("::1", 3)
    );
    assert_eq!(b.targets[1].zone.as_deref(), Some("eu-1"));
    assert_eq!(b.balance, Balance::LeastRequest);
    let tls = b.tls.as_ref().unwrap();
    assert_eq!(tls.server_name.as_deref(), Some("a.internal"));
    assert!(tls.authorities.is_some() && tls.certificate.is_some());
    assert_eq!(tls.minimum_version, TlsVersion::Tls12);
    assert_eq!(b.http2, UpstreamHttp2::Never);
    let status = RetryCondition::Status(StatusCode::BAD_GATEWAY);
    assert_eq!(b.retry.when, [RetryCondition::Connect, status]);
    assert_eq!((b.retry.attempts, b.retry.budget_percent), (2, 5));
    assert_eq!(b.timeouts.connect, Duration::from_millis(100));
    assert_eq!(b.timeouts.first_byte, Duration::from_secs(15));
    assert_eq!(
        (b.pool.max_idle, b.pool.idle_timeout),
        (0, Duration::from_secs(4))
    );

    let upstream_of = |route: usize| match &loaded.config.routes[route].action {
        Action::Forward { to, .. } => to
            .upstreams()
            .next()
            .map_or("", |at| loaded.config.upstreams[at].name.as_str()),
        _ => panic!(),
    };
    assert_eq!((upstream_of(0), upstream_of(1)), ("b", "a"));
}

#[test]
fn routes_mean_what_they_say() {
    let text = format!(
        "{BASE}upstreams: {{a: {{targets: ['a:1']}}}}
policies:
  z: {{headers: {{response: {{remove: server}}}}}}
  y: {{headers: {{request: {{set: {{X-One: '{{request.id}}'}}, add: {{x-two: [a, b]}}}}}}}}
routes:
- name: first
  match:
    host: [api.example.com, '*.example.com']
    path: ['/a/{{id}}', '/b/{{id}}']
    methods: [GET, PURGE]
    headers: {{X-Version: 2, x-a: {{prefix: b}}, x-c: {{present: true}}, x-d: {{present: false}}}}
    query: {{q: {{exact: '1'}}}}
  policies: [z, y]
  upstream: a
  rewrite: {{path: '/v2/{{path.id}}'}}
  host: target
  headers: {{request: {{remove: [x-debug]}}}}
- {{name: second, match: {{path: /c/*}}, upstream: a, rewrite: {{prefix: /}}, host: 'b.internal:80'}}
- {{name: third, match: {{path: /d/*}}, redirect: {{to: 'https://x.example/{{path.*}}', status: 308}}}}
- {{name: fourth, upstream: a}}
"
    );
    let config = loaded(&text).config;
    let [first, second, third, fourth] = config.routes.as_slice() else {
        panic!()
    };
    let matcher = &first.matcher;
    let host = |text| HostPattern::parse(text).unwrap();
    assert_eq!(
        matcher.hosts,
        [host("api.example.com"), host("*.example.com")]
    );
    assert_eq!(matcher.paths[1], PathPattern::parse("/b/{id}").unwrap());
    assert_eq!(
        matcher.methods,
        [Method::GET, Method::from_bytes(b"PURGE").unwrap()]
    );
    let conditions: Vec<_> = matcher
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    assert_eq!(
        conditions,
        [
            ("x-version", ValueMatch::Exact("2".into())),
            ("x-a", ValueMatch::Prefix("b".into())),
            ("x-c", ValueMatch::Present),
            ("x-d", ValueMatch::Absent),
        ]
    );
    assert_eq!(matcher.query, [("q".into(), ValueMatch::Exact("1".into()))]);
    let names: Vec<_> = first
        .policies
        .iter()
        .map(|index| config.policies[*index].name.as_str())
        .collect();
    assert_eq!(names, ["z", "y"]);
    let PolicyKind::Headers(headers) = &config.policies[first.policies[1]].kind else {
        panic!();
    };
    assert_eq!(headers.request.set[0].0, "x-one");
    assert_eq!(headers.request.add.len(), 2);
    assert_eq!(first.headers.request.remove, ["x-debug"]);
    let Action::Forward {
        rewrite: Some(Rewrite::Path(path)),
        host,
        ..
    } = &first.action
    else {
        panic!()
    };
    assert_eq!(*path, Template::parse("/v2/{path.id}").unwrap());
    assert!(matches!(host, HostHeader::Target));

    let Action::Forward {
        rewrite: Some(Rewrite::Prefix(prefix)),
        host,
        ..
    } = &second.action
    else {
        panic!()
    };
    assert_eq!(prefix, "/");
    assert!(matches!(host, HostHeader::Literal(text) if text == "b.internal:80"));
    let Action::Redirect { status, .. } = &third.action else {
        panic!()
    };
    assert_eq!(*status, StatusCode::PERMANENT_REDIRECT);
    let Action::Forward {
        rewrite: None,
        host: HostHeader::Preserve,
        ..
    } = &fourth.action
    else {
        panic!()
    };
    assert!(fourth.matcher.paths.is_empty());
}

#[test]
fn settings_mean_what_they_say() {
    let text = format!(
        "{BASE}workers: 3
data: /srv
trusted_proxies: [10.0.0.0/8, '::1']
timeouts: {{handshake: 1s, head: 2s, idle: 3s, body: 4s, write: 5s}}
limits: {{head_bytes: 4KiB, headers: 5, body_bytes: 6MB, connections: 7, streams: 8}}
paths: {{encoded_slash: keep}}
log: {{format: text, level: trace, output: 'file:logs/weir.log', access: false}}
drain_timeout: 0s
"
    );
    let loaded = load_text(&text, "weir.yaml", "/etc/weir".as_ref(), &options()).unwrap();
    let config = loaded.config;
    assert_eq!(config.workers, 3);
    assert_eq!(config.trusted_proxies[1].to_string(), "::1/128");
    let seconds = [
        config.timeouts.handshake,
        config.timeouts.head,
        config.timeouts.idle,
        config.timeouts.body,
        config.timeouts.write,
    ]
    .map(|timeout| timeout.as_secs());
    assert_eq!(seconds, [1, 2, 3, 4, 5]);
    let limits = config.limits;
    assert_eq!(
        (limits.head_bytes, limits.headers, limits.connections),
        (4096, 5, 7)
    );
    assert_eq!((limits.body_bytes, limits.streams), (Some(6_000_000), 8));
    assert_eq!(config.encoded_slash, EncodedSlash::Keep);
    assert_eq!(
        (config.log.format, config.log.level),
        (LogFormat::Text, LogLevel::Trace)
    );
    assert_eq!(
        config.log.output,
        LogOutput::File("/etc/weir/logs/weir.log".into())
    );
    assert!(!config.log.access);
    assert_eq!(config.drain_timeout, Duration::ZERO);
    let codes: Vec<_> = loaded.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["WR0507"]);
}

#[test]
fn settings_left_out_have_their_defaults() {
    let config = loaded(BASE).config;
    assert!(config.workers >= 1);
    assert_eq!(config.admin.address.to_string(), "127.0.0.1:9900");
    assert_eq!(config.data.to_str(), Some("./weir-data"));
    assert_eq!(config.timeouts.idle, Duration::from_secs(75));
    assert_eq!(config.limits.head_bytes, 32_768);
    assert_eq!(config.limits.body_bytes, None);
    assert_eq!(
        (config.limits.connections, config.limits.streams),
        (65_536, 128)
    );
    assert_eq!(config.encoded_slash, EncodedSlash::Reject);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.drain_timeout, Duration::from_secs(30));
    assert!(config.listeners[0].http2);
}

#[test]
fn target_addresses_may_be_references() {
    let text = format!(
        "{BASE}upstreams: {{a: {{targets: [env:A, {{address: env:B}}]}}}}\nroutes: [{{name: a, upstream: a}}]\n"
    );
    let options = crate::LoadOptions {
        variables: super::variables(&[("A", "a:1\n"), ("B", "b:2")]),
        ..options()
    };
    let loaded = load_text(&text, "weir.yaml", "".as_ref(), &options).unwrap();
    let targets = &loaded.config.upstreams[0].targets;
    assert_eq!((targets[0].host.as_str(), targets[0].port), ("a", 1));
    assert_eq!((targets[1].host.as_str(), targets[1].port), ("b", 2));
}

#[test]
fn each_listener_has_trusted_proxies_of_its_own() {
    let text = |trusted: &str| {
        format!("{BASE}trusted_proxies: [10.0.0.1]\nadmin: {{trusted_proxies: [{trusted}]}}\n")
    };
    let loading = loaded(&text("127.0.0.1, '2001:db8::/32'"));
    let shown = |networks: &[ipnet::IpNet]| -> Vec<String> {
        networks.iter().map(ToString::to_string).collect()
    };
    assert_eq!(shown(&loading.config.trusted_proxies), ["10.0.0.1/32"]);
    assert_eq!(
        shown(&loading.config.admin.trusted_proxies),
        ["127.0.0.1/32", "2001:db8::/32"]
    );
    let everybody = loaded(&text("'::/0'"));
    let warnings = everybody.warnings.iter();
    let found: Vec<_> = warnings
        .map(|warning| (warning.code, warning.path.as_str()))
        .collect();
    assert_eq!(found, [("WR0503", "admin.trusted_proxies[0]")]);
    let refused = super::refused(&text("10.0.0.0/33"));
    assert_eq!(refused.diagnostics[0].code, "WR0110");
}

#[test]
fn the_admin_address_and_listeners_on_every_address_clash() {
    let text = |listener: &str, admin: &str| {
        format!("listeners: [{{address: '{listener}'}}]\nadmin: {{address: '{admin}'}}\n")
    };
    for (listener, admin) in [
        ("0.0.0.0:9900", "127.0.0.1:9900"),
        ("127.0.0.1:9900", "0.0.0.0:9900"),
        ("[::]:9900", "[::1]:9900"),
    ] {
        let report = super::refused(&text(listener, admin));
        let codes: Vec<_> = report
            .diagnostics
            .iter()
            .filter(|found| found.severity == crate::Severity::Error)
            .map(|found| found.code)
            .collect();
        assert_eq!(codes, ["WR0204"], "{listener} {admin}");
    }
    // Listeners for IPv6 take no IPv4.
    loaded(&text("[::]:9900", "127.0.0.1:9900"));
    loaded(&text("0.0.0.0:9901", "127.0.0.1:9900"));
}

#[test]
fn a_path_that_every_request_is_refused_for_is_said() {
    let text = |paths: &str| {
        format!(
            "listeners: [{{address: '127.0.0.1:8080'}}]\nupstreams: {{a: {{targets: ['a:1']}}}}\n\
             routes:\n- {{name: r, match: {{path: [/a, '/b%2fc']}}, upstream: a}}\n{paths}"
        )
    };
    let warnings = loaded(&text("")).warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!((warnings[0].code, warnings[0].line), ("WR0510", 4));
    assert_eq!(warnings[0].path, "routes[0].match.path");
    assert_eq!(warnings[0].length, "'/b%2fc'".len());
    assert_eq!(loaded(&text("paths: {encoded_slash: keep}\n")).warnings, []);
}

#[test]
fn targets_that_are_listeners_of_the_same_file_are_said() {
    let warned = |listener: &str, target: &str| {
        let text = format!(
            "listeners: [{{address: '{listener}'}}]\nupstreams: {{a: {{targets: ['b:1', '{target}']}}}}\n\
             routes: [{{name: r, upstream: a}}]\n"
        );
        let warnings = loaded(&text).warnings;
        let mut found = warnings.iter().filter(|found| found.code == "WR0511");
        let place = found.next().map(|found| found.path.clone());
        assert!(place.is_none() || place.as_deref() == Some("upstreams.a.targets[1]"));
        place.is_some()
    };
    assert!(warned("127.0.0.1:8080", "127.0.0.1:8080"));
    assert!(warned("0.0.0.0:8080", "127.0.0.1:8080"));
    assert!(warned("0.0.0.0:8080", "localhost:8080"));
    assert!(warned("[::]:8080", "[::1]:8080"));
    assert!(!warned("0.0.0.0:8080", "127.0.0.1:8081"));
    assert!(!warned("0.0.0.0:8080", "10.0.0.1:8080"));
    assert!(!warned("10.0.0.2:8080", "127.0.0.1:8080"));
    assert!(!warned("10.0.0.2:8080", "localhost:8080"));
}

#[test]
fn whoever_leads_to_the_admin_listener_is_told_what_it_makes_of_visitors() {
    let warned = |admin: &str, target: &str| {
        let text = format!(
            "admin: {{{admin}}}\nlisteners: [{{address: 127.0.0.1:8080}}]\n\
             upstreams: {{a: {{targets: ['{target}']}}}}\nroutes: [{{name: r, upstream: a}}]\n"
        );
        let warnings = loaded(&text).warnings;
        let mut found = warnings.iter().filter(|found| found.code == "WR0513");
        let found = found.next().cloned();
        found.map(|found| (found.path, found.message))
    };
    let (path, message) = warned("address: '127.0.0.1:9900'", "127.0.0.1:9900").unwrap();
    assert_eq!(path, "upstreams.a.targets");
    assert!(message.contains("the address 127.0.0.1"), "{message}");
    assert!(warned("address: '127.0.0.1:9900'", "localhost:9900").is_some());
    let believing = "address: '127.0.0.1:9900', trusted_proxies: ";
    assert_eq!(
        warned(&format!("{believing}[127.0.0.0/8]"), "127.0.0.1:9900"),
        None
    );
    assert_eq!(
        warned(&format!("{believing}[127.0.0.1]"), "localhost:9900"),
        None
    );
    assert!(warned(&format!("{believing}[10.0.0.1]"), "127.0.0.1:9900").is_some());
    assert_eq!(warned("address: '127.0.0.1:9900'", "127.0.0.1:9901"), None);
}
