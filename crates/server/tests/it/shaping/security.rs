//! Security headers.

use std::path::Path;

use super::with;
use crate::harness::{Upstream, Weir, answer, curl};

/// The presets as the documentation has them: name, field, value.
fn documented() -> Vec<(String, String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security-headers.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut preset = None;
    let mut fields = Vec::new();
    for line in page.lines() {
        if line.starts_with('#') {
            preset = line
                .strip_prefix("### `")
                .map(|rest| rest.trim_end_matches('`').to_owned());
        }
        if let (Some(preset), Some(row)) = (&preset, line.strip_prefix("| `")) {
            let (name, value) = row.split_once("` | `").unwrap();
            let value = value.trim_end_matches(['|', ' ', '`']);
            fields.push((preset.clone(), name.to_owned(), value.to_owned()));
        }
    }
    fields
}

#[test]
fn presets_send_exactly_what_the_page_says() {
    let documented = documented();
    for preset in ["api", "web", "strict"] {
        let upstream = Upstream::answering(|_| answer(200, &[], "ok"));
        let policy = format!("{{ security_headers: {{ preset: {preset} }} }}");
        let weir = Weir::start(&with(&policy, upstream.address));
        let answer = curl(&[&weir.url("/")]).answer();
        let sent: Vec<(String, String)> = answer
            .fields
            .iter()
            .filter(|(name, _)| !["content-length", "date"].contains(&name.as_str()))
            .cloned()
            .collect();
        let expected: Vec<(String, String)> = documented
            .iter()
            .filter(|(of, ..)| of == preset)
            .map(|(_, name, value)| (name.clone(), value.clone()))
            .collect();
        assert!(expected.len() >= 4, "{preset}");
        assert_eq!(sent, expected, "{preset}");
    }
}

fn own_mind() -> Upstream {
    Upstream::answering(|_| answer(200, &[("X-Frame-Options", "ALLOWALL")], "ok"))
}

#[test]
fn what_the_upstream_says_stands_unless_told_otherwise() {
    let upstream = own_mind();
    for (overrides, expected) in [(false, "ALLOWALL"), (true, "DENY")] {
        let policy = format!("{{ security_headers: {{ preset: api, override: {overrides} }} }}");
        let weir = Weir::start(&with(&policy, upstream.address));
        let answer = curl(&[&weir.url("/")]).answer();
        assert_eq!(answer.all("x-frame-options"), [expected]);
        assert_eq!(answer.all("x-content-type-options"), ["nosniff"]);
    }
}

#[test]
fn fields_are_changed_added_and_left_out() {
    let upstream = Upstream::answering(|_| answer(200, &[], "ok"));
    let policy = "{ security_headers: { preset: web, omit: [x-frame-options], \
                  set: { content-security-policy: \"default-src 'self'\", x-robots-tag: none } } }";
    let weir = Weir::start(&with(policy, upstream.address));
    let answer = curl(&[&weir.url("/")]).answer();
    assert_eq!(answer.all("x-frame-options"), Vec::<&str>::new());
    assert_eq!(
        answer.all("content-security-policy"),
        ["default-src 'self'"]
    );
    assert_eq!(answer.all("x-robots-tag"), ["none"]);
    assert_eq!(
        answer.all("referrer-policy"),
        ["strict-origin-when-cross-origin"]
    );
}

#[test]
fn errors_of_the_gateway_have_them_too() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let weir = Weir::start(&with("{ security_headers: { preset: api } }", gone));
    let answer = curl(&[&weir.url("/")]).answer();
    answer.assert_problem(502, "upstream_connect_failed");
    assert_eq!(answer.all("x-content-type-options"), ["nosniff"]);
}
