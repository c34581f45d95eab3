//! A revision of 10,000 routes.

use std::time::{Duration, Instant};

use serde_json::json;
use weir_revisions::What;

use crate::engines::{back, fresh, on_both_engines, put, route};

on_both_engines! {
    ten_thousand_routes_are_one_revision,
}

async fn ten_thousand_routes_are_one_revision(engine: &str) {
    let fresh = fresh(engine).await;
    let routes = |prefix: &str| {
        let document = |number| {
            let path = format!("/{prefix}/{number}");
            json!({"match": {"path": path}, "upstream": "of-file"})
        };
        let changes = (0..10_000).map(|number| put(route(&format!("r{number}")), document(number)));
        What::Changes(changes.collect())
    };
    // Made, and then each of them changed.
    for (number, prefix) in [(1, "a"), (2, "b")] {
        let begin = Instant::now();
        let outcome = fresh.make(routes(prefix)).await.unwrap();
        assert_eq!(outcome.latest, number);
        // Not optimised, beside others; the figure is measured elsewhere.
        assert!(begin.elapsed() < Duration::from_secs(60));
    }
    fresh.make(back(1)).await.unwrap();
    assert_eq!(fresh.wanted().await.len(), 10_000);
    fresh.make(back(0)).await.unwrap();
    assert!(fresh.wanted().await.is_empty());
}
