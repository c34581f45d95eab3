//! A server that fails on demand: what stands behind a gateway on its bad days.
//!
//! It speaks HTTP/1.1, HTTP/2 (by ALPN, or by prior knowledge) and TLS, on one port each. What it
//! does with requests is changed while it runs: for everybody by [`Faulty::behave`], for one
//! request by its path (`/fault/NAME` or `/fault/NAME=ARGUMENT`, see [`Behaviour`]). It counts what
//! it saw. Tests share it by `#[path]`; `cargo run --example faulty-upstream` runs it by hand.

mod behaviour;
mod certificates;
mod connection;
mod door;
mod http1;
mod http2;
mod malformed;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

pub use behaviour::{Answer, Behaviour, all};
use certificates::Certificates;
use door::Door;
pub use malformed::COUNT as MALFORMED;

/// What the server saw since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections that were accepted.
    pub connections: usize,
    /// Requests whose head arrived, by method.
    pub requests: BTreeMap<String, usize>,
    /// Request bodies that ended early.
    pub aborted_uploads: usize,
    /// Clients that closed the connection, or reset the stream, before the answer's end.
    pub left: usize,
}

impl Seen {
    /// Requests of every method.
    pub fn all(&self) -> usize {
        self.requests.values().sum()
    }
}

/// A running server; ends with this value.
pub struct Faulty {
    pub address: SocketAddr,
    state: Arc<State>,
    commands: Option<UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

/// A behaviour, and where to say that it is in effect.
struct Command {
    behaviour: Behaviour,
    done: mpsc::Sender<()>,
}

/// What the connections share.
struct State {
    behaviour: Mutex<Behaviour>,
    seen: Mutex<Seen>,
    /// With TLS only.
    certificates: Option<Certificates>,
}

impl Faulty {
    /// Serves in the clear; answers until told otherwise. Port 0 takes any: then `refuse` may lose
    /// it to somebody else.
    pub fn plain(address: SocketAddr) -> io::Result<Self> {
        Self::start(address, None)
    }

    /// Serves over TLS with certificates of an authority of its own.
    pub fn tls(address: SocketAddr) -> io::Result<Self> {
        let certificates = Certificates::generate().map_err(io::Error::other)?;
        Self::start(address, Some(certificates))
    }

    fn start(address: SocketAddr, certificates: Option<Certificates>) -> io::Result<Self> {
        let state = Arc::new(State {
            behaviour: Mutex::new(Behaviour::Answer(Answer::default())),
            seen: Mutex::default(),
            certificates,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let door = runtime.block_on(async { Door::open(address) })?;
        let address = door.address();
        let (commands, receiver) = unbounded_channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || runtime.block_on(door.serve(shared, receiver)));
        Ok(Self {
            address,
            state,
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Changes what happens from now on; in effect when this returns. Requests under way end as
    /// they began, unless the behaviour concerns connections: then open ones are cut.
    pub fn behave(&self, behaviour: Behaviour) {
        let (done, wait) = mpsc::channel();
        if let Some(commands) = &self.commands {
            let _ = commands.send(Command { behaviour, done });
        }
        let _ = wait.recv();
    }

    pub fn seen(&self) -> Seen {
        lock(&self.state.seen).clone()
    }

    /// The authority that signed the certificates, as PEM.
    pub fn authority(&self) -> Option<&str> {
        let certificates = self.state.certificates.as_ref()?;
        Some(&certificates.authority)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        // The thread ends with the channel.
        self.commands = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl State {
    /// What is to be done for this path.
    fn behaviour(&self, path: &str) -> Behaviour {
        let asked = path.strip_prefix("/fault/").map(str::parse);
        match asked {
            Some(Ok(behaviour)) => behaviour,
            Some(Err(_)) => Behaviour::Answer(Answer::status(404)),
            None => lock(&self.behaviour).clone(),
        }
    }

    fn requested(&self, method: &str) {
        *lock(&self.seen)
            .requests
            .entry(method.to_owned())
            .or_default() += 1;
    }

    fn upload_was_aborted(&self) {
        lock(&self.seen).aborted_uploads += 1;
    }

    fn client_left(&self) {
        lock(&self.seen).left += 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
