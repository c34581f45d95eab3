//! How much memory something takes at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The process's own memory, by its highest.
pub(crate) struct Memory {
    before: u64,
    highest: Arc<AtomicU64>,
    watching: tokio::task::JoinHandle<()>,
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

impl Memory {
    pub(crate) fn watch() -> Self {
        let highest = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&highest);
        let runtime = tokio::runtime::Handle::current();
        let watching = runtime.spawn(async move {
            loop {
                seen.fetch_max(resident(), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self {
            before: resident(),
            highest,
            watching,
        }
    }

    pub(crate) fn growth(&self) -> u64 {
        self.watching.abort();
        self.highest
            .load(Ordering::Relaxed)
            .saturating_sub(self.before)
    }
}
