//! What can go wrong with a request, and what the client is told.
//!
//! This file is the whole mapping from failures to HTTP. `reason` is the stable word that stands in
//! the problem answer, the access log and metrics; `detail` is for the client and names no address,
//! file or foreign error text.

use http::StatusCode;

/// Why a request was answered here or ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The client's message cannot be read in one way only; the text says which rule it broke.
    Malformed(&'static str),
    /// The request line and fields exceed `limits.head_bytes` or `limits.headers`.
    HeadTooLarge,
    /// The body exceeds `limits.body_bytes`.
    BodyTooLarge,
    /// The path cannot be normalised; the text is the normaliser's word.
    BadPath(&'static str),
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// An HTTP version that is not spoken here.
    UnknownVersion,
    /// `CONNECT`, or another method that cannot be forwarded.
    MethodNotForwarded,
    /// An expectation other than `100-continue`.
    UnknownExpectation,
    /// The request passed through this gateway too often.
    Loop,
    /// The head did not arrive in time.
    HeadTimeout,
    /// The body stopped arriving.
    BodyTimeout,
    /// The body arrives below the minimum rate.
    BodyTooSlow,
    /// The client takes nothing of the answer any more.
    WriteTimeout,
    /// The client takes the answer below the minimum rate.
    WriteTooSlow,
    /// The client went away.
    ClientClosed,
    /// The client's address is banned for so many more seconds.
    Banned(u32),
    /// There is more to do than can be done.
    Overloaded,
    /// The process holds more memory than it should.
    MemoryPressure,
    /// The organization whose route it is has no traffic for now.
    OrganizationSuspended,
    /// There is no such organization, or not any more.
    OrganizationMissing,
    /// Nobody said who is calling, and that is needed.
    CredentialMissing,
    /// The credential is not good; the text says why.
    CredentialRefused(&'static str),
    /// Nobody can say for now whose credential it is; the text says why.
    IdentityUnavailable(&'static str),
    /// Whoever is calling may not do this; the text says what they lack.
    Forbidden(&'static str),
    /// No route takes the request.
    NoRoute,
    /// Routes take the path, but not with this method.
    MethodNotAllowed,
    /// The request breaks the route's contract; the text says in which part.
    InvalidRequest(&'static str),
    /// The contract has no such body.
    UnsupportedMediaType(&'static str),
    /// The body is longer than those that are judged.
    BodyTooLargeToCheck,
    /// Too many bodies wait to be judged.
    ValidationBusy,
    /// The contract has no such path.
    UndocumentedPath,
    /// The contract has the path, but not with this method.
    UndocumentedMethod,
    /// A script of another site may not send what its preflight asks about; the text says which part of it
    /// is not allowed.
    PreflightRefused(&'static str),
    /// The upstream has no target that takes traffic.
    NoTarget,
    /// The upstream's circuit breaker is open; for so many seconds more.
    CircuitOpen(u32),
    /// As many requests as the upstream may have are under way, and as many as may wait do.
    UpstreamBusy,
    /// No place among the upstream's requests became free in time.
    QueueTimeout,
    /// The exchange as a whole took longer than `timeouts.total`; the text is the reason of the
    /// deadline that it was in.
    DeadlineExceeded(&'static str),
    /// The target's name has no address.
    Resolve,
    /// The target refused the connection or cannot be reached; the text says which.
    Connect(&'static str),
    /// The connection to the target was not made in time.
    ConnectTimeout,
    /// The TLS handshake with the target failed; the text says why.
    UpstreamTls(&'static str),
    /// The connection to the target ended before the response did; the text says how.
    UpstreamReset(&'static str),
    /// The response's head did not arrive in time.
    UpstreamTimeout,
    /// The response's body stopped arriving.
    UpstreamStalled,
    /// The target's response cannot be read.
    UpstreamMalformed(&'static str),
    /// The answer could not be compressed.
    EncodingFailed,
    /// The body is longer than what is changed of it.
    BodyTooLargeToChange,
    /// The request's body is not of a kind that the route takes; the text says why.
    UnsupportedBody(&'static str),
    /// The request's body could not be changed as the route wants it; the text says why.
    RequestTransform(&'static str),
    /// The same of the response's.
    ResponseTransform(&'static str),
    /// Too many bodies wait to be changed.
    TransformBusy,
    /// No answer can be made of several upstreams'; the text says why, the number is the status.
    AggregateFailed(&'static str, u16),
    /// The handshake of a WebSocket is not as it must be; the text says which rule it broke.
    WebSocketHandshake(&'static str),
    /// A version of WebSocket that is not spoken here.
    WebSocketVersion,
    /// The page that asks for a WebSocket is not of an origin that may.
    WebSocketOrigin,
    /// As many WebSockets of the route are open as may be.
    WebSocketLimit,
    /// The client's frames broke a rule; the text says which.
    WebSocketProtocol(&'static str),
    /// The client's frame or message is larger than allowed; the text says which of the two.
    WebSocketTooBig(&'static str),
    /// Nothing came over a WebSocket for too long.
    WebSocketIdle,
    /// A WebSocket was closed because this process ends.
    GoingAway,
    /// The target cannot be asked for WebSockets, or takes such a request for another.
    NoWebSocket,
}

impl Failure {
    /// Whether it lies in the request that it was answered so, and not in load, targets or bans. Nor is a
    /// visitor to blame for what a foreign page asks for.
    pub(crate) const fn is_the_clients(self) -> bool {
        matches!(
            self,
            Self::Malformed(_)
                | Self::HeadTooLarge
                | Self::BodyTooLarge
                | Self::BadPath(_)
                | Self::UnknownCoding
                | Self::UnknownVersion
                | Self::MethodNotForwarded
                | Self::UnknownExpectation
                | Self::Loop
                | Self::HeadTimeout
                | Self::BodyTimeout
                | Self::BodyTooSlow
                | Self::CredentialRefused(_)
                | Self::Forbidden(_)
                | Self::NoRoute
                | Self::MethodNotAllowed
                | Self::InvalidRequest(_)
                | Self::UnsupportedMediaType(_)
                | Self::BodyTooLargeToCheck
                | Self::BodyTooLargeToChange
                | Self::UndocumentedPath
                | Self::UndocumentedMethod
                | Self::PreflightRefused(_)
                | Self::UnsupportedBody(_)
                | Self::RequestTransform(_)
                | Self::WebSocketHandshake(_)
                | Self::WebSocketVersion
        )
    }

    /// The stable word for logs, metrics and problem answers.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_request",
            Self::HeadTooLarge => "head_too_large",
            Self::BodyTooLarge => "body_too_large",
            Self::BadPath(_) => "bad_path",
            Self::UnknownCoding => "unknown_transfer_coding",
            Self::UnknownVersion => "unknown_version",
            Self::MethodNotForwarded => "method_not_forwarded",
            Self::UnknownExpectation => "unknown_expectation",
            Self::Loop => "loop_detected",
            Self::HeadTimeout => "head_timeout",
            Self::BodyTimeout | Self::BodyTooSlow => "body_timeout",
            Self::WriteTimeout | Self::WriteTooSlow => "write_timeout",
            Self::ClientClosed => "client_closed",
            Self::Banned(_) => "banned",
            Self::Overloaded => "overloaded",
            Self::MemoryPressure => "memory_pressure",
            Self::OrganizationSuspended => "organization_suspended",
            Self::OrganizationMissing => "organization_missing",
            Self::CredentialMissing => "credential_missing",
            Self::CredentialRefused(_) => "credential_refused",
            Self::IdentityUnavailable(_) => "identity_unavailable",
            Self::Forbidden(_) => "forbidden",
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::InvalidRequest(_) => "invalid_request",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::BodyTooLargeToCheck => "body_too_large_to_check",
            Self::ValidationBusy => "validation_busy",
            Self::BodyTooLargeToChange => "body_too_large_to_change",
            Self::UndocumentedPath => "undocumented_path",
            Self::UndocumentedMethod => "undocumented_method",
            Self::PreflightRefused(_) => "preflight_refused",
            Self::NoTarget => "no_target",
            Self::CircuitOpen(_) => "circuit_open",
            Self::UpstreamBusy => "upstream_busy",
            Self::QueueTimeout => "queue_timeout",
            Self::DeadlineExceeded(_) => "deadline_exceeded",
            Self::Resolve => "upstream_resolve_failed",
            Self::Connect(_) => "upstream_connect_failed",
            Self::ConnectTimeout => "upstream_connect_timeout",
            Self::UpstreamTls(_) => "upstream_tls_failed",
            Self::UpstreamReset(_) => "upstream_reset",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamStalled => "upstream_stalled",
            Self::UpstreamMalformed(_) => "upstream_malformed",
            Self::EncodingFailed => "encoding_failed",
            Self::UnsupportedBody(_) => "unsupported_body",
            Self::RequestTransform(_) => "request_transform_failed",
            Self::ResponseTransform(_) => "response_transform_failed",
            Self::TransformBusy => "transform_busy",
            Self::AggregateFailed(..) => "aggregate_failed",
            Self::WebSocketHandshake(_) => "websocket_handshake",
            Self::WebSocketVersion => "websocket_version",
            Self::WebSocketOrigin => "websocket_origin",
            Self::WebSocketLimit => "websocket_limit",
            Self::WebSocketProtocol(_) => "websocket_protocol",
            Self::WebSocketTooBig(_) => "websocket_too_big",
            Self::WebSocketIdle => "websocket_idle",
            Self::GoingAway => "going_away",
            Self::NoWebSocket => "upstream_without_websocket",
        }
    }

    /// The status that the client gets if no response head was sent yet. 499 is never sent: the
    /// client is gone; it stands in logs, as nginx made it known.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Malformed(_)
            | Self::BadPath(_)
            | Self::RequestTransform(_)
            | Self::InvalidRequest(_)
            | Self::WebSocketHandshake(_)
            | Self::WebSocketProtocol(_) => StatusCode::BAD_REQUEST,
            Self::UnsupportedBody(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::AggregateFailed(_, status) => {
                StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)
            }
            Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::CredentialMissing | Self::CredentialRefused(_) => StatusCode::UNAUTHORIZED,
            Self::OrganizationSuspended
            | Self::OrganizationMissing
            | Self::WebSocketOrigin
            | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooLarge
            | Self::BodyTooLargeToCheck
            | Self::BodyTooLargeToChange
            | Self::WebSocketTooBig(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownCoding | Self::MethodNotForwarded => StatusCode::NOT_IMPLEMENTED,
            Self::UnknownVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::UnknownExpectation => StatusCode::EXPECTATION_FAILED,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::HeadTimeout
            | Self::BodyTimeout
            | Self::BodyTooSlow
            | Self::WriteTimeout
            | Self::WriteTooSlow
            | Self::WebSocketIdle => StatusCode::REQUEST_TIMEOUT,
            Self::Banned(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded | Self::MemoryPressure => StatusCode::SERVICE_UNAVAILABLE,
            Self::ClientClosed => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Self::NoRoute | Self::UndocumentedPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed | Self::UndocumentedMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::PreflightRefused(_) => StatusCode::FORBIDDEN,
            Self::EncodingFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoTarget
            | Self::IdentityUnavailable(_)
            | Self::CircuitOpen(_)
            | Self::UpstreamBusy
            | Self::QueueTimeout
            | Self::TransformBusy
            | Self::ValidationBusy
            | Self::WebSocketLimit
            | Self::GoingAway => StatusCode::SERVICE_UNAVAILABLE,
            Self::Resolve
            | Self::Connect(_)
            | Self::UpstreamTls(_)
            | Self::UpstreamReset(_)
            | Self::UpstreamMalformed(_)
            | Self::ResponseTransform(_)
            | Self::NoWebSocket => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout
            | Self::UpstreamTimeout
            | Self::UpstreamStalled
            | Self::DeadlineExceeded(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// One sentence for the client.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Malformed(rule) => rule,
            Self::HeadTooLarge => "The request line and header fields are larger than allowed.",
            Self::BodyTooLarge | Self::BodyTooLargeToCheck | Self::BodyTooLargeToChange => {
                "The request body is larger than allowed."
            }
            Self::BadPath(_) => {
                "The path or query is not valid: it could be read in more than one way."
            }
            Self::UnknownCoding => "The only transfer coding understood here is chunked.",
            Self::UnknownVersion => "This HTTP version is not spoken here.",
            Self::MethodNotForwarded => "This method is not forwarded.",
            Self::UnknownExpectation => "The only expectation understood here is 100-continue.",
            Self::Loop => "The request came back to this gateway too often.",
            Self::HeadTimeout => "The request head did not arrive in time.",
            Self::BodyTimeout | Self::BodyTooSlow => "The request body did not arrive in time.",
            Self::WriteTimeout | Self::WriteTooSlow => "The answer was not taken in time.",
            Self::ClientClosed => "The connection was closed.",
            Self::Banned(_) => "Too many requests of this address were errors.",
            Self::Overloaded | Self::MemoryPressure => {
                "There are more requests than can be answered at the moment."
            }
            Self::OrganizationSuspended | Self::OrganizationMissing => {
                "This service is not available to anybody at the moment."
            }
            Self::CredentialMissing => "This needs a credential.",
            Self::CredentialRefused(_) => "The credential is not good.",
            Self::IdentityUnavailable(_) => {
                "It cannot be said for now whose credential this is; it may be good."
            }
            Self::Forbidden(_) => "The credential is good, but not for this.",
            Self::NoRoute => "No route takes this request.",
            Self::MethodNotAllowed => "This path does not allow the method.",
            Self::InvalidRequest(_) => "The request is not as it must be; `errors` says where.",
            Self::UnsupportedMediaType(_) => "The body's type or coding is not understood here.",
            Self::UndocumentedPath => "There is nothing at this path.",
            Self::UndocumentedMethod => "This path does not allow the method.",
            Self::PreflightRefused(_) => "This origin may not send such a request.",
            Self::NoTarget => "No server is available for this request.",
            Self::CircuitOpen(_) => {
                "The service behind the gateway fails and is left alone for now."
            }
            Self::UpstreamBusy | Self::QueueTimeout => {
                "The service behind the gateway has all the requests that it can take."
            }
            Self::DeadlineExceeded(_) => "The request took longer than it may.",
            Self::Resolve | Self::Connect(_) => "The service behind the gateway cannot be reached.",
            Self::ConnectTimeout => "The service behind the gateway could not be reached in time.",
            Self::UpstreamTls(_) => {
                "A secure connection to the service behind the gateway was not possible."
            }
            Self::UpstreamReset(_) => "The service behind the gateway ended the connection early.",
            Self::UpstreamTimeout => "The service behind the gateway did not answer in time.",
            Self::UpstreamStalled => "The service behind the gateway stopped answering.",
            Self::UpstreamMalformed(_) => "The service behind the gateway answered incorrectly.",
            Self::EncodingFailed => "The answer could not be compressed.",
            Self::UnsupportedBody(_) => "The body's type or coding is not understood here.",
            Self::RequestTransform(_) => "The request's body is not as it must be.",
            Self::ResponseTransform(_) => "The service behind the gateway answered incorrectly.",
            Self::TransformBusy | Self::ValidationBusy => {
                "There are more requests than can be answered at the moment."
            }
            Self::AggregateFailed(..) => "What the answer is made of is not there.",
            Self::WebSocketHandshake(rule)
            | Self::WebSocketProtocol(rule)
            | Self::WebSocketTooBig(rule) => rule,
            Self::WebSocketVersion => "The only version of WebSocket spoken here is 13.",
            Self::WebSocketOrigin => "Pages of this origin may not open a WebSocket here.",
            Self::WebSocketLimit => "There are more WebSockets than may be open at the moment.",
            Self::WebSocketIdle => "Nothing came over the WebSocket for too long.",
            Self::GoingAway => "This gateway is about to end.",
            Self::NoWebSocket => "The service behind the gateway does not take WebSockets.",
        }
    }

    /// What the operator should know beyond the reason; not for the client.
    pub const fn cause(self) -> Option<&'static str> {
        match self {
            Self::Malformed(text)
            | Self::BadPath(text)
            | Self::InvalidRequest(text)
            | Self::UnsupportedMediaType(text)
            | Self::PreflightRefused(text)
            | Self::CredentialRefused(text)
            | Self::IdentityUnavailable(text)
            | Self::Forbidden(text)
            | Self::DeadlineExceeded(text)
            | Self::Connect(text)
            | Self::UpstreamTls(text)
            | Self::UpstreamReset(text)
            | Self::UpstreamMalformed(text)
            | Self::UnsupportedBody(text)
            | Self::RequestTransform(text)
            | Self::ResponseTransform(text)
            | Self::AggregateFailed(text, _)
            | Self::WebSocketHandshake(text)
            | Self::WebSocketProtocol(text)
            | Self::WebSocketTooBig(text) => Some(text),
            Self::BodyTooSlow | Self::WriteTooSlow => Some("below the minimum rate"),
            _ => None,
        }
    }

    /// Seconds after which the client may try again, if that is worth a try.
    pub fn retry_after(self) -> Option<u32> {
        match self {
            Self::Banned(seconds) | Self::CircuitOpen(seconds) => Some(seconds),
            // Spread: those who were refused together should not come back together.
            Self::Overloaded | Self::MemoryPressure => Some(fastrand::u32(1..=3)),
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => Some(1),
            _ => None,
        }
    }

    /// Whether it was not even a request: nobody sends such things by mistake for long.
    pub const fn is_unreadable(self) -> bool {
        matches!(
            self,
            Self::Malformed(_)
                | Self::HeadTooLarge
                | Self::BadPath(_)
                | Self::UnknownCoding
                | Self::UnknownVersion
                | Self::WebSocketProtocol(_)
        )
    }

    /// Whether it is the target that failed, not the client or this gateway.
    pub const fn is_the_targets(self) -> bool {
        matches!(
            self,
            Self::Resolve
                | Self::Connect(_)
                | Self::ConnectTimeout
                | Self::UpstreamTls(_)
                | Self::UpstreamReset(_)
                | Self::UpstreamTimeout
                | Self::UpstreamStalled
                | Self::UpstreamMalformed(_)
        )
    }

    /// Whether nothing of the request can have had an effect on the target.
    pub const fn is_before_sending(self) -> bool {
        matches!(
            self,
            Self::Resolve | Self::Connect(_) | Self::ConnectTimeout | Self::UpstreamTls(_)
        )
    }
}
