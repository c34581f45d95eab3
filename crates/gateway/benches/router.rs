//! What a look-up costs among 10, 1,000 and 10,000 routes, and what compiling them costs:
//! `cargo bench -p weir-gateway --bench router`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::Instant;

use http::{Method, StatusCode};
use weir_config::model::{Action, HeaderPolicy, Match, Route};
use weir_config::pattern::{HostPattern, PathPattern, PatternError};
use weir_config::template::Template;
use weir_gateway::Fields;
use weir_gateway::router::{RouteRequest, Router};

/// How the routes of a set differ.
#[derive(Clone, Copy)]
enum Shape {
    Hosts,
    Segments,
    Tails,
}

fn main() -> Result<(), PatternError> {
    println!(
        "{:<10} {:>7} {:>12} {:>10} {:>10}",
        "shape", "routes", "compile", "hit", "miss"
    );
    for shape in [Shape::Hosts, Shape::Segments, Shape::Tails] {
        for count in [10, 1_000, 10_000] {
            measure(shape, count)?;
        }
    }
    Ok(())
}

fn measure(shape: Shape, count: usize) -> Result<(), PatternError> {
    let routes = (0..count)
        .map(|index| route(shape, index))
        .collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    let router = Router::compile(&routes);
    let compile = start.elapsed();
    let requests: Vec<_> = (0..512)
        .map(|index| request(shape, index * 37 % count))
        .collect();
    let missing: Vec<_> = requests
        .iter()
        .map(|(host, path)| (host.clone(), path.replace("items", "nothing")))
        .collect();
    let name = match shape {
        Shape::Hosts => "hosts",
        Shape::Segments => "segments",
        Shape::Tails => "tails",
    };
    let hit = nanoseconds(&router, &requests);
    let miss = nanoseconds(&router, &missing);
    println!("{name:<10} {count:>7} {compile:>12.1?} {hit:>7.1} ns {miss:>7.1} ns");
    Ok(())
}

fn route(shape: Shape, index: usize) -> Result<Route, PatternError> {
    let mut matcher = Match::default();
    let path = match shape {
        Shape::Hosts => {
            matcher
                .hosts
                .push(HostPattern::parse(&format!("h{index}.example.com"))?);
            "/catalog/items/{id}".to_owned()
        }
        Shape::Segments => format!("/service-{index}/items/{{id}}"),
        Shape::Tails => format!("/service-{index}/items/*"),
    };
    matcher.paths.push(PathPattern::parse(&path)?);
    matcher.methods.push(Method::GET);
    Ok(Route {
        name: format!("route-{index}"),
        matcher,
        policies: Vec::new(),
        action: Action::Redirect {
            to: Template { parts: Vec::new() },
            status: StatusCode::FOUND,
        },
        headers: HeaderPolicy::default(),
        priority: weir_config::model::Priority::Normal,
        organization: None,
        log_sample: None,
        trace_sample: None,
        streams: Default::default(),
        websocket: None,
    })
}

fn request(shape: Shape, index: usize) -> (String, String) {
    match shape {
        Shape::Hosts => (
            format!("h{index}.example.com"),
            "/catalog/items/4711".to_owned(),
        ),
        Shape::Segments | Shape::Tails => (
            "api.example.com".to_owned(),
            format!("/service-{index}/items/4711"),
        ),
    }
}

/// The mean of the fastest of many short rounds: whatever else runs only makes rounds slower.
fn nanoseconds(router: &Router, requests: &[(String, String)]) -> f64 {
    let fields = Fields::new();
    let mut best = f64::INFINITY;
    for _ in 0..2_000 {
        let start = Instant::now();
        for (host, path) in requests {
            let request = RouteRequest {
                host,
                path,
                query: None,
                method: &Method::GET,
                fields: &fields,
            };
            let _ = black_box(router.find(black_box(&request)));
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9);
    }
    best / requests.len() as f64
}
