//! WebSockets of a route.

use std::time::Duration;

use crate::origin::Origins;

/// Which WebSockets a route lets through, and what bounds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocket {
    /// From whose pages they may be opened: a browser asks nobody before it opens one to another host.
    /// `None`: from those of the host that is asked for.
    pub origins: Option<Origins>,
    /// Payload bytes of a message; `None` is unbounded.
    pub max_message: Option<u64>,
    /// Payload bytes of a frame; `None` is unbounded.
    pub max_frame: Option<u64>,
    /// Whether text must be UTF-8, as far as it can be seen.
    pub check_text: bool,
    /// Longest silence.
    pub idle: Duration,
    /// Silence of a side after which it is asked whether it is there.
    pub ping: Option<Duration>,
    /// Most that are open at a time; `None` is unbounded.
    pub connections: Option<usize>,
}
