//! Notices that a file of the configuration changed.
//!
//! Files are looked at, not subscribed to: notifications do not come from network file systems, and
//! where a directory is swapped under a symbolic link (Kubernetes mounts) they come from the wrong
//! place. A handful of `stat` calls a second costs nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long the files must be at rest before they count as changed: editors and deployments write
/// several of them one after another.
const REST: Duration = Duration::from_millis(150);

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The state of all files that a configuration depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Watch(BTreeMap<PathBuf, Option<Stamp>>);

impl Watch {
    /// The files as they are now.
    pub(super) fn of(files: &[PathBuf]) -> Self {
        Self(
            files
                .iter()
                .map(|file| (file.clone(), stamp(file)))
                .collect(),
        )
    }

    /// The files of a new load. Where a file was looked at `before` the load, that look counts: a
    /// change during the load must not go unnoticed.
    pub(super) fn after(before: &Self, files: &[PathBuf]) -> Self {
        let look = |file: &PathBuf| before.0.get(file).cloned().unwrap_or_else(|| stamp(file));
        Self(
            files
                .iter()
                .map(|file| (file.clone(), look(file)))
                .collect(),
        )
    }

    /// Which they are.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.0.keys().cloned().collect()
    }

    /// The same files as they are now.
    pub(super) fn again(&self) -> Self {
        Self(
            self.0
                .keys()
                .map(|file| (file.clone(), stamp(file)))
                .collect(),
        )
    }

    /// Waits until a file differs from what it was, and all are at rest.
    pub(super) async fn changed(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let mut seen = self.again();
            if seen == *self {
                continue;
            }
            loop {
                tokio::time::sleep(REST).await;
                let now = self.again();
                if now == seen {
                    return;
                }
                seen = now;
            }
        }
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_during_a_load_is_still_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("weir.yaml");
        std::fs::write(&file, "one").unwrap();
        let before = Watch::of(std::slice::from_ref(&file));
        std::fs::write(&file, "another").unwrap();
        let watch = Watch::after(&before, std::slice::from_ref(&file));
        assert_ne!(watch, watch.again());
        let watch = Watch::of(std::slice::from_ref(&file));
        assert_eq!(watch, watch.again());
    }

    #[test]
    fn a_file_that_appears_or_goes_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("weir.yaml");
        let missing = Watch::of(std::slice::from_ref(&file));
        assert_eq!(missing, missing.again());
        std::fs::write(&file, "one").unwrap();
        assert_ne!(missing, missing.again());
    }
}
