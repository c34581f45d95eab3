//! What shapes answers: CORS, security headers, compression, answers of the configuration.

use std::time::Duration;

use super::{BASE, codes_of, loaded, refused};
use crate::model::{Action, Coding, CorsHeaders, PolicyKind, Respond};
use crate::origin::Origins;

fn with_policy(policy: &str) -> String {
    format!(
        "{BASE}upstreams: {{up: {{targets: [127.0.0.1:9001]}}}}\npolicies: {{p: {policy}}}\n\
         routes: [{{name: r, policies: [p], upstream: up}}]\n"
    )
}

fn with_answer(respond: &str) -> String {
    format!("{BASE}routes: [{{name: r, respond: {respond}}}]\n")
}

fn kind(policy: &str) -> PolicyKind {
    loaded(&with_policy(policy)).config.policies[0].kind.clone()
}

fn respond(answer: &str) -> Respond {
    match loaded(&with_answer(answer)).config.routes.remove(0).action {
        Action::Respond(respond) => *respond,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_refused(text: &str, code: &str, words: &str) {
    let report = refused(text);
    assert_eq!(codes_of(&report), [code], "{report}");
    assert!(report.to_string().contains(words), "{report}");
}

#[test]
fn cors_has_careful_defaults() {
    let PolicyKind::Cors(cors) = kind("{cors: {origins: any}}") else {
        panic!()
    };
    assert_eq!(cors.origins, Origins::Any);
    assert_eq!(cors.methods, ["GET", "HEAD", "POST"]);
    let names = vec![http::header::CONTENT_TYPE];
    assert_eq!(cors.headers, CorsHeaders::These(names));
    assert_eq!(cors.max_age, Duration::from_secs(600));
    assert!(!cors.credentials && !cors.private_network && cors.expose.is_empty());
}

#[test]
fn cors_that_lets_everybody_act_for_the_visitor_is_refused() {
    let text = with_policy("{cors: {origins: any, credentials: true}}");
    assert_refused(&text, "WR0205", "every site could act");
    let text = with_policy("{cors: {origins: [any], credentials: true}}");
    assert_refused(&text, "WR0205", "every site could act");
    let text = with_policy("{cors: {origins: [https://a.test, any]}}");
    assert_refused(&text, "WR0205", "stand beside others");
    let text = with_policy("{cors: {origins: https://a.test, headers: [x-a, any]}}");
    assert_refused(&text, "WR0205", "stand beside others");
}

#[test]
fn mistakes_of_cors_are_told_with_the_fix() {
    for (origins, words) in [
        ("https://a.test/", "write `https://a.test`"),
        ("a.test", "`https://a.test`"),
        ("'*'", "`any` is every origin"),
        ("'null'", "sandboxed"),
        ("\"https://a.test\\r\\nx-evil: 1\"", "is not an origin"),
    ] {
        let text = with_policy(&format!("{{cors: {{origins: {origins}}}}}"));
        assert_refused(&text, "WR0130", words);
    }
    let twice = "{cors: {origins: [https://a.test, https://A.test:443]}}";
    assert_refused(&with_policy(twice), "WR0211", "listed twice");
    let method = "{cors: {origins: any, methods: get}}";
    assert_refused(&with_policy(method), "WR0111", "`GET`");
}

#[test]
fn security_headers_take_no_line_breaks_and_no_framing() {
    let set = |field: &str| {
        with_policy(&format!(
            "{{security_headers: {{preset: web, set: {{{field}}}}}}}"
        ))
    };
    assert_refused(
        &set("x-a: \"b\\r\\nset-cookie: c\""),
        "WR0113",
        "control character",
    );
    assert_refused(&set("content-length: 5"), "WR0120", "content-length");
    let omit = "{security_headers: {preset: api, omit: [x-frame-option]}}";
    let warnings = loaded(&with_policy(omit)).warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].code, "WR0510");
    let both =
        "{security_headers: {preset: api, omit: [x-frame-options], set: {x-frame-options: A}}}";
    assert_refused(&with_policy(both), "WR0205", "is set and left out");
}

#[test]
fn compression_has_levels_that_a_worker_can_bear() {
    let PolicyKind::Compress(compress) = kind("{compress: {}}") else {
        panic!()
    };
    let expected = [(Coding::Zstd, 3), (Coding::Brotli, 4), (Coding::Gzip, 5)];
    assert_eq!(compress.codings, expected);
    assert_eq!(compress.minimum, 1024);
    assert!(!compress.event_streams);
    let one = kind("{compress: {codings: gzip, levels: {gzip: 9}}}");
    assert!(matches!(one, PolicyKind::Compress(one) if one.codings == [(Coding::Gzip, 9)]));
    for (settings, code) in [
        ("levels: {br: 11}", "WR0107"),
        ("levels: {zstd: 0}", "WR0107"),
        ("codings: [gzip, gzip]", "WR0211"),
        ("codings: deflate", "WR0114"),
        ("codings: []", "WR0119"),
        ("types: ['*/*']", "WR0131"),
    ] {
        let text = with_policy(&format!("{{compress: {{{settings}}}}}"));
        assert_refused(&text, code, "");
    }
}

#[test]
fn answers_are_what_was_written() {
    let answer = respond("{json: {a: [1, -2.5, true, ~, '1', 0x1F, yes]}}");
    assert_eq!(
        &answer.body[..],
        br#"{"a":[1,-2.5,true,null,"1","0x1F","yes"]}"#
    );
    assert_eq!(answer.fields[0].1, "application/json");
    let answer = respond("{body: 'a', headers: {Content-Type: text/css}, etag: true}");
    assert_eq!(answer.fields.len(), 1);
    assert_eq!(answer.etag.unwrap(), "\"ca978112ca1bbdcafac231b3\"");
    let empty = respond("{status: 404, etag: true}");
    assert!(empty.body.is_empty() && empty.fields.is_empty() && empty.etag.is_none());
}

#[test]
fn answers_that_cannot_be_sent_are_refused() {
    for (answer, code) in [
        ("{status: 204, body: a}", "WR0205"),
        ("{status: 304, json: {}}", "WR0205"),
        ("{body: a, json: {}}", "WR0205"),
        ("{status: 101}", "WR0107"),
        ("{status: 600}", "WR0107"),
        ("{headers: {x-a: \"b\\nc: d\"}}", "WR0113"),
        ("{headers: {transfer-encoding: chunked}}", "WR0120"),
        ("{file: /nonexistent/page.html}", "WR0303"),
        ("{file: ''}", "WR0301"),
    ] {
        assert_refused(&with_answer(answer), code, "");
    }
    let both = format!("{BASE}routes: [{{name: r, respond: {{}}, redirect: {{to: /a}}}}]\n");
    assert_refused(&both, "WR0205", "`respond`");
    let host = format!("{BASE}routes: [{{name: r, respond: {{}}, host: a.test}}]\n");
    assert_refused(&host, "WR0205", "`host`");
}

#[test]
fn a_json_body_of_aliases_of_aliases_ends() {
    let mut text =
        format!("{BASE}routes: [{{name: r, respond: {{json: {{a0: &a0 [x, x, x, x, x, x, x, x]");
    for at in 1..12 {
        let before = format!("*a{}", at - 1);
        let list = vec![before; 8].join(", ");
        text.push_str(&format!(", a{at}: &a{at} [{list}]"));
    }
    text.push_str("}}}]\n");
    let report = refused(&text);
    assert!(
        codes_of(&report)
            .iter()
            .all(|code| ["WR0003", "WR0008"].contains(code)),
        "{report}"
    );
}
