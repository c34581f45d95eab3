//! The admin listener: health, metrics and the state of the process, over plain HTTP/1.1.
//!
//! It runs on the control runtime, apart from traffic, and answers while the data plane is at its
//! limit. It shows and reloads; it holds no state of its own.

mod bans;
mod behind;
mod connections;
mod guard;
mod head;
mod health;
mod matching;
mod metrics;
mod reload;
mod requests;
mod revision;
mod routes;
mod status;
mod targets;
mod traffic;
mod upstreams;

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Extension, Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::io::join;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use weir_console::{Problem, Services, UnderWay};
use weir_identity::{Caller, Permission};

use self::connections::Connections;
use self::guard::Public;
use crate::deeds::Deeds;
use crate::log::Counters;
use crate::otlp;
use crate::panics::{self, Panicked};
use crate::records::Keeper;
use crate::requests::Journal;
use crate::serve::keeping::Permit;
use crate::serve::{Node, Stage};

/// Open connections; one that is idle gives way to one more.
const CONNECTIONS: usize = 256;
/// Further ones, which are told that there is no place. Beyond them nothing is said.
const TURNED_AWAY: usize = 64;
/// From a connection's start or its last answer to the end of a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// After this, a connection's next answer is its last.
const CONNECTION_AGE: Duration = Duration::from_secs(60);
/// How long a connection that should end may take for its last answer.
const LAST_ANSWER: Duration = Duration::from_secs(5);
/// How long a connection for which there is no place may take to hear it.
const TURNING_AWAY: Duration = Duration::from_secs(1);
/// Bytes of a request's body.
const BODY_BYTES: usize = 16 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the system refused to accept, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The build, as `/v1/version` and metrics tell it.
const VERSION: &str = env!("CARGO_PKG_VERSION");
const COMMIT: &str = match option_env!("WEIR_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Changes nothing.
const MATCH: &str = "/v1/match";

const INDEX: &str = "\
weir admin

GET    /healthz       whether the process lives
GET    /readyz        whether it takes traffic
GET    /metrics       Prometheus or OpenMetrics text
GET    /v1/version    what was built
GET    /v1/status     how the process fares
GET    /v1/revision   the configuration in effect, and the last one refused
GET    /v1/routes     routes with their counters
GET    /v1/upstreams  upstreams and targets with their counters
POST   /v1/match      what would happen to a request
GET    /v1/traffic    splits: shares, shifts, guards
GET    /v1/requests   the latest requests; ?follow=true goes on as they end
GET    /v1/requests/ID  one of them, by its id or its trace's
GET    /v1/bans       addresses that are not served for a while
POST   /v1/reload     read the configuration again

GET    /v1/upstreams/NAME/targets     targets that registered
GET    /v1/upstreams/NAME/targets/ID  one of them
PUT    /v1/upstreams/NAME/targets/ID  register a target, or renew it
DELETE /v1/upstreams/NAME/targets/ID  take it out
POST   /v1/traffic/ROUTE               change the shares of a route's split

DELETE /v1/bans/ADDRESS  serve an address again

GET    /v1/openapi.json  what else there is: organizations, people, resources

GET    /.well-known/jwks.json  keys that verify this installation's tokens; no credential

Add ?pretty to JSON answers for indentation.
";

/// What the endpoints read.
pub(crate) struct Shared {
    pub(crate) node: Arc<Node>,
    pub(crate) telemetry: Telemetry,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) services: Services,
    pub(crate) deeds: Arc<Deeds>,
}

/// What is told of requests: counted, and kept.
#[derive(Default)]
pub(crate) struct Telemetry {
    pub(crate) log: Arc<Counters>,
    pub(crate) otlp: Arc<otlp::Counters>,
    pub(crate) journal: Arc<Journal>,
}

type SharedState = State<Arc<Shared>>;

/// Serves until `shutdown` is done, then lets answers under way end.
///
/// A client cannot hold the listener: heads, bodies and whole connections have deadlines, and when
/// all places are taken a connection without a request gives way. If all have one, whoever comes is told so.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    shutdown: impl Future<Output = ()>,
) {
    let router = router(shared);
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut connections = Connections::new(CONNECTIONS);
    let mut turned_away = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            Some(_) = tasks.join_next() => continue,
            Some(_) = turned_away.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                if connections.make_room() {
                    let requests = UnderWay::default();
                    let router = router
                        .clone()
                        .layer(Extension(ConnectInfo(peer)))
                        .layer(middleware::from_fn(connections::count))
                        .layer(Extension(requests.clone()));
                    let serving = serve_connection(stream, router, stopped.clone());
                    connections.add(tasks.spawn(serving), requests);
                } else if turned_away.len() < TURNED_AWAY {
                    turned_away.spawn(turn_away(stream));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept admin connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let _ = stop.send(true);
    // Each ends within LAST_ANSWER by itself.
    while tasks.join_next().await.is_some() {}
}

/// Says that all places are taken, to whoever asks at once.
async fn turn_away(stream: TcpStream) {
    let busy = async || {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "As many requests are under way as the admin listener takes; ask again in a moment.",
        )
        .retry_after(1)
        .header(CONNECTION, HeaderValue::from_static("close"))
    };
    let router = Router::new()
        .fallback(busy)
        .layer(middleware::from_fn(weir_console::finish));
    let connection = http1::Builder::new()
        .max_buf_size(head::MOST_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let _ = timeout(TURNING_AWAY, connection).await;
}

/// For an answer that goes on for as long as its client and the process do.
#[derive(Clone)]
struct Lasting {
    has_begun: Arc<AtomicBool>,
    stopped: watch::Receiver<bool>,
}

impl Lasting {
    /// From here on the connection may grow old.
    fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    /// The listener stops.
    async fn end(&mut self) {
        // An error says that whoever could stop it is gone.
        let _ = self.stopped.wait_for(|stopped| *stopped).await;
    }
}

async fn serve_connection(
    mut stream: TcpStream,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    answer(&mut stream, router, stopped.clone()).await;
    tokio::select! {
        () = head::linger(stream) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

async fn answer(stream: &mut TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    let (reader, writer) = stream.split();
    let lasting = Lasting {
        has_begun: Arc::default(),
        stopped: stopped.clone(),
    };
    let router = router.layer(Extension(lasting.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(head::MOST_BYTES)
        .max_headers(head::MOST_FIELDS)
        .serve_connection(
            TokioIo::new(join(reader, writer)),
            TowerToHyperService::new(router),
        );
    let mut connection = pin!(connection);
    // How a connection ends is the client's affair; the errors tell the operator nothing.
    tokio::select! {
        _ = &mut connection => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
        () = grow_old(&lasting) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_ANSWER, connection).await;
}

async fn grow_old(lasting: &Lasting) {
    sleep(CONNECTION_AGE).await;
    if lasting.has_begun.load(Ordering::Relaxed) {
        pending::<()>().await;
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let running = shared.node.gateway.snapshot();
    let public_url = running.config.admin.public_url.as_deref();
    let public = Public::new(public_url, running.config.sign_in_hosts.keys());
    let (records, _) = weir_console::api(shared.services.clone());
    let pages = weir_console::pages(shared.services.clone());
    let keep_session =
        middleware::from_fn_with_state(shared.services.clone(), weir_console::keep_session);
    let well_known = weir_console::well_known(shared.services.clone());
    let behind = middleware::from_fn_with_state(Arc::clone(&shared), behind::look_behind);
    protected()
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&shared),
            authenticate,
        ))
        .merge(open())
        .with_state(shared)
        .merge(records.layer(middleware::from_fn(last)))
        .merge(pages)
        .merge(well_known)
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path does not allow the method.",
            )
        })
        .fallback(async || Problem::not_found())
        .layer(keep_session)
        .layer(middleware::from_fn(answer_anyway))
        .layer(middleware::from_fn(head::bound))
        .layer(middleware::from_fn(weir_console::finish))
        .layer(middleware::from_fn_with_state(public, guard::guard))
        .layer(behind)
}

/// A mistake in one answer is that answer's.
async fn answer_anyway(request: Request, next: Next) -> Response {
    let mut answering = pin!(next.run(request));
    poll_fn(
        |context| match panics::contain(|| answering.as_mut().poll(context)) {
            Ok(poll) => poll,
            Err(Panicked) => Poll::Ready(Problem::internal().into_response()),
        },
    )
    .await
}

/// Lets exports of records go on for as long as their clients read.
async fn last(Extension(lasting): Extension<Lasting>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if response
        .extensions()
        .get::<weir_console::Lasting>()
        .is_some()
    {
        lasting.begin();
    }
    response
}

/// What anybody may ask who reaches the listener: probes and scrapers have no credentials. Targets that
/// register have tokens of their own.
fn open() -> Router<Arc<Shared>> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::show))
        .route(
            "/v1/upstreams/{name}/targets/{id}",
            put(targets::register).delete(targets::deregister),
        )
}

/// What needs a credential: the operator's, or that of somebody who administers the platform.
fn protected() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(async || INDEX))
        .route("/v1/version", get(version))
        .route("/v1/status", get(status::show))
        .route("/v1/revision", get(revision::show))
        .route("/v1/routes", get(routes::list))
        .route("/v1/upstreams", get(upstreams::list))
        .route(MATCH, post(matching::show))
        .route("/v1/upstreams/{name}/targets", get(targets::list))
        .route("/v1/upstreams/{name}/targets/{id}", get(targets::show))
        .route("/v1/traffic", get(traffic::list))
        .route("/v1/traffic/{route}", post(traffic::change))
        .route("/v1/requests", get(requests::list))
        .route("/v1/requests/{id}", get(requests::show))
        .route("/v1/bans", get(bans::list))
        .route("/v1/bans/{*address}", delete(bans::lift))
        .route("/v1/reload", post(reload::reload))
}

/// Whoever changes something is known to the endpoint: it tells the audit.
async fn authenticate(State(shared): SharedState, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&shared, &parts).await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// The node belongs to the platform: who may see the platform's revisions may see how it runs, and who
/// may make them may change that.
async fn admit(shared: &Shared, parts: &Parts) -> Result<Caller, Problem> {
    let principal = shared.services.principal(parts).await?;
    let permission = match parts.method {
        Method::GET | Method::HEAD => Permission::RevisionRead,
        // It asks by a body, for what is secret in it.
        _ if parts.uri.path() == MATCH => Permission::RevisionRead,
        _ => Permission::RevisionWrite,
    };
    let caller = weir_console::caller(parts, &principal);
    let services = &shared.services;
    services
        .allow_on_platform(&principal, &caller, permission)
        .await?;
    Ok(caller)
}

async fn ready(State(shared): SharedState) -> (StatusCode, &'static str) {
    match shared.node.stage() {
        Stage::Ready => (StatusCode::OK, "ready\n"),
        Stage::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Stage::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
    commit: &'static str,
}

async fn version() -> Response {
    json(&Version {
        name: "weir",
        version: VERSION,
        commit: COMMIT,
    })
}

/// Permission for a change that is to outlive the process.
async fn permit(node: &Node) -> Result<Permit, Problem> {
    not_ending(node)?;
    node.keeping.permit().await.ok_or_else(upgrading)
}

/// A process that ends keeps nothing any more.
fn not_ending(node: &Node) -> Result<(), Problem> {
    if node.stage() != Stage::Draining {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "ending",
        "The process is about to end, or was replaced; ask again in a moment.",
    )
    .retry_after(1))
}

fn upgrading() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "upgrading",
        "An upgrade is under way, and nothing can be changed until it is over; ask again in a moment.",
    )
    .retry_after(1)
}

/// A request's body, whole.
async fn read(body: Body) -> Result<Bytes, Problem> {
    let read = timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES))
        .await
        .map_err(|_| {
            Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                "The request body did not arrive in time.",
            )
        })?;
    read.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "The request body is larger than allowed.",
        )
    })
}

/// A 200 answer in JSON.
fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => {
            let media_type = HeaderValue::from_static("application/json");
            ([(CONTENT_TYPE, media_type)], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "an admin answer cannot be written as JSON");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The answer has no JSON form.",
            )
            .into_response()
        }
    }
}

#[cfg(test)]
mod tests;
