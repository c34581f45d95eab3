//! What the data plane runs: a configuration compiled once, read by every request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytestring::ByteString;
use http::HeaderValue;
use ipnet::IpNet;
use weir_config::model::{self, Action, Config};
use weir_config::pattern::PathPattern;

use crate::buffers::Buffers;
use crate::header_rules::{HeaderRules, Side};
use crate::metrics::{RouteCounters, TargetCounters};
use crate::router::Router;
use crate::timer::Timers;
use crate::tls::{self, TlsContext, TlsError};
use crate::upstream::{Connector, LocalUpstream, Pool, Target, schedule};

/// A compiled configuration; immutable, shared by all workers.
pub struct Snapshot {
    /// The configuration it was compiled from.
    pub config: Arc<Config>,
    pub(crate) router: Router,
    pub(crate) routes: Vec<Route>,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) listeners: HashMap<SocketAddr, Arc<Listener>>,
    pub(crate) timeouts: model::ClientTimeouts,
    pub(crate) limits: model::Limits,
    pub(crate) encoded_slash: model::EncodedSlash,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) access_log: bool,
    /// For requests that no route took.
    unrouted: Arc<[RouteCounters]>,
}

pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    /// For the names of what was captured.
    pub(crate) paths: Vec<PathPattern>,
    pub(crate) action: Action,
    /// Policies' rules first, the route's own behind them.
    pub(crate) request_headers: Vec<HeaderRules>,
    pub(crate) response_headers: Vec<HeaderRules>,
    pub(crate) counters: Arc<[RouteCounters]>,
}

pub(crate) struct Upstream {
    pub(crate) name: Arc<str>,
    pub(crate) targets: Vec<Arc<Target>>,
    /// Indices into `targets`, in weighted order.
    pub(crate) schedule: Vec<u16>,
    pub(crate) balance: model::Balance,
    pub(crate) retry: model::Retry,
    pub(crate) timeouts: model::UpstreamTimeouts,
    pool: model::Pool,
    scheme: &'static str,
}

impl Upstream {
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }
}

pub(crate) struct Listener {
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) hsts: Option<HeaderValue>,
    pub(crate) proxy_protocol: bool,
    pub(crate) http2: bool,
}

/// What makes two targets one and the same, so that connections and counters survive a reload.
#[derive(Clone, PartialEq, Eq, Hash)]
struct TargetKey {
    host: String,
    port: u16,
    http2: u8,
    tls: Option<tls::Fingerprint>,
}

/// Compiles configurations and remembers what outlives each of them.
pub(crate) struct Compiler {
    workers: usize,
    tls: TlsContext,
    identities: AtomicU64,
    targets: HashMap<TargetKey, Arc<Target>>,
    routes: HashMap<Arc<str>, Arc<[RouteCounters]>>,
    unrouted: Arc<[RouteCounters]>,
}

impl Compiler {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            tls: TlsContext::new(),
            identities: AtomicU64::new(0),
            targets: HashMap::new(),
            routes: HashMap::new(),
            unrouted: per_worker(workers),
        }
    }

    /// Compiles a configuration. Nothing of the compiler changes if that fails.
    pub(crate) fn compile(&mut self, config: Arc<Config>) -> Result<Snapshot, TlsError> {
        let mut listeners = HashMap::new();
        for listener in &config.listeners {
            listeners.insert(listener.address, Arc::new(self.listener(listener)?));
        }
        let mut targets = HashMap::new();
        let mut upstreams = Vec::with_capacity(config.upstreams.len());
        for upstream in &config.upstreams {
            upstreams.push(self.upstream(upstream, &mut targets)?);
        }
        let mut counters = HashMap::new();
        let routes = config
            .routes
            .iter()
            .map(|route| self.route(&config, route, &mut counters))
            .collect();
        let snapshot = Snapshot {
            router: Router::compile(&config.routes),
            routes,
            upstreams,
            listeners,
            timeouts: config.timeouts,
            limits: config.limits,
            encoded_slash: config.encoded_slash,
            trusted_proxies: config.trusted_proxies.clone(),
            access_log: config.log.access,
            unrouted: Arc::clone(&self.unrouted),
            config,
        };
        self.targets = targets;
        self.routes = counters;
        Ok(snapshot)
    }

    fn listener(&self, listener: &model::Listener) -> Result<Listener, TlsError> {
        let tls = match &listener.tls {
            Some(tls) => Some(tls::server_config(tls, listener.http2, &self.tls)?),
            None => None,
        };
        let hsts = listener
            .tls
            .as_ref()
            .and_then(|tls| tls.hsts)
            .map(hsts_value);
        Ok(Listener {
            tls,
            hsts,
            proxy_protocol: listener.proxy_protocol,
            http2: listener.http2,
        })
    }

    fn upstream(
        &self,
        upstream: &model::Upstream,
        targets: &mut HashMap<TargetKey, Arc<Target>>,
    ) -> Result<Upstream, TlsError> {
        let tls = match &upstream.tls {
            Some(tls) => Some((
                tls,
                tls::client_config(tls, upstream.http2)?,
                tls::fingerprint::upstream(tls, upstream.http2),
            )),
            None => None,
        };
        let mut compiled = Vec::with_capacity(upstream.targets.len());
        for target in &upstream.targets {
            let key = TargetKey {
                host: target.host.clone(),
                port: target.port,
                http2: upstream.http2 as u8,
                tls: tls.as_ref().map(|(_, _, fingerprint)| *fingerprint),
            };
            let known = targets.get(&key).or_else(|| self.targets.get(&key));
            let target = match known {
                Some(target) => Arc::clone(target),
                None => {
                    let connector = Connector {
                        tls: match &tls {
                            Some((settings, config, _)) => Some((
                                Arc::clone(config),
                                tls::server_name(settings, &target.host)?,
                            )),
                            None => None,
                        },
                        http2: upstream.http2,
                    };
                    Arc::new(self.target(target, connector))
                }
            };
            targets.insert(key, Arc::clone(&target));
            compiled.push(target);
        }
        let weights: Vec<u32> = upstream
            .targets
            .iter()
            .map(|target| target.weight)
            .collect();
        Ok(Upstream {
            name: Arc::from(upstream.name.as_str()),
            targets: compiled,
            schedule: schedule(&weights),
            balance: upstream.balance.clone(),
            retry: upstream.retry.clone(),
            timeouts: upstream.timeouts,
            pool: upstream.pool,
            scheme: if upstream.tls.is_some() {
                "https"
            } else {
                "http"
            },
        })
    }

    fn target(&self, target: &model::Target, connector: Connector) -> Target {
        let authority = if target.host.contains(':') {
            format!("[{}]:{}", target.host, target.port)
        } else {
            format!("{}:{}", target.host, target.port)
        };
        Target {
            identity: self.identities.fetch_add(1, Ordering::Relaxed),
            address: target
                .host
                .parse()
                .ok()
                .map(|ip| SocketAddr::new(ip, target.port)),
            host: target.host.clone(),
            port: target.port,
            authority: ByteString::from(authority),
            zone: target.zone.clone(),
            counters: per_worker::<TargetCounters>(self.workers),
            connector,
        }
    }

    fn route(
        &self,
        config: &Config,
        route: &model::Route,
        counters: &mut HashMap<Arc<str>, Arc<[RouteCounters]>>,
    ) -> Route {
        let name: Arc<str> = Arc::from(route.name.as_str());
        let counted = match self.routes.get(&name) {
            Some(known) => Arc::clone(known),
            None => per_worker(self.workers),
        };
        counters.insert(Arc::clone(&name), Arc::clone(&counted));
        let policies = route.policies.iter().map(|at| &config.policies[*at].kind);
        let sets: Vec<&model::HeaderPolicy> = policies
            .map(|kind| match kind {
                model::PolicyKind::Headers(headers) => headers,
            })
            .chain(std::iter::once(&route.headers))
            .collect();
        let compile = |rules: &model::HeaderRules, side| {
            (!rules.is_empty()).then(|| HeaderRules::compile(rules, side))
        };
        let request = sets
            .iter()
            .filter_map(|set| compile(&set.request, Side::Request));
        let response = sets
            .iter()
            .filter_map(|set| compile(&set.response, Side::Response));
        Route {
            name,
            paths: route.matcher.paths.clone(),
            action: route.action.clone(),
            request_headers: request.collect(),
            response_headers: response.collect(),
            counters: counted,
        }
    }
}

fn per_worker<T: Default>(workers: usize) -> Arc<[T]> {
    (0..workers).map(|_| T::default()).collect()
}

fn hsts_value(hsts: model::Hsts) -> HeaderValue {
    let mut text = format!("max-age={}", hsts.max_age.as_secs());
    if hsts.include_subdomains {
        text.push_str("; includeSubDomains");
    }
    if hsts.preload {
        text.push_str("; preload");
    }
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("max-age=0"))
}

/// Counters of one route, for reports.
pub struct RouteReport<'a> {
    /// The route's name; `None` stands for requests that no route took.
    pub name: Option<&'a str>,
    /// One set per worker.
    pub counters: &'a [RouteCounters],
}

/// One upstream, for reports.
pub struct UpstreamReport<'a> {
    /// The upstream's name.
    pub name: &'a str,
    /// Its targets, in the configuration's order.
    pub targets: &'a [Arc<Target>],
}

impl Snapshot {
    /// Bytes that a request's body may have.
    pub(crate) fn most_body_bytes(&self) -> u64 {
        self.limits.body_bytes.unwrap_or(u64::MAX)
    }

    /// Counters of all routes, last those of requests without one.
    pub fn route_reports(&self) -> impl Iterator<Item = RouteReport<'_>> {
        let unrouted = RouteReport {
            name: None,
            counters: &self.unrouted,
        };
        self.routes
            .iter()
            .map(|route| RouteReport {
                name: Some(&route.name),
                counters: &route.counters,
            })
            .chain(std::iter::once(unrouted))
    }

    /// All upstreams.
    pub fn upstream_reports(&self) -> impl Iterator<Item = UpstreamReport<'_>> {
        self.upstreams.iter().map(|upstream| UpstreamReport {
            name: &upstream.name,
            targets: &upstream.targets,
        })
    }
}

/// One worker's view of a snapshot: the shared part, and pools of its own.
pub(crate) struct LocalSnapshot {
    shared: Arc<Snapshot>,
    pub(crate) generation: u64,
    /// In the order of [`Snapshot::upstreams`].
    pub(crate) local: Vec<LocalUpstream>,
}

impl Deref for LocalSnapshot {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.shared
    }
}

impl LocalSnapshot {
    /// Takes over the pools of targets that both revisions have, and closes the others.
    pub(crate) fn new(
        shared: Arc<Snapshot>,
        generation: u64,
        previous: Option<&Self>,
        worker: usize,
        timers: &Rc<Timers>,
        buffers: &Rc<Buffers>,
    ) -> Self {
        let mut known: HashMap<u64, &Rc<Pool>> = previous
            .into_iter()
            .flat_map(Self::pools)
            .map(|pool| (pool.target.identity, pool))
            .collect();
        let mut made: HashMap<u64, Rc<Pool>> = HashMap::new();
        let mut local = Vec::with_capacity(shared.upstreams.len());
        for upstream in &shared.upstreams {
            let mut pools = Vec::with_capacity(upstream.targets.len());
            for target in &upstream.targets {
                let pool = made.entry(target.identity).or_insert_with(|| {
                    match known.remove(&target.identity) {
                        Some(pool) => Rc::clone(pool),
                        None => Pool::new(
                            Arc::clone(target),
                            worker,
                            Rc::clone(timers),
                            Rc::clone(buffers),
                            upstream.pool,
                        ),
                    }
                });
                pool.configure(upstream.pool);
                pools.push(Rc::clone(pool));
            }
            local.push(LocalUpstream::new(pools, worker));
        }
        for gone in known.values() {
            gone.clear();
        }
        Self {
            shared,
            generation,
            local,
        }
    }

    pub(crate) fn pools(&self) -> impl Iterator<Item = &Rc<Pool>> {
        self.local.iter().flat_map(|upstream| &upstream.pools)
    }

    pub(crate) fn route_counters(&self, route: Option<usize>, worker: usize) -> &RouteCounters {
        match route {
            Some(route) => &self.routes[route].counters[worker],
            None => &self.unrouted[worker],
        }
    }
}
