//! Who is let in: what a worker asks for each connection and each request.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use bytestring::ByteString;
use weir_config::model::Priority;
use weir_core::RequestId;

use super::{Held, MemoryLevel, Refusal, Source};
use crate::altered::Altered;
use crate::client::Client;
use crate::failure::Failure;
use crate::hop;
use crate::message::Version;
use crate::record::AccessRecord;
use crate::snapshot::LocalSnapshot;
use crate::timer::Timer;
use crate::worker::Worker;

/// Admits a connection of an address: that of the PROXY header, where there is one. What is returned
/// counts it until it is dropped.
///
/// Trusted proxies are exempt: they bring many clients, and name each of them.
pub(crate) fn admit_connection(worker: &Worker, peer: IpAddr) -> Result<Option<Held>, Refusal> {
    let snapshot = worker.snapshot();
    let overload = &worker.shared.overload;
    let most = snapshot.limits.connections_per_address;
    let may_be_banned = overload.bans.active() > 0 && snapshot.config.overload.bans.is_some();
    if most.is_none() && !may_be_banned {
        return Ok(None);
    }
    if hop::is_trusted(peer, &snapshot.trusted_proxies) {
        return Ok(None);
    }
    let source = Source::from(peer);
    if may_be_banned && overload.bans.left(source, Instant::now()).is_some() {
        return Err(Refusal::Banned);
    }
    let Some(most) = most else {
        return Ok(None);
    };
    match Held::open(overload, source, most) {
        Some(held) => Ok(Some(held)),
        None => Err(Refusal::AddressConnections),
    }
}

/// Counts a connection that brings no request, and records it: it is seen nowhere else.
pub(crate) fn refuse_connection(worker: &Worker, peer: IpAddr, is_tls: bool, refusal: Refusal) {
    worker.counters.refused[refusal as usize].add(1);
    let snapshot = worker.snapshot();
    let recorded = &snapshot.recorded;
    if !recorded.access && !recorded.notes {
        return;
    }
    worker.push_record(AccessRecord {
        is_logged: recorded.access,
        is_noted: recorded.notes,
        time: SystemTime::now(),
        request_id: RequestId::generate(),
        client: peer,
        version: Version::Http11,
        scheme: if is_tls { "https" } else { "http" },
        host: ByteString::new(),
        method: None,
        path: ByteString::new(),
        query: None,
        headers: Vec::new(),
        user_agent: None,
        status: 0,
        received: 0,
        sent: 0,
        route: None,
        upstream: None,
        target: None,
        attempts: 0,
        duration: Duration::ZERO,
        upstream_connect: None,
        upstream_head: None,
        reason: Some(refusal.reason()),
        cause: None,
        policy: None,
        rule: None,
        user: None,
        altered: Altered::default(),
        trace: None,
        grpc_status: None,
        fault: None,
        websocket: None,
    });
}

/// Refuses a request of a banned client. If that is whoever connected, the connection ends with it.
pub(crate) fn check_ban(
    client: &Client,
    snapshot: &LocalSnapshot,
    address: IpAddr,
    is_trusted: bool,
) -> Result<(), Failure> {
    let bans = &client.worker.shared.overload.bans;
    // While no ban is given, what held for a connection goes on to hold: one comparison for each
    // request.
    let given = bans.given();
    if !is_trusted && client.bans_seen.get() == given {
        return Ok(());
    }
    if snapshot.config.overload.bans.is_none() {
        return Ok(());
    }
    let left = bans.left(Source::from(address), Instant::now());
    if !is_trusted {
        client.leaves.set(left.is_some());
        if left.is_none() {
            client.bans_seen.set(given);
        }
    }
    let Some(left) = left else {
        return Ok(());
    };
    // Rounded up: who comes back then is served.
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    Err(Failure::Banned(u32::try_from(seconds).unwrap_or(u32::MAX)))
}

/// Refuses a request for which there is no time or no memory; lets it wait for its turn if there is.
///
/// Not for a worker that is calm.
pub(crate) async fn pass(
    client: &Client,
    priority: Priority,
    timer: &Timer,
) -> Result<(), Failure> {
    let worker = &client.worker;
    let failure = if is_refused_for_memory(worker.memory.get(), priority) {
        Failure::MemoryPressure
    } else if is_refused_for_time(worker, priority) {
        Failure::Overloaded
    } else {
        worker.shedder.serves();
        // Critical requests do not stand behind others.
        if worker.line.is_open() && priority < Priority::Critical {
            worker.line.turn().await;
        }
        return Ok(());
    };
    let pause = worker.shedder.pause(worker.timers.now());
    if !pause.is_zero() {
        timer.wait(pause).await;
    }
    Err(failure)
}

fn is_refused_for_time(worker: &Worker, priority: Priority) -> bool {
    let bound = worker.snapshot().config.overload.delay;
    let is_line_too_long = bound
        .zip(patience(priority))
        .is_some_and(|(bound, patience)| worker.line.expected_wait() > bound.mul_f32(patience));
    is_line_too_long || worker.shedder.refuses(priority, fastrand::f32())
}

/// How long a wait in line may be, in `overload.delay`s: the less important a request is, the shorter the
/// line that it finds too long.
fn patience(priority: Priority) -> Option<f32> {
    match priority {
        Priority::Low => Some(1.0),
        Priority::Normal => Some(2.0),
        Priority::High => Some(4.0),
        Priority::Critical => None,
    }
}

fn is_refused_for_memory(level: MemoryLevel, priority: Priority) -> bool {
    match level {
        MemoryLevel::Calm => false,
        MemoryLevel::High => priority <= Priority::Normal,
        MemoryLevel::Critical => priority < Priority::Critical,
    }
}

/// Counts an answer against its client, if it is an error. `failure` is why it was made here.
pub(crate) fn judge(
    worker: &Worker,
    snapshot: &LocalSnapshot,
    address: IpAddr,
    status: u16,
    failure: Option<Failure>,
) {
    let Some(settings) = &snapshot.config.overload.bans else {
        return;
    };
    // What was refused for other reasons than the request itself is not held against anybody.
    let is_error = match failure {
        Some(failure) if failure.is_unreadable() => true,
        Some(failure) if !failure.is_the_clients() => false,
        _ => settings.statuses.contains(&status),
    };
    // A trusted proxy that names nobody is not to blame for those behind it.
    if is_error && !hop::is_trusted(address, &snapshot.trusted_proxies) {
        let bans = &worker.shared.overload.bans;
        bans.error(Source::from(address), settings, Instant::now());
    }
}

/// Counts a breach of the protocol that leaves no request to answer.
pub(crate) fn judge_connection(client: &Client) {
    let snapshot = client.worker.snapshot();
    let failure = Failure::Malformed("");
    judge(
        &client.worker,
        &snapshot,
        client.peer.ip(),
        0,
        Some(failure),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use Priority::{Critical, High, Low, Normal};

    #[test]
    fn memory_is_kept_for_what_matters_most() {
        let refused = |level| {
            let all = [Low, Normal, High, Critical];
            all.map(|priority| is_refused_for_memory(level, priority))
        };
        assert_eq!(refused(MemoryLevel::Calm), [false; 4]);
        assert_eq!(refused(MemoryLevel::High), [true, true, false, false]);
        assert_eq!(refused(MemoryLevel::Critical), [true, true, true, false]);
    }
}
