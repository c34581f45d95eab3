use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::super::output::Sink;
use super::*;

/// Takes lines when it is let.
struct Held {
    tried: Sender<()>,
    let_go: Receiver<()>,
    written: Arc<Mutex<Vec<usize>>>,
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.tried.send(());
        // Gone: nothing is held any more.
        let _ = self.let_go.recv();
        self.written.lock().expect("not poisoned").push(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Held {}

const LINE: &[u8] = b"1234567\n";

#[test]
fn lines_are_handed_over_before_there_are_many_and_none_waits_without_bound() {
    let (tried, trying) = channel();
    let (release, let_go) = channel();
    let written = Arc::default();
    let held = Held {
        tried,
        let_go,
        written: Arc::clone(&written),
    };
    let counters = Arc::new(Counters::default());
    let mut outlet = Outlet::start(Output::to(held), Arc::clone(&counters)).expect("a thread");
    let most = MOST_WAITING / LINE.len();
    let mut fill = |lines: usize| {
        for _ in 0..lines {
            outlet.add(|room| room.extend_from_slice(LINE));
        }
    };
    fill(BATCH / LINE.len());
    // Nobody has asked for it: enough came together.
    trying.recv().expect("a write");
    fill(most - BATCH / LINE.len());
    assert_eq!(counters.lost_lines(), 0);
    fill(2 * BATCH / LINE.len());
    assert_eq!(counters.lost_lines(), 2 * (BATCH / LINE.len()) as u64);
    let (done, flushed) = channel();
    outlet.tell_when_written(done);
    let early = flushed.recv_timeout(Duration::from_millis(50));
    assert_eq!(early, Err(RecvTimeoutError::Timeout));
    drop(release);
    flushed.recv().expect("all is written");
    let written = written.lock().expect("not poisoned");
    assert_eq!(written.iter().sum::<usize>(), MOST_WAITING);
    assert!(written.iter().all(|batch| *batch == BATCH));
}
