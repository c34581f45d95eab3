//! What a route does with calls and streams.

use std::time::Duration;

/// How a route treats answers that go on for long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// gRPC calls.
    pub grpc: Grpc,
    /// Event streams (`text/event-stream`).
    pub sse: Option<Sse>,
}

/// gRPC calls of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grpc {
    /// Whether gRPC-Web is translated; if not, it passes as it is.
    pub web: bool,
    /// Longest deadline that a call may state with `grpc-timeout`; a later one is shortened to it.
    pub longest_timeout: Option<Duration>,
}

/// Event streams of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sse {
    /// After this long without an event, a comment is sent that clients ignore.
    pub heartbeat: Option<Duration>,
    /// Whether proxies in front are told not to buffer or change the stream.
    pub hints: bool,
}
