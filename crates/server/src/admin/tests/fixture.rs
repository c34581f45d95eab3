//! A node with one route to a server that always answers, and its admin listener.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use weir_config::model::{Discovery, DiscoverySource, HeaderRules, PolicyKind};
use weir_config::template::{Part, Template};
use weir_config::{Config, LoadOptions, Variables};
use weir_console::{Configuration, OperatorToken, Running};
use weir_core::Secret;
use weir_discovery::{Discoverer, Pod};
use weir_gateway::{Gateway, Remembered};
use weir_issuers::Issuers;
use weir_revisions::{Revisions, Secrets};
use weir_store::Records;
use weir_store::records::{Address, Options};

use super::*;
use crate::installation_key::InstallationKey;
use crate::serve::own_tokens::OwnIssuer;
use crate::serve::traffic_file::TrafficFile;
use crate::serve::{Order, Rejection, Revision};

fn time() -> SystemTime {
    UNIX_EPOCH + Duration::new(1_767_323_045, 6_000)
}

pub(super) fn revision(number: u64) -> Revision {
    Revision {
        number,
        digest: format!("d{number}"),
        since: time(),
        file: PathBuf::from("/etc/weir/weir.yaml"),
        environment: Some("staging".into()),
        last_good: false,
        resources: 0,
    }
}

pub(super) fn rejection() -> Rejection {
    let diagnostics = json!([{ "message": "broken" }]);
    Rejection {
        at: time(),
        text: "it is broken".into(),
        diagnostics,
        at_fault: Vec::new(),
    }
}

/// A value that no answer may show.
pub(super) const CANARY: &str = "canary-7f3a";

/// As from a reference.
fn secret_rules() -> HeaderRules {
    let part = Part::Secret(Secret::new(CANARY.into()));
    let value = Template { parts: vec![part] };
    HeaderRules {
        set: vec![(http::HeaderName::from_static("x-account"), value)],
        ..HeaderRules::default()
    }
}

fn config(target: SocketAddr) -> Config {
    let text = format!(
        "
workers: 1
admin: {{ address: 127.0.0.1:0 }}
listeners: [{{ address: 127.0.0.1:0, http2: false }}]
certificates: {{ shop: {{ certificate: env:CHAIN, key: env:KEY }} }}
upstreams:
  catalog: {{ targets: [{{ address: '{target}', zone: a }}], http2: false }}
policies:
  tidy: {{ headers: {{}} }}
  valid: {{ validate: {{ schema: {{}} }} }}
  visitors: {{ api_key: {{}} }}
  trusted: {{ signature: {{ keys: {{ one: {{ algorithm: hmac-sha256, secret: env:SECRET }} }} }} }}
routes:
  - {{ name: items, match: {{ methods: GET }}, policies: [tidy, valid], upstream: catalog }}
  - name: canary
    match: {{ path: /canary }}
    split: {{ upstreams: {{ catalog: 1 }}, guard: {{ error_rate: 5% }} }}
    mirror: {{ upstream: catalog }}
    websocket: true
  - name: whole
    match: {{ path: /whole }}
    aggregate: {{ parts: {{ one: {{ upstream: catalog, path: / }} }} }}
log: {{ access: false }}
drain_timeout: 1s
"
    );
    let base = std::path::Path::new("");
    let made = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).expect("made");
    let pair = [
        ("CHAIN".to_owned(), made.cert.pem()),
        ("KEY".to_owned(), made.signing_key.serialize_pem()),
        ("SECRET".to_owned(), "0123456789abcdef".to_owned()),
    ];
    let options = LoadOptions {
        variables: Variables::Only(pair.into()),
        ..LoadOptions::default()
    };
    let loaded = weir_config::load_text(&text, "weir.yaml", base, &options);
    let mut config = loaded.expect("a configuration").config;
    let PolicyKind::Headers(tidy) = &mut config.policies[0].kind else {
        panic!("another kind");
    };
    tidy.request = secret_rules();
    config.routes[0].headers.response = secret_rules();
    config
}

/// The same with targets that register.
fn discovered(mut config: Config) -> Config {
    config.upstreams[0].name = "found".to_owned();
    config.upstreams[0].discovery = Some(Discovery {
        source: DiscoverySource::Registration {
            expiry: Duration::from_secs(30),
            token: None,
        },
        networks: Vec::new(),
        most_targets: 10,
    });
    config
}

/// Answers every connection's request with `ok`.
fn start_target() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            let _ = stream.write_all(answer);
        }
    });
    address
}

/// A running admin listener.
pub(in crate::admin) struct Admin {
    pub(in crate::admin) node: Arc<Node>,
    pub(in crate::admin) address: SocketAddr,
    pub(in crate::admin) target: SocketAddr,
    reloads: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinSet<()>,
    _script: JoinSet<()>,
    _records: TempDir,
    operator: OperatorToken,
}

impl Admin {
    /// Reloads go as scripted: applied, unchanged, rejected, and then the process is ending.
    pub(in crate::admin) async fn start() -> Self {
        let target = start_target();
        let (gateway, _records) =
            Gateway::start(&Arc::new(config(target)), Vec::new(), Remembered::default())
                .expect("a data plane");
        let (requests, mut asked) = mpsc::channel::<Order>(1);
        let discovery = weir_discovery::Options {
            data: PathBuf::from("/nonexistent"),
            pod: Pod::of_this_process(),
        };
        let (discoverer, _found) = Discoverer::run(discovery).expect("a thread");
        discoverer.apply(&discovered(config(target)));
        let running = watch::Sender::new(Running::default());
        let heard = running.subscribe();
        let followed = weir_issuers::Options {
            data: PathBuf::from("/nonexistent"),
        };
        let issuers = Issuers::run(followed).expect("a thread");
        let node = Node::new(
            gateway,
            discoverer,
            (issuers, OwnIssuer::new("https://weir.example".to_owned()).0),
            revision(1),
            requests,
            TrafficFile::open(&std::env::temp_dir().join("weir-without-directory")).0,
            running,
        );
        let reloads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reloads);
        let mut script = JoinSet::new();
        script.spawn(async move {
            let outcomes = [
                Reloaded::Applied(revision(2)),
                Reloaded::Unchanged(revision(2)),
                Reloaded::Rejected(rejection()),
            ];
            for outcome in outcomes {
                let Some(Order { answer, .. }) = asked.recv().await else {
                    return;
                };
                counted.fetch_add(1, Ordering::Relaxed);
                let _ = answer.send(outcome);
            }
        });
        let records = tempfile::tempdir().expect("a directory");
        let file = records.path().join("weir.db");
        let options = Options::new(Address::Sqlite(file));
        let keeper = Arc::new(Keeper::new(Records::open(&options).expect("records")));
        let operator = OperatorToken::generate().expect("random numbers");
        let mut config = config(target);
        config.data = records.path().to_owned();
        let key = InstallationKey::of(&config).expect("a key");
        let secrets = Secrets::new(key.secret()).expect("cryptography");
        let configuration = Configuration {
            revisions: Revisions::new(keeper.records().clone(), secrets),
            running: heard,
            judge: Arc::new(|_| Box::pin(async { Ok(weir_revisions::Judgement::default()) })),
        };
        let services = crate::people::services(&config, &key, &keeper, &operator, configuration);
        let services = services.expect("services");
        let deeds = Deeds::new(records.path());
        let told = (Arc::clone(&deeds), Arc::clone(&keeper));
        script.spawn(async move { told.0.tell(&told.1).await });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let mut serving = JoinSet::new();
        serving.spawn(serve(
            listener,
            Arc::new(Shared {
                node: Arc::clone(&node),
                telemetry: Telemetry::default(),
                keeper,
                services,
                deeds,
            }),
            shutdown,
        ));
        Self {
            node,
            address,
            target,
            reloads,
            stop: Some(stop),
            serving,
            _script: script,
            _records: records,
            operator,
        }
    }

    pub(super) fn reloads(&self) -> usize {
        self.reloads.load(Ordering::Relaxed)
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    pub(super) fn operator(&self) -> String {
        self.operator.expose().to_owned()
    }

    /// Sends a request of the operator that ends its connection.
    pub(super) async fn send(&self, request: &str) -> Answer {
        let token = self.operator.expose();
        let field = format!("\r\nauthorization: Bearer {token}\r\n");
        self.send_as_is(&request.replacen("\r\n", &field, 1)).await
    }

    /// The same without a credential, unless there is one in it.
    pub(super) async fn send_as_is(&self, request: &str) -> Answer {
        exchange(self.address, request).await
    }

    pub(in crate::admin) async fn get(&self, path: &str) -> Answer {
        self.get_as(path, "*/*").await
    }

    pub(in crate::admin) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        let Self { address, .. } = self;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
        );
        self.send(&request).await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Answer {
        let Self { address, .. } = self;
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        self.send(&request).await
    }

    /// Asks until the answer shows what must come to pass.
    pub(in crate::admin) async fn until(
        &self,
        path: &str,
        is_there: impl Fn(&Answer) -> bool,
    ) -> Answer {
        for _ in 0..10_000 {
            let answer = self.get(path).await;
            if is_there(&answer) {
                return answer;
            }
        }
        panic!("{path} never showed it");
    }

    /// Sends a request through the data plane and tells the status.
    pub(in crate::admin) async fn traffic(&self, path: &str) -> u16 {
        let (_, bound) = self.node.gateway.addresses()[0];
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n");
        exchange(bound, &request).await.status
    }

    pub(super) async fn stop(&mut self) {
        drop(self.stop.take());
        self.serving
            .join_next()
            .await
            .expect("a task")
            .expect("no panic");
    }
}

async fn exchange(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    Answer::parse(&answer)
}

/// An answer, taken apart.
pub(in crate::admin) struct Answer {
    pub(in crate::admin) status: u16,
    headers: Vec<(String, String)>,
    pub(in crate::admin) body: String,
}

impl Answer {
    pub(super) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let mut lines = head.lines();
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .expect("a status");
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a header");
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Self {
            status: status.parse().expect("a number"),
            headers: lines.map(header).collect(),
            body: body.to_owned(),
        }
    }

    pub(in crate::admin) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn summary(&self) -> (u16, &str) {
        (self.status, &self.body)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub(super) fn problem(&self) -> (u16, &'static str) {
        const REASONS: [&str; 16] = [
            "bad_host",
            "host_not_allowed",
            "cross_site",
            "json_required",
            "not_found",
            "method_not_allowed",
            "body_too_large",
            "body_timeout",
            "bad_body",
            "head_too_large",
            "invalid",
            "unauthenticated",
            "ending",
            "configuration_rejected",
            "busy",
            "internal",
        ];
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        let reason = REASONS
            .into_iter()
            .find(|reason| problem["reason"] == *reason);
        (self.status, reason.expect("a known reason"))
    }
}
