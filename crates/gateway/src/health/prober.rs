//! Asks one target again and again.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use weir_config::model::ActiveCheck;

use super::Moment;
use super::probe::{self, Wrong};
use super::watch::Watched;
use crate::upstream::Member;

/// A part of the interval by which a wait is shorter or longer, at most.
const JITTER: f64 = 0.1;

/// A target that is asked until this is dropped.
pub(super) struct Prober {
    pub(super) check: ActiveCheck,
    task: JoinHandle<()>,
}

impl Prober {
    /// Begins after `first`.
    pub(super) fn start(
        watched: &Rc<Watched>,
        member: &Member,
        check: &ActiveCheck,
        first: Duration,
    ) -> Self {
        let asking = Asking {
            watched: Rc::clone(watched),
            member: member.clone(),
            check: check.clone(),
            lookup: None,
            // Those who watch one name from many nodes begin at different addresses.
            turn: fastrand::usize(..1 << 16),
        };
        Self {
            check: check.clone(),
            task: tokio::task::spawn_local(asking.run(first)),
        }
    }
}

#[cfg(test)]
impl Prober {
    pub(super) fn id(&self) -> tokio::task::Id {
        self.task.id()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Asking {
    watched: Rc<Watched>,
    member: Member,
    check: ActiveCheck,
    /// A name that is being resolved. It is kept when a check is given up: threads that wait for a name
    /// server cannot be, and must not become more with every check.
    lookup: Option<JoinHandle<std::io::Result<Vec<SocketAddr>>>>,
    /// Which of the addresses comes first next time.
    turn: usize,
}

impl Asking {
    async fn run(mut self, first: Duration) {
        let mut next = tokio::time::Instant::now() + first;
        loop {
            tokio::time::sleep_until(next).await;
            next = tokio::time::Instant::now() + jittered(self.check.interval);
            let asked = Instant::now();
            // One question at a time.
            let limit = self.check.timeout.min(self.check.interval);
            let answer = match tokio::time::timeout(limit, self.ask()).await {
                Ok(answer) => answer,
                Err(_) => Err(Wrong::Timeout(limit)),
            };
            let wrong = answer.err().map(|wrong| wrong.to_string());
            let now = Moment::now();
            let took = now.instant.duration_since(asked);
            let change = self
                .member
                .state
                .standing()
                .answered(&self.check, wrong, took, now);
            if let Some(change) = change {
                self.watched.changed(&self.member, change, now);
            }
        }
    }

    async fn ask(&mut self) -> Result<(), Wrong> {
        let mut addresses = self.addresses().await?;
        // As for requests: each check begins with another one. Else a server behind a name would look well
        // as long as the first of its addresses does, and unwell with it.
        let first = self.turn % addresses.len().max(1);
        self.turn = self.turn.wrapping_add(1);
        addresses.rotate_left(first);
        let reach = &self.member.target.reach;
        addresses.retain(|address| reach.allows(*address));
        if addresses.is_empty() {
            return Err(Wrong::OutOfReach);
        }
        probe::ask(&self.member.target, &self.check, &addresses).await
    }

    async fn addresses(&mut self) -> Result<Vec<SocketAddr>, Wrong> {
        let target = &self.member.target;
        let port = self.check.port.unwrap_or(target.port);
        if let Some(address) = target.address {
            return Ok(vec![SocketAddr::new(address.ip(), port)]);
        }
        let lookup = self.lookup.get_or_insert_with(|| {
            let host = target.host.clone();
            tokio::task::spawn_local(async move {
                let found = tokio::net::lookup_host((host, port)).await?;
                Ok(found.collect())
            })
        });
        let found = lookup.await;
        self.lookup = None;
        match found {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(Wrong::Resolve(error.to_string())),
            Err(error) => Err(Wrong::Resolve(error.to_string())),
        }
    }
}

fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_differ_by_a_tenth_at_most() {
        let waits: Vec<Duration> = (0..1_000)
            .map(|_| jittered(Duration::from_secs(10)))
            .collect();
        let (least, most) = (waits.iter().min(), waits.iter().max());
        assert!(least.is_some_and(|wait| *wait >= Duration::from_secs(9)));
        assert!(most.is_some_and(|wait| *wait <= Duration::from_secs(11)));
        assert!(least < most);
    }
}
