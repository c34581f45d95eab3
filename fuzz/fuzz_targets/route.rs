//! Routing compared with a plain scan over all routes.
//!
//! Input: a line for each route, words `host=…`, `path=…`, `method=…`; the last line is a request,
//! `METHOD host path`.
#![no_main]

use std::cmp::Reverse;

use http::{Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use weir_config::model::{Action, HeaderPolicy, Match, Route};
use weir_config::pattern::{HostPattern, PathPattern, Segment};
use weir_config::template::Template;
use weir_core::path::{Rules, normalise};
use weir_gateway::Fields;
use weir_gateway::router::{Caller, Missed, Outcome, RouteRequest, Router};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines: Vec<&str> = text.lines().collect();
    let Some(request) = lines.pop() else {
        return;
    };
    let words: Vec<&str> = request.split(' ').collect();
    let &[method, host, path] = words.as_slice() else {
        return;
    };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return;
    };
    let Ok(path) = normalise(
        path,
        Rules {
            keep_encoded_slash: true,
            ..Rules::default()
        },
    ) else {
        return;
    };
    // What the HTTP parsers let pass: no upper case, no empty label, no root's dot.
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || b".-0123456789".contains(&byte);
    let has_labels = host.is_empty() || host.split('.').all(|label| !label.is_empty());
    if !host.bytes().all(is_letter) || !has_labels {
        return;
    }
    let routes: Vec<Route> = lines.iter().filter_map(|line| route(line)).collect();
    let router = Router::compile(&routes);
    let fields = Fields::new();
    let request = RouteRequest {
        host,
        path: &path,
        query: None,
        method: &method,
        fields: &fields,
    };
    let found = router.find(&request);
    let expected = scan(&routes, host, &path, &method);
    match (&found, expected) {
        (Ok(found), Some(expected)) => {
            assert_eq!(found.route, expected, "{routes:?} {request:?}");
            let captures = found
                .captures
                .named(&routes[found.route].matcher.paths, &path);
            for (_, value) in captures.iter() {
                assert!(path.contains(value));
            }
            if let Some((front, rest)) = captures.split_front() {
                assert_eq!(format!("{front}{rest}"), path);
            }
        }
        (Err(_), None) => {}
        _ => panic!("{found:?}, expected {expected:?}: {routes:?} {request:?}"),
    }
    let explained = router.explain(&request, Caller::Unasked).outcome;
    match (&found, explained) {
        (Ok(found), Outcome::Found { index, .. }) => assert_eq!(found.route, index),
        (Err(Missed::NoRoute), Outcome::NoRoute) => {}
        (Err(Missed::Method(methods)), Outcome::Method { .. }) => {
            assert!(!methods.contains(&method))
        }
        (found, explained) => panic!("{found:?} was explained as {explained:?}"),
    }
});

fn route(line: &str) -> Option<Route> {
    let mut matcher = Match::default();
    for word in line.split(' ') {
        let (key, value) = word.split_once('=')?;
        match key {
            "host" => matcher.hosts.push(HostPattern::parse(value).ok()?),
            "path" => matcher.paths.push(PathPattern::parse(value).ok()?),
            "method" => matcher
                .methods
                .push(Method::from_bytes(value.as_bytes()).ok()?),
            _ => return None,
        }
    }
    Some(Route {
        name: line.to_owned(),
        matcher,
        policies: Vec::new(),
        action: Action::Redirect {
            to: Template::parse("/").ok()?,
            status: StatusCode::FOUND,
        },
        headers: HeaderPolicy::default(),
    })
}

type Rank = (u8, Reverse<usize>);

fn scan(routes: &[Route], host: &str, path: &str, method: &Method) -> Option<usize> {
    let ranked = routes.iter().enumerate().filter_map(|(index, route)| {
        let matcher = &route.matcher;
        let host = match matcher.hosts.as_slice() {
            [] => (2, Reverse(0)),
            hosts => hosts
                .iter()
                .filter_map(|pattern| host_rank(pattern, host))
                .min()?,
        };
        let path = match matcher.paths.as_slice() {
            [] => vec![(3, Reverse(0))],
            paths => paths
                .iter()
                .filter_map(|pattern| path_rank(pattern, path))
                .min()?,
        };
        let method = match matcher.methods.as_slice() {
            [] => 2,
            methods if methods.contains(method) => 0,
            methods if *method == Method::HEAD && methods.contains(&Method::GET) => 1,
            _ => return None,
        };
        Some((host, path, method, index))
    });
    ranked.min().map(|(.., index)| index)
}

fn host_rank(pattern: &HostPattern, host: &str) -> Option<Rank> {
    match pattern {
        HostPattern::Exact(exact) => (exact == host).then_some((0, Reverse(0))),
        HostPattern::Wildcard(suffix) => {
            let front = host.strip_suffix(suffix.as_str())?.strip_suffix('.')?;
            (!front.is_empty()).then_some((1, Reverse(suffix.len())))
        }
    }
}

fn path_rank(pattern: &PathPattern, path: &str) -> Option<Vec<Rank>> {
    let mut words = path[1..].split('/');
    let mut rank = Vec::new();
    for segment in &pattern.segments {
        match (segment, words.next()?) {
            (Segment::Literal(text), word) if text == word => rank.push((0, Reverse(0))),
            (Segment::Capture(_), word) if !word.is_empty() => rank.push((1, Reverse(0))),
            _ => return None,
        }
    }
    match (&pattern.tail, words.next()) {
        (None, None) => Some(rank),
        (Some(prefix), Some(word)) if word.starts_with(prefix.as_str()) => {
            rank.push((2, Reverse(prefix.len())));
            Some(rank)
        }
        _ => None,
    }
}
