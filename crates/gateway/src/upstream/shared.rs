//! HTTP/2 connections to one target, each shared by many exchanges.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::uri::Authority;

use crate::http2::{Sender, Signs};

/// Most connections to one target, per worker. One more is made when the target's limit of streams
/// is reached on all others, so that slow exchanges of one client do not hold up everybody's.
const MOST_CONNECTIONS: usize = 8;

/// How long a target may take to state its settings, and how often it is looked whether it has.
const SETTINGS_WAIT: Duration = Duration::from_secs(1);
const SETTINGS_LOOK: Duration = Duration::from_millis(5);

#[derive(Debug)]
struct Connection {
    sender: Sender,
    signs: Rc<Signs>,
    /// Since when there are none, in milliseconds of the worker's time; found out by the next look.
    idle_since: Cell<Option<u64>>,
    /// Answers that came over it.
    answers: Cell<u64>,
    /// It did not answer in time: what is under way may end, nothing new is sent.
    given_up: Cell<bool>,
    since: Instant,
    /// What was last asked for: most often the next request asks for the same.
    authority: RefCell<Option<Authority>>,
}

/// The connections of one worker to one target.
#[derive(Debug, Default)]
pub(super) struct SharedConnections(RefCell<Vec<Rc<Connection>>>);

/// What [`SharedConnections::pick`] found.
pub(super) enum Picked {
    Share(Share),
    /// There is none, or all are full and another one may be made.
    None,
}

impl SharedConnections {
    /// A place on the connection with the fewest exchanges.
    pub(super) fn pick(&self) -> Picked {
        let connections = self.0.borrow();
        let usable = connections
            .iter()
            .filter(|connection| !connection.given_up.get());
        let Some(best) = usable.min_by_key(|connection| connection.signs.open()) else {
            return Picked::None;
        };
        let is_full = best.signs.open() >= best.sender.current_max_send_streams();
        let usable = connections
            .iter()
            .filter(|connection| !connection.given_up.get());
        if is_full && usable.count() < MOST_CONNECTIONS {
            return Picked::None;
        }
        Picked::Share(Share::of(best))
    }

    /// Keeps a new connection, and takes the first place on it.
    pub(super) fn add(&self, sender: Sender, signs: Rc<Signs>) -> Share {
        let connection = Rc::new(Connection {
            sender,
            signs,
            idle_since: Cell::new(None),
            answers: Cell::new(0),
            given_up: Cell::new(false),
            since: Instant::now(),
            authority: RefCell::default(),
        });
        let share = Share::of(&connection);
        let mut connections = self.0.borrow_mut();
        // What goes on on them ends without this list.
        connections.retain(|connection| !connection.given_up.get());
        if connections.len() < MOST_CONNECTIONS {
            connections.push(connection);
        }
        share
    }

    /// Lets go of connections that ended or were given up, of spare ones without exchanges, and of those
    /// that had none for as long as `timeout` milliseconds: what lies between may have forgotten them.
    pub(super) fn prune(&self, context: &mut Context<'_>, now: u64, timeout: u64) {
        let mut connections = self.0.borrow_mut();
        let mut spare = 0;
        connections.retain(|connection| {
            let ended = matches!(
                connection.sender.clone().poll_ready(context),
                Poll::Ready(Err(_))
            );
            let idle = connection.signs.open() == 0;
            spare += usize::from(idle);
            let since = idle.then(|| connection.idle_since.get().unwrap_or(now));
            connection.idle_since.set(since);
            let is_old = since.is_some_and(|since| now.saturating_sub(since) >= timeout);
            !ended && !connection.given_up.get() && !is_old && (!idle || spare <= 1)
        });
    }
}

/// A place on a shared connection; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    connection: Rc<Connection>,
    sender: Sender,
    /// Exchanges on the connection when this one came, itself included.
    place: usize,
    /// Answers that had come when this one came.
    answers_before: u64,
}

impl Share {
    fn of(connection: &Rc<Connection>) -> Self {
        connection.signs.begin_exchange();
        connection.idle_since.set(None);
        Self {
            connection: Rc::clone(connection),
            sender: connection.sender.clone(),
            place: connection.signs.open(),
            answers_before: connection.answers.get(),
        }
    }

    pub(crate) fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// The `:authority` of a request, if the text is one.
    pub(crate) fn authority(&self, text: &str) -> Option<Authority> {
        let mut known = self.connection.authority.borrow_mut();
        if known.as_ref().is_none_or(|known| known.as_str() != text) {
            *known = Some(Authority::try_from(text).ok()?);
        }
        known.clone()
    }

    /// Waits until a request can be sent; an error means that the connection ended.
    pub(super) async fn ready(&mut self) -> Result<(), h2::Error> {
        std::future::poll_fn(|context| self.sender.poll_ready(context)).await
    }

    /// Whether the target takes WebSockets (RFC 8441 §3). It says so with the first that it says, which on
    /// a new connection may not have come yet.
    pub(super) async fn takes_websockets(&self) -> bool {
        while !self.sender.is_extended_connect_protocol_enabled() {
            if self.connection.since.elapsed() >= SETTINGS_WAIT {
                return false;
            }
            // The library tells nobody when settings come.
            tokio::time::sleep(SETTINGS_LOOK).await;
        }
        true
    }

    /// Whether more was sent than the target takes at a time: it states that only after the first
    /// requests may have been sent (RFC 9113 §5.1.2).
    pub(crate) fn came_too_many(&self) -> bool {
        self.place > self.sender.current_max_send_streams()
    }

    /// Nothing new is to be sent on this connection.
    pub(crate) fn give_up(&self) {
        self.connection.given_up.set(true);
    }

    /// Whether the connection was ended because the target is gone.
    pub(crate) fn is_dead(&self) -> bool {
        self.connection.signs.is_dead()
    }

    /// An answer came.
    pub(crate) fn heard(&self) {
        self.connection
            .answers
            .set(self.connection.answers.get() + 1);
    }

    /// Nothing new is to be sent on this connection, unless others had their answers in the meantime: then
    /// it is one exchange that takes long, and not the way to the target that is gone.
    pub(crate) fn give_up_if_silent(&self) {
        if self.connection.answers.get() == self.answers_before {
            self.give_up();
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.connection.signs.end_exchange();
    }
}
