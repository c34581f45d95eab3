//! `log`, `tracing` and `otlp`.

use std::time::Duration;

use super::{BASE, loaded, options, variables};
use crate::load_text;
use crate::model::{Config, LogOutput, OtlpProtocol, Share, TrustedParent};

fn config(text: &str) -> Config {
    loaded(&format!("{BASE}{text}")).config
}

fn codes(text: &str) -> Vec<&'static str> {
    match load_text(
        &format!("{BASE}{text}"),
        "weir.yaml",
        "".as_ref(),
        &options(),
    ) {
        Ok(loaded) => loaded.warnings.iter().map(|found| found.code).collect(),
        Err(report) => report.diagnostics.iter().map(|found| found.code).collect(),
    }
}

fn share(millionths: u32) -> Share {
    Share::of_millionths(millionths).unwrap()
}

#[test]
fn nothing_is_traced_or_sent_unless_asked_for() {
    let config = config("");
    assert!(config.tracing.is_none() && config.otlp.is_none());
    assert_eq!(config.log.sample, Share::ALL);
    assert!(config.log.rotate.is_none() && !config.log.query);
}

#[test]
fn tracing_has_defaults_and_settings() {
    assert!(config("tracing: false").tracing.is_none());
    let tracing = config("tracing: true\notlp: {endpoint: 'http://c:4317'}")
        .tracing
        .unwrap();
    assert_eq!(tracing.sample, share(10_000));
    assert_eq!(tracing.parent, TrustedParent::Proxies);
    assert!(tracing.errors);
    assert_eq!(tracing.slow, Some(Duration::from_secs(1)));
    let text = "tracing: {sample: 0.05%, parent: all, errors: false, slow: false}";
    let tracing = config(text).tracing.unwrap();
    assert_eq!(tracing.sample, share(500));
    assert_eq!(tracing.parent, TrustedParent::All);
    assert!(!tracing.errors && tracing.slow.is_none());
}

#[test]
fn shares_have_four_digits_behind_the_point_at_most() {
    for (text, millionths) in [
        ("0%", 0),
        ("100%", 1_000_000),
        ("0.0001%", 1),
        ("12.5%", 125_000),
    ] {
        let found = config(&format!("log: {{sample: {text}}}")).log.sample;
        assert_eq!(found, share(millionths), "{text}");
    }
    for text in [
        "1",
        "101%",
        "100.0001%",
        "0.00001%",
        "-1%",
        "1.%",
        ".5%",
        "01%",
        "1e1%",
        "'1 %'",
    ] {
        assert_eq!(
            codes(&format!("log: {{sample: {text}}}")),
            ["WR0108"],
            "{text}"
        );
    }
}

#[test]
fn a_route_has_shares_of_its_own() {
    let text = "upstreams: {a: {targets: ['a:1']}}\nroutes:\n\
        - {name: a, upstream: a, log: {sample: 10%}, tracing: {sample: 0%}}\n\
        - {name: b, match: {path: /b}, upstream: a}\n";
    let routes = config(text).routes;
    assert_eq!(routes[0].log_sample, Some(share(100_000)));
    assert_eq!(routes[0].trace_sample, Some(share(0)));
    assert_eq!((routes[1].log_sample, routes[1].trace_sample), (None, None));
}

#[test]
fn a_receiver_is_read_with_its_secrets() {
    let text = format!(
        "{BASE}tracing: true\notlp: {{endpoint: 'https://Collector.internal', protocol: http, \
         headers: {{authorization: env:TOKEN, x-tenant: blue}}, compression: none, timeout: 3s, \
         resource: {{service.name: edge, host.name: a}}}}\n"
    );
    let options = crate::LoadOptions {
        variables: variables(&[("TOKEN", "Bearer canary-7f3a\n")]),
        ..options()
    };
    let loaded = load_text(&text, "weir.yaml", "".as_ref(), &options).unwrap();
    assert_eq!(loaded.warnings, []);
    let otlp = loaded.config.otlp.unwrap();
    assert_eq!(otlp.endpoint, "https://collector.internal:443");
    assert_eq!(otlp.protocol, OtlpProtocol::Http);
    assert!(!otlp.compression);
    assert_eq!(otlp.timeout, Duration::from_secs(3));
    assert_eq!(otlp.headers[0].1, "Bearer canary-7f3a");
    assert!(!format!("{otlp:?}").contains("canary"));
    assert_eq!(
        otlp.resource[0],
        ("service.name".to_owned(), "edge".to_owned())
    );
}

#[test]
fn what_cannot_work_is_refused() {
    let otlp = "endpoint: 'http://c:4317'";
    for (text, expected) in [
        ("log: {output: otlp}".to_owned(), "WR0206"),
        (
            "log: {output: 'file:a.log', rotate: {keep: 3}}".to_owned(),
            "WR0206",
        ),
        (
            "log: {output: 'file:a.log', rotate: {size: 1KiB}}".to_owned(),
            "WR0106",
        ),
        ("log: {rotate: {every: 1d}}".to_owned(), "WR0510"),
        ("log: {redact: {paths: [/reset]}}".to_owned(), "WR0116"),
        ("log: {headers: ['a b']}".to_owned(), "WR0112"),
        (
            "otlp: {endpoint: 'c:4317'}\ntracing: true".to_owned(),
            "WR0109",
        ),
        ("otlp: {}\ntracing: true".to_owned(), "WR0102"),
        (format!("otlp: {{{otlp}}}"), "WR0510"),
        (
            format!("tracing: true\notlp: {{{otlp}, protocol: udp}}"),
            "WR0114",
        ),
        (
            format!("tracing: true\notlp: {{{otlp}, headers: {{te: a}}}}"),
            "WR0120",
        ),
        (
            format!("tracing: true\notlp: {{{otlp}, headers: {{authorization: a}}}}"),
            "WR0502",
        ),
        (
            format!("tracing: true\notlp: {{{otlp}, headers: {{x: \"a\\nb\"}}}}"),
            "WR0113",
        ),
        ("tracing: {parent: everybody}".to_owned(), "WR0114"),
        ("tracing: {slow: 0s}".to_owned(), "WR0105"),
    ] {
        assert_eq!(codes(&text), [expected], "{text}");
    }
}

#[test]
fn what_a_log_hides_is_read() {
    let log = config(
        "log: {output: 'file:a.log', query: true, headers: [Referer], rotate: {size: 1MiB, every: 1h, keep: 2}, \
         redact: {query: [email], headers: [user-agent], paths: ['/reset/{token}', /private/*]}}",
    )
    .log;
    assert!(log.query && matches!(log.output, LogOutput::File(_)));
    assert_eq!(log.headers, ["referer"]);
    let rotate = log.rotate.unwrap();
    assert_eq!((rotate.size, rotate.keep), (Some(1 << 20), 2));
    assert_eq!(rotate.every, Some(Duration::from_secs(3600)));
    assert_eq!(log.redact.query, ["email"]);
    assert_eq!(log.redact.headers, ["user-agent"]);
    assert_eq!(log.redact.paths.len(), 2);
}
