//! Why a request was answered here, refused or cut short: every word for it, which setting decided, and
//! what it means for the operator.

use crate::record::AccessRecord;

/// One reason.
#[derive(Debug)]
pub struct Reason {
    /// The stable word in logs, traces, metrics and problem answers.
    pub word: &'static str,
    /// What decided.
    pub decider: Decider,
    /// One sentence, and what to look at.
    pub meaning: &'static str,
}

/// Which part of the configuration decided, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// None: it was not for the configuration to decide.
    Nothing,
    /// A setting of the whole.
    Process(&'static str),
    /// A setting of the upstream.
    Upstream(&'static str),
    /// A setting of the route.
    Route(&'static str),
    /// The route's policy of this kind.
    Policy(&'static str),
    /// A policy that the request was refused by, of whatever kind.
    AnyPolicy,
}

impl Decider {
    /// Where in the configuration it stands, with `*` for names; `None` for nothing.
    pub fn pattern(self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Process(key) => Some(key.to_owned()),
            Self::Upstream(key) => Some(format!("upstreams.*.{key}")),
            Self::Route(key) => Some(format!("routes.*.{key}")),
            Self::Policy(kind) => Some(format!("policies.*.{kind}")),
            Self::AnyPolicy => Some("policies.*".to_owned()),
        }
    }

    /// The same with the names of a request's upstream, route or policy.
    fn of(self, record: &AccessRecord) -> Option<String> {
        let (group, name, key) = match self {
            Self::Nothing | Self::Process(_) => return self.pattern(),
            Self::Upstream(key) => ("upstreams", &record.upstream, key),
            Self::Route(key) => ("routes", &record.route, key),
            Self::Policy(kind) => ("policies", &record.policy, kind),
            Self::AnyPolicy => {
                let name = record.policy.as_ref();
                return name
                    .map_or_else(|| self.pattern(), |name| Some(format!("policies.{name}")));
            }
        };
        match name {
            Some(name) => Some(format!("{group}.{name}.{key}")),
            None => self.pattern(),
        }
    }
}

impl AccessRecord {
    /// Where in the configuration it stands that the request was answered here, refused or cut short.
    pub fn decided_by(&self) -> Option<String> {
        find(self.reason?)?.decider.of(self)
    }
}

/// Every reason of an answer. The order is that of counters, and nothing else.
pub static REASONS: [Reason; 65] = [
    undecided(
        "malformed_request",
        "The client's message could be read in more than one way, or in none (RFC 9112).",
    ),
    process(
        "head_too_large",
        "limits.head_bytes",
        "The request line and fields were larger, or more, than `limits` allows.",
    ),
    process(
        "body_too_large",
        "limits.body_bytes",
        "The request's body was larger than allowed.",
    ),
    process(
        "bad_path",
        "paths",
        "The path or query was not valid, or held `%2F` where that is refused.",
    ),
    undecided(
        "unknown_transfer_coding",
        "The body came in a transfer coding other than chunked.",
    ),
    undecided(
        "unknown_version",
        "The client spoke another version of HTTP.",
    ),
    undecided(
        "method_not_forwarded",
        "Requests of this method (CONNECT, mostly) are not forwarded.",
    ),
    undecided(
        "unknown_expectation",
        "The client expected something other than 100-continue.",
    ),
    undecided(
        "loop_detected",
        "The request had passed through this gateway too often: a target, or what is behind it, sends it back.",
    ),
    process(
        "head_timeout",
        "timeouts.head",
        "The client did not send all of its request's head in time.",
    ),
    process(
        "body_timeout",
        "timeouts.body",
        "The client stopped sending its body, or sent it below `limits.minimum_rate`.",
    ),
    process(
        "write_timeout",
        "timeouts.write",
        "The client stopped taking the answer, or took it below `limits.minimum_rate`.",
    ),
    undecided("client_closed", "The client left before it had its answer."),
    process(
        "no_route",
        "routes",
        "No route takes such a request; `weir match` shows how each one was judged.",
    ),
    process(
        "method_not_allowed",
        "routes",
        "Routes take this path, but not with this method; those that aggregate take GET and HEAD.",
    ),
    upstream(
        "no_target",
        "targets",
        "The upstream had no target that takes traffic; `weir upstreams` shows why.",
    ),
    upstream(
        "circuit_open",
        "breaker",
        "So many calls had failed or been slow that the upstream was left alone for a while.",
    ),
    upstream(
        "upstream_busy",
        "concurrency",
        "As many requests as the upstream may have were under way, and as many as may wait did.",
    ),
    upstream(
        "queue_timeout",
        "concurrency",
        "No place among the upstream's requests became free in time.",
    ),
    upstream(
        "deadline_exceeded",
        "timeouts.total",
        "The exchange as a whole took longer than it may, or than a call's `grpc-timeout`; the cause says in which phase.",
    ),
    undecided(
        "upstream_resolve_failed",
        "The target's name has no address, or the name server does not answer.",
    ),
    undecided(
        "upstream_connect_failed",
        "The target refused the connection, or cannot be reached; `weir doctor` tries each one.",
    ),
    upstream(
        "upstream_connect_timeout",
        "timeouts.connect",
        "The connection to the target was not made in time.",
    ),
    undecided(
        "upstream_tls_failed",
        "The TLS handshake with the target failed; the cause says why.",
    ),
    undecided(
        "upstream_reset",
        "The target ended the connection before its answer was complete.",
    ),
    upstream(
        "upstream_timeout",
        "timeouts.first_byte",
        "The target did not begin its answer in time.",
    ),
    upstream(
        "upstream_stalled",
        "timeouts.idle",
        "The target stopped in the middle of its answer; for event streams and calls `timeouts.stream_idle` holds.",
    ),
    undecided(
        "upstream_malformed",
        "The target's answer could not be read.",
    ),
    process(
        "overloaded",
        "overload.delay",
        "There was more to do than could be done; requests of a low priority are refused first.",
    ),
    process(
        "memory_pressure",
        "overload.memory",
        "The process held more memory than it should, or too much of bodies that are checked or changed.",
    ),
    process(
        "banned",
        "overload.bans",
        "Too many requests of this address had been errors; `weir bans` lists and lifts bans.",
    ),
    new(
        "credential_missing",
        Decider::AnyPolicy,
        "The request did not say who is calling, and a policy of the route needs that.",
    ),
    new(
        "credential_refused",
        Decider::AnyPolicy,
        "The credential was not good; the cause says why.",
    ),
    new(
        "identity_unavailable",
        Decider::AnyPolicy,
        "Nobody could say whose credential it was: records or the issuer did not answer; the cause says which.",
    ),
    new(
        "forbidden",
        Decider::AnyPolicy,
        "Whoever called may not do this; the cause says what they lack.",
    ),
    route("redirect", "redirect", "The route answers with a redirect."),
    new(
        "preflight",
        Decider::Policy("cors"),
        "A browser's preflight was answered by the route's `cors` policy.",
    ),
    new(
        "preflight_refused",
        Decider::Policy("cors"),
        "The preflight asked for what the route's `cors` policy does not allow; the cause says what.",
    ),
    route(
        "respond",
        "respond",
        "The route answers with what the configuration holds.",
    ),
    new(
        "encoding_failed",
        Decider::Policy("compress"),
        "The answer could not be compressed, which points to a want of memory.",
    ),
    new(
        "invalid_request",
        Decider::Policy("validate"),
        "The request broke the contract of the route's `validate` policy; the cause says in which part.",
    ),
    new(
        "validation_busy",
        Decider::Policy("validate"),
        "Too many bodies waited to be judged.",
    ),
    new(
        "unsupported_media_type",
        Decider::Policy("validate"),
        "The contract has no body of this type, or the body was compressed.",
    ),
    new(
        "undocumented_path",
        Decider::Policy("validate"),
        "The OpenAPI document of the route's `validate` policy does not have the path.",
    ),
    new(
        "undocumented_method",
        Decider::Policy("validate"),
        "The OpenAPI document has the path, but not with this method.",
    ),
    new(
        "body_too_large_to_check",
        Decider::Policy("validate"),
        "The body was longer than the route's `validate` policy looks at (`body_bytes`).",
    ),
    undecided(
        "websocket_handshake",
        "The client asked for a WebSocket in a way that RFC 6455 does not allow; the cause says which.",
    ),
    undecided(
        "websocket_version",
        "The client speaks another version of the WebSocket protocol than 13.",
    ),
    route(
        "websocket_origin",
        "websocket.origins",
        "A page of this origin may not open WebSockets here.",
    ),
    route(
        "websocket_limit",
        "websocket.connections",
        "As many WebSockets as the route may have were open.",
    ),
    undecided(
        "websocket_protocol",
        "A frame broke a rule of RFC 6455; the cause says which.",
    ),
    route(
        "websocket_too_big",
        "websocket.max_message",
        "A message, or a frame (`max_frame`), was larger than allowed.",
    ),
    route(
        "websocket_idle",
        "websocket.idle",
        "Nothing came for too long.",
    ),
    undecided(
        "going_away",
        "The process ended, or handed over to another one, while the WebSocket was open.",
    ),
    undecided(
        "upstream_without_websocket",
        "The target did not agree to a WebSocket, or not in a way that RFC 6455 allows.",
    ),
    new(
        "body_too_large_to_change",
        Decider::Policy("transform"),
        "The body was longer than the route's `transform` policy changes (`limits.body`), perhaps only once decompressed.",
    ),
    new(
        "unsupported_body",
        Decider::Policy("transform"),
        "The body's type or coding was not one that the route's `transform` policy takes.",
    ),
    new(
        "request_transform_failed",
        Decider::Policy("transform"),
        "The request's body could not be changed; the cause, and the application log, say why.",
    ),
    new(
        "response_transform_failed",
        Decider::Policy("transform"),
        "The answer's body could not be changed; the cause, and the application log, say why.",
    ),
    new(
        "transform_busy",
        Decider::Policy("transform"),
        "Too many bodies waited to be changed.",
    ),
    route(
        "organization_suspended",
        "organization",
        "The organization whose traffic the route carries is suspended: see `weir org show`.",
    ),
    route(
        "organization_missing",
        "organization",
        "There is no organization of the name that the route states, or it was deleted.",
    ),
    route(
        "aggregate",
        "aggregate",
        "The answer was made of several upstreams'.",
    ),
    route(
        "aggregate_partial",
        "aggregate",
        "The same, and not all of them answered; the application log says which did not.",
    ),
    route(
        "aggregate_failed",
        "aggregate",
        "A part without which there is no answer failed, or all did; the cause says why.",
    ),
];

const fn new(word: &'static str, decider: Decider, meaning: &'static str) -> Reason {
    Reason {
        word,
        decider,
        meaning,
    }
}

const fn undecided(word: &'static str, meaning: &'static str) -> Reason {
    new(word, Decider::Nothing, meaning)
}

const fn process(word: &'static str, key: &'static str, meaning: &'static str) -> Reason {
    new(word, Decider::Process(key), meaning)
}

const fn upstream(word: &'static str, key: &'static str, meaning: &'static str) -> Reason {
    new(word, Decider::Upstream(key), meaning)
}

const fn route(word: &'static str, key: &'static str, meaning: &'static str) -> Reason {
    new(word, Decider::Route(key), meaning)
}

/// What is known of a reason.
pub fn find(word: &str) -> Option<&'static Reason> {
    REASONS.iter().find(|reason| reason.word == word)
}
