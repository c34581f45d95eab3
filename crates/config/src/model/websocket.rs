//! WebSockets of a route.

use std::time::Duration;

use crate::origin::OriginPattern;

/// Which WebSockets a route lets through, and what bounds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocket {
    /// From whose pages they may be opened.
    pub origins: WebSocketOrigins,
    /// Payload bytes of a message; `None` is unbounded.
    pub max_message: Option<u64>,
    /// Payload bytes of a frame; `None` is unbounded.
    pub max_frame: Option<u64>,
    /// Longest silence.
    pub idle: Duration,
    /// Silence of a side after which it is asked whether it is there.
    pub ping: Option<Duration>,
    /// Most that are open at a time; `None` is unbounded.
    pub connections: Option<usize>,
}

/// Whose pages may open WebSockets: a browser asks nobody before it opens one to another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebSocketOrigins {
    /// Those of the host that is asked for: the default.
    Same,
    /// Those of every host.
    Any,
    /// These.
    Listed(Vec<OriginPattern>),
}
