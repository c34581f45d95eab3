//! Upstreams under watch, with real servers behind them.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use weir_config::LoadOptions;

use super::*;
use crate::failure::Failure;
use crate::upstream::Targets;

const PATIENCE: Duration = Duration::from_secs(20);
const REFUSED: Fault = Fault::Failure(Failure::Connect("connection refused"));

fn local<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(PATIENCE, test).await.expect("an end")
    })
}

/// A server that answers with the status of the moment, or not at all if there is none.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    status: Rc<Cell<Option<u16>>>,
    asked: Rc<Cell<u32>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Self {
            address: listener.local_addr().expect("an address"),
            status: Rc::new(Cell::new(Some(200))),
            asked: Rc::default(),
        };
        let serving = server.clone();
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::task::spawn_local(async move {
                    let mut question = [0; 1024];
                    let _ = stream.read(&mut question).await;
                    serving.asked.set(serving.asked.get() + 1);
                    let Some(status) = serving.status.get() else {
                        return trickle(stream).await;
                    };
                    let answer = format!("HTTP/1.1 {status} Whatever\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        server
    }
}

/// An answer that comes byte by byte, faster than any silence is noticed, and never ends.
async fn trickle(mut stream: tokio::net::TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
    while stream.write_all(b"y").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An upstream of servers on the loopback and who watches it.
struct Rig {
    targets: Targets,
    cluster: Arc<Cluster>,
    health: RefCell<Health>,
}

fn addresses(servers: &[Server]) -> Vec<String> {
    let addresses = servers.iter().map(|server| server.address.to_string());
    addresses.collect()
}

fn settings(addresses: &[String], health: &str, targets: &Targets) -> Arc<Settings> {
    let text = format!(
        "listeners: [{{ address: 127.0.0.1:0 }}]\n\
         upstreams:\n  up: {{ targets: {addresses:?}, health: {health} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n"
    );
    let loaded = weir_config::load_text(&text, "weir.yaml", Path::new(""), &LoadOptions::default());
    let config = Arc::new(loaded.expect("a configuration").config);
    Arc::new(Settings::compile(&config, 0, targets).expect("settings"))
}

impl Rig {
    fn new(servers: &[Server], health: &str) -> Self {
        Self::of(&addresses(servers), health)
    }

    fn of(addresses: &[String], health: &str) -> Self {
        let targets = Targets::new(1);
        let settings = settings(addresses, health, &targets);
        let rig = Self {
            targets,
            cluster: Cluster::new(settings, 1, Instant::now()),
            health: RefCell::default(),
        };
        let clusters = [Arc::clone(&rig.cluster)];
        rig.health.borrow_mut().configure(&clusters, Moment::now());
        rig
    }

    fn reload(&self, servers: &[Server], health: &str) {
        let settings = settings(&addresses(servers), health, &self.targets);
        let now = Moment::now();
        self.cluster.configure(settings, &self.targets, now.instant);
        let clusters = [Arc::clone(&self.cluster)];
        self.health.borrow_mut().configure(&clusters, now);
    }

    fn states(&self) -> Vec<&'static str> {
        let plan = self.cluster.plan();
        let members = plan.members.iter();
        members
            .map(|member| member.state.health().state.name())
            .collect()
    }

    fn reason(&self, at: usize) -> String {
        let report = self.cluster.plan().members[at].state.health();
        report.reason.expect("a reason")
    }

    async fn until(&self, what: impl Fn(&Self) -> bool) {
        while !what(self) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.health.borrow_mut().tick(Moment::now());
        }
    }

    async fn until_states(&self, states: &[&str]) {
        self.until(|rig| rig.states() == states).await;
    }

    /// A worker's word.
    fn failing(&self, at: usize, now: Moment) {
        let identity = self.cluster.plan().members[at].target.identity;
        let mut health = self.health.borrow_mut();
        health.failing(&self.cluster, identity, 5, REFUSED, now);
    }

    /// Tasks that ask, by the target they ask.
    fn probers(&self) -> Vec<tokio::task::Id> {
        let health = self.health.borrow();
        let members = &health.upstreams[0].members;
        let probers = members
            .iter()
            .filter_map(|member| health.upstreams[0].probers.get(&Arc::as_ptr(&member.state)));
        probers.map(Prober::id).collect()
    }
}

async fn servers<const N: usize>() -> [Server; N] {
    let mut started = Vec::new();
    for _ in 0..N {
        started.push(Server::start().await);
    }
    started.try_into().ok().expect("as many")
}

const QUICK: &str = "{ active: { path: /, interval: 20ms, timeout: 20ms, unhealthy_after: 2 } }";

#[test]
fn wrong_answers_take_a_target_out_and_right_ones_bring_it_back() {
    local(async {
        let [good, bad] = servers().await;
        let rig = Rig::new(&[good.clone(), bad.clone()], QUICK);
        assert_eq!(rig.states(), ["unknown", "unknown"]);
        rig.until_states(&["healthy", "healthy"]).await;
        bad.status.set(Some(503));
        rig.until_states(&["healthy", "unhealthy"]).await;
        assert_eq!(rig.reason(1), "status 503");
        let plan = rig.cluster.plan();
        assert_eq!(format!("{:?}", plan.choice), "Only(0)");
        // It trickles now: what it says never ends, and no silence is long.
        bad.status.set(None);
        rig.until(|rig| rig.reason(1) == "no answer within 20ms")
            .await;
        bad.status.set(Some(200));
        rig.until_states(&["healthy", "healthy"]).await;
    });
}

#[test]
fn a_reload_leaves_the_checks_of_those_who_stay_alone() {
    local(async {
        let [one, other, third] = servers().await;
        let slow = "{ active: { path: /, interval: 1h, timeout: 1m } }";
        let rig = Rig::new(&[one.clone(), other.clone()], slow);
        rig.reload(&[one.clone(), other.clone()], "{}");
        assert_eq!(rig.states(), ["healthy", "healthy"], "nobody asks");
        assert_eq!(rig.probers().len(), 0);
        let quick_first = "{ active: { path: /, interval: 1m } }";
        rig.reload(&[one.clone(), other.clone()], quick_first);
        rig.until_states(&["healthy", "healthy"]).await;
        let before = rig.probers();
        rig.reload(&[third.clone(), other.clone()], quick_first);
        let after = rig.probers();
        assert_eq!((after.len(), after[1]), (2, before[1]));
        assert_eq!(rig.states(), ["unknown", "healthy"]);
        // Another check asks at once, and what is known stays until it is answered.
        rig.reload(&[third, other.clone()], QUICK);
        assert_ne!(rig.probers()[1], before[1]);
        assert_eq!(rig.states()[1], "healthy");
        other.status.set(Some(500));
        rig.until_states(&["healthy", "unhealthy"]).await;
        assert!(one.asked.get() <= 1, "it left before the next was due");
    });
}

#[test]
fn the_check_ends_with_its_upstream() {
    local(async {
        let [one] = servers().await;
        let rig = Rig::new(std::slice::from_ref(&one), QUICK);
        rig.until_states(&["healthy"]).await;
        let state = Arc::clone(&rig.cluster.plan().members[0].state);
        rig.health.borrow_mut().configure(&[], Moment::now());
        // The task's handles on the state go with it.
        let held = Arc::strong_count(&state);
        while Arc::strong_count(&state) == held {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn members_that_fail_together_are_each_considered() {
    local(async {
        let servers: [Server; 5] = servers().await;
        let rig = Rig::new(&servers, "{ passive: { eject_for: 10s } }");
        let now = Moment::now();
        // As from many workers at once, again and again.
        for millis in 0..10 {
            for at in [0, 1] {
                rig.failing(at, now.later(Duration::from_millis(millis)));
            }
        }
        assert_eq!(rig.states()[..3], ["ejected", "ejected", "healthy"]);
    });
}

#[test]
fn failures_eject_and_time_brings_back() {
    local(async {
        let servers: [Server; 3] = servers().await;
        let rig = Rig::new(&servers, "{ passive: { eject_for: 10s }, slow_start: 10s }");
        let now = Moment::now();
        rig.failing(0, now);
        assert_eq!(rig.states(), ["ejected", "healthy", "healthy"]);
        let text = "5 failures in a row, the latest upstream_connect_failed, connection refused";
        assert_eq!(rig.reason(0), text);
        let soon = now.later(RECENT);
        rig.failing(1, soon);
        assert_eq!(rig.states()[1], "healthy", "half of three is one");
        let tick = |now| rig.health.borrow_mut().tick(now);
        tick(now.later(Duration::from_secs(9)));
        assert_eq!(rig.states()[0], "ejected");
        let returned = now.later(Duration::from_secs(10));
        tick(returned);
        assert_eq!(rig.states()[0], "healthy");
        let member = &rig.cluster.plan().members[0];
        let ramp = |at: Moment| member.state.ramp(Duration::from_secs(10), at.instant);
        assert_eq!(ramp(returned), 0.1, "a slow start");
        assert_eq!(ramp(returned.later(Duration::from_secs(10))), 1.0);
        // Again at once: twice as long.
        rig.failing(0, returned);
        tick(returned.later(Duration::from_secs(19)));
        assert_eq!(rig.states()[0], "ejected");
        tick(returned.later(Duration::from_secs(20)));
        assert_eq!(rig.states()[0], "healthy");
    });
}

#[test]
fn a_worker_settles_at_once_what_is_quick_to_settle() {
    local(async {
        let servers: [Server; 2] = servers().await;
        let rig = Rig::new(&servers, "{}");
        let identity = |at: usize| rig.cluster.plan().members[at].target.identity;
        assert!(passive::settle(&rig.cluster, identity(0), 5, REFUSED));
        assert_eq!(rig.states(), ["ejected", "healthy"]);
        assert_eq!(format!("{:?}", rig.cluster.plan().choice), "Only(1)");
        let epoch = rig.cluster.epoch();
        assert!(passive::settle(&rig.cluster, identity(1), 5, REFUSED));
        assert_eq!(rig.states(), ["ejected", "healthy"], "the last one stays");
        assert_eq!(rig.cluster.epoch(), epoch, "and nothing is built");
        let _held = rig.cluster.roster();
        assert!(
            !passive::settle(&rig.cluster, 0, 5, REFUSED),
            "nobody waits"
        );
    });
}

#[test]
fn an_ejection_outlives_a_reload_and_ends_when_nobody_ejects() {
    local(async {
        let servers: [Server; 2] = servers().await;
        let rig = Rig::new(&servers, "{}");
        rig.failing(1, Moment::now());
        rig.reload(&servers, "{ slow_start: 1s }");
        assert_eq!(rig.states(), ["healthy", "ejected"]);
        rig.failing(0, Moment::now());
        assert_eq!(rig.states(), ["healthy", "ejected"], "the last one stays");
        rig.reload(&servers, "{ passive: false }");
        assert_eq!(rig.states(), ["healthy", "healthy"]);
        rig.failing(1, Moment::now());
        assert_eq!(rig.states(), ["healthy", "healthy"]);
    });
}

#[test]
fn a_share_of_failures_ejects() {
    local(async {
        let servers: [Server; 2] = servers().await;
        let passive = "{ consecutive_failures: 0, failure_rate: 40%, min_requests: 50 }";
        let rig = Rig::new(&servers, &format!("{{ passive: {passive} }}"));
        let start = Moment::now();
        let plan = rig.cluster.plan();
        for tick in 0..100_u32 {
            for (at, member) in plan.members.iter().enumerate() {
                let counters = &member.target.counters[0];
                counters.requests.add(1);
                counters.faults.add(u64::from(tick % 5 < 1 + at as u32));
            }
            let now = start.later(Duration::from_millis(100) * tick);
            rig.health.borrow_mut().tick(now);
        }
        assert_eq!(rig.states(), ["healthy", "ejected"], "20% and 40%");
        assert!(rig.reason(1).ends_with("requests failed"));
        assert!(rig.reason(1).starts_with("4"), "{}", rig.reason(1));
    });
}

#[test]
fn a_name_without_an_address_is_unhealthy() {
    local(async {
        let rig = Rig::of(&["target.invalid:80".to_owned()], QUICK);
        rig.until_states(&["unhealthy"]).await;
        let reason = rig.reason(0);
        let is_said = reason.starts_with("name cannot be resolved") || reason.contains("no answer");
        assert!(is_said, "{reason}");
    });
}
