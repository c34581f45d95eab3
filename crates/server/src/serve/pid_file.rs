//! The file that tells other commands which process serves.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Name of the file in the data directory.
pub(crate) const FILE: &str = "weir.pid";

/// This process' entry; removed at the end, unless a successor wrote its own meanwhile.
pub(super) struct PidFile(PathBuf);

impl PidFile {
    pub(super) fn write(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        weir_files::replace(&path, format!("{}\n", std::process::id()).as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if read(&self.0) == Some(std::process::id()) {
            let _ = fs::remove_file(&self.0);
        }
    }
}

fn read(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
