//! What the data plane runs: a configuration compiled once, read by every request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use ipnet::IpNet;
use weir_config::CertificateFacts;
use weir_config::model::{self, Action, Config, Destination};
use weir_config::pattern::PathPattern;

use crate::aggregate::{self, Aggregation};
use crate::header_rules::{HeaderRules, Side};
use crate::identify::{self, Access, Denials, Forbidden, Ways};
use crate::metrics::{RouteCounters, TransformCounters, per_worker};
use crate::organization::{Organization, Organizations};
use crate::reshape::Reshape;
use crate::router::Router;
use crate::shaping::Shaping;
use crate::tls::{self, TlsContext, TlsError};
use crate::traffic::{MirrorCounters, Running, Traffic};
use crate::upstream::Targets;
use crate::upstream::cluster::{Cluster, Settings};
use crate::validate::{self, Checker, Validation};
use crate::websocket::{self, Gate};
use crate::whole::Pool;

mod local;
mod recorded;
mod reports;

pub(crate) use local::LocalSnapshot;
use recorded::Recorded;
pub use reports::{RouteReport, UpstreamReport};

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
    /// What is recorded of requests.
    pub(crate) recorded: Recorded,
    pub(crate) tracing: Option<model::Tracing>,
    /// Whether somebody takes the traces.
    pub(crate) exports: bool,
    /// Fields that tell upstreams who calls, and no client may send.
    pub(crate) forbidden: Forbidden,
    /// Whether sessions say who calls: no upstream gets one then, unless a route lends it.
    pub(crate) hides_sessions: bool,
    /// Requests that policies refused.
    pub(crate) denials: Denials,
    pub(crate) ways: Ways,
    /// Bytes of each worker for credentials that were found to be good.
    pub(crate) credential_cache: u64,
    /// Whether a route answers preflights.
    pub(crate) has_cors: bool,
    /// Whether a route lets WebSockets through.
    pub(crate) has_websockets: bool,
    /// For requests that no route took.
    unrouted: Arc<[RouteCounters]>,
    /// Until when certificates are valid, by name.
    certificates: Vec<(String, i64)>,
}

pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    /// For the names of what was captured.
    pub(crate) paths: Vec<PathPattern>,
    pub(crate) action: Action,
    pub(crate) priority: model::Priority,
    /// Who may call. Boxed: most routes ask nobody.
    pub(crate) access: Option<Box<Access>>,
    /// Whose traffic it is, if that was said.
    pub(crate) organization: Option<Arc<Organization>>,
    pub(crate) streams: model::Streams,
    /// Policies' rules first, the route's own behind them.
    pub(crate) request_headers: Vec<HeaderRules>,
    pub(crate) response_headers: Vec<HeaderRules>,
    /// Shares of its requests that are logged and traced, if it has its own.
    pub(crate) log_sample: Option<model::Share>,
    pub(crate) trace_sample: Option<model::Share>,
    /// Boxed: most routes have none.
    pub(crate) validation: Option<Box<Validation>>,
    /// Boxed: most routes have none.
    pub(crate) shaping: Option<Box<Shaping>>,
    /// Boxed: most routes have none.
    pub(crate) reshape: Option<Box<Reshape>>,
    /// Boxed: most routes have none.
    pub(crate) aggregation: Option<Box<Aggregation>>,
    /// Which shares a split has now.
    pub(crate) split: Option<Arc<Running>>,
    pub(crate) counters: Arc<[RouteCounters]>,
    pub(crate) mirrored: Arc<[MirrorCounters]>,
    pub(crate) websocket: Option<Arc<websocket::Settings>>,
}

impl Route {
    /// Counters of programs that change bodies, or make them.
    fn transformed(&self) -> Option<&[TransformCounters]> {
        match (&self.reshape, &self.aggregation) {
            (Some(reshape), _) => Some(&reshape.counters),
            (None, Some(aggregation)) => Some(&aggregation.counters.program),
            (None, None) => None,
        }
    }

    fn has_mirror(&self) -> bool {
        matches!(
            self.action,
            Action::Forward {
                mirror: Some(_),
                ..
            }
        )
    }
}

pub(crate) struct Upstream {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Arc<Settings>,
    /// What outlives the revision.
    pub(crate) cluster: Arc<Cluster>,
}

impl Upstream {
    /// What the configuration says.
    pub(crate) fn model(&self) -> &model::Upstream {
        self.settings.model()
    }
}

pub(crate) struct Listener {
    pub(crate) tls: Option<tls::ServerTls>,
    pub(crate) hsts: Option<HeaderValue>,
    pub(crate) proxy_protocol: bool,
    pub(crate) http2: bool,
}

/// Compiles configurations and remembers what outlives each of them.
pub(crate) struct Compiler {
    workers: usize,
    tls: TlsContext,
    pub(crate) targets: Arc<Targets>,
    pub(crate) clusters: HashMap<Arc<str>, Arc<Cluster>>,
    pub(crate) organizations: Arc<Organizations>,
    routes: HashMap<Arc<str>, Counted>,
    unrouted: Arc<[RouteCounters]>,
    traffic: Arc<Traffic>,
    /// Looks at responses; started when a route wants that.
    checker: Option<Checker>,
    pool: Pool,
    /// How callers say who they are.
    ways: Ways,
    denials: Denials,
}

impl Drop for Compiler {
    fn drop(&mut self) {
        self.pool.close();
    }
}

/// What is counted for a route; it outlives revisions.
#[derive(Clone)]
struct Counted {
    served: Arc<[RouteCounters]>,
    mirrored: Arc<[MirrorCounters]>,
    transformed: Option<Arc<[TransformCounters]>>,
    aggregated: Option<aggregate::Counters>,
    validated: Option<validate::Counted>,
    websockets: Arc<Gate>,
}

impl Compiler {
    pub(crate) fn new(
        workers: usize,
        traffic: Arc<Traffic>,
        organizations: Arc<Organizations>,
    ) -> Self {
        Self {
            workers,
            tls: TlsContext::new(),
            targets: Arc::new(Targets::new(workers)),
            clusters: HashMap::new(),
            organizations,
            routes: HashMap::new(),
            unrouted: per_worker(workers),
            traffic,
            pool: Pool::new(workers),
            checker: None,
            ways: Ways::default(),
            denials: Denials::default(),
        }
    }

    /// Compiles a configuration. Nothing of the compiler changes if that fails.
    pub(crate) fn compile(&mut self, config: Arc<Config>) -> Result<Snapshot, TlsError> {
        let mut listeners = HashMap::new();
        for listener in &config.listeners {
            listeners.insert(listener.address, Arc::new(self.listener(listener)?));
        }
        let mut compiled = Vec::with_capacity(config.upstreams.len());
        for index in 0..config.upstreams.len() {
            let settings = Settings::compile(&config, index, &self.targets)?;
            compiled.push(Arc::new(settings));
        }
        let upstreams = self.upstreams(compiled);
        self.ways = Ways::compile(&config, &self.ways);
        self.denials = Denials::compile(&config, &self.denials, self.workers);
        let mut counters = HashMap::new();
        let mut routes: Vec<Route> = config
            .routes
            .iter()
            .map(|route| self.route(&config, route, &mut counters))
            .collect();
        self.splits(&config, &mut routes);
        let has_cors = routes
            .iter()
            .filter_map(|route| route.shaping.as_deref())
            .any(Shaping::has_cors);
        let snapshot = Snapshot {
            has_cors,
            forbidden: Forbidden::compile(&config),
            hides_sessions: identify::knows_sessions(&config),
            denials: self.denials.clone(),
            ways: self.ways.clone(),
            credential_cache: config.limits.credential_cache / self.workers.max(1) as u64,
            certificates: ends(&config),
            router: Router::compile(&config.routes),
            routes,
            upstreams,
            listeners,
            timeouts: config.timeouts,
            limits: config.limits,
            encoded_slash: config.encoded_slash,
            trusted_proxies: config.trusted_proxies.clone(),
            recorded: Recorded::of(&config),
            tracing: config.tracing,
            exports: config.otlp.is_some(),
            has_websockets: config.routes.iter().any(|route| route.websocket.is_some()),
            unrouted: Arc::clone(&self.unrouted),
            config,
        };
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

    /// Takes up what was compiled: from here on new targets take traffic, also of requests that still
    /// go by the former revision.
    fn upstreams(&mut self, compiled: Vec<Arc<Settings>>) -> Vec<Upstream> {
        let now = Instant::now();
        let mut clusters = HashMap::with_capacity(compiled.len());
        let mut upstreams = Vec::with_capacity(compiled.len());
        for settings in compiled {
            let cluster = match self.clusters.get(settings.model().name.as_str()) {
                Some(known) => {
                    known.configure(Arc::clone(&settings), &self.targets, now);
                    Arc::clone(known)
                }
                None => Cluster::new(Arc::clone(&settings), self.workers, now),
            };
            clusters.insert(Arc::clone(&cluster.name), Arc::clone(&cluster));
            upstreams.push(Upstream {
                name: Arc::clone(&cluster.name),
                settings,
                cluster,
            });
        }
        self.clusters = clusters;
        upstreams
    }

    /// Takes up the splits: from here on new shares hold.
    fn splits(&self, config: &Config, routes: &mut [Route]) {
        let mut places = Vec::new();
        let mut splits = Vec::new();
        for (place, route) in config.routes.iter().enumerate() {
            if let Action::Forward {
                to: Destination::Split(split),
                ..
            } = &route.action
            {
                places.push(place);
                splits.push((Arc::clone(&routes[place].name), &**split));
            }
        }
        let running = self.traffic.configure(config, splits, self.workers);
        for (place, running) in places.into_iter().zip(running) {
            routes[place].split = Some(running);
        }
    }

    fn route(
        &mut self,
        config: &Config,
        route: &model::Route,
        counters: &mut HashMap<Arc<str>, Counted>,
    ) -> Route {
        let name: Arc<str> = Arc::from(route.name.as_str());
        let mut counted = match self.routes.get(&name) {
            Some(known) => known.clone(),
            None => Counted {
                served: per_worker(self.workers),
                mirrored: per_worker(self.workers),
                transformed: None,
                aggregated: None,
                validated: None,
                websockets: Gate::new(self.workers),
            },
        };
        let transformed = counted.transformed.as_ref();
        let reshape = Reshape::compile(config, route, transformed, &self.pool, self.workers);
        counted.transformed = reshape
            .as_ref()
            .map(|reshape| Arc::clone(&reshape.counters));
        let aggregation = match &route.action {
            Action::Aggregate(model) => {
                let known = counted.aggregated.as_ref();
                let aggregation = Aggregation::compile(model, known, &self.pool, self.workers);
                counted.aggregated = Some(aggregation.counters.clone());
                Some(aggregation)
            }
            _ => None,
        };
        let validation = Validation::compile(
            config,
            route,
            counted.validated.as_ref(),
            self.workers,
            &self.pool,
            &mut self.checker,
        );
        if let Some(validation) = &validation {
            counted.validated = Some(validation.counted.clone());
        }
        counters.insert(Arc::clone(&name), counted.clone());
        let policies = route.policies.iter().map(|at| &config.policies[*at].kind);
        let sets: Vec<&model::HeaderPolicy> = policies
            .filter_map(|kind| match kind {
                model::PolicyKind::Headers(headers) => Some(headers),
                _ => None,
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
            priority: route.priority,
            access: Access::compile(config, route, &self.ways),
            organization: route
                .organization
                .as_deref()
                .map(|name| self.organizations.named(name)),
            streams: route.streams,
            request_headers: request.collect(),
            response_headers: response.collect(),
            validation,
            log_sample: route.log_sample,
            trace_sample: route.trace_sample,
            shaping: Shaping::compile(config, route),
            reshape,
            aggregation,
            split: None,
            counters: counted.served,
            mirrored: counted.mirrored,
            websocket: route.websocket.clone().map(|model| {
                let gate = counted.websockets;
                Arc::new(websocket::Settings { model, gate })
            }),
        }
    }
}

fn ends(config: &Config) -> Vec<(String, i64)> {
    let end = |(name, certificate): (String, &model::Certificate)| {
        let facts = CertificateFacts::of_pem(certificate.chain.bytes.expose())?;
        Some((name, facts.not_after))
    };
    config.certificates_by_name().filter_map(end).collect()
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

impl Snapshot {
    /// Certificates that listeners answer with, and until when they are valid, in seconds since 1970.
    pub fn certificates(&self) -> &[(String, i64)] {
        &self.certificates
    }

    /// Bytes that a request's body may have.
    pub(crate) fn most_body_bytes(&self) -> u64 {
        self.limits.body_bytes.unwrap_or(u64::MAX)
    }
}
