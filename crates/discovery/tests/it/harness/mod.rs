//! What the tests stand on: a discoverer, a DNS server, and an API server with a script.

mod api;
mod dnsmasq;
mod relay;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;
use weir_config::model::{Config, ConsulSource, Discovery, DiscoverySource, KubernetesSource};
use weir_config::{LoadOptions, load_text};
use weir_discovery::{Discoverer, Found, Lost, Options, Pod, Status};

pub use api::{Api, Asked, Reply};
pub use dnsmasq::Dnsmasq;
pub use relay::{AAAA, Relay};

/// Longest wait for anything that should happen soon.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The one upstream of most tests.
pub const UPSTREAM: &str = "catalog";

/// A running discoverer and what comes out of it.
pub struct Running {
    pub discoverer: Discoverer,
    found: UnboundedReceiver<Found>,
    pub data: TempDir,
}

impl Running {
    /// With one upstream.
    pub fn start(settings: Discovery) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), settings)
    }

    /// The same on the data of an earlier one.
    pub fn start_in(data: TempDir, settings: Discovery) -> Self {
        let options = Options {
            data: data.path().to_owned(),
            pod: Pod {
                api: None,
                account: data.path().join("no-pod"),
            },
        };
        let (discoverer, found) = Discoverer::run(options).unwrap();
        discoverer.apply(&config(&[(UPSTREAM, Some(settings))]));
        Self {
            discoverer,
            found,
            data,
        }
    }

    /// Ends it as a process ends, and keeps its data.
    pub fn end(self) -> TempDir {
        self.discoverer.stop();
        self.data
    }

    /// The next set of targets, as `host:port`.
    pub async fn next(&mut self) -> Vec<String> {
        let found = tokio::time::timeout(PATIENCE, self.found.recv()).await;
        let Ok(found) = found else {
            panic!("nothing was found: {:?}", self.discoverer.status());
        };
        addresses(&found.unwrap())
    }

    /// Waits for this set of targets; others may come before.
    pub async fn find(&mut self, expected: &[&str]) {
        let mut seen = Vec::new();
        while seen
            .last()
            .is_none_or(|last: &Vec<String>| last != expected)
        {
            let found = tokio::time::timeout(PATIENCE, self.found.recv()).await;
            let Ok(found) = found else {
                let status = self.discoverer.status();
                panic!("{expected:?} was not found, but {seen:?}: {status:?}");
            };
            seen.push(addresses(&found.unwrap()));
        }
    }

    /// Fails if another set of targets came.
    pub fn expect_nothing_new(&mut self) {
        if let Ok(found) = self.found.try_recv() {
            panic!("found {found:?}");
        }
    }

    pub fn status(&self) -> Status {
        self.discoverer.status()[UPSTREAM].clone()
    }

    /// Waits until the source is lost.
    pub async fn lost(&self) -> Lost {
        wait_until("the source is lost", || self.status().lost.is_some()).await;
        self.status().lost.unwrap()
    }

    /// What a new process would begin with.
    pub fn filled(&self, settings: Discovery) -> Vec<String> {
        let mut config = config(&[(UPSTREAM, Some(settings))]);
        self.discoverer.fill(&mut config);
        let targets = config.upstreams[0].targets.iter();
        targets
            .map(|target| format!("{}:{}", target.host, target.port))
            .collect()
    }
}

fn addresses(found: &Found) -> Vec<String> {
    let targets = found.targets.iter();
    targets
        .map(|target| format!("{}:{}", target.host, target.port))
        .collect()
}

/// A configuration with these upstreams; one without discovery lists a target.
pub fn config(upstreams: &[(&str, Option<Discovery>)]) -> Config {
    let mut text = "listeners: [{ address: 127.0.0.1:1 }]\nupstreams:\n".to_owned();
    for (name, _) in upstreams {
        text.push_str(&format!("  {name}: {{ targets: [\"127.0.0.1:1\"] }}\n"));
    }
    let name = upstreams[0].0;
    text.push_str(&format!(
        "routes: [{{ name: all, match: {{ path: /* }}, upstream: {name} }}]\n"
    ));
    let loaded = load_text(&text, "weir.yaml", Path::new(""), &LoadOptions::default());
    let mut config = loaded.unwrap().config;
    for (name, settings) in upstreams {
        let mut all = config.upstreams.iter_mut();
        let upstream = all.find(|upstream| upstream.name == *name).unwrap();
        if settings.is_some() {
            upstream.targets.clear();
        }
        upstream.discovery.clone_from(settings);
    }
    config
}

/// A source within ordinary bounds.
pub fn from(source: DiscoverySource) -> Discovery {
    Discovery {
        source,
        networks: Vec::new(),
        most_targets: 1000,
    }
}

pub fn consul(api: &Api) -> ConsulSource {
    ConsulSource {
        address: format!("http://{}", api.address),
        service: "catalog".into(),
        tag: None,
        datacenter: None,
        token: None,
        authorities: None,
    }
}

pub fn kubernetes(api: &Api) -> KubernetesSource {
    KubernetesSource {
        api: Some(format!("http://{}", api.address)),
        namespace: Some("shop".into()),
        service: "catalog".into(),
        port: None,
        token: None,
        authorities: None,
    }
}

/// Replaces a file at once, as whoever writes one should.
pub fn replace(path: &Path, content: &str) {
    let temporary = PathBuf::from(format!("{}.new", path.display()));
    std::fs::write(&temporary, content).unwrap();
    std::fs::rename(&temporary, path).unwrap();
}

/// Polls until the condition holds; fails with the sentence when it never does.
pub async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
