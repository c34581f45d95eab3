use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use weir_gateway::reason::Decider;

use super::*;
use crate::log::tests::record;

fn settings(recent: usize, noted: usize) -> KeptRequests {
    KeptRequests {
        recent,
        noted,
        slow: None,
    }
}

fn journal(recent: usize, noted: usize) -> Journal {
    let journal = Journal::default();
    journal.configure(&settings(recent, noted), Arc::default());
    journal
}

/// One that ended so many seconds after 1970.
fn ended(second: u64, status: u16, is_noted: bool) -> AccessRecord {
    AccessRecord {
        time: UNIX_EPOCH + Duration::from_secs(second),
        duration: Duration::ZERO,
        status,
        is_noted,
        ..record()
    }
}

fn statuses(records: &[Arc<AccessRecord>]) -> Vec<u16> {
    records.iter().map(|record| record.status).collect()
}

fn filter(conditions: &[(&str, &str)]) -> Filter {
    let mut filter = Filter::default();
    for (key, value) in conditions {
        filter.add(key, value).expect("a condition");
    }
    filter
}

#[test]
fn what_is_noted_outlasts_what_is_not() {
    let journal = journal(2, 2);
    journal.add([ended(1, 500, true), ended(2, 503, true)]);
    journal.add((3..100).map(|second| ended(second, 200, false)));
    let all = Filter::default();
    assert_eq!(statuses(&journal.latest(&all, 9)), [200, 200, 503, 500]);
    assert_eq!(statuses(&journal.latest(&all, 3)), [200, 200, 503]);
    let failed = filter(&[("status", "5xx")]);
    assert_eq!(statuses(&journal.latest(&failed, 9)), [503, 500]);
}

#[test]
fn what_comes_late_takes_its_place() {
    let journal = journal(2, 0);
    for second in [5, 1, 4] {
        journal.add([ended(second, 200 + second as u16, false)]);
    }
    assert_eq!(statuses(&journal.latest(&Filter::default(), 9)), [205, 204]);
}

#[test]
fn those_of_several_workers_are_told_in_the_order_in_which_they_ended() {
    let journal = journal(3, 0);
    let mut told = journal.look_on(Filter::default(), 1).expect("a place");
    let workers = [[1, 4], [2, 5], [3, 6]];
    let seconds = workers.iter().flatten();
    journal.add(seconds.map(|second| ended(*second, 200 + *second as u16, false)));
    assert_eq!(
        statuses(&journal.latest(&Filter::default(), 9)),
        [206, 205, 204]
    );
    for expected in 201..=206 {
        let Ok(Seen::Ended(record)) = told.try_recv() else {
            panic!("{expected} is told");
        };
        assert_eq!(record.status, expected);
    }
}

#[test]
fn a_smaller_ring_forgets_its_earliest_and_one_of_nothing_keeps_nothing() {
    let journal = journal(3, 3);
    journal.add((1..4).map(|second| ended(second, 200 + second as u16, false)));
    journal.configure(&settings(1, 0), Arc::default());
    journal.add([ended(9, 500, true)]);
    let kept = journal.latest(&Filter::default(), 9);
    assert_eq!(statuses(&kept), [203]);
}

#[test]
fn a_request_is_found_by_its_id_its_traces_and_the_start_of_either() {
    let journal = journal(10, 10);
    let (one, other) = (record(), record());
    let id = one.request_id.to_string();
    journal.add([other, one]);
    for digits in [8, 20, 32] {
        let start = IdStart::parse(&id[..digits]).expect("an id");
        let found = journal.find(start);
        assert_eq!(found.len(), 1, "{digits}");
        assert_eq!(found[0].request_id.to_string(), id);
    }
    let unknown = IdStart::parse("00000000").expect("an id");
    assert!(journal.find(unknown).is_empty());
}

#[test]
fn what_is_no_id_is_not_looked_for() {
    for text in [
        "",
        "1234567",
        "1234567g",
        "+2345678",
        "12345678 ",
        &"1".repeat(33),
    ] {
        assert_eq!(IdStart::parse(text), None, "{text}");
    }
    assert!(IdStart::parse("ABCDEF01").is_some());
}

#[test]
fn an_onlooker_sees_what_it_asked_for_and_how_much_it_missed() {
    let journal = journal(1, 1);
    let mut told = journal
        .look_on(filter(&[("status", "5xx")]), 1)
        .expect("a place");
    assert!(journal.look_on(Filter::default(), 1).is_none());
    let many = WAITING as u64 + 10;
    journal.add((0..many).map(|second| ended(second, 500, true)));
    journal.add([ended(0, 200, false)]);
    for _ in 0..WAITING {
        assert!(matches!(told.try_recv(), Ok(Seen::Ended(_))));
    }
    assert!(told.try_recv().is_err());
    journal.add([ended(0, 500, true)]);
    assert!(matches!(told.try_recv(), Ok(Seen::Missed(10))));
    assert!(matches!(told.try_recv(), Ok(Seen::Ended(_))));
    drop(told);
    // Its place is free once it has left.
    assert!(journal.look_on(Filter::default(), 1).is_some());
}

#[test]
fn conditions_are_read_and_hold_together() {
    let record = AccessRecord {
        status: 503,
        reason: Some("circuit_open"),
        duration: Duration::from_millis(300),
        ..record()
    };
    let takes = |conditions: &[(&str, &str)]| filter(conditions).takes(&record);
    assert!(takes(&[
        ("route", "items"),
        ("upstream", "catalog"),
        ("status", "404"),
        ("status", "5xx"),
        ("reason", "circuit_open"),
        ("method", "get"),
        ("host", "EXAMPLE.com"),
        ("path", "/it"),
        ("client", "192.0.2.0/24"),
        ("slower", "300ms"),
    ]));
    for condition in [
        ("route", "_unrouted"),
        ("upstream", "other"),
        ("status", "504"),
        ("reason", "no_route"),
        ("method", "POST"),
        ("host", "example.org"),
        ("path", "/other"),
        ("client", "192.0.2.8"),
        ("slower", "301ms"),
    ] {
        assert!(!takes(&[condition]), "{condition:?}");
    }
}

#[test]
fn what_cannot_be_asked_for_is_said_with_what_can() {
    let error = |key: &str, value: &str| {
        let added = Filter::default().add(key, value);
        added.expect_err("no condition").to_string()
    };
    assert_eq!(
        error("rout", "a"),
        "there is no filter `rout`; did you mean `route`?"
    );
    assert_eq!(
        error("reason", "circuit_opened"),
        "`circuit_opened` is no reason; did you mean `circuit_open`?"
    );
    for (key, value) in [
        ("status", "6xx"),
        ("status", "99"),
        ("method", "G T"),
        ("client", "10.0.0.0/33"),
        ("slower", "fast"),
    ] {
        let text = error(key, value);
        assert!(text.contains(value) && text.contains(';'), "{text}");
    }
}

/// The properties of an object in the configuration's schema, behind its reference if it is one.
fn properties<'a>(schema: &'a Value, node: &'a Value) -> Option<&'a Value> {
    let of = |node: &'a Value| match node["$ref"].as_str() {
        Some(reference) => schema.pointer(reference.strip_prefix('#')?),
        None => Some(node),
    };
    let alternatives = ["anyOf", "oneOf"]
        .iter()
        .filter_map(|key| node[*key].as_array());
    let candidates = std::iter::once(node).chain(alternatives.flatten());
    candidates
        .filter_map(of)
        .map(|node| &node["properties"])
        .find(|properties| properties.is_object())
}

#[test]
fn every_setting_that_decides_is_one_of_the_configuration() {
    let schema = weir_config::schema();
    let root = properties(&schema, &schema).expect("properties");
    let item = |group: &str, key: &str| {
        let node = &root[group][key];
        properties(&schema, node).unwrap_or_else(|| panic!("{group}: {node}"))
    };
    for reason in &weir_gateway::reason::REASONS {
        let (mut place, key) = match reason.decider {
            Decider::Nothing | Decider::AnyPolicy => continue,
            Decider::Process(key) => (root, key),
            Decider::Upstream(key) => (item("upstreams", "additionalProperties"), key),
            Decider::Route(key) => (item("routes", "items"), key),
            Decider::Policy(key) => (item("policies", "additionalProperties"), key),
        };
        let mut steps = key.split('.').peekable();
        while let Some(step) = steps.next() {
            let node = &place[step];
            assert!(!node.is_null(), "{}: there is no {key}", reason.word);
            if steps.peek().is_some() {
                place = properties(&schema, node).expect("an object");
            }
        }
    }
}
