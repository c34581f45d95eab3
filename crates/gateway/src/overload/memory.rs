//! How much memory the process holds, against what the operator allows.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// How full the process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MemoryLevel {
    /// Below the mark, or there is none.
    #[default]
    Calm,
    /// Above the mark: idle connections go, and so do requests of low and normal priority.
    High,
    /// A tenth above the mark: no new connections, and only critical requests.
    Critical,
}

impl MemoryLevel {
    fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Calm,
            1 => Self::High,
            _ => Self::Critical,
        }
    }
}

/// The level that follows another one. It falls only when there is a twentieth of the mark to spare, so
/// that it does not flutter.
fn next_level(level: MemoryLevel, resident: u64, mark: Option<u64>) -> MemoryLevel {
    let Some(mark) = mark else {
        return MemoryLevel::Calm;
    };
    let (critical, spare) = (mark.saturating_add(mark / 10), mark / 20);
    let reached = if resident > critical {
        MemoryLevel::Critical
    } else if resident > mark {
        MemoryLevel::High
    } else {
        MemoryLevel::Calm
    };
    let left = if resident > critical.saturating_sub(spare) {
        MemoryLevel::Critical
    } else if resident > mark - spare {
        MemoryLevel::High
    } else {
        MemoryLevel::Calm
    };
    reached.max(left.min(level))
}

/// The level, for every worker to see; the supervisor alone changes it.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Bytes; 0 stands for none.
    mark: AtomicU64,
    level: AtomicU8,
}

impl Memory {
    pub(crate) fn configure(&self, mark: Option<u64>) {
        self.mark.store(mark.unwrap_or(0), Ordering::Relaxed);
    }

    pub(crate) fn level(&self) -> MemoryLevel {
        MemoryLevel::from_number(self.level.load(Ordering::Relaxed))
    }

    /// Looks at the process and says so when the level changes.
    pub(super) fn look(&self) {
        let mark = Some(self.mark.load(Ordering::Relaxed)).filter(|mark| *mark > 0);
        let level = self.level();
        if mark.is_none() && level == MemoryLevel::Calm {
            return;
        }
        // Without the figure nobody is refused for it.
        let resident = resident_bytes().unwrap_or(0);
        let next = next_level(level, resident, mark);
        if next == level {
            return;
        }
        self.level.store(next as u8, Ordering::Relaxed);
        let mark = mark.unwrap_or(0);
        match next {
            MemoryLevel::Calm => tracing::info!(resident, mark, "memory is below its mark again"),
            MemoryLevel::High => tracing::warn!(
                resident,
                mark,
                "memory is above its mark: idle connections are closed, requests of low and normal priority refused"
            ),
            MemoryLevel::Critical => tracing::warn!(
                resident,
                mark,
                "memory is far above its mark: connections and all but critical requests are refused"
            ),
        }
    }
}

/// Resident bytes of this process (proc_pid_status(5)).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use MemoryLevel::{Calm, Critical, High};

    #[test]
    fn the_level_rises_at_once_and_falls_with_something_to_spare() {
        let mark = Some(1000);
        assert_eq!(next_level(Calm, 1000, mark), Calm);
        assert_eq!(next_level(Calm, 1001, mark), High);
        assert_eq!(next_level(Calm, 1101, mark), Critical);
        assert_eq!(next_level(High, 960, mark), High);
        assert_eq!(next_level(High, 950, mark), Calm);
        assert_eq!(next_level(Critical, 1060, mark), Critical);
        assert_eq!(next_level(Critical, 1050, mark), High);
        assert_eq!(next_level(Critical, 10, mark), Calm);
        assert_eq!(next_level(Critical, u64::MAX, None), Calm);
        assert_eq!(next_level(Calm, u64::MAX, Some(u64::MAX)), Calm);
    }

    #[test]
    fn the_process_knows_its_size() {
        let resident = resident_bytes().unwrap();
        assert!((1 << 20..1 << 40).contains(&resident), "{resident}");
    }

    #[test]
    fn the_mark_can_be_taken_away() {
        let memory = Memory::default();
        memory.configure(Some(1));
        memory.look();
        assert_eq!(memory.level(), Critical);
        memory.configure(None);
        memory.look();
        assert_eq!(memory.level(), Calm);
    }
}
