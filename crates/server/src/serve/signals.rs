//! The signals that a serving process answers.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that would end a process without handlers, and are not meant to. They are taken from the
/// first moment on, and answered once the process serves.
pub(super) struct Early {
    hang_up: Signal,
    reopen: Signal,
    replace: Signal,
}

impl Early {
    /// Call it within a runtime, and before anything that takes time.
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            hang_up: listen(SignalKind::hangup())?,
            reopen: listen(SignalKind::user_defined1())?,
            replace: listen(SignalKind::user_defined2())?,
        })
    }
}

/// All of them. SIGTERM and SIGINT end a process that does not serve yet at once, as is the system's
/// way: a start may hang, on a file system that is gone for example.
pub(super) struct Signals {
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    pub(super) hang_up: Signal,
    pub(super) reopen: Signal,
    pub(super) replace: Signal,
}

impl Signals {
    pub(super) fn listen(early: Early) -> anyhow::Result<Self> {
        let Early {
            hang_up,
            reopen,
            replace,
        } = early;
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up,
            reopen,
            replace,
        })
    }
}

fn listen(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen to signals")
}
