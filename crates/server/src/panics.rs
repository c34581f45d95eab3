//! What a panic ends: the process, unless it is in what stands beside traffic.
//!
//! A thread that carries traffic leaves sockets and counters behind that nobody serves, and a new process is better off
//! than one that is half there. What runs beside traffic, the admin listener most of all, does so in tasks
//! that know nothing of each other: a mistake in the answer to one request is no reason to cut a million others.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The threads of the runtime beside traffic. Their tasks end by themselves, as Tokio has it.
pub(crate) const BESIDE_TRAFFIC: &str = "weir-beside";

thread_local! {
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// What was done ended in a panic; the log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mistake of Weir: its log has it")]
pub(crate) struct Panicked;

/// From here on, a panic ends the process unless it is contained. It is said on standard error first, and where it is
/// contained in the log.
pub(crate) fn decide() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        if !may_go_on() {
            std::process::abort();
        }
        tracing::error!(%panic, "a mistake of Weir; traffic goes on");
    }));
}

fn may_go_on() -> bool {
    let thread = std::thread::current();
    IS_CONTAINED.get() || thread.name() == Some(BESIDE_TRAFFIC)
}

/// Does something that must not end the process, whatever thread it is on.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let before = IS_CONTAINED.replace(true);
    // What it leaves half done is for the caller to leave behind.
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_CONTAINED.set(before);
    done.map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, ExitStatus};

    use super::*;

    const THREAD: &str = "WEIR_TEST_THREAD";

    /// Not a test by itself: what the tests below run as a process of its own.
    #[test]
    #[ignore = "run by the other tests"]
    fn panics_in_a_thread() {
        let name = std::env::var(THREAD).unwrap();
        decide();
        let is_contained = name == "contained";
        let thread = std::thread::Builder::new().name(name);
        let panicking = move || match is_contained {
            true => assert_eq!(contain(|| panic!("a test")), Err::<(), _>(Panicked)),
            false => panic!("a test"),
        };
        let ended = thread.spawn(panicking).unwrap().join();
        assert_eq!(ended.is_ok(), is_contained);
    }

    fn status(thread: &str) -> ExitStatus {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.env(THREAD, thread).args([
            "--exact",
            "panics::tests::panics_in_a_thread",
            "--ignored",
        ]);
        child.output().unwrap().status
    }

    #[test]
    fn a_panic_where_traffic_is_ends_the_process() {
        const ABORTED: i32 = 6;
        for thread in ["weir-worker-0", "weir-control", "main"] {
            assert_eq!(status(thread).signal(), Some(ABORTED), "{thread}");
        }
    }

    #[test]
    fn a_panic_beside_traffic_does_not() {
        for thread in [BESIDE_TRAFFIC, "contained"] {
            assert!(status(thread).success(), "{thread}");
        }
    }

    #[test]
    fn what_is_contained_is_so_no_longer_than_it_lasts() {
        let within = contain(|| {
            assert_eq!(contain(|| ()), Ok(()));
            may_go_on()
        });
        assert_eq!(within, Ok(true));
        assert!(!may_go_on());
    }
}
