//! Targets from a file that something else writes.
//!
//! It is looked at, not subscribed to, for the reasons of the configuration's own files: network
//! file systems send no notifications, and swapped directories send them from the wrong place.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::sleep;
use weir_config::model::Target;
use weir_config::targets_from_text;

use crate::feed::Feed;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long it must be at rest before it is read: it may be in the middle of being written.
const REST: Duration = Duration::from_millis(150);
/// Looks after which a file that never rests is read all the same.
const LOOKS: usize = 20;
/// Largest file.
const LARGEST: u64 = 16 << 20;

/// What tells one state of a file from another.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));
type Hash = [u8; 32];

pub(crate) async fn run(path: &Path, feed: &Feed) {
    let mut seen: Option<Stamp> = None;
    let mut content: Option<Hash> = None;
    let mut fault: Option<String> = None;
    loop {
        match look(path).await {
            Ok(stamp) if seen == Some(stamp) => {
                if let Some(fault) = &fault {
                    feed.failed(fault);
                }
            }
            Ok(stamp) => {
                // Of a file that is changed meanwhile, the next look finds another stamp.
                seen = Some(at_rest(path, stamp).await);
                fault = None;
                match read(path, content).await {
                    Ok(Read::Same) => {}
                    Ok(Read::Targets(hash, targets)) => {
                        content = Some(hash);
                        feed.answered(targets);
                    }
                    // What was there before may come back.
                    Ok(Read::Refused(refusal)) => {
                        content = None;
                        feed.failed(&refusal);
                        fault = Some(refusal);
                    }
                    Err(error) => {
                        (seen, content) = (None, None);
                        feed.failed(format!("{} cannot be read: {error}", path.display()));
                    }
                }
            }
            Err(error) => {
                (seen, content) = (None, None);
                feed.failed(format!("{} cannot be read: {error}", path.display()));
            }
        }
        sleep(LOOK).await;
    }
}

async fn at_rest(path: &Path, mut stamp: Stamp) -> Stamp {
    for _ in 0..LOOKS {
        sleep(REST).await;
        match look(path).await {
            Ok(now) if now != stamp => stamp = now,
            _ => break,
        }
    }
    stamp
}

async fn look(path: &Path) -> io::Result<Stamp> {
    let path = path.to_owned();
    blocking(move || {
        let metadata = std::fs::metadata(path)?;
        // Opening a pipe or reading a device could wait forever.
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok((
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            (metadata.mtime(), metadata.mtime_nsec()),
            (metadata.ctime(), metadata.ctime_nsec()),
        ))
    })
    .await?
}

enum Read {
    /// The same bytes as before.
    Same,
    Targets(Hash, Vec<Target>),
    /// Why it is no list of targets.
    Refused(String),
}

async fn read(path: &Path, before: Option<Hash>) -> io::Result<Read> {
    let path = path.to_owned();
    blocking(move || {
        let content = weir_files::read(&path, LARGEST)?;
        let content = content.ok_or(io::ErrorKind::NotFound)?;
        Ok(parse(&path, content, before))
    })
    .await?
}

fn parse(path: &Path, content: Vec<u8>, before: Option<Hash>) -> Read {
    let hash: Hash = Sha256::digest(&content).into();
    if before == Some(hash) {
        return Read::Same;
    }
    let name = path.display().to_string();
    let Ok(text) = String::from_utf8(content) else {
        return Read::Refused(format!("{name} is not UTF-8"));
    };
    let report = match targets_from_text(&text, &name) {
        Ok(targets) => return Read::Targets(hash, targets),
        Err(report) => report,
    };
    let Some(first) = report.diagnostics.first() else {
        return Read::Refused(format!("{name} is no list of targets"));
    };
    let others = match report.diagnostics.len() + report.omitted - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let (line, column, message) = (first.line, first.column, &first.message);
    Read::Refused(format!("{name}:{line}:{column}: {message}{others}"))
}

/// File systems can hang; other sources do not wait for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_file_is_named_with_the_place() {
        let refusal = |content: &[u8]| match parse(Path::new("t.yaml"), content.to_vec(), None) {
            Read::Refused(refusal) => refusal,
            Read::Same | Read::Targets(..) => panic!("accepted"),
        };
        assert_eq!(
            refusal(b"- 10.0.0.1:80\n- 10.0.0.2\n- 10.0.0.3:x\n"),
            "t.yaml:2:3: `10.0.0.2` is not a host and a port (and 1 more)"
        );
        assert_eq!(refusal(&[0xff, 0xfe]), "t.yaml is not UTF-8");
    }

    #[test]
    fn the_same_bytes_are_read_once() {
        let content = b"[\"10.0.0.1:80\"]".to_vec();
        let Read::Targets(hash, targets) = parse(Path::new("t"), content.clone(), None) else {
            panic!("refused");
        };
        assert_eq!(targets.len(), 1);
        let again = parse(Path::new("t"), content, Some(hash));
        assert!(matches!(again, Read::Same));
    }
}
