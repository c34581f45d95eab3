//! The file that tells other commands which process serves.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Name of the file in the data directory.
pub(crate) const FILE: &str = "weir.pid";
/// Beside it: where the admin listener of that process is.
const ADMIN: &str = "weir.admin";

/// This process' entry; removed at the end, unless a successor wrote its own meanwhile.
pub(super) struct PidFile {
    process: PathBuf,
    admin: PathBuf,
}

/// Where the admin listener is of whoever serves with this data directory; it may have ended without
/// removing that.
pub(crate) fn read_admin(data: &Path) -> Option<SocketAddr> {
    fs::read_to_string(data.join(ADMIN))
        .ok()?
        .trim()
        .parse()
        .ok()
}

impl PidFile {
    pub(super) fn write(data: &Path, admin: SocketAddr) -> anyhow::Result<Self> {
        let file = Self {
            process: data.join(FILE),
            admin: data.join(ADMIN),
        };
        // The number last: whoever sees it finds the other.
        let lines = [
            (&file.admin, admin.to_string()),
            (&file.process, std::process::id().to_string()),
        ];
        for (path, line) in lines {
            weir_files::replace(path, format!("{line}\n").as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(file)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if read(&self.process) == Some(std::process::id()) {
            let _ = fs::remove_file(&self.process);
            let _ = fs::remove_file(&self.admin);
        }
    }
}

fn read(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
