//! A log file, and its former contents under `PATH.1`, `PATH.2` and so on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weir_config::model::LogRotation;

/// A file that could not be moved aside is written on; it is tried again after this time.
const RETRY: Duration = Duration::from_secs(60);

/// A file that is appended to, and moved aside on occasion.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    rotation: Option<LogRotation>,
    /// Bytes in it.
    size: u64,
    /// Number of the period that its content belongs to.
    period: u64,
    /// When moving it aside failed.
    failed: Option<Instant>,
}

impl LogFile {
    pub(super) fn open(path: &Path, rotation: Option<LogRotation>) -> io::Result<Self> {
        let file = append_to(path)?;
        let metadata = file.metadata()?;
        let size = metadata.len();
        // Devices and pipes stay where they are.
        let rotation = rotation.filter(|_| metadata.is_file());
        let every = rotation.and_then(|rotation| rotation.every);
        // What is in a file belongs to when it was written last.
        let since = match metadata.modified() {
            Ok(modified) if size > 0 => modified,
            _ => SystemTime::now(),
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            rotation,
            size,
            period: period(since, every),
            failed: None,
        })
    }

    /// Moves it aside if it is time, before a line of this length; whole lines are in it then.
    fn rotate_if_due(&mut self, rotation: LogRotation, coming: usize) {
        let now = period(SystemTime::now(), rotation.every);
        let is_full = rotation
            .size
            .is_some_and(|most| self.size > 0 && self.size + coming as u64 > most);
        let is_old = now != self.period;
        if !is_full && !is_old {
            return;
        }
        if self.failed.is_some_and(|failed| failed.elapsed() < RETRY) {
            return;
        }
        match self.rotate(rotation) {
            Ok(()) => self.period = now,
            Err(error) => {
                self.failed = Some(Instant::now());
                let path = self.path.display();
                tracing::error!(%path, %error, "the log file cannot be moved aside and is written on");
            }
        }
    }

    fn rotate(&mut self, rotation: LogRotation) -> io::Result<()> {
        // While a successor takes over, two processes write to one file: who comes second finds it
        // moved already.
        if self.size > 0 && self.is_in_place()? {
            for number in (1..rotation.keep).rev() {
                move_if_there(&self.former(number), &self.former(number + 1))?;
            }
            fs::rename(&self.path, self.former(1))?;
        }
        self.file = append_to(&self.path)?;
        self.size = self.file.metadata()?.len();
        self.failed = None;
        Ok(())
    }

    fn is_in_place(&self) -> io::Result<bool> {
        let own = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn former(&self, number: u32) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{number}"));
        path.into()
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl super::output::Sink for LogFile {
    fn make_room(&mut self, lines: &[u8]) -> usize {
        let Some(rotation) = self.rotation else {
            return lines.len();
        };
        let first = memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
        self.rotate_if_due(rotation, first);
        let most = rotation.size.unwrap_or(u64::MAX);
        let room = usize::try_from(most.saturating_sub(self.size)).unwrap_or(usize::MAX);
        if self.failed.is_some() || room >= lines.len() {
            return lines.len();
        }
        memchr::memrchr(b'\n', &lines[..room]).map_or(first, |at| at + 1)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

fn move_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        moved => moved,
    }
}

/// Periods are counted from 1970, so that those of a day end at midnight (UTC), whenever the process
/// was started.
fn period(time: SystemTime, every: Option<Duration>) -> u64 {
    let Some(every) = every else { return 0 };
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis() / every.as_millis().max(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn write(file: &mut LogFile, line: &str) {
        let room = super::super::output::Sink::make_room(file, line.as_bytes());
        assert_eq!(room, line.len());
        file.write_all(line.as_bytes()).unwrap();
    }

    #[test]
    fn so_many_former_files_are_kept_and_no_line_is_torn() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let rotation = LogRotation {
            size: Some(10),
            every: None,
            keep: 2,
        };
        let mut file = LogFile::open(&path, Some(rotation)).unwrap();
        for number in 0..9 {
            write(&mut file, &format!("l{number:02}\n"));
        }
        assert_eq!(names(directory.path()), ["a.log", "a.log.1", "a.log.2"]);
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(read("a.log"), "l08\n");
        assert_eq!(read("a.log.1"), "l06\nl07\n");
        assert_eq!(read("a.log.2"), "l04\nl05\n");
        // A line that is longer than the file may be has a file of its own.
        write(&mut file, "a line that is too long\n");
        assert_eq!(read("a.log.1"), "l08\n");
    }

    #[test]
    fn a_file_of_a_former_period_is_moved_aside_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        fs::write(&path, "yesterday\n").unwrap();
        let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 86_400);
        File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .set_modified(two_days_ago)
            .unwrap();
        let rotation = LogRotation {
            size: None,
            every: Some(Duration::from_secs(86_400)),
            keep: 7,
        };
        let mut file = LogFile::open(&path, Some(rotation)).unwrap();
        write(&mut file, "today\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "today\n");
        assert_eq!(names(directory.path()), ["a.log", "a.log.1"]);
    }

    #[test]
    fn a_file_that_somebody_else_moved_is_not_moved_twice() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let rotation = LogRotation {
            size: Some(4),
            every: None,
            keep: 3,
        };
        let mut first = LogFile::open(&path, Some(rotation)).unwrap();
        let mut second = LogFile::open(&path, Some(rotation)).unwrap();
        write(&mut first, "one\n");
        write(&mut second, "two\n");
        write(&mut first, "three\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        write(&mut second, "four\n");
        assert_eq!(names(directory.path()), ["a.log", "a.log.1"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\nfour\n");
    }

    #[test]
    fn a_file_that_cannot_be_moved_is_written_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let rotation = LogRotation {
            size: Some(4),
            every: None,
            keep: 1,
        };
        // A directory of that name, with something in it, cannot be replaced.
        fs::create_dir_all(directory.path().join("a.log.1/x")).unwrap();
        let mut file = LogFile::open(&path, Some(rotation)).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            write(&mut file, line);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
    }
}
