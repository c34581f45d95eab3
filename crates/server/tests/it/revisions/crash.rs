//! A node is killed while revisions are made through it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::Signal;
use serde_json::json;
use weir_testkit::{Postgres, on_both_engines};

use super::{config, server, wait_until_available};
use crate::api::Client;
use crate::harness::{Setup, Weir, wait_until};

on_both_engines! {
    what_was_acknowledged_is_there_and_serves,
}

const WRITERS: usize = 8;

fn operator(weir: &Weir) -> Client {
    let token = std::fs::read_to_string(weir.setup().data().join("operator.token")).unwrap();
    Client::of(weir).with(token.trim())
}

/// Two routes at a time, so that half of a revision would show.
fn pair(number: usize) -> serde_json::Value {
    let route = |name: String| {
        let document = json!({"match": {"path": format!("/{name}")}, "upstream": "shop"});
        json!({"kind": "route", "name": name, "document": document})
    };
    json!({"changes": [route(format!("a{number}")), route(format!("b{number}"))]})
}

async fn what_was_acknowledged_is_there_and_serves(engine: &str) {
    let upstream = server();
    let records = match engine {
        "sqlite" => String::new(),
        _ => format!(
            "records: {{ url: \"{}\" }}\n",
            Postgres::shared().database()
        ),
    };
    let text = config(&upstream, &records);
    let data = tempfile::tempdir().unwrap();
    let start = || Setup::new().data_directory(data.path()).start(&text);
    let weir = start();
    wait_until_available(&weir);
    wait_until("the admin API is there", || {
        operator(&weir).get("/v1/revisions").status() == 200
    });
    let client = operator(&weir);
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let acknowledged = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if client.try_post("/v1/revisions", &pair(number)) == Some(201) {
                        acknowledged.lock().unwrap().insert(number);
                    }
                }
            });
        }
        wait_until("some are acknowledged", || {
            acknowledged.lock().unwrap().len() >= 20
        });
        weir.signal(Signal::KILL);
        is_over.store(true, Ordering::Relaxed);
    });
    drop(weir);

    let weir = start();
    wait_until("the admin API is there", || {
        operator(&weir).get("/v1/revisions").status() == 200
    });
    let client = operator(&weir);
    let latest = client.get("/v1/revisions?limit=1").json()["items"][0].clone();
    wait_until("it is in effect", || {
        weir.revision()["resources"] == latest["number"]
    });
    let found = client.get("/v1/config/routes?owner=api&limit=200").json();
    assert_eq!(found["next"], serde_json::Value::Null, "more than a page");
    let found = found["items"].as_array().unwrap();
    let found: BTreeSet<_> = found
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    for number in acknowledged.into_inner().unwrap() {
        assert!(found.contains(&*format!("a{number}")), "{number}");
        assert_eq!(weir.get(&format!("/b{number}")).text(), "fine");
    }
    for number in 0..next.into_inner() {
        let [a, b] = ["a", "b"].map(|half| found.contains(&*format!("{half}{number}")));
        assert_eq!(a, b, "half of {number}");
    }
    let verified = weir.run(
        "audit",
        &["verify", "--data-dir", data.path().to_str().unwrap()],
    );
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
}
