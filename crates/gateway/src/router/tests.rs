use http::{HeaderName, HeaderValue, StatusCode};
use weir_config::model::{Action, ClaimPath, ClaimRule, HeaderPolicy, Match, Route, ValueMatch};
use weir_config::pattern::HostPattern;
use weir_config::template::Template;

use super::*;

mod claims;
mod reference;

/// A route from words: `host=a.com`, `path=/x`, `method=GET`, `header=x-a:1`, `query=a:1`; a value
/// ends in `*` for a prefix, `?` alone is present, `!` alone is absent. `claim=a:1,2`, `claim=a:*`.
fn route(name: &str, words: &str) -> Route {
    let mut matcher = Match::default();
    for word in words.split_whitespace() {
        let (key, value) = word.split_once('=').expect("key=value");
        match key {
            "host" => matcher.hosts.push(HostPattern::parse(value).expect(value)),
            "path" => matcher.paths.push(PathPattern::parse(value).expect(value)),
            "method" => matcher.methods.push(value.parse().expect("a method")),
            "header" => {
                let (name, value) = value.split_once(':').expect("name:value");
                let name = name.parse().expect("a header name");
                matcher.headers.push((name, condition(value)));
            }
            "query" => {
                let (name, value) = value.split_once(':').expect("name:value");
                matcher.query.push((name.to_owned(), condition(value)));
            }
            "claim" => {
                let (name, values) = value.split_once(':').expect("name:values");
                let values = values.split(',').filter(|value| *value != "*");
                matcher.claims.push(ClaimRule {
                    claim: ClaimPath::of(name).expect("a claim"),
                    values: values.map(str::to_owned).collect(),
                });
            }
            _ => panic!("{key} is no condition"),
        }
    }
    Route {
        name: name.to_owned(),
        matcher,
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
    }
}

fn condition(text: &str) -> ValueMatch {
    match text {
        "?" => ValueMatch::Present,
        "!" => ValueMatch::Absent,
        _ => match text.strip_suffix('*') {
            Some(prefix) => ValueMatch::Prefix(prefix.to_owned()),
            None => ValueMatch::Exact(text.to_owned()),
        },
    }
}

fn routes(words: &[&str]) -> Vec<Route> {
    let named = words.iter().enumerate();
    named
        .map(|(index, words)| route(&format!("r{index}"), words))
        .collect()
}

/// An owned request, written as `GET host/path?query name:value …`.
struct Sent {
    method: Method,
    host: String,
    path: String,
    query: Option<String>,
    fields: Fields,
}

impl Sent {
    fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let method = words.next().expect("a method").parse().expect("a method");
        let target = words.next().expect("a target");
        let (address, query) = match target.split_once('?') {
            Some((address, query)) => (address, Some(query.to_owned())),
            None => (target, None),
        };
        let slash = address.find('/').expect("a path");
        let mut fields = Fields::new();
        for word in words {
            let (name, value) = word.split_once(':').expect("name:value");
            let name: HeaderName = name.parse().expect("a header name");
            fields.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        Self {
            method,
            host: address[..slash].to_owned(),
            path: address[slash..].to_owned(),
            query,
            fields,
        }
    }

    fn request(&self) -> RouteRequest<'_> {
        RouteRequest {
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            method: &self.method,
            fields: &self.fields,
        }
    }
}

fn winner(router: &Router, request: &str) -> Option<usize> {
    let sent = Sent::parse(request);
    router.find(&sent.request()).ok().map(|found| found.route)
}

/// Asserts that each request goes to the route with this index.
fn assert_routes(words: &[&str], expected: &[(&str, Option<usize>)]) {
    let router = Router::compile(&routes(words));
    for (request, route) in expected {
        assert_eq!(winner(&router, request), *route, "for {request}");
    }
}

#[test]
fn the_more_specific_host_wins_and_the_others_follow() {
    assert_routes(
        &[
            "path=/*",
            "host=*.com path=/*",
            "host=*.example.com path=/*",
            "host=api.example.com path=/a",
            "host=a.b.example.com",
        ],
        &[
            ("GET api.example.com/a", Some(3)),
            ("GET api.example.com/b", Some(2)),
            ("GET a.b.example.com/b", Some(4)),
            ("GET x.b.example.com/b", Some(2)),
            ("GET example.com/", Some(1)),
            ("GET com/", Some(0)),
            ("GET .example.com/", Some(0)),
            ("GET [::1]/", Some(0)),
            ("GET /", Some(0)),
        ],
    );
}

#[test]
fn the_more_specific_path_wins_segment_by_segment() {
    assert_routes(
        &[
            "path=/*",
            "path=/a/*",
            "path=/a/{x}",
            "path=/a/b",
            "path=/{x}/b/c",
            "path=/a/img-*",
            "path=/a/img-big-*",
            "path=/a/{x}/c",
            "path=/a/",
            "path=/a",
            "path=/s*",
            "host=none.test",
        ],
        &[
            ("GET h/a/b", Some(3)),
            ("GET h/a/x", Some(2)),
            ("GET h/a/", Some(8)),
            ("GET h/a", Some(9)),
            ("GET h/a/b/c", Some(7)),
            ("GET h/x/b/c", Some(4)),
            ("GET h/a/x/y", Some(1)),
            // A capture comes before the trailing `*`, whatever is in front of that.
            ("GET h/a/img-1", Some(2)),
            ("GET h/a/img-1/x", Some(5)),
            ("GET h/a/img-big-1/x", Some(6)),
            ("GET h/b", Some(0)),
            ("GET h/", Some(0)),
            ("GET h/s", Some(10)),
            ("GET h/stuff/x", Some(10)),
            ("GET none.test/zzz", Some(11)),
        ],
    );
}

#[test]
fn a_star_takes_what_is_below_but_not_the_directory_itself() {
    assert_routes(
        &["path=/a/*"],
        &[
            ("GET h/a/", Some(0)),
            ("GET h/a/b/c/", Some(0)),
            ("GET h/a", None),
            ("GET h/ab", None),
        ],
    );
    // A capture is never empty.
    assert_routes(
        &["path=/a/{x}"],
        &[("GET h/a/", None), ("GET h/a/b/", None)],
    );
}

#[test]
fn failed_conditions_lead_to_the_next_most_specific_route() {
    assert_routes(
        &[
            "host=a.com path=/x/y method=POST",
            "host=a.com path=/x/{p} header=x-v:2",
            "host=*.com path=/x/* query=q:?",
            "path=/x/*",
        ],
        &[
            ("POST a.com/x/y", Some(0)),
            ("GET a.com/x/y x-v:2", Some(1)),
            ("GET a.com/x/y", Some(3)),
            ("GET b.com/x/y?q", Some(2)),
            ("GET a.com/x/y?q", Some(2)),
            ("GET b.com/x/y", Some(3)),
            ("GET www.a.com/x/y?q", Some(2)),
        ],
    );
}

#[test]
fn more_conditions_come_first_then_exact_ones_then_the_files_order() {
    assert_routes(
        &[
            "path=/a",
            "path=/a header=h:?",
            "path=/a header=h:v*",
            "path=/a header=h:v1",
            "path=/a header=h:? query=q:?",
            "path=/a method=GET",
            "path=/a",
            "path=/{x}",
            "path=/{y}",
        ],
        &[
            // A stated method comes before any number of other conditions.
            ("GET h/a?q h:v1", Some(5)),
            ("PUT h/a?q h:v1", Some(4)),
            ("PUT h/a h:v1", Some(3)),
            ("PUT h/a h:v2", Some(2)),
            ("PUT h/a h:x", Some(1)),
            ("PUT h/a", Some(0)),
            ("PUT h/b", Some(7)),
        ],
    );
}

#[test]
fn head_goes_where_get_goes_unless_a_route_states_head() {
    assert_routes(
        &[
            "path=/a",
            "path=/a method=GET",
            "path=/b method=GET header=h:1",
            "path=/b method=HEAD",
            "path=/c method=POST",
        ],
        &[
            ("HEAD h/a", Some(1)),
            ("HEAD h/b h:1", Some(3)),
            ("GET h/b h:1", Some(2)),
            ("HEAD h/c", None),
        ],
    );
}

#[test]
fn extension_methods_are_told_apart() {
    assert_routes(
        &["path=/a method=PURGE", "path=/a method=BAN", "path=/b"],
        &[
            ("PURGE h/a", Some(0)),
            ("BAN h/a", Some(1)),
            ("purge h/a", None),
            ("LINK h/b", Some(2)),
        ],
    );
}

#[test]
fn a_wrong_method_is_told_from_a_wrong_path() {
    let router = Router::compile(&routes(&[
        "host=a.com path=/x method=GET",
        "path=/x method=POST header=h:1",
        "path=/x method=PUT",
        "path=/y header=h:1",
    ]));
    let miss = |request: &str| {
        let sent = Sent::parse(request);
        router.find(&sent.request()).expect_err(request)
    };
    let methods = |names: &[Method]| Missed::Method(names.to_vec());
    assert_eq!(
        miss("DELETE a.com/x"),
        methods(&[Method::GET, Method::HEAD, Method::PUT])
    );
    assert_eq!(miss("DELETE b.com/x"), methods(&[Method::PUT]));
    assert_eq!(
        miss("DELETE b.com/x h:1"),
        methods(&[Method::POST, Method::PUT])
    );
    assert_eq!(miss("GET b.com/y"), Missed::NoRoute);
    assert_eq!(miss("GET b.com/z"), Missed::NoRoute);
}

#[test]
fn captures_are_places_in_the_path() {
    let routes = routes(&[
        "path=/none path=/{a}/x/{b_2}/f-* path=/{one}",
        "host=pathless",
    ]);
    let router = Router::compile(&routes);
    let sent = Sent::parse("GET h/first/x/s%20nd/f-rest/of/it");
    let found = router.find(&sent.request()).expect("a route");
    assert_eq!(found.captures.pattern(), Some(1));
    let captures = found.captures.named(&routes[0].matcher.paths, &sent.path);
    assert_eq!(captures.get("a"), Some("first"));
    assert_eq!(captures.get("b_2"), Some("s%20nd"));
    assert_eq!(captures.get("c"), None);
    assert_eq!(captures.tail(), Some("rest/of/it"));
    assert_eq!(
        captures.split_front(),
        Some(("/", "first/x/s%20nd/f-rest/of/it"))
    );
    let all: Vec<_> = captures.iter().collect();
    assert_eq!(
        all,
        [("a", "first"), ("b_2", "s%20nd"), ("*", "rest/of/it")]
    );

    let sent = Sent::parse("GET h/none");
    let found = router.find(&sent.request()).expect("a route");
    let captures = found.captures.named(&routes[0].matcher.paths, &sent.path);
    assert_eq!((captures.tail(), captures.split_front()), (None, None));

    let sent = Sent::parse("GET pathless/a/b");
    let found = router.find(&sent.request()).expect("a route");
    let captures = found.captures.named(&routes[1].matcher.paths, &sent.path);
    assert_eq!(captures.split_front(), Some(("/", "a/b")));
}

#[test]
fn eight_captures_need_no_allocation_and_nine_still_work() {
    for count in [8, 9] {
        let pattern: String = (0..count).map(|index| format!("/{{c{index}}}")).collect();
        let path: String = (0..count).map(|index| format!("/v{index}")).collect();
        let routes = routes(&[&format!("path={pattern}")]);
        let router = Router::compile(&routes);
        let sent = Sent::parse(&format!("GET h{path}"));
        let found = router.find(&sent.request()).expect("a route");
        assert_eq!(found.captures.ranges.spilled(), count > 8);
        let captures = found.captures.named(&routes[0].matcher.paths, &path);
        let last = format!("c{}", count - 1);
        assert_eq!(
            captures.get(&last),
            Some(format!("v{}", count - 1).as_str())
        );
    }
}

#[test]
fn odd_requests_find_only_routes_without_path_and_never_panic() {
    let router = Router::compile(&routes(&["path=/é*", "path=/*", "host=x.y"]));
    let method = Method::OPTIONS;
    let fields = Fields::new();
    let long = ".".repeat(100_000);
    for (host, path, expected) in [
        ("x.y", "*", Some(2)),
        ("x.z", "*", None),
        ("x.y", "", Some(2)),
        ("", "/é", Some(1)),
        ("", "/\u{e8}\u{301}", Some(1)),
        (long.as_str(), "/", Some(1)),
        ("", long.as_str(), None),
    ] {
        let request = RouteRequest {
            host,
            path,
            query: Some("%"),
            method: &method,
            fields: &fields,
        };
        assert_eq!(
            router.find(&request).ok().map(|found| found.route),
            expected
        );
        let _ = router.explain(&request, Caller::Unasked);
    }
}

#[test]
fn a_search_visits_as_much_among_ten_thousand_routes_as_among_ten() {
    let visited = |count: usize| {
        let words: Vec<String> = (0..count)
            .map(|index| match index % 2 {
                0 => format!("path=/service-{index}/items/{{id}} method=GET"),
                _ => format!("host=h{index}.example.com path=/items/*"),
            })
            .collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let router = Router::compile(&routes(&words));
        let first = Sent::parse("GET any.test/service-0/items/7");
        let second = Sent::parse("GET h1.example.com/items/7");
        let missing = Sent::parse("GET h1.example.com/nothing/at/all");
        [first, second, missing]
            .map(|sent| router.explain(&sent.request(), Caller::Unasked).visited)
    };
    assert_eq!(visited(10), visited(10_000));
}

#[test]
fn an_explanation_names_the_winner_and_what_failed_before_it() {
    let router = Router::compile(&routes(&[
        "host=a.com path=/x/{id} method=POST header=x-version:2",
        "path=/x/* query=debug:!",
        "path=/*",
    ]));
    let sent = Sent::parse("GET a.com/x/7?debug=1");
    let explanation = router.explain(&sent.request(), Caller::Unasked);
    let json = serde_json::to_value(&explanation).expect("JSON");
    assert_eq!(
        json,
        serde_json::json!({
            "outcome": {
                "result": "found",
                "route": "r2",
                "index": 2,
                "path": "/*",
                "captures": { "*": "x/7" },
            },
            "considered": [
                {
                    "route": "r0",
                    "index": 0,
                    "path": "/x/{id}",
                    "failed": ["method GET is not among POST", "header x-version is missing"],
                },
                {
                    "route": "r1",
                    "index": 1,
                    "path": "/x/*",
                    "failed": ["query parameter debug is there"],
                },
            ],
            "omitted": 0,
            "visited": 5,
        })
    );
}

#[test]
fn an_explanation_of_a_miss_looks_at_other_hosts_and_the_last_slash() {
    let router = Router::compile(&routes(&[
        "host=a.com host=*.b.com path=/x",
        "path=/x/*",
        "host=c.com path=/other",
    ]));
    let sent = Sent::parse("GET z.com/x");
    let explanation = router.explain(&sent.request(), Caller::Unasked);
    assert_eq!(explanation.outcome, Outcome::NoRoute);
    let considered: Vec<_> = explanation
        .considered
        .iter()
        .map(|one| (one.route.as_str(), one.failed[0].as_str()))
        .collect();
    assert_eq!(
        considered,
        [
            ("r0", "host z.com is not among a.com, *.b.com"),
            ("r1", "it takes path /x/, with another last slash"),
        ]
    );
    let json = serde_json::to_value(&explanation).expect("JSON");
    assert_eq!(json["outcome"], serde_json::json!({ "result": "no_route" }));
}
