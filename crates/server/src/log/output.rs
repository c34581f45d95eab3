//! Where lines go, and what happens when they cannot.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use weir_config::model::{LogOutput, LogRotation};

use super::file::LogFile;

/// A pipe that takes nothing is tried this often, with this long in between.
const PATIENCE: (u32, Duration) = (100, Duration::from_millis(5));

/// What was lost on the way to the output.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    lost_lines: AtomicU64,
    failed_writes: AtomicU64,
}

impl Counters {
    /// Lines that were not written: because writing failed, or because too many waited.
    pub(crate) fn lost_lines(&self) -> u64 {
        self.lost_lines.load(Ordering::Relaxed)
    }

    /// Writes that failed.
    pub(crate) fn failed_writes(&self) -> u64 {
        self.failed_writes.load(Ordering::Relaxed)
    }

    pub(super) fn lose(&self, lines: u64) {
        self.lost_lines.fetch_add(lines, Ordering::Relaxed);
    }

    /// Of text that is not written.
    pub(super) fn lose_lines(&self, text: &[u8]) {
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        self.lose(lines as u64);
    }
}

/// What lines are written to.
pub(super) trait Sink: Write + Send {
    /// Called before whole lines are written: how many bytes of them may be written now. Whole lines
    /// again, and not none.
    fn make_room(&mut self, lines: &[u8]) -> usize {
        lines.len()
    }
}

impl Sink for File {}

/// Takes what comes before it is known that nothing is to be written: see [`LogOutput::Otlp`].
impl Sink for io::Sink {}

/// An opened output.
pub(super) struct Output {
    sink: Box<dyn Sink>,
    /// Whether a person watches.
    pub(super) is_terminal: bool,
}

impl Output {
    /// Opens what the configuration names; files are created if need be, and appended to.
    pub(super) fn open(output: &LogOutput, rotation: Option<LogRotation>) -> io::Result<Self> {
        match output {
            LogOutput::Stdout => Self::standard(io::stdout().as_fd(), io::stdout().is_terminal()),
            LogOutput::Stderr => Self::standard(io::stderr().as_fd(), io::stderr().is_terminal()),
            LogOutput::File(path) => {
                let file = LogFile::open(path, rotation)?;
                Ok(Self {
                    sink: Box::new(file),
                    is_terminal: false,
                })
            }
            // Records go to the exporter's queue, and no lines are made of them.
            LogOutput::Otlp => Ok(Self {
                sink: Box::new(io::sink()),
                is_terminal: false,
            }),
        }
    }

    /// A descriptor of our own: the standard library's handle has a buffer, which would keep parts
    /// of lines back when a write fails.
    fn standard(descriptor: BorrowedFd<'_>, is_terminal: bool) -> io::Result<Self> {
        let file = File::from(descriptor.try_clone_to_owned()?);
        Ok(Self {
            sink: Box::new(file),
            is_terminal,
        })
    }

    #[cfg(test)]
    pub(super) fn to(sink: impl Sink + 'static) -> Self {
        Self {
            sink: Box::new(sink),
            is_terminal: false,
        }
    }
}

/// Writes lines to an output, whatever becomes of it.
pub(super) struct Writing {
    output: Output,
    /// The output ends within a line, because a write failed there.
    is_torn: bool,
    counters: Arc<Counters>,
}

impl Writing {
    pub(super) fn new(output: Output, counters: Arc<Counters>) -> Self {
        Self {
            output,
            is_torn: false,
            counters,
        }
    }

    /// Writes whole lines. What cannot be written is counted and forgotten: keeping it would only move the
    /// loss, and the next lines find out whether the fault is gone.
    pub(super) fn write(&mut self, lines: &[u8]) {
        if self.is_torn && write_all(&mut *self.output.sink, b"\n").is_ok() {
            self.is_torn = false;
        }
        // While the tear is open, nothing may follow it.
        let outcome = if self.is_torn {
            Err(0)
        } else {
            write_lines(&mut *self.output.sink, lines)
        };
        if let Err(written) = outcome {
            self.is_torn |= written > 0 && lines[written - 1] != b'\n';
            self.counters.lose_lines(&lines[written..]);
            self.counters.failed_writes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Goes on with another output.
    pub(super) fn change(&mut self, output: Output) {
        self.output = output;
        self.is_torn = false;
    }
}

/// Tells how many bytes were written before the fault, as [`write_all`] does.
fn write_lines(sink: &mut dyn Sink, lines: &[u8]) -> Result<(), usize> {
    let mut written = 0;
    while written < lines.len() {
        let now = sink.make_room(&lines[written..]).max(1);
        let end = lines.len().min(written + now);
        write_all(sink, &lines[written..end]).map_err(|more| written + more)?;
        written = end;
    }
    Ok(())
}

/// Tells how many bytes were written before the fault.
fn write_all(sink: &mut dyn Sink, bytes: &[u8]) -> Result<(), usize> {
    let mut written = 0;
    let mut refusals = 0;
    while written < bytes.len() {
        match sink.write(&bytes[written..]) {
            Ok(0) => return Err(written),
            Ok(count) => {
                written += count;
                refusals = 0;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Whoever shares our standard output may have set it to non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock && refusals < PATIENCE.0 => {
                refusals += 1;
                thread::park_timeout(PATIENCE.1);
            }
            Err(_) => return Err(written),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Takes what is left of its room, and fails then.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Disk {
        fn with_room(room: usize) -> Self {
            Self(Arc::new(Mutex::new((Vec::new(), room))))
        }

        fn make_room(&self, room: usize) {
            self.0.lock().expect("not poisoned").1 = room;
        }

        fn content(&self) -> String {
            String::from_utf8(self.0.lock().expect("not poisoned").0.clone()).expect("UTF-8")
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().expect("not poisoned");
            let count = bytes.len().min(disk.1);
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            disk.0.extend_from_slice(&bytes[..count]);
            disk.1 -= count;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Disk {}
    impl Sink for io::PipeWriter {}

    #[test]
    fn a_full_disk_costs_lines_and_never_joins_two() {
        let disk = Disk::with_room(9);
        let counters = Arc::new(Counters::default());
        let mut writing = Writing::new(Output::to(disk.clone()), Arc::clone(&counters));
        writing.write(b"first\nsecond\nthird\n");
        assert_eq!((counters.lost_lines(), counters.failed_writes()), (2, 1));
        writing.write(b"fourth\n");
        assert_eq!((counters.lost_lines(), counters.failed_writes()), (3, 2));
        disk.make_room(100);
        writing.write(b"fifth\n");
        writing.write(b"sixth\n");
        assert_eq!(disk.content(), "first\nsec\nfifth\nsixth\n");
        assert_eq!((counters.lost_lines(), counters.failed_writes()), (3, 2));
    }

    #[test]
    fn a_closed_pipe_is_counted() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let counters = Arc::new(Counters::default());
        let mut writing = Writing::new(Output::to(writer), Arc::clone(&counters));
        writing.write(b"one\n");
        assert_eq!((counters.lost_lines(), counters.failed_writes()), (1, 1));
    }

    #[test]
    fn a_device_without_space_is_counted() {
        let output = Output::open(&LogOutput::File("/dev/full".into()), None).expect("the device");
        let counters = Arc::new(Counters::default());
        let mut writing = Writing::new(output, Arc::clone(&counters));
        writing.write(b"one\ntwo\n");
        assert_eq!((counters.lost_lines(), counters.failed_writes()), (2, 1));
    }
}
