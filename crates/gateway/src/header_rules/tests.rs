use weir_core::Principal;
use weir_core::principal::Method;

use super::*;
use crate::render::tests::context;

fn name(text: &str) -> HeaderName {
    text.parse().expect(text)
}

fn template(text: &str) -> Template {
    Template::parse(text).expect(text)
}

fn rules(remove: &[&str], set: &[(&str, &str)], add: &[(&str, &str)]) -> model::HeaderRules {
    let pairs = |pairs: &[(&str, &str)]| {
        let each = pairs
            .iter()
            .map(|(header, text)| (name(header), template(text)));
        each.collect::<Vec<_>>()
    };
    model::HeaderRules {
        remove: remove.iter().map(|header| name(header)).collect(),
        set: pairs(set),
        add: pairs(add),
    }
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::new();
    for (header, value) in pairs {
        fields.append(
            name(header),
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

/// Applies rules to a request's own fields.
fn apply(rules: &model::HeaderRules, side: Side, fields: &mut Fields) -> usize {
    let compiled = HeaderRules::compile(rules, side);
    let rendered = compiled.render(&context(&fields.clone()), &mut Vec::new());
    rendered.apply(fields)
}

#[test]
fn remove_then_set_then_add() {
    let rules = rules(
        &["x-gone", "x-new"],
        &[("x-old", "2"), ("x-client", "at {client.address}")],
        &[("x-old", "3"), ("x-new", "{request.header.x-gone}")],
    );
    let mut message = fields(&[
        ("x-old", "1"),
        ("x-gone", "g"),
        ("accept", "*/*"),
        ("x-old", "1b"),
    ]);
    assert_eq!(apply(&rules, Side::Request, &mut message), 0);
    assert_eq!(
        listed(&message),
        [
            ("x-old", "2"),
            ("accept", "*/*"),
            ("x-client", "at 192.0.2.7"),
            ("x-old", "3"),
            // Values are of the request as it came.
            ("x-new", "g"),
        ]
    );
}

#[test]
fn secrets_are_sent_but_not_shown() {
    let secret = || Part::Secret(weir_core::Secret::new("canary-7f3a".to_owned()));
    let alone = Template {
        parts: vec![secret()],
    };
    let behind = Template {
        parts: vec![Part::Literal("Bearer ".to_owned()), secret()],
    };
    let rules = model::HeaderRules {
        set: vec![(name("x-key"), alone), (name("authorization"), behind)],
        ..model::HeaderRules::default()
    };
    let compiled = HeaderRules::compile(&rules, Side::Request);
    let mut message = fields(&[]);
    let rendered = compiled.render(&context(&fields(&[])), &mut Vec::new());
    let shown = format!("{rules:?} {compiled:?} {rendered:?}");
    rendered.apply(&mut message);
    let shown = format!("{shown} {message:?}");
    assert!(!shown.contains("canary"), "{shown}");
    let expected = [
        ("x-key", "canary-7f3a"),
        ("authorization", "Bearer canary-7f3a"),
    ];
    assert_eq!(listed(&message), expected);
    assert!(message.iter().all(|(_, value)| value.is_sensitive()));
}

#[test]
fn values_see_the_request_as_it_came_and_can_be_exchanged() {
    let rules = rules(
        &[],
        &[
            ("x-a", "{request.header.x-b}"),
            ("x-b", "{request.header.x-a}"),
        ],
        &[],
    );
    let mut message = fields(&[("x-a", "1"), ("x-b", "2")]);
    apply(&rules, Side::Request, &mut message);
    assert_eq!(listed(&message), [("x-a", "2"), ("x-b", "1")]);
}

#[test]
fn a_value_that_would_split_the_head_is_dropped_and_counted() {
    let rules = rules(
        &[],
        &[("x-user", "{tls.client.subject}")],
        &[
            ("x-copy", "<{tls.client.subject}>"),
            ("x-fine", "{tls.server_name}"),
        ],
    );
    let compiled = HeaderRules::compile(&rules, Side::Request);
    for hostile in ["a\r\nx-admin: 1", "a\nb", "a\0b", "a\u{7f}b", "a\u{1}"] {
        let mut message = fields(&[("x-user", "forged")]);
        let original = message.clone();
        let context = RenderContext {
            tls_client_subject: Some(hostile),
            ..context(&original)
        };
        let rendered = compiled.render(&context, &mut Vec::new());
        assert_eq!(rendered.apply(&mut message), 2, "{hostile:?}");
        // The forged value goes as well.
        assert_eq!(listed(&message), [("x-fine", "sni.example.com")]);
    }
}

#[test]
fn what_claims_say_does_not_break_out_of_a_field_and_is_not_lost() {
    let rules = rules(
        &[],
        &[
            ("x-user", "<{principal.subject}>"),
            ("x-name", "{claims.name}"),
            ("x-none", "{claims.none}"),
        ],
        &[],
    );
    let compiled = HeaderRules::compile(&rules, Side::Request);
    for (hostile, sent) in [
        ("a\r\nx-admin: 1", "a%0D%0Ax-admin:%201"),
        ("a\0b", "a%00b"),
        ("a\tb", "a%09b"),
        ("\u{e9}", "%C3%A9"),
        (" a", "%20a"),
        ("a%0Ab", "a%250Ab"),
    ] {
        let principal = Principal {
            method: Method::Token,
            issuer: None,
            subject: hostile.into(),
            organization: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            claims: serde_json::json!({"name": hostile})
                .as_object()
                .cloned()
                .unwrap(),
        };
        let mut message = fields(&[("x-user", "forged"), ("x-none", "forged")]);
        let original = message.clone();
        let context = RenderContext {
            principal: Some(&principal),
            ..context(&original)
        };
        let rendered = compiled.render(&context, &mut Vec::new());
        assert_eq!(rendered.apply(&mut message), 0, "{hostile:?}");
        let user = format!("<{sent}>");
        assert_eq!(listed(&message), [("x-user", &*user), ("x-name", sent)]);
    }
}

#[test]
fn an_empty_value_lets_no_forged_one_through() {
    let rules = rules(
        &[],
        &[("x-user", "{tls.client.subject}"), ("x-empty", "")],
        &[],
    );
    let mut message = fields(&[("x-user", "forged"), ("X-User", "twice")]);
    assert_eq!(apply(&rules, Side::Request, &mut message), 0);
    // What the operator writes as empty is sent as empty.
    assert_eq!(listed(&message), [("x-empty", "")]);
}

#[test]
fn underscore_spellings_go_with_the_name() {
    let rules = rules(
        &["x-secret-level"],
        &[("x-user", "gateway")],
        &[("x-more", "1")],
    );
    let sent = [
        ("x_user", "forged"),
        ("x_secret-level", "9"),
        ("x_more", "0"),
        ("x_users", "ok"),
    ];
    let mut message = fields(&sent);
    apply(&rules, Side::Request, &mut message);
    assert_eq!(
        listed(&message),
        [
            ("x_more", "0"),
            ("x_users", "ok"),
            ("x-user", "gateway"),
            ("x-more", "1")
        ]
    );
    let mut response = fields(&[("x_user", "kept")]);
    apply(&rules, Side::Response, &mut response);
    assert_eq!(listed(&response)[0], ("x_user", "kept"));
}

#[test]
fn framing_is_out_of_reach() {
    let framing = [
        "content-length",
        "transfer-encoding",
        "connection",
        "te",
        "upgrade",
        "host",
    ];
    let set: Vec<_> = framing.iter().map(|header| (*header, "1")).collect();
    let rules = rules(&framing, &set, &set);
    let mut message = fields(&[("content-length", "5"), ("host", "example.com")]);
    apply(&rules, Side::Request, &mut message);
    assert_eq!(
        listed(&message),
        [("content-length", "5"), ("host", "example.com")]
    );
    assert!(HeaderRules::compile(&rules, Side::Request).is_empty());
}

#[test]
fn random_values_never_yield_an_unsendable_field() {
    let rules = rules(
        &[],
        &[("x-a", "{path.*}{request.query}")],
        &[("x-b", "{request.query}")],
    );
    let compiled = HeaderRules::compile(&rules, Side::Request);
    let mut random = fastrand::Rng::with_seed(5);
    let empty = Fields::new();
    for _ in 0..20_000 {
        let query: String = (0..random.usize(0..4))
            .map(|_| random.char('\0'..'\u{200}'))
            .collect();
        let context = RenderContext {
            query: Some(&query),
            ..context(&empty)
        };
        let mut message = Fields::new();
        let dropped = compiled
            .render(&context, &mut Vec::new())
            .apply(&mut message);
        assert!(dropped == 0 || message.is_empty(), "{query:?}");
        for (_, value) in message.iter() {
            let is_sound = |byte: &u8| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f);
            assert!(value.as_bytes().iter().all(is_sound), "{query:?}");
        }
    }
}
