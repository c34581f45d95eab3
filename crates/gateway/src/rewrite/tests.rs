use http::{HeaderName, Method, StatusCode};
use weir_config::model::{Action, HeaderPolicy, Match, Route};
use weir_config::pattern::PathPattern;

use super::*;
use crate::Fields;
use crate::render::tests::context;
use crate::router::{Captures, RouteRequest, Router};

/// Routes a path by a pattern and hands the context with its captures to `check`.
fn with_request<T>(
    pattern: &str,
    path: &str,
    query: Option<&str>,
    fields: &Fields,
    check: impl FnOnce(&RenderContext<'_>) -> T,
) -> T {
    let paths = vec![PathPattern::parse(pattern).expect(pattern)];
    let route = Route {
        name: "route".to_owned(),
        matcher: Match {
            paths: paths.clone(),
            ..Match::default()
        },
        policies: Vec::new(),
        action: Action::Redirect {
            to: Template::parse("/").expect("a template"),
            status: StatusCode::FOUND,
        },
        headers: HeaderPolicy::default(),
        priority: weir_config::model::Priority::Normal,
        organization: None,
        log_sample: None,
        trace_sample: None,
        streams: Default::default(),
        websocket: None,
    };
    let rules = Rules {
        keep_encoded_slash: true,
        refuse_dot_segments: false,
    };
    let path = path::normalise(path, rules).expect(path);
    let request = RouteRequest {
        host: "example.com",
        path: &path,
        query,
        method: &Method::GET,
        fields,
    };
    let found = Router::compile(&[route]).find(&request).expect(&path);
    check(&RenderContext {
        path: &path,
        query,
        captures: found.captures.named(&paths, &path),
        ..context(fields)
    })
}

fn by_template(pattern: &str, template: &str, target: &str) -> Result<String, RewriteError> {
    let template = Template::parse(template).expect(template);
    by(pattern, &Rewrite::Path(template), target)
}

fn by(pattern: &str, change: &Rewrite, target: &str) -> Result<String, RewriteError> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    with_request(pattern, path, query, &Fields::new(), |context| {
        let mut out = "left from before".to_owned();
        rewrite(change, context, &mut out).map(|()| out)
    })
}

fn redirect(pattern: &str, template: &str, path: &str) -> Result<String, RewriteError> {
    let template = Template::parse(template).expect(template);
    with_request(pattern, path, Some("x=1"), &Fields::new(), |context| {
        location(&template, context).map(|value| value.to_str().expect("ASCII").to_owned())
    })
}

#[test]
fn a_prefix_replaces_the_literal_front() {
    for (pattern, prefix, target, expected) in [
        ("/api/v1/*", "/", "/api/v1/users/7?a=b", "/users/7?a=b"),
        ("/api/*", "/v2", "/api/x", "/v2/x"),
        ("/api/*", "/v2/", "/api/x", "/v2/x"),
        ("/api/*", "/v2", "/api/", "/v2/"),
        ("/api/{id}/x", "/v2", "/api/7/x", "/v2/7/x"),
        ("/api", "/v2", "/api?q", "/v2?q"),
        ("/api/", "/v2", "/api/", "/v2"),
        ("/api*", "/v2", "/api", "/v2"),
        ("/api*", "/", "/api/x", "/x"),
        ("/img-*", "/pictures/", "/img-1.png", "/pictures/1.png"),
        ("/*", "/inner", "/a%20b/c", "/inner/a%20b/c"),
    ] {
        let result = by(pattern, &Rewrite::Prefix(prefix.to_owned()), target);
        assert_eq!(
            result.as_deref(),
            Ok(expected),
            "{pattern} {prefix} {target}"
        );
    }
}

#[test]
fn a_template_writes_the_path_and_perhaps_the_query() {
    for (pattern, template, target, expected) in [
        ("/items/{id}", "/v2/{path.id}", "/items/7?a=b", "/v2/7?a=b"),
        (
            "/items/{id}",
            "/v2?id={path.id}",
            "/items/7?a=b",
            "/v2?id=7",
        ),
        (
            "/items/{id}",
            "/v2?id={path.id}&{request.query}",
            "/items/7?a=b",
            "/v2?id=7&a=b",
        ),
        ("/items/{id}", "/v2?{request.query}", "/items/7", "/v2"),
        ("/a/*", "/b/{path.*}", "/a/x/y/", "/b/x/y/"),
        ("/a/*", "/b/{path.*}/c", "/a/", "/b/c"),
        ("/a/{x}", "/{path.x}{path.x}", "/a/%2541", "/%2541%2541"),
        ("/*", "/in{request.path}", "/%C3%A9", "/in/%C3%A9"),
        (
            "/*",
            "/{request.host}/{client.address}",
            "/",
            "/example.com/192.0.2.7",
        ),
        ("/*", "/q/{request.query}", "/?a=/../b", "/q/a%3D%2F..%2Fb"),
    ] {
        let result = by_template(pattern, template, target);
        if template.contains("/q/") {
            // An encoded slash next to a dot segment is refused like the thing itself.
            assert_eq!(result, Err(RewriteError::Path(PathError::HiddenSegment)));
            continue;
        }
        assert_eq!(
            result.as_deref(),
            Ok(expected),
            "{pattern} {template} {target}"
        );
    }
}

#[test]
fn captures_stay_in_their_place() {
    // Not a dot segment in the request, but one where the template puts it.
    let climbing = by_template("/img-*", "/private/{path.*}", "/img-..");
    assert_eq!(climbing, Err(RewriteError::Path(PathError::DotSegment)));
    let climbing = by(
        "/img-*",
        &Rewrite::Prefix("/pictures/".to_owned()),
        "/img-../x",
    );
    assert_eq!(climbing, Err(RewriteError::Path(PathError::DotSegment)));
    // `%2` of the template and `e` of the request.
    let joined = by_template("/{a}/x", "/%2{path.a}%2{path.a}/x", "/e/x");
    assert_eq!(joined, Err(RewriteError::Path(PathError::DotSegment)));
    let encoded = by_template("/a/{x}", "/b/{path.x}", "/a/%3Fadmin=1%23");
    assert_eq!(encoded.as_deref(), Ok("/b/%3Fadmin=1%23"));
    // In a query, `&` and `=` of a path would begin a parameter of their own.
    let parameters = by_template("/a/{x}", "/b?id={path.x}", "/a/1&admin=1+1;x");
    assert_eq!(parameters.as_deref(), Ok("/b?id=1%26admin%3D1%2B1%3Bx"));
    let no_double = by_template("/a*", "/b/{path.*}", "/a/x");
    assert_eq!(no_double.as_deref(), Ok("/b/x"));
}

#[test]
fn a_clients_header_stays_in_its_place() {
    let mut fields = Fields::new();
    let name = HeaderName::from_static("x-tenant");
    let template = Template::parse("/t/{request.header.x-tenant}/a").expect("a template");
    for (value, expected) in [
        ("acme", Ok("/t/acme/a")),
        ("a b?c#d&e", Ok("/t/a%20b%3Fc%23d%26e/a")),
        ("", Ok("/t/a")),
        ("..", Err(RewriteError::Path(PathError::DotSegment))),
        ("../..", Err(RewriteError::Path(PathError::HiddenSegment))),
        ("%2e%2e", Ok("/t/%252e%252e/a")),
        ("a\\b", Err(RewriteError::Path(PathError::Backslash))),
        ("\u{e9}", Ok("/t/%C3%A9/a")),
    ] {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        fields.set(name.clone(), value);
        let result = with_request("/*", "/", None, &fields, |context| {
            let mut out = String::new();
            rewrite(&Rewrite::Path(template.clone()), context, &mut out).map(|()| out)
        });
        assert_eq!(result.as_deref(), expected.as_ref().copied());
    }
}

#[test]
fn a_query_that_cannot_be_forwarded_is_refused() {
    for query in ["a b", "a#b", "a\r\nX: y", "é"] {
        let result = by(
            "/*",
            &Rewrite::Prefix("/".to_owned()),
            &format!("/?{query}"),
        );
        assert!(
            matches!(result, Err(RewriteError::Query(_))),
            "{query:?}: {result:?}"
        );
    }
    let fragment = by_template("/*", "/a#b", "/");
    assert_eq!(fragment, Err(RewriteError::Path(PathError::Delimiter)));
}

#[test]
fn locations_lead_where_the_template_says() {
    for (pattern, template, path, expected) in [
        ("/old/*", "/new/{path.*}", "/old/a/b", "/new/a/b"),
        (
            "/*",
            "https://{request.host}{request.path}?{request.query}",
            "/a",
            "https://example.com/a?x=1",
        ),
        (
            "/*",
            "{request.scheme}://www.example.com{request.path}",
            "/a",
            "https://www.example.com/a",
        ),
        (
            "/*",
            "HTTPS://example.com:8443/x?y#z",
            "/a",
            "https://example.com:8443/x?y#z",
        ),
        (
            "/{t}/*",
            "https://{path.t}.example.com/{path.*}",
            "/acme/a",
            "https://acme.example.com/a",
        ),
        ("/*", "https://example.com", "/a", "https://example.com"),
        (
            "/*",
            "{request.path}?from={request.path}",
            "/a&b",
            "/a&b?from=/a%26b",
        ),
    ] {
        let result = redirect(pattern, template, path);
        assert_eq!(result.as_deref(), Ok(expected), "{template} {path}");
    }
}

#[test]
fn a_client_cannot_choose_the_host_of_a_redirect() {
    for (pattern, template, path, expected) in [
        ("/go*", "{path.*}", "/go/evil.test", "/evil.test"),
        ("/go/*", "/{path.*}", "/go/evil.test", "/evil.test"),
        (
            "/go/*",
            "{path.*}",
            "/go/https://evil.test",
            "/https:/evil.test",
        ),
        (
            "/go/*",
            "{path.*}",
            "/go/javascript:alert(1)",
            "/javascript:alert(1)",
        ),
        ("/*", "{request.query}", "/", "/x%3D1"),
    ] {
        let result = redirect(pattern, template, path);
        assert_eq!(result.as_deref(), Ok(expected), "{template} {path}");
    }
    for (pattern, template, path) in [
        ("/go*", "https://example.com{path.*}", "/go.evil.test"),
        ("/go*", "https://example.com{path.*}", "/go@evil.test"),
        ("/go/{x}", "https://{path.x}.example.com/", "/go/evil%2Fx"),
        ("/go/{x}", "https://{path.x}.example.com/", "/go/a@b"),
        ("/go/{x}", "https://{path.x}.example.com/", "/go/evil.test"),
        ("/go/*", "https://{path.*}/", "/go/evil"),
        ("/go/{x}", "https://{path.x}/", "/go/evil"),
        ("/go/{x}", "https://{path.x}", "/go/evil"),
        ("/go/{x}", "https://{path.x}:80/", "/go/evil"),
        ("/go/{x}", "https://{path.x}{request.path}", "/go/evil"),
        ("/go/*", "{request.scheme}{path.*}", "/go/evil"),
        ("/go/*", "https:///{path.*}", "/go/evil"),
        ("/go/*", "{request.scheme}", "/go/evil"),
    ] {
        let result = redirect(pattern, template, path);
        assert_eq!(result, Err(RewriteError::Host), "{template} {path}");
    }
}

#[test]
fn a_strange_host_does_not_get_into_a_location() {
    let template = Template::parse("https://{request.host}/").expect("a template");
    let fields = Fields::new();
    for (host, is_sound) in [
        ("example.com", true),
        ("[2001:db8::1]", true),
        ("[x]", false),
        ("a@b", false),
        ("a/b", false),
        ("a\r\nb", false),
        ("", false),
    ] {
        let context = RenderContext {
            host,
            ..context(&fields)
        };
        assert_eq!(location(&template, &context).is_ok(), is_sound, "{host:?}");
    }
}

#[test]
fn random_templates_and_paths_yield_sound_addresses_or_errors() {
    const TEMPLATES: [&str; 14] = [
        "/",
        "{path.*}",
        "{path.a}",
        "..",
        ".",
        "//",
        "%2",
        "?",
        "#",
        "https://",
        "{request.host}",
        "{request.query}",
        "x",
        "{request.header.x}",
    ];
    const PATHS: [&str; 12] = [
        "/", "..", ".", "e", "%2F", "%25", "a", "@", ":", "&", "%3F", "\u{e9}",
    ];
    let mut random = fastrand::Rng::with_seed(23);
    let mut fields = Fields::new();
    fields.append(
        HeaderName::from_static("x"),
        HeaderValue::from_static("../?#%"),
    );
    let paths = [PathPattern::parse("/{a}/p*").expect("a pattern")];
    let mut text = |pieces: &[&str]| -> String {
        (0..random.usize(0..7))
            .map(|_| pieces[random.usize(0..pieces.len())])
            .collect()
    };
    let mut sound = 0;
    for _ in 0..30_000 {
        let template = Template::parse(&text(&TEMPLATES)).expect("a template");
        let path = format!("/{}/p{}", text(&PATHS), text(&PATHS));
        let rules = Rules {
            keep_encoded_slash: true,
            refuse_dot_segments: false,
        };
        let Ok(path) = path::normalise(&path, rules) else {
            continue;
        };
        let captures = Captures::of(0, &paths[0], &path);
        let context = RenderContext {
            path: &path,
            captures: captures.named(&paths, &path),
            ..context(&fields)
        };
        let mut out = String::new();
        if rewrite(&Rewrite::Path(template.clone()), &context, &mut out).is_ok() {
            sound += 1;
            let forwarded = out.split('?').next().unwrap_or_default();
            assert_eq!(
                path::normalise(forwarded, ASSEMBLED).as_deref(),
                Ok(forwarded)
            );
            assert!(!out.contains('#'), "{template} on {path}: {out}");
        }
        if let Ok(value) = location(&template, &context) {
            let value = value.to_str().expect("ASCII");
            let is_path = value.starts_with('/') && !value.starts_with("//");
            let is_web = value.starts_with("https://");
            assert!(is_path || is_web, "{template} on {path}: {value}");
        }
    }
    assert!(sound > 1_000, "only {sound} were sound");
}
