//! What is known of a client's connection.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::hop::ForwardingCache;
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
}

impl Client {
    pub(crate) fn new(
        worker: Rc<Worker>,
        peer: SocketAddr,
        listener: SocketAddr,
        tls: Option<TlsFacts>,
    ) -> Rc<Self> {
        Rc::new(Self {
            worker,
            peer,
            listener,
            tls,
            forwarding: RefCell::default(),
        })
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}
