//! What is known of a client's connection.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use crate::appetite::Appetite;
use crate::hop::ForwardingCache;
use crate::overload::{Refusal, admission};
use crate::tls::TlsFacts;
use crate::worker::Worker;

/// A client's connection, shared by all of its requests.
pub(crate) struct Client {
    /// The worker that serves it.
    pub(crate) worker: Rc<Worker>,
    /// Who connected: behind a PROXY protocol header, whom it names.
    pub(crate) peer: SocketAddr,
    /// The listener's configured address.
    pub(crate) listener: SocketAddr,
    /// What the handshake settled; `None` on a plain connection.
    pub(crate) tls: Option<TlsFacts>,
    /// What was last stated about it to a target.
    pub(crate) forwarding: RefCell<ForwardingCache>,
    /// Bans that had been given when it was last known not to be banned.
    pub(crate) bans_seen: Cell<u64>,
    /// Whether its next answer is to be the last.
    pub(crate) leaves: Cell<bool>,
    /// What it takes of large answers.
    pub(crate) appetite: Appetite,
    /// Whether the last credential that it showed was not good.
    pub(crate) is_suspect: Cell<bool>,
    /// Open streams of an HTTP/2 connection; they share its line.
    pub(crate) streams: Cell<u64>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Client({})", self.peer)
    }
}

impl Client {
    pub(crate) fn new(
        worker: Rc<Worker>,
        peer: SocketAddr,
        listener: SocketAddr,
        tls: Option<TlsFacts>,
    ) -> Rc<Self> {
        Rc::new(Self {
            bans_seen: Cell::new(0),
            leaves: Cell::new(false),
            appetite: Appetite::default(),
            is_suspect: Cell::new(false),
            streams: Cell::new(0),
            worker,
            peer,
            listener,
            tls,
            forwarding: RefCell::default(),
        })
    }

    /// Counts and records that the connection ends before it brought a request.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        admission::refuse_connection(&self.worker, self.peer.ip(), self.tls.is_some(), refusal);
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}
