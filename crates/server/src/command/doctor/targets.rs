//! Whether the targets of upstreams can be resolved and reached.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use weir_config::Config;

use super::Check;

const NAME: &str = "target";
/// Time to reach a target, resolving its name included.
const WITHIN: Duration = Duration::from_secs(1);
/// Targets that are tried at a time.
const AT_A_TIME: usize = 32;

#[derive(Clone, Debug)]
struct Job {
    index: usize,
    host: String,
    port: u16,
}

enum Outcome {
    Reached(SocketAddr, Duration),
    Unresolved(String),
    Unreached(String),
}

/// Tries all targets, several at a time. A resolver that hangs cannot be stopped, so nothing waits
/// for the threads: what has no outcome in time has failed.
pub(super) fn check(config: &Config) -> Vec<Check> {
    let mut subjects = Vec::new();
    let mut jobs = VecDeque::new();
    for upstream in &config.upstreams {
        for target in &upstream.targets {
            let index = subjects.len();
            subjects.push(format!(
                "{} of {}",
                authority(&target.host, target.port),
                upstream.name
            ));
            jobs.push_back(Job {
                index,
                host: target.host.clone(),
                port: target.port,
            });
        }
    }
    let rounds = u32::try_from(jobs.len().div_ceil(AT_A_TIME)).unwrap_or(u32::MAX);
    let outcomes = run(jobs, WITHIN.saturating_mul(rounds.saturating_add(1)));
    let judged = subjects.into_iter().zip(outcomes);
    judged
        .map(|(subject, outcome)| judge(outcome).about(subject))
        .collect()
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

fn run(jobs: VecDeque<Job>, within: Duration) -> Vec<Option<Outcome>> {
    let deadline = Instant::now() + within;
    let count = jobs.len();
    let threads = count.min(AT_A_TIME);
    let jobs = Arc::new(Mutex::new(jobs));
    let (sender, receiver) = mpsc::channel();
    for _ in 0..threads {
        let (jobs, sender) = (Arc::clone(&jobs), sender.clone());
        std::thread::spawn(move || {
            loop {
                let job = jobs
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .pop_front();
                let Some(job) = job else { return };
                // Nobody listens any more once the time is over.
                if sender
                    .send((job.index, reach(&job.host, job.port)))
                    .is_err()
                {
                    return;
                }
            }
        });
    }
    drop(sender);
    let mut outcomes: Vec<Option<Outcome>> = (0..count).map(|_| None).collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok((index, outcome)) => outcomes[index] = Some(outcome),
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return outcomes,
        }
    }
}

fn reach(host: &str, port: u16) -> Outcome {
    let start = Instant::now();
    let addresses: Vec<SocketAddr> = match (host, port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => return Outcome::Unresolved(error.to_string()),
    };
    let mut reason = "the name has no address".to_owned();
    for address in addresses {
        let left = WITHIN.saturating_sub(start.elapsed());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(_) => return Outcome::Reached(address, start.elapsed()),
            Err(error) => reason = format!("{address}: {}", plain(&error)),
        }
    }
    Outcome::Unreached(reason)
}

/// Without the system's number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string().to_lowercase();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn judge(outcome: Option<Outcome>) -> Check {
    match outcome {
        Some(Outcome::Reached(address, time)) => {
            let milliseconds = time.as_secs_f64() * 1000.0;
            Check::ok(
                NAME,
                format!("reached at {address} in {milliseconds:.1} ms"),
            )
        }
        Some(Outcome::Unresolved(reason)) => {
            Check::fail(NAME, format!("its name cannot be resolved: {reason}"))
                .fix("is the name spelled right, and known to this machine's resolver?")
        }
        Some(Outcome::Unreached(reason)) => {
            Check::fail(NAME, format!("cannot be reached: {reason}"))
                .fix("is the service running there, and does a firewall let this machine in?")
        }
        None => Check::fail(NAME, "no answer from the resolver within a second")
            .fix("is the resolver in /etc/resolv.conf reachable?"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::command::doctor::Status;

    #[test]
    fn a_listening_target_is_reached_and_a_closed_one_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(judge(Some(reach("127.0.0.1", port))).status, Status::Ok);
        drop(listener);
        let check = judge(Some(reach("127.0.0.1", port)));
        assert_eq!(check.status, Status::Fail);
        assert!(
            check.message.ends_with("connection refused"),
            "{}",
            check.message
        );
    }

    #[test]
    fn many_targets_keep_their_order() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().port();
        let jobs = (0..3 * AT_A_TIME).map(|index| Job {
            index,
            host: "127.0.0.1".to_owned(),
            port: if index % 2 == 0 { open } else { 1 },
        });
        let outcomes = run(jobs.collect(), Duration::from_secs(30));
        for (index, outcome) in outcomes.into_iter().enumerate() {
            let expected = if index % 2 == 0 {
                Status::Ok
            } else {
                Status::Fail
            };
            assert_eq!(judge(outcome).status, expected, "{index}");
        }
    }

    #[test]
    fn addresses_of_version_6_are_in_brackets() {
        assert_eq!(authority("::1", 80), "[::1]:80");
        assert_eq!(authority("api", 80), "api:80");
    }
}
