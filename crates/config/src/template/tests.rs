use super::*;

fn template(text: &str) -> Template {
    Template::parse(text).expect(text)
}

fn literal(text: &str) -> Part {
    Part::Literal(text.to_owned())
}

#[test]
fn text_and_variables_alternate() {
    let parsed = template("a{client.address}{path.id}b{path.*}");
    assert_eq!(
        parsed.parts,
        [
            literal("a"),
            Part::Variable(Variable::ClientAddress),
            Part::Variable(Variable::PathCapture("id".to_owned())),
            literal("b"),
            Part::Variable(Variable::PathTail),
        ]
    );
    assert_eq!(parsed.variables().count(), 3);
    assert_eq!(parsed.as_literal(), None);
    assert_eq!(template("").as_literal(), Some(""));
    assert_eq!(template("plain").as_literal(), Some("plain"));
}

#[test]
fn every_variable_is_printed_as_it_is_read() {
    for (name, variable) in FIXED {
        let text = format!("{{{name}}}");
        assert_eq!(template(&text).parts, [Part::Variable(variable)]);
        assert_eq!(template(&text).to_string(), text);
    }
    for text in [
        "{request.header.x-a}",
        "{path.id_2}",
        "{{a}}{path.*}{{}}",
        "{claims.email}",
        "{claims./realm_access/roles}",
        "{claims.https://example.com/plan}",
    ] {
        assert_eq!(template(text).to_string(), text);
    }
    let upper = template("{request.header.X-Api-Key}");
    assert_eq!(upper.to_string(), "{request.header.x-api-key}");
}

#[test]
fn doubled_braces_are_literal() {
    assert_eq!(template("{{\"a\":1}}").as_literal(), Some("{\"a\":1}"));
    assert_eq!(template("é{{").as_literal(), Some("é{"));
}

#[test]
fn wrong_templates_say_where_and_what_to_do() {
    for (text, at, words) in [
        ("a{client.adress}", 2, "did you mean `client.address`?"),
        ("{request.host_name}", 1, "there are client.address"),
        ("{request.hosts}", 1, "did you mean `request.host`?"),
        ("{banana}", 1, "there are client.address"),
        ("{claims.}", 8, "not the name of a claim"),
        ("{claims./a//b}", 8, "not the name of a claim"),
        ("{principal.name}", 1, "unknown variable"),
        ("{path.Id}", 1, "unknown variable"),
        ("{path.}", 1, "unknown variable"),
        ("{request.header.}", 16, "not a header name"),
        ("{request.header.a b}", 16, "not a header name"),
        ("a{", 1, "not closed"),
        ("a{b", 1, "not closed"),
        ("a}", 1, "without `{`"),
        ("{}", 1, "name is missing"),
        ("a\r\nb", 1, "control"),
    ] {
        let error = Template::parse(text).expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
}

#[test]
fn a_path_begins_with_a_literal_slash() {
    for text in ["/a/{path.id}", "/{path.*}?x={request.query}"] {
        assert_eq!(template(text).check_path(), Ok(()), "{text}");
    }
    for text in [
        "",
        "{request.path}",
        "a",
        "/a#b",
        "/a b",
        "/é",
        "/a/../b",
        "/%zz",
        "/a\\b",
    ] {
        assert!(template(text).check_path().is_err(), "{text} was accepted");
    }
}

#[test]
fn a_location_leads_where_the_operator_says() {
    for text in [
        "/new/{path.*}",
        "{request.path}/?{request.query}",
        "https://example.com",
        "https://example.com/{path.*}",
        "https://{request.host}{request.path}",
        "https://{request.host}:8443{request.path}?{request.query}",
        "{request.scheme}://example.com/",
        "https://{path.tenant}.example.com/",
    ] {
        assert_eq!(template(text).check_location(), Ok(()), "{text}");
    }
    for text in [
        "",
        "{path.*}",
        "{request.header.x}",
        "login",
        "//evil.test/",
        "/\\evil.test",
        "/a/../b",
        "javascript:alert(1)",
        "https://",
        "https:///a",
        "https://{path.*}",
        "https://{path.tenant}",
        "https://{path.tenant}/",
        "https://{path.tenant}.",
        "https://{path.tenant}./",
        "https://example.com{path.*}",
        "https://example.com{request.query}",
        "https://{request.header.x}/",
        "https://user{request.host}/",
        "{request.scheme}{request.path}",
        "https://a b/",
    ] {
        assert!(
            template(text).check_location().is_err(),
            "{text} was accepted"
        );
    }
}

#[test]
fn random_text_does_not_panic() {
    const PIECES: [&str; 16] = [
        "{",
        "}",
        "{{",
        "}}",
        "path.",
        "*",
        "request.",
        "header.",
        "host",
        "id",
        "é",
        "/",
        "https://",
        ".",
        "{path.id}",
        "{request.host}",
    ];
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..100_000 {
        let mut text = String::new();
        for _ in 0..random.usize(0..8) {
            text.push_str(PIECES[random.usize(0..PIECES.len())]);
        }
        match Template::parse(&text) {
            Ok(template) => {
                assert_eq!(Template::parse(&template.to_string()), Ok(template.clone()));
                let _ = (template.check_path(), template.check_location());
            }
            Err(error) => assert!(text.is_char_boundary(error.at), "{text}: {}", error.at),
        }
    }
}

#[test]
fn a_secret_is_neither_shown_nor_part_of_an_address() {
    let secret = Part::Secret(Secret::new("canary-7f3a".into()));
    let template = Template {
        parts: vec![literal("/a/"), secret],
    };
    assert_eq!(template.to_string(), "/a/[redacted]");
    assert!(!format!("{template:?}").contains("canary"));
    assert_eq!(template.as_literal(), None);
    for error in [template.check_path(), template.check_location()] {
        let message = error.unwrap_err().to_string();
        assert_eq!(message, "a secret cannot stand in an address");
    }
}
