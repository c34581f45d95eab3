//! The data directory: there, writable, with room.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::Check;

const NAME: &str = "data directory";
const MIB: u64 = 1 << 20;
/// Below this, writing will fail soon.
const LEAST: u64 = 64 * MIB;
/// Below this, somebody should look.
const COMFORTABLE: u64 = 1024 * MIB;

pub(super) fn check(data: &Path) -> Vec<Check> {
    let shown = data.display().to_string();
    let mut checks = Vec::new();
    let existing = if data.is_dir() {
        checks.push(match probe(data) {
            Ok(()) => Check::ok(NAME, "can be written"),
            Err(error) => Check::fail(NAME, format!("cannot be written: {error}")).fix(format!(
                "`chown` it to the user that Weir runs as, or choose with --data-dir ({shown})"
            )),
        });
        Some(data)
    } else if data.exists() {
        checks.push(
            Check::fail(NAME, "is not a directory").fix("choose another one with --data-dir"),
        );
        None
    } else {
        // `weir run` creates it, with the directories above it.
        let above = data
            .ancestors()
            .skip(1)
            .map(or_here)
            .find(|above| above.is_dir());
        checks.push(match above.map(probe) {
            Some(Ok(())) => Check::ok(NAME, "does not exist yet and can be created"),
            Some(Err(error)) => Check::fail(NAME, format!("cannot be created: {error}")).fix(
                format!("`install -d -o USER {shown}`, or choose with --data-dir"),
            ),
            None => Check::fail(NAME, "cannot be created: nothing above it exists"),
        });
        above
    };
    checks.extend(existing.and_then(space));
    checks
        .into_iter()
        .map(|check| check.about(shown.clone()))
        .collect()
}

/// The parent of a bare name is the working directory.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

/// Writes and removes a file.
fn probe(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!(".weir-doctor-{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    let written = file
        .write_all(b"weir doctor\n")
        .and_then(|()| file.sync_all());
    fs::remove_file(&path)?;
    written
}

fn space(directory: &Path) -> Option<Check> {
    const NAME: &str = "free space";
    let statistics = rustix::fs::statvfs(directory).ok()?;
    let free = statistics.f_bavail.saturating_mul(statistics.f_frsize);
    let message = format!("{} free", readable(free));
    let fix = "free some, or move the data directory";
    Some(match free {
        0..LEAST => Check::fail(NAME, message).fix(fix),
        LEAST..COMFORTABLE => Check::warn(NAME, message).fix(fix),
        _ => Check::ok(NAME, message),
    })
}

fn readable(bytes: u64) -> String {
    match bytes / MIB {
        mib @ 0..10_240 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib / 1024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::Status;

    #[test]
    fn a_file_in_its_place_fails() {
        let path = std::env::temp_dir().join(format!("weir-storage-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        let checks = check(&path);
        fs::remove_file(path).unwrap();
        assert_eq!(checks[0].status, Status::Fail);
        assert_eq!(checks.len(), 1);
    }

    #[test]
    fn a_missing_one_is_judged_by_what_is_above_it_and_not_created() {
        let path = std::env::temp_dir().join(format!("weir-storage-{}/a/b", std::process::id()));
        assert_eq!(check(&path)[0].status, Status::Ok);
        assert!(!path.exists());
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(readable(3 * MIB + 5), "3 MiB");
        assert_eq!(readable(20 * 1024 * MIB), "20 GiB");
    }
}
