use std::path::Path;

use weir_config::LoadOptions;
use weir_config::model::PolicyKind;

use super::*;

/// A policy as a configuration writes it.
fn cors() -> Cors {
    let text = "listeners: [{address: '127.0.0.1:0'}]\npolicies:\n  shop:\n    cors:\n      \
                origins: [https://app.test, https://*.example.com]\n      methods: [GET, PUT]\n      \
                expose: [x-total]\n      credentials: true\n";
    let options = LoadOptions::default();
    let loaded = weir_config::load_text(text, "weir.yaml", Path::new(""), &options);
    let config = loaded.expect("a configuration").config;
    let PolicyKind::Cors(model) = &config.policies[0].kind else {
        panic!("{:?}", config.policies);
    };
    Cors::compile(model)
}

fn fields(pairs: &[(&'static str, &str)]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in pairs {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        fields.append(HeaderName::from_static(name), value);
    }
    fields
}

#[test]
fn only_listed_origins_are_named() {
    let cors = cors();
    let allowed = |origin: &str| cors.allowed_origin(&fields(&[("origin", origin)]));
    for origin in [
        "https://app.test",
        "https://a.example.com",
        "https://a.b-2.example.com",
    ] {
        assert_eq!(allowed(origin).unwrap(), origin);
    }
    for origin in [
        "",
        "null",
        "*",
        "http://app.test",
        "https://app.test:8443",
        "https://app.test.evil.test",
        "https://APP.test",
        "https://example.com",
        "https://.example.com",
        "https://evilexample.com",
        "https://a..example.com",
        "https://evil.test/.example.com",
        "https://evil.test#.example.com",
        "https://user@a.example.com",
        "https://evil.test:1.example.com",
        "https://é.example.com",
        "https://a.example.com, https://app.test",
        "https://a\t.example.com",
    ] {
        assert_eq!(allowed(origin), None, "{origin}");
    }
    let long = format!("https://{}.example.com", "a".repeat(1_000_000));
    assert_eq!(allowed(&long), None);
    let twice = fields(&[
        ("origin", "https://app.test"),
        ("origin", "https://app.test"),
    ]);
    assert_eq!(cors.allowed_origin(&twice), None);
}

#[test]
fn the_upstreams_own_fields_are_replaced() {
    let mut answer = fields(&[
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-secret"),
        ("vary", "Accept"),
        ("x-total", "3"),
    ]);
    cors().mark(
        Some(&HeaderValue::from_static("https://app.test")),
        &mut answer,
    );
    let listed: Vec<String> = answer
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    assert_eq!(
        listed,
        [
            "vary: Accept",
            "x-total: 3",
            "access-control-allow-origin: https://app.test",
            "access-control-allow-credentials: true",
            "access-control-expose-headers: x-total",
            "vary: Origin",
        ]
    );
    let mut answer = fields(&[("access-control-allow-origin", "*")]);
    cors().mark(None, &mut answer);
    assert_eq!(answer, fields(&[("vary", "Origin")]));
}

#[test]
fn a_preflight_is_refused_for_what_it_asks() {
    let cors = cors();
    let origin = HeaderValue::from_static("https://app.test");
    let ask = |method: &Method, headers: &str| {
        let request = fields(&[("access-control-request-headers", headers)]);
        cors.preflight(method, Some(&origin), &request)
    };
    assert!(ask(&Method::PUT, "Content-Type,").is_ok());
    let refused = |why| Err(Failure::PreflightRefused(why));
    assert_eq!(ask(&Method::DELETE, ""), refused("method"));
    assert_eq!(
        ask(&Method::PUT, "content-type, x-other"),
        refused("header")
    );
    assert_eq!(ask(&Method::PUT, "content type"), refused("header"));
    let none = Fields::new();
    assert_eq!(cors.preflight(&Method::GET, None, &none), refused("origin"));
    let private = fields(&[("access-control-request-private-network", "true")]);
    let asked = cors.preflight(&Method::GET, Some(&origin), &private);
    assert_eq!(asked, refused("private network"));
}

#[test]
fn where_every_field_is_allowed_those_asked_for_are_named_and_bounded() {
    let mut cors = cors();
    (cors.headers, cors.allow_headers) = (None, None);
    let named = |asked: &str| {
        let request = fields(&[("access-control-request-headers", asked)]);
        cors.allowed_headers(&request)
    };
    assert_eq!(
        named("X-One, authorization").unwrap().unwrap(),
        "x-one, authorization"
    );
    assert_eq!(named(""), Ok(None));
    assert!(named(&"x-a,".repeat(MOST_FIELDS)).is_ok());
    assert!(named(&"x-a,".repeat(MOST_FIELDS + 1)).is_err());
}
