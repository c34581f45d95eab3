//! The machine: open files, kernel settings, clock.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};

use super::Check;

/// Files besides connections: listeners, logs, the lake.
const OTHER_FILES: u64 = 256;

/// Every client connection can need one to an upstream.
pub(super) fn check_descriptors(connections: usize) -> Check {
    let limit = getrlimit(Resource::Nofile);
    judge_descriptors(connections as u64, limit.current, limit.maximum)
}

/// `None` is unlimited.
fn judge_descriptors(connections: u64, soft: Option<u64>, hard: Option<u64>) -> Check {
    const NAME: &str = "open files";
    let needed = connections.saturating_mul(2).saturating_add(OTHER_FILES);
    let shown =
        |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let message = format!(
        "limit {} (hard {}); limits.connections: {connections} can need {needed}",
        shown(soft),
        shown(hard)
    );
    // `weir run` raises the soft limit to the hard one.
    let Some(hard) = hard.filter(|hard| *hard < needed) else {
        return Check::ok(NAME, message);
    };
    let fix = format!(
        "`LimitNOFILE={needed}` in its service (or `ulimit -Hn {needed}` as root), or \
         `limits: {{ connections: {} }}` in the configuration",
        hard.saturating_sub(OTHER_FILES) / 2
    );
    Check::warn(NAME, message).fix(fix)
}

/// Settings that limit a gateway before anything else does; none where the kernel has none.
pub(super) fn check_kernel() -> Vec<Check> {
    let backlog = read("/proc/sys/net/core/somaxconn");
    let ports = read("/proc/sys/net/ipv4/ip_local_port_range");
    let checks = [
        backlog.and_then(|text| judge_backlog(&text)),
        ports.and_then(|text| judge_ports(&text)),
    ];
    checks.into_iter().flatten().collect()
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// Connections that wait to be accepted.
fn judge_backlog(text: &str) -> Option<Check> {
    const NAME: &str = "net.core.somaxconn";
    let backlog: u64 = text.trim().parse().ok()?;
    Some(if backlog >= 1024 {
        Check::ok(NAME, backlog.to_string())
    } else {
        Check::warn(
            NAME,
            format!("{backlog}: bursts of new connections will be refused"),
        )
        .fix("`sysctl -w net.core.somaxconn=4096`")
    })
}

/// Connections to one target at a time.
fn judge_ports(text: &str) -> Option<Check> {
    const NAME: &str = "net.ipv4.ip_local_port_range";
    let mut bounds = text.split_ascii_whitespace().map(str::parse::<u32>);
    let (first, last) = (bounds.next()?.ok()?, bounds.next()?.ok()?);
    let count = (last + 1).saturating_sub(first);
    let message = format!("{first} to {last}: {count} connections to one target at a time");
    Some(if count >= 20_000 {
        Check::ok(NAME, message)
    } else {
        Check::warn(NAME, message).fix("`sysctl -w net.ipv4.ip_local_port_range='10240 65535'`")
    })
}

/// Both clocks at one moment.
pub(super) struct Clock {
    wall: SystemTime,
    monotonic: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            wall: SystemTime::now(),
            monotonic: Instant::now(),
        }
    }

    /// Judges the clock by what happened to it since the start.
    pub(super) fn check(&self, config: &Path) -> Check {
        let written = [Some(config.to_owned()), std::env::current_exe().ok()];
        let newest = written
            .into_iter()
            .flatten()
            .filter_map(|path| fs::metadata(path).ok()?.modified().ok())
            .max();
        let now = SystemTime::now();
        let drift = difference(
            now.duration_since(UNIX_EPOCH).unwrap_or_default(),
            (self.wall + self.monotonic.elapsed())
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        );
        judge_clock(now, newest, drift)
    }
}

fn difference(one: Duration, other: Duration) -> Duration {
    one.abs_diff(other)
}

/// `newest` is when the configuration or the program was written; `drift` how far the wall clock and
/// the monotonic clock went apart.
fn judge_clock(now: SystemTime, newest: Option<SystemTime>, drift: Duration) -> Check {
    const NAME: &str = "clock";
    /// 2026-01-01: this program is younger.
    const EARLIEST: Duration = Duration::from_secs(1_767_225_600);
    /// Files from another machine may be a little ahead.
    const TOLERANCE: Duration = Duration::from_secs(300);
    let fix = "let NTP set it: `timedatectl set-ntp true`";
    if now < UNIX_EPOCH + EARLIEST {
        return Check::fail(
            NAME,
            "lies in the past: valid certificates and tokens will be refused",
        )
        .fix(fix);
    }
    if let Some(ahead) = newest.and_then(|newest| newest.duration_since(now).ok())
        && ahead > TOLERANCE
    {
        let minutes = ahead.as_secs() / 60;
        return Check::warn(
            NAME,
            format!("the configuration or the program was written {minutes} minutes in the future"),
        )
        .fix(fix);
    }
    if drift > Duration::from_millis(500) {
        return Check::warn(NAME, format!("was set by {drift:?} while this ran"))
            .fix("let NTP slew it instead of stepping it");
    }
    Check::ok(NAME, "plausible, and steady while this ran")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::Status;

    #[test]
    fn descriptors_are_judged_by_what_connections_need() {
        assert_eq!(
            judge_descriptors(1000, Some(1024), Some(2256)).status,
            Status::Ok
        );
        assert_eq!(judge_descriptors(1000, None, None).status, Status::Ok);
        assert_eq!(judge_descriptors(u64::MAX, None, None).status, Status::Ok);

        let hard = judge_descriptors(1000, Some(1024), Some(1256));
        assert_eq!(hard.status, Status::Warn);
        let fix = hard.fix.unwrap();
        assert!(
            fix.contains("LimitNOFILE=2256") && fix.contains("connections: 500 "),
            "{fix}"
        );
    }

    #[test]
    fn kernel_settings_are_read() {
        assert_eq!(judge_backlog("4096\n").unwrap().status, Status::Ok);
        assert_eq!(judge_backlog("128\n").unwrap().status, Status::Warn);
        assert_eq!(judge_backlog("many"), None);
        assert_eq!(judge_ports("32768\t60999\n").unwrap().status, Status::Ok);
        assert_eq!(judge_ports("60000\t60999\n").unwrap().status, Status::Warn);
        assert_eq!(judge_ports("1\n"), None);
        assert_eq!(judge_ports("9 1\n").unwrap().status, Status::Warn);
    }

    #[test]
    fn the_clock_is_judged_by_the_program_its_files_and_itself() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let none = Duration::ZERO;
        assert_eq!(judge_clock(now, Some(now), none).status, Status::Ok);
        assert_eq!(judge_clock(UNIX_EPOCH, None, none).status, Status::Fail);
        let later = now + Duration::from_secs(3600);
        assert_eq!(judge_clock(now, Some(later), none).status, Status::Warn);
        assert_eq!(
            judge_clock(now, None, Duration::from_secs(3)).status,
            Status::Warn
        );
    }
}
