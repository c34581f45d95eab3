//! Listening sockets: one per worker and address, so that the kernel spreads connections over
//! workers and none of them shares a queue with another.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, Type};

use crate::appetite::FIRST_UNSENT;
use crate::gateway::{GatewayError, Socket};

/// Connections that may wait to be accepted; the system bounds it by `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Sorts inherited sockets by their configured address.
pub(crate) fn adopt(inherited: Vec<Socket>) -> BTreeMap<SocketAddr, Vec<TcpListener>> {
    let mut sockets: BTreeMap<SocketAddr, Vec<TcpListener>> = BTreeMap::new();
    for socket in inherited {
        if let Err(error) = socket.listener.set_nonblocking(true) {
            tracing::warn!(address = %socket.address, %error, "inherited socket left aside");
            continue;
        }
        sockets
            .entry(socket.address)
            .or_default()
            .push(socket.listener);
    }
    sockets
}

/// Opens what is missing of the wanted addresses, one socket per worker. Sockets of a listener that
/// was inherited are all kept, even if there are more than workers: closing one would reset
/// connections that wait in it.
pub(crate) fn complete(
    sockets: &mut BTreeMap<SocketAddr, Vec<TcpListener>>,
    wanted: &HashSet<SocketAddr>,
    workers: usize,
) -> Result<(), GatewayError> {
    for address in wanted {
        let listeners = match sockets.remove(address) {
            Some(inherited) => spread(inherited, workers),
            None => open(*address, workers),
        };
        let listeners = listeners.map_err(|source| GatewayError::Listen {
            address: *address,
            source,
        })?;
        for listener in &listeners {
            // Connections inherit it. A system that does not know it uses more memory, no more.
            let _ = SockRef::from(listener).set_tcp_notsent_lowat(FIRST_UNSENT);
        }
        sockets.insert(*address, listeners);
    }
    Ok(())
}

/// Gives each worker a socket of an inherited listener. Where the listener was not opened for
/// sharing (a service manager's usually is not), workers share one queue.
fn spread(mut inherited: Vec<TcpListener>, workers: usize) -> io::Result<Vec<TcpListener>> {
    let Some(first) = inherited.first() else {
        return Ok(inherited);
    };
    let first = first.try_clone()?;
    let bound = first.local_addr()?;
    while inherited.len() < workers {
        inherited.push(bind(bound, Sharing::WithWorkers).or_else(|_| first.try_clone())?);
    }
    Ok(inherited)
}

fn open(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    if address.port() != 0 {
        // Sharing an address would let two unrelated processes of one user take each other's
        // connections without noticing: make sure first that it is free.
        let _free = bind(address, Sharing::Alone)?;
    }
    let first = bind(address, Sharing::WithWorkers)?;
    // The others follow to the port that the first was given, if it was left to the system.
    let bound = first.local_addr()?;
    let mut listeners = vec![first];
    while listeners.len() < workers {
        listeners.push(bind(bound, Sharing::WithWorkers)?);
    }
    Ok(listeners)
}

#[derive(Clone, Copy, PartialEq)]
enum Sharing {
    Alone,
    WithWorkers,
}

fn bind(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = RawSocket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // What the file says is what is listened on: `[::]` is not `0.0.0.0` as well.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if sharing == Sharing::WithWorkers {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
