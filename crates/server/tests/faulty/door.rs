//! The listening socket: open, gone, or with a queue that has no room.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Behaviour, Command, State, connection, lock};

/// How long a connection over loopback may take at most if there is room for it.
const ROOM: Duration = Duration::from_millis(150);
const BACKLOG: u32 = 1024;

pub(super) struct Door {
    address: SocketAddr,
    /// `None` while connections are refused.
    listener: Option<TcpListener>,
    /// Connections of our own that fill the listener's queue; nothing is accepted meanwhile.
    fillers: Vec<TcpStream>,
    /// When the queue gets room again.
    until: Option<Instant>,
    connections: JoinSet<()>,
}

impl Door {
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = listen(address)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            fillers: Vec::new(),
            until: None,
            connections: JoinSet::new(),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until nobody can send commands any more.
    pub(super) async fn serve(
        mut self,
        state: Arc<State>,
        mut commands: UnboundedReceiver<Command>,
    ) {
        loop {
            tokio::select! {
                command = commands.recv() => {
                    let Some(Command { behaviour, done }) = command else { return };
                    lock(&state.behaviour).clone_from(&behaviour);
                    self.turn(&behaviour).await;
                    let _ = done.send(());
                }
                accepted = accept(self.listener.as_ref(), self.fillers.is_empty()) => {
                    lock(&state.seen).connections += 1;
                    self.connections.spawn(connection::serve(accepted, Arc::clone(&state)));
                }
                () = wait(self.until) => self.make_room().await,
            }
            while self.connections.try_join_next().is_some() {}
        }
    }

    async fn turn(&mut self, behaviour: &Behaviour) {
        if concerns_connections(behaviour) {
            self.connections.shutdown().await;
        }
        self.make_room().await;
        match behaviour {
            Behaviour::Refuse => self.listener = None,
            Behaviour::Unreachable => self.fill().await,
            Behaviour::SlowConnect(wait) => {
                self.fill().await;
                self.until = Some(Instant::now() + *wait);
            }
            _ => {}
        }
        if self.listener.is_none() && *behaviour != Behaviour::Refuse {
            self.listener = listen(self.address).ok();
        }
    }

    /// Fills the queue: the system then drops what asks for a connection.
    async fn fill(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        // A second call sets the length anew.
        let _ = rustix::net::listen(listener, 0);
        while let Ok(Ok(filler)) = timeout(ROOM, TcpStream::connect(self.address)).await {
            self.fillers.push(filler);
        }
    }

    /// Takes our own connections out of the queue.
    async fn make_room(&mut self) {
        self.until = None;
        let Some(listener) = &self.listener else {
            return;
        };
        let mut ours: Vec<SocketAddr> = std::mem::take(&mut self.fillers)
            .iter()
            .filter_map(|filler| filler.local_addr().ok())
            .collect();
        while !ours.is_empty() {
            let Ok((_, peer)) = listener.accept().await else {
                break;
            };
            // Another's that came before is lost with it: it was to wait, after all.
            ours.retain(|own| *own != peer);
        }
        let _ = rustix::net::listen(listener, BACKLOG.cast_signed());
    }
}

/// Whether open connections are not to survive it.
fn concerns_connections(behaviour: &Behaviour) -> bool {
    matches!(
        behaviour,
        Behaviour::Refuse
            | Behaviour::Unreachable
            | Behaviour::SlowConnect(_)
            | Behaviour::NeverRead
            | Behaviour::TlsExpired
            | Behaviour::TlsWrongName
            | Behaviour::TlsAlert
            | Behaviour::TlsGarbage
            | Behaviour::TlsSilence
            | Behaviour::TlsClose
    )
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: Option<&TcpListener>, is_open: bool) -> TcpStream {
    let Some(listener) = listener.filter(|_| is_open) else {
        return std::future::pending().await;
    };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            return stream;
        }
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
