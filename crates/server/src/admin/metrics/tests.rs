use std::collections::{BTreeMap, BTreeSet};

use weir_issuers::{Settings, Source};

use crate::admin::tests::Admin;

const DOCUMENT: &str = include_str!("../../../../../docs/metrics.md");
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// One family of an exposition.
#[derive(Debug, Default)]
struct Parsed {
    kind: String,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    /// The labels that tell series of a histogram apart.
    fn series(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.remove("le");
        labels
    }
}

/// A parser that knows no mercy: whatever the format's text does not allow panics.
fn parse(text: &str, is_open_metrics: bool) -> BTreeMap<String, Parsed> {
    let mut families: BTreeMap<String, Parsed> = BTreeMap::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    let body = match text.strip_suffix("# EOF\n") {
        Some(body) if is_open_metrics => body,
        None if !is_open_metrics => text,
        _ => panic!("wrong end mark"),
    };
    assert!(body.ends_with('\n'));
    for line in body.lines() {
        if let Some(metadata) = line.strip_prefix("# ") {
            let mut words = metadata.splitn(3, ' ');
            let mut next = || words.next().expect("a word");
            let (keyword, name, rest) = (next(), next(), next());
            assert!(is_name(name), "{line}");
            match keyword {
                "HELP" => {
                    assert!(rest.ends_with('.'), "{line}");
                    let is_new = families
                        .insert(name.to_owned(), Parsed::default())
                        .is_none();
                    assert!(is_new, "{name} comes twice");
                    current = name.to_owned();
                }
                "TYPE" => {
                    assert_eq!(name, current, "TYPE of another family");
                    families.get_mut(name).expect("HELP first").kind = rest.to_owned();
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let sample = parse_sample(line);
        let family = families.get_mut(&current).expect("HELP first");
        assert!(!family.kind.is_empty(), "a sample before TYPE: {line}");
        assert!(
            belongs(&sample.name, &current, &family.kind, is_open_metrics),
            "{line}"
        );
        assert!(
            seen.insert((sample.name.clone(), sample.labels.clone())),
            "twice: {line}"
        );
        family.samples.push(sample);
    }
    families
        .values()
        .filter(|family| family.kind == "histogram")
        .for_each(check_histogram);
    families
}

fn belongs(sample: &str, family: &str, kind: &str, is_open_metrics: bool) -> bool {
    let suffix = sample.strip_prefix(family);
    match kind {
        "counter" if is_open_metrics => suffix == Some("_total"),
        "counter" => suffix == Some("") && family.ends_with("_total"),
        "gauge" => suffix == Some(""),
        "info" => is_open_metrics && suffix == Some("_info"),
        "histogram" => matches!(suffix, Some("_bucket" | "_sum" | "_count")),
        _ => false,
    }
}

fn is_name(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && text.starts_with(|first: char| first.is_ascii_lowercase())
}

fn parse_sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).expect("a value");
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, behind) = rest.split_once("=\"").expect("a label");
            assert!(is_name(label), "{line}");
            let (value, behind) = parse_label(behind);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            match behind.split_at(1) {
                (",", behind) => rest = behind,
                ("}", behind) => {
                    rest = behind;
                    break;
                }
                _ => panic!("{line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').expect("a space");
    let is_number = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    assert!(is_number, "{line}");
    Sample {
        name: name.to_owned(),
        labels,
        value: value.parse().expect("a number"),
    }
}

fn parse_label(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('\\' | '"'))) => escaped,
                other => panic!("escape {other:?}"),
            }),
            _ => value.push(character),
        }
    }
    panic!("a label without end");
}

/// Buckets are cumulative, in order, and the last is the count.
fn check_histogram(family: &Parsed) {
    let series: BTreeSet<_> = family.samples.iter().map(Sample::series).collect();
    for labels in series {
        let of_series: Vec<&Sample> = family
            .samples
            .iter()
            .filter(|sample| sample.series() == labels)
            .collect();
        let (buckets, rest) = of_series.split_at(of_series.len() - 2);
        let bounds: Vec<f64> = buckets.iter().map(|bucket| bound(bucket)).collect();
        assert!(
            bounds.is_sorted_by(|left, right| left < right),
            "{bounds:?}"
        );
        assert_eq!(bounds.last(), Some(&f64::INFINITY));
        assert!(
            buckets
                .iter()
                .is_sorted_by(|left, right| left.value <= right.value)
        );
        assert!(rest[0].name.ends_with("_sum") && rest[1].name.ends_with("_count"));
        assert_eq!(
            buckets.last().map(|bucket| bucket.value),
            Some(rest[1].value)
        );
    }
}

fn bound(bucket: &Sample) -> f64 {
    assert!(bucket.name.ends_with("_bucket"), "{bucket:?}");
    let bound = &bucket.labels["le"];
    if bound == "+Inf" {
        return f64::INFINITY;
    }
    assert!(bound.contains('.'), "not in canonical form: {bound}");
    bound.parse().expect("a number")
}

fn value(families: &BTreeMap<String, Parsed>, name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = families.values().flat_map(|family| &family.samples);
    let has = |sample: &Sample| {
        labels
            .iter()
            .all(|(name, value)| sample.labels.get(*name).is_some_and(|at| at == value))
    };
    let found: Vec<f64> = samples
        .filter(|sample| sample.name == name && has(sample))
        .map(|sample| sample.value)
        .collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    found[0]
}

#[tokio::test]
async fn what_was_served_is_counted_in_both_formats() {
    let admin = Admin::start().await;
    assert_eq!(admin.traffic("/items").await, 200);
    let is_counted =
        "http_server_requests_total{http_route=\"items\",http_response_status_class=\"2xx\"} 1\n";
    let prometheus = admin
        .until("/metrics", |answer| answer.body.contains(is_counted))
        .await;
    assert_eq!(
        prometheus.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let open_metrics = admin.get_as("/metrics", OPEN_METRICS).await;
    assert_eq!(
        open_metrics.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let target = admin.target.to_string();
    for families in [
        parse(&prometheus.body, false),
        parse(&open_metrics.body, true),
    ] {
        let value = |name, labels: &[(&str, &str)]| value(&families, name, labels);
        let route = ("http_route", "items");
        assert_eq!(
            value("http_server_request_duration_seconds_count", &[route]),
            1.0
        );
        assert!(value("http_server_request_duration_seconds_sum", &[route]) > 0.0);
        assert_eq!(
            value("http_server_response_body_bytes_total", &[route]),
            2.0
        );
        let unrouted = [
            ("http_route", "_unrouted"),
            ("http_response_status_class", "4xx"),
        ];
        assert_eq!(value("http_server_requests_total", &unrouted), 0.0);
        let target = [("upstream", "catalog"), ("target", target.as_str())];
        assert_eq!(value("weir_upstream_requests_total", &target), 1.0);
        assert_eq!(value("weir_connections_accepted_total", &[]), 1.0);
        assert_eq!(value("weir_config_revision", &[]), 1.0);
        assert_eq!(value("weir_config_last_reload_successful", &[]), 1.0);
        assert_eq!(
            value("weir_build_info", &[("version", env!("CARGO_PKG_VERSION"))]),
            1.0
        );
    }
}

/// Rows of the document's tables: name, type and labels.
fn documented() -> BTreeSet<(String, String, BTreeSet<String>)> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3]
            .split(", ")
            .map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (
            cells[1].trim_matches('`').to_owned(),
            cells[2].to_owned(),
            labels,
        )
    })
    .collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_document_lists_exactly_what_is_there() {
    let admin = Admin::start().await;
    let nowhere = Source::File("/nonexistent/jwks.json".into());
    admin.node.issuers.follow(&Settings::new(nowhere));
    let families = parse(&admin.get("/metrics").await.body, false);
    let printed: BTreeSet<(String, String, BTreeSet<String>)> = families
        .into_iter()
        .map(|(name, family)| {
            let labels = family
                .samples
                .iter()
                .flat_map(|sample| sample.series().into_keys());
            (name, family.kind, labels.collect())
        })
        .collect();
    let documented = documented();
    let missing: Vec<_> = printed.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&printed).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "missing: {missing:?}, gone: {gone:?}"
    );
}
