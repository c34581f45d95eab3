//! Making connections to targets.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};
use weir_config::model::UpstreamHttp2;

use super::shared::{Picked, Share};
use super::slots::Slot;
use super::{Pool, RESOLVED_FOR, TargetName, UNRESOLVED_FOR, cause};
use crate::failure::Failure;
use crate::http1;
use crate::http2;
use crate::stream::Stream;
use crate::timer::Timer;

/// TLS and protocol towards a target.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) tls: Option<(Arc<rustls::ClientConfig>, TargetName)>,
    pub(crate) http2: UpstreamHttp2,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "Connector(tls: {}, {:?})",
            self.tls.is_some(),
            self.http2
        )
    }
}

/// A way to start an exchange.
pub(super) enum Acquired {
    Http1(http1::Connection),
    Http2(Share),
}

/// An idle connection, or a new one made within `limit`; `connecting` then tells how long that took. With
/// it a place among the uploads, if it is for one, and for one alone.
pub(super) async fn acquire(
    pool: &Rc<Pool>,
    timer: &Timer,
    limit: Duration,
    connecting: &mut Option<Duration>,
    upgrades: bool,
    is_upload: bool,
) -> Result<(Acquired, Option<Slot>), Failure> {
    // A target that speaks both is asked as browsers ask: few servers take WebSockets over HTTP/2.
    let is_own = upgrades && pool.target.connector.http2 == UpstreamHttp2::Negotiate;
    let mut left = limit;
    let mut upload = None;
    loop {
        let slot = if pool.opening.is_shared() && !is_own {
            // Most often there is a connection, and nothing to wait for.
            if let Some(share) = shared(pool).await {
                return Ok((Acquired::Http2(share), None));
            }
            None
        } else {
            if is_upload && upload.is_none() {
                upload = Some(upload_place(pool, timer, &mut left).await?);
            }
            // HTTP/1.1 is the common case and mostly needs no wait at all.
            match turn(pool, timer, left).await? {
                Turn::Reuse(connection) => return Ok((Acquired::Http1(connection), upload)),
                Turn::Connect(slot) => Some(slot),
            }
        };
        let started = Instant::now();
        // Boxed: handshakes are large and rare, and would make every connection's task as large.
        let opened = timer.limit(left, Box::pin(open(pool, slot, is_own))).await;
        let took = started.elapsed();
        *connecting = Some(connecting.unwrap_or_default() + took);
        match opened {
            Ok(Ok(Opened::Acquired(acquired))) => return Ok((acquired, upload)),
            Ok(Ok(Opened::NotShared)) => left = left.saturating_sub(took),
            Ok(Err(failure)) => return Err(failure),
            Err(_) => {
                pool.counters().connect_failed.add(1);
                return Err(timer.blame(Failure::ConnectTimeout));
            }
        }
    }
}

/// What a request that needs a connection of its own may do.
enum Turn {
    Reuse(http1::Connection),
    Connect(Slot),
}

impl Turn {
    fn find(pool: &Pool) -> Option<Self> {
        match pool.take() {
            Some(connection) => Some(Self::Reuse(connection)),
            None => pool.slot().map(Self::Connect),
        }
    }
}

/// An idle connection or a place for a new one; waits in line for at most `limit`. That it takes too
/// long says nothing about the target, but that more is asked of it than it answers.
async fn turn(pool: &Rc<Pool>, timer: &Timer, limit: Duration) -> Result<Turn, Failure> {
    if !pool.slots.has_queue()
        && let Some(turn) = Turn::find(pool)
    {
        return Ok(turn);
    }
    // Boxed: rare, as above.
    let waited = Box::pin(pool.slots.wait(|| Turn::find(pool), || pool.has_room()));
    timer
        .limit(limit, waited)
        .await
        .map_err(|_| timer.blame(Failure::QueueTimeout))
}

/// A place among the uploads. Who waits for it does so in a line of its own, and holds up nobody in that
/// for connections; the time is taken off `left`.
async fn upload_place(
    pool: &Rc<Pool>,
    timer: &Timer,
    left: &mut Duration,
) -> Result<Slot, Failure> {
    let take = || pool.uploads.take(pool.most_uploads());
    if !pool.uploads.has_queue()
        && let Some(place) = take()
    {
        return Ok(place);
    }
    let since = Instant::now();
    let is_more = || pool.uploads.has_room(pool.most_uploads());
    // Boxed: rare, as above.
    let waited = Box::pin(pool.uploads.wait(take, is_more));
    let place = timer.limit(*left, waited).await;
    *left = left.saturating_sub(since.elapsed());
    place.map_err(|_| timer.blame(Failure::QueueTimeout))
}

/// What came of the wish for a connection.
enum Opened {
    Acquired(Acquired),
    /// The target turned out to speak HTTP/1.1: everybody needs a connection of its own.
    NotShared,
}

/// Makes a connection in that place; without one, takes part in one that others use, too.
async fn open(pool: &Rc<Pool>, slot: Option<Slot>, is_own: bool) -> Result<Opened, Failure> {
    if slot.is_some() {
        let made = counted(pool, establish(pool, slot, is_own).await);
        return made.map(Opened::Acquired);
    }
    let turn = pool.opening.turn().await?;
    // Whoever had the turn before may have made what is needed, or found out that it cannot be made.
    if let Some(share) = shared(pool).await {
        return Ok(Opened::Acquired(Acquired::Http2(share)));
    }
    if !pool.opening.is_shared() {
        return Ok(Opened::NotShared);
    }
    let made = counted(pool, establish(pool, slot, is_own).await);
    if let Err(failure) = made {
        pool.opening.failed(&turn, failure);
    }
    made.map(Opened::Acquired)
}

/// Who only waited for a connection that failed made none that could be counted.
fn counted<T>(pool: &Pool, made: Result<T, Failure>) -> Result<T, Failure> {
    pool.counters().connect_failed.add(u64::from(made.is_err()));
    made
}

async fn shared(pool: &Pool) -> Option<Share> {
    while let Picked::Share(mut share) = pool.http2.pick() {
        if share.ready().await.is_ok() {
            pool.counters().reused.add(1);
            return Some(share);
        }
        share.give_up();
    }
    None
}

async fn establish(pool: &Rc<Pool>, slot: Option<Slot>, is_own: bool) -> Result<Acquired, Failure> {
    let connector = &pool.target.connector;
    let tcp = connect_tcp(pool).await?;
    let (stream, speaks_http2) = match &connector.tls {
        None => (Stream::Tcp(tcp), connector.http2 == UpstreamHttp2::Always),
        Some((config, name)) => {
            let mut config = Arc::clone(config);
            if is_own {
                Arc::make_mut(&mut config).alpn_protocols = vec![b"http/1.1".to_vec()];
            }
            let tls = TlsConnector::from(config)
                .connect(name.clone(), tcp)
                .await
                .map_err(|error| {
                    tracing::debug!(target = %pool.target.authority, %error, "upstream handshake failed");
                    Failure::UpstreamTls(cause::of_handshake(&error))
                })?;
            let agreed = tls.get_ref().1.alpn_protocol() == Some(b"h2");
            if !agreed && connector.http2 == UpstreamHttp2::Always {
                return Err(Failure::UpstreamTls("HTTP/2 was not agreed on"));
            }
            if !is_own {
                pool.opening.agreed(agreed);
            }
            (Stream::Tls(Box::new(TlsStream::Client(tls))), agreed)
        }
    };
    // Whoever fails before is counted as failed, and not as both.
    if !speaks_http2 {
        pool.counters().connected.add(1);
        // A target that has spoken HTTP/2 and does not any more: its other connections are few.
        let slot = slot.unwrap_or_else(|| pool.slots.take_beyond());
        return Ok(Acquired::Http1(http1::Connection::new(stream, slot)));
    }
    let (sender, signs) = http2::connect(stream, pool.timers(), pool.pings()).await?;
    let mut share = pool.http2.add(sender, signs);
    share
        .ready()
        .await
        .map_err(|_| Failure::Connect("HTTP/2 was not taken up"))?;
    pool.counters().connected.add(1);
    Ok(Acquired::Http2(share))
}

async fn connect_tcp(pool: &Rc<Pool>) -> Result<TcpStream, Failure> {
    if let Some(address) = pool.target.address {
        return dial(pool, address).await;
    }
    let mut addresses = resolve(pool).await?;
    // Each connection begins with another address: one that swallows everything uses up the time of
    // a connection, but not of the next one.
    let first = pool.next_address.get();
    pool.next_address.set(first.wrapping_add(1));
    let count = addresses.len();
    addresses.rotate_left(first % count.max(1));
    let mut last = Failure::Resolve;
    for address in addresses {
        match dial(pool, address).await {
            Ok(stream) => return Ok(stream),
            Err(failure) => last = failure,
        }
    }
    // The addresses may be old: ask again, if not at once.
    let soon = pool.now() + UNRESOLVED_FOR.as_millis() as u64;
    let mut resolved = pool.resolved.borrow_mut();
    resolved.1 = resolved.1.min(soon);
    Err(last)
}

async fn dial(pool: &Pool, address: SocketAddr) -> Result<TcpStream, Failure> {
    // Looked at with the address that is dialled: a name may have had another one before.
    if !pool.target.reach.allows(address) {
        tracing::debug!(%address, "an upstream of a resource may not reach this address");
        return Err(Failure::Connect("an address out of reach"));
    }
    let stream = TcpStream::connect(address).await.map_err(|error| {
        tracing::debug!(%address, %error, "connection to target failed");
        Failure::Connect(cause::of_connecting(&error))
    })?;
    // Heads and pieces of bodies are written whole; waiting to merge them would only delay them.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn resolve(pool: &Rc<Pool>) -> Result<Vec<SocketAddr>, Failure> {
    if let Some(known) = believed(pool) {
        return known;
    }
    let looked_up = pool.looked_up.notified();
    // A task of its own: a name server that hangs outlasts every request, and what it says in the end is
    // worth keeping. Requests that give up do not begin another look-up each.
    if !pool.is_looking_up.replace(true) {
        tokio::task::spawn_local(look_up(Rc::clone(pool)));
    }
    // Better the addresses of a moment ago than to wait for new ones.
    let old = pool.resolved.borrow().0.clone();
    if !old.is_empty() {
        return Ok(old);
    }
    looked_up.await;
    believed(pool).unwrap_or(Err(Failure::Resolve))
}

async fn look_up(pool: Rc<Pool>) {
    let target = &pool.target;
    let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    let found = found
        .map(Iterator::collect::<Vec<_>>)
        .unwrap_or_else(|error| {
            tracing::debug!(host = %target.host, %error, "target's name cannot be resolved");
            Vec::new()
        });
    let mut resolved = pool.resolved.borrow_mut();
    if found.is_empty() {
        // What was known stays; and a name that cannot be resolved is not asked for by every request.
        resolved.1 = pool.now() + UNRESOLVED_FOR.as_millis() as u64;
    } else {
        *resolved = (found, pool.now() + RESOLVED_FOR.as_millis() as u64);
    }
    drop(resolved);
    pool.is_looking_up.set(false);
    pool.looked_up.notify_waiters();
}

/// What is known of a name, if that is recent enough.
fn believed(pool: &Pool) -> Option<Result<Vec<SocketAddr>, Failure>> {
    let resolved = pool.resolved.borrow();
    if pool.now() >= resolved.1 {
        return None;
    }
    let addresses = resolved.0.clone();
    Some(if addresses.is_empty() {
        Err(Failure::Resolve)
    } else {
        Ok(addresses)
    })
}
