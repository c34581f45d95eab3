//! Ending a child process in an orderly way: what is killed cannot write down what it covered.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Asks the process to end, twice, so that it does not wait for its connections; kills it if that
/// is not enough.
pub(crate) fn end(child: &mut Child) {
    const PATIENCE: Duration = Duration::from_secs(2);
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(id) = id.filter(|_| matches!(child.try_wait(), Ok(None))) {
        for signal in [Signal::INT, Signal::TERM] {
            let _ = kill_process(id, signal);
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && matches!(child.try_wait(), Ok(None)) {
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}
