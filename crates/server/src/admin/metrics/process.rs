//! What the system knows about this process. It is read from `/proc`; elsewhere it is left out.

use std::fs;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::time::{ClockId, clock_gettime};

use super::exposition::{Exposition, Kind};

/// Place of the start time in `/proc/self/stat` behind the command's name (proc_pid_stat(5): field
/// 22 of all, the name is the second).
const START_TIME: usize = 19;

/// It does not change, and `/proc/stat` takes a while to write.
static STARTED: OnceLock<Option<f64>> = OnceLock::new();

pub(super) fn collect(exposition: &mut Exposition) {
    let mut gauge = |name, help, value: Option<f64>| {
        if let Some(value) = value {
            exposition
                .family(name, Kind::Gauge, help)
                .sample(&[], value);
        }
    };
    gauge(
        "process_start_time_seconds",
        "When the process started, in seconds since 1970.",
        *STARTED.get_or_init(start_time),
    );
    gauge(
        "process_resident_memory_bytes",
        "Memory held in RAM.",
        resident_memory(),
    );
    gauge(
        "process_open_fds",
        "Open file descriptors.",
        open_descriptors(),
    );
    exposition
        .family(
            "process_cpu_seconds",
            Kind::Counter,
            "Time on a processor, of all threads.",
        )
        .sample(&[], cpu());
}

/// Time on a processor, of all threads, in seconds.
pub(in crate::admin) fn cpu() -> f64 {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9
}

/// Seconds since the process started.
pub(in crate::admin) fn uptime() -> Option<f64> {
    let started = (*STARTED.get_or_init(start_time))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some((now.as_secs_f64() - started).max(0.0))
}

fn start_time() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/stat").ok()?;
    // The name is in parentheses and may hold anything, even parentheses.
    let (_, behind_name) = status.rsplit_once(')')?;
    let ticks: f64 = behind_name
        .split_whitespace()
        .nth(START_TIME)?
        .parse()
        .ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    let boot: f64 = boot.trim().parse().ok()?;
    Some(boot + ticks / clock_ticks_per_second() as f64)
}

pub(in crate::admin) fn resident_memory() -> Option<f64> {
    let sizes = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = sizes.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page_size() as f64)
}

pub(in crate::admin) fn open_descriptors() -> Option<f64> {
    // Its size is their number since Linux 6.2. Counting entries takes a tenth of a second of CPU time when
    // there are tens of thousands.
    let size = fs::metadata("/proc/self/fd").ok()?.len();
    if size > 0 {
        return Some(size as f64);
    }
    // One of them is the directory being read.
    Some(
        fs::read_dir("/proc/self/fd")
            .ok()?
            .count()
            .saturating_sub(1) as f64,
    )
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_process_started_a_short_while_ago_and_has_some_memory() {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs_f64();
        let age = now - start_time().expect("a start time");
        assert!((-2.0..3_600.0).contains(&age), "{age}");
        assert!(resident_memory().expect("a size") > 100_000.0);
        assert!(open_descriptors().expect("a number") >= 3.0);
    }
}
