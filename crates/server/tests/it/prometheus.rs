//! A real Prometheus: it takes what Weir exposes, and what `deploy/` has for it works.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Process, Upstream, Wire, answer, curl, free_port, tool, wait_within};

/// Prometheus scrapes once a second, and a rate needs two scrapes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Something of everything that the dashboard shows.
const CONFIG: &str = "
upstreams:
  shop: { targets: [UPSTREAM], concurrency: { limit: 100 }, breaker: {} }
  next: { targets: [UPSTREAM] }
  found: { discovery: { file: targets.yaml } }
routes:
  - name: shop
    match: { path: /shop/* }
    split: { upstreams: { shop: 50, next: 50 }, guard: { error_rate: 50% } }
    mirror: { upstream: next }
  - { name: found, match: { path: /found/* }, upstream: found }
";

fn deploy(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("deploy").join(path)
}

fn promtool(arguments: &[&str]) {
    let done = Command::new(tool("promtool"))
        .args(arguments)
        .current_dir(deploy("prometheus"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "promtool {arguments:?}: {said}");
}

#[test]
fn every_alert_fires_when_it_must_and_is_silent_otherwise() {
    promtool(&["check", "rules", "alerts.yaml"]);
    promtool(&["test", "rules", "alerts.test.yaml"]);
}

/// The text of one of the files, without what is behind `#`.
fn without_comments(path: &str) -> String {
    let text = std::fs::read_to_string(deploy(path)).unwrap();
    let lines = text.lines().filter(|line| !line.trim().starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_alert_is_tried_and_asks_for_metrics_that_there_are() {
    let alerts = without_comments("prometheus/alerts.yaml");
    let tests = without_comments("prometheus/alerts.test.yaml");
    let named: Vec<_> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    for alert in &named {
        let silent = format!("alertname: {alert} }}");
        assert!(tests.contains(&silent), "{alert} is not tried");
    }
    // They all fire at once in the other test, which counts them.
    assert!(
        tests.contains(&format!("value: {} }}", named.len())),
        "{}",
        named.len()
    );
    let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let documented = std::fs::read_to_string(documented).unwrap();
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let metrics = alerts
        .split(|character| !is_name(character))
        .filter(|word| {
            ["weir_", "http_", "process_"]
                .iter()
                .any(|begin| word.starts_with(begin))
        })
        .filter(|word| !["http_route", "http_response_status_class"].contains(word));
    let mut count = 0;
    for metric in metrics {
        let row = format!("| `{metric}` |");
        assert!(documented.contains(&row), "there is no metric {metric}");
        count += 1;
    }
    assert!(count > 20, "{count}");
}

/// A Prometheus that scrapes one address.
struct Prometheus {
    address: SocketAddr,
    _process: Process,
}

impl Prometheus {
    fn start(directory: &Path, admin: SocketAddr) -> Self {
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [{}]\n\
             scrape_configs: [{{ job_name: weir, static_configs: [{{ targets: ['{admin}'] }}] }}]\n",
            deploy("prometheus/alerts.yaml").display()
        );
        let file = directory.join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(tool("prometheus"));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={address}"));
        let process = Process::start(&mut command, directory, "prometheus");
        wait_within(PATIENCE, "Prometheus listens", || {
            // It listens before it can be asked.
            Wire::try_connect(address).is_ok()
                && curl(&[&format!("http://{address}/-/ready")])
                    .answer()
                    .status()
                    == 200
        });
        Self {
            address,
            _process: process,
        }
    }

    /// The samples that an expression has now.
    fn query(&self, expression: &str) -> Vec<Value> {
        let url = format!("http://{}/api/v1/query", self.address);
        let data = format!("query={expression}");
        let answer = curl(&["--data-urlencode", &data, &url]).answer().json();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }
}

/// Every query of the dashboard, with the panel's title.
fn queries() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(deploy("grafana/weir.json")).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let mut queries = Vec::new();
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let expression = expression
                .replace("$__rate_interval", "20s")
                .replace("$job", ".*")
                .replace("$instance", ".*")
                .replace("$route", ".*");
            assert!(!expression.contains('$'), "{expression}");
            queries.push((panel["title"].as_str().unwrap().to_owned(), expression));
        }
    }
    queries
}

#[test]
fn every_query_of_the_dashboard_has_data_and_nothing_alerts() {
    let upstream = Upstream::answering(|_| answer(200, &[], "ok"));
    let config = CONFIG.replace("UPSTREAM", &upstream.address.to_string());
    let setup = crate::harness::Setup::new();
    setup.write("targets.yaml", format!("- {}\n", upstream.address));
    let weir = setup.start(&config);
    let prometheus = Prometheus::start(weir.directory(), weir.setup().admin);

    let mut waiting = queries();
    assert!(waiting.len() > 30, "{} queries", waiting.len());
    wait_within(PATIENCE, "every query has data", || {
        for path in ["/shop/a", "/found/a", "/nowhere"] {
            weir.get(path);
        }
        waiting.retain(|(_, expression)| prometheus.query(expression).is_empty());
        if !waiting.is_empty() {
            eprintln!("still without data: {waiting:?}");
        }
        waiting.is_empty()
    });
    // What is counted once is counted once: the sum over all series is the number of answers.
    let requests = "sum(http_server_requests_total{http_route=\"shop\"})";
    let counted: f64 = prometheus.query(requests)[0]["value"][1]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(counted >= 1.0 && counted.fract() == 0.0, "{counted}");
    let alerts = prometheus.query("ALERTS");
    assert!(alerts.is_empty(), "{alerts:?}");
}
