use super::*;

fn host(text: &str) -> HostPattern {
    HostPattern::parse(text).expect(text)
}

fn pattern(text: &str) -> PathPattern {
    PathPattern::parse(text).expect(text)
}

fn literal_segment(text: &str) -> Segment {
    Segment::Literal(text.to_owned())
}

fn capture_segment(name: &str) -> Segment {
    Segment::Capture(name.to_owned())
}

#[test]
fn hosts_have_one_form() {
    let exact = |text: &str| HostPattern::Exact(text.to_owned());
    assert_eq!(host("API.Example.com"), exact("api.example.com"));
    assert_eq!(host("localhost"), exact("localhost"));
    assert_eq!(
        host("xn--bcher-kva.example"),
        exact("xn--bcher-kva.example")
    );
    assert_eq!(host("my_service.internal"), exact("my_service.internal"));
    assert_eq!(host("192.0.2.1"), exact("192.0.2.1"));
    assert_eq!(host("[2001:DB8:0::1]"), exact("[2001:db8::1]"));
    let wildcard = host("*.Example.com");
    assert_eq!(wildcard, HostPattern::Wildcard("example.com".to_owned()));
    assert_eq!(wildcard.to_string(), "*.example.com");
}

#[test]
fn wrong_hosts_say_where_and_what_to_do() {
    let long_label = format!("{}.com", "a".repeat(64));
    let long_name = "a.".repeat(127) + "aa";
    for (text, at, words) in [
        ("", 0, "leave it out"),
        ("*", 0, "leave `host` out"),
        ("a.*.com", 2, "only in front"),
        ("*.*.com", 2, "only in front"),
        ("*a.com", 0, "only in front"),
        ("*.", 2, "dot"),
        ("example.com:80", 11, "no port"),
        ("[::1]:80", 5, "no port"),
        ("::1", 0, "brackets"),
        ("[::1", 0, "not closed"),
        ("[x]", 1, "not an IPv6"),
        ("http://example.com", 5, "no scheme"),
        ("example.com/a", 11, "no path"),
        ("bücher.example", 1, "punycode"),
        ("a..b", 2, "empty label"),
        (".a", 0, "empty label"),
        ("a.b.", 4, "ends in a dot"),
        ("a b", 1, "letters"),
        ("-a.com", 0, "`-`"),
        ("a.b-.com", 2, "`-`"),
        ("1.2.3", 0, "IPv4"),
        ("1.2.3.256", 0, "IPv4"),
        ("*.2.3.4", 0, "no wildcard"),
        (&long_label, 0, "63"),
        (&long_name, 253, "253"),
    ] {
        let error = HostPattern::parse(text).expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
}

#[test]
fn paths_are_taken_apart() {
    let root = pattern("/");
    assert_eq!(
        (root.segments, root.tail),
        (vec![literal_segment("")], None)
    );

    let slash = pattern("/a/");
    assert_eq!(slash.segments, [literal_segment("a"), literal_segment("")]);

    let captures = pattern("/a/{id}/b/{_x2}");
    assert_eq!(
        captures.segments,
        [
            literal_segment("a"),
            capture_segment("id"),
            literal_segment("b"),
            capture_segment("_x2")
        ]
    );
    assert_eq!(captures.captures().collect::<Vec<_>>(), ["id", "_x2"]);

    let all = pattern("/*");
    assert_eq!((all.segments, all.tail.as_deref()), (vec![], Some("")));

    let images = pattern("/{shop}/img-*");
    assert_eq!(images.segments, [capture_segment("shop")]);
    assert_eq!(images.tail.as_deref(), Some("img-"));
    assert_eq!(images.to_string(), "/{shop}/img-*");
    assert_eq!(format!("{images:?}"), r#"PathPattern("/{shop}/img-*")"#);
}

#[test]
fn literal_text_is_normalised_as_requests_are() {
    assert_eq!(pattern("/%7euser").segments, [literal_segment("~user")]);
    assert_eq!(pattern("/é").segments, [literal_segment("%C3%A9")]);
    assert_eq!(pattern("/a%2fb").segments, [literal_segment("a%2Fb")]);
    assert_eq!(pattern("/.*").tail.as_deref(), Some("."));
    assert_eq!(pattern("/%c3%a9*").tail.as_deref(), Some("%C3%A9"));
}

#[test]
fn wrong_paths_say_where_and_what_to_do() {
    let long = "/".to_owned() + &"a".repeat(PathPattern::MAX_LENGTH);
    for (text, at, words) in [
        ("", 0, "begins with `/`"),
        ("a", 0, "begins with `/`"),
        ("*", 0, "begins with `/`"),
        ("/a*/b", 2, "very end"),
        ("/**", 1, "very end"),
        ("/a/{id", 3, "whole segment"),
        ("/a/x{id}", 4, "whole segment"),
        ("/a/{id}x", 3, "whole segment"),
        ("/{a}{b}", 2, "name"),
        ("/{}", 2, "name"),
        ("/{Id}", 2, "name"),
        ("/{1a}", 2, "name"),
        ("/{a}/{a}", 6, "twice"),
        ("/a//b", 3, "`//`"),
        ("//", 1, "`//`"),
        ("//*", 1, "`//`"),
        ("/a/../b", 3, "dot segments"),
        ("/./a", 1, "dot segments"),
        ("/a/%2e%2E", 3, "dot segments"),
        ("/a/x%zz", 4, "hexadecimal"),
        ("/a%", 2, "hexadecimal"),
        ("/a%00", 2, "control"),
        ("/a b", 2, "control"),
        ("/a\\b", 2, "backslash"),
        ("/a?b=c", 2, "`?`"),
        ("/a#b", 2, "`#`"),
        ("/..;x", 1, "parameter"),
        ("/a%2F..", 1, "encoded slash"),
        ("/%c3*", 1, "utf-8"),
        (&long, 2048, "2048"),
    ] {
        let error = PathPattern::parse(text).expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
        let message = error.to_string();
        assert!(message.contains(words), "{text}: {message}");
        assert!(
            !message.contains('\n') && !message.ends_with('.'),
            "{message}"
        );
    }
}

#[test]
fn random_text_does_not_panic_and_offsets_are_inside() {
    const PIECES: [&str; 18] = [
        "/", "/", "*", "{", "}", "a", "id", "%", "2e", "..", ".", "é", "[", "]", ":", "1", "-",
        "{a}",
    ];
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..100_000 {
        let mut text = String::new();
        for _ in 0..random.usize(0..8) {
            text.push_str(PIECES[random.usize(0..PIECES.len())]);
        }
        if let Err(error) = HostPattern::parse(&text) {
            assert!(text.is_char_boundary(error.at), "{text}: {}", error.at);
        }
        match PathPattern::parse(&text) {
            Ok(pattern) => assert_eq!(pattern.as_str(), text),
            Err(error) => assert!(text.is_char_boundary(error.at), "{text}: {}", error.at),
        }
    }
}
