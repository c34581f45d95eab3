//! Sockets that a former process or a service manager hands over.
//!
//! The protocol is systemd's (`sd_listen_fds(3)`): descriptors from 3 on, their number in
//! `LISTEN_FDS`. A former Weir adds `WEIR_HANDOVER`, which names what each descriptor is, and a
//! socket on which it waits to hear that this process serves.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;

use anyhow::Context;
use listenfd::ListenFd;
use weir_gateway::Socket;

/// Names what each descriptor is: `ready`, `admin` or a listener's configured address.
pub(super) const HANDOVER: &str = "WEIR_HANDOVER";

/// What was handed over; empty for an ordinary start.
#[derive(Default)]
pub(super) struct Inherited {
    /// Of a service manager: matched to listeners by the address that they are bound to.
    unnamed: Vec<TcpListener>,
    named: Vec<Socket>,
    pub(super) admin: Option<TcpListener>,
    /// Where the former process waits.
    pub(super) ready: Option<UnixDatagram>,
}

impl Inherited {
    /// Takes over what the environment announces. Call it before any thread is started: it takes
    /// the announcement out of the environment.
    pub(super) fn from_environment() -> anyhow::Result<Self> {
        let mut descriptors = ListenFd::from_env();
        let mut inherited = Self::default();
        let Ok(handover) = std::env::var(HANDOVER) else {
            for index in 0..descriptors.len() {
                let listener = descriptors
                    .take_tcp_listener(index)
                    .with_context(|| format!("inherited descriptor {index} is no TCP listener"))?;
                inherited.unnamed.extend(listener);
            }
            return Ok(inherited);
        };
        for (index, name) in handover.split(',').enumerate() {
            let context = || format!("inherited descriptor {index} ({name}) cannot be used");
            match name {
                "ready" => {
                    inherited.ready = descriptors
                        .take_unix_datagram(index)
                        .with_context(context)?;
                }
                "admin" => {
                    inherited.admin = descriptors.take_tcp_listener(index).with_context(context)?;
                }
                address => {
                    let address: SocketAddr = address.parse().with_context(context)?;
                    let listener = descriptors.take_tcp_listener(index).with_context(context)?;
                    inherited
                        .named
                        .extend(listener.map(|listener| Socket { address, listener }));
                }
            }
        }
        Ok(inherited)
    }

    /// The admin listener, if it was handed over and is bound to this address.
    pub(super) fn take_admin(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let is_admin = |listener: &TcpListener| {
            listener
                .local_addr()
                .is_ok_and(|bound| bound == address || address.port() == 0)
        };
        if let Some(admin) = self.admin.take_if(|listener| is_admin(listener)) {
            return Some(admin);
        }
        let at = self.unnamed.iter().position(is_admin)?;
        Some(self.unnamed.swap_remove(at))
    }

    /// All listeners, with the address under which the configuration knows them.
    pub(super) fn take_listeners(&mut self) -> Vec<Socket> {
        let mut sockets = std::mem::take(&mut self.named);
        for listener in self.unnamed.drain(..) {
            if let Ok(address) = listener.local_addr() {
                sockets.push(Socket { address, listener });
            }
        }
        sockets
    }
}
