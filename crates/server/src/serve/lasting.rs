//! What runs beside traffic for as long as the process does: whatever ends early is begun anew.
//!
//! To end the process instead would cut traffic, which needs none of it for a while; to go on without would leave a node
//! that nobody can ask, or that follows nothing any more, and looks well.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Node, Stage};
use crate::panics;

/// Before it is begun anew; doubled each time up to the second.
const PAUSE: Duration = Duration::from_secs(1);
const MOST_PAUSE: Duration = Duration::from_secs(60);

/// All that runs beside traffic. Dropped, it ends.
pub(super) struct Beside {
    tasks: JoinSet<()>,
    node: Arc<Node>,
}

impl Beside {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self {
            tasks: JoinSet::new(),
            node,
        }
    }

    /// Runs what `begin` makes until the process drains.
    pub(super) fn run<T: Future<Output = ()> + Send + 'static>(
        &mut self,
        task: &'static str,
        begin: impl Fn() -> T + Send + 'static,
    ) {
        let node = Arc::clone(&self.node);
        self.run_until(task, move || node.stage() == Stage::Draining, begin);
    }

    /// Runs what `begin` makes until it ends and it is over.
    pub(super) fn run_until<T: Future<Output = ()> + Send + 'static>(
        &mut self,
        task: &'static str,
        is_over: impl Fn() -> bool + Send + 'static,
        begin: impl Fn() -> T + Send + 'static,
    ) {
        let early_ends = Arc::clone(&self.node.early_ends);
        self.tasks.spawn(last(task, early_ends, is_over, begin));
    }

    /// Ends all of it, wherever it is.
    pub(super) async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Runs what `begin` makes until it ends and it is over. Each early end is an error in the log, and counted.
async fn last<T: Future<Output = ()>>(
    task: &'static str,
    early_ends: Arc<AtomicU64>,
    is_over: impl Fn() -> bool,
    begin: impl Fn() -> T,
) {
    let mut pause = PAUSE;
    loop {
        let begun = Instant::now();
        let how = match contained(begin()).await {
            Ok(()) => "nothing went wrong, and it should have gone on",
            Err(panics::Panicked) => "a mistake of Weir: the line before says which",
        };
        if is_over() {
            return;
        }
        early_ends.fetch_add(1, Ordering::Relaxed);
        if begun.elapsed() > MOST_PAUSE {
            pause = PAUSE;
        }
        tracing::error!(task, how, again_in = ?pause, "what runs beside traffic has ended early");
        sleep(pause).await;
        pause = (pause * 2).min(MOST_PAUSE);
    }
}

async fn contained<T>(work: impl Future<Output = T>) -> Result<T, panics::Panicked> {
    let mut work = pin!(work);
    std::future::poll_fn(
        |context| match panics::contain(|| work.as_mut().poll(context)) {
            Ok(poll) => poll.map(Ok),
            Err(panicked) => Poll::Ready(Err(panicked)),
        },
    )
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::pending;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_ends_early_is_begun_anew_at_growing_distances() {
        let (ends, begun) = (Arc::new(AtomicU64::new(0)), RefCell::new(Vec::new()));
        let start = Instant::now();
        let lasting = last(
            "a test",
            Arc::clone(&ends),
            || false,
            || async {
                let begun_before = begun.borrow().len();
                begun.borrow_mut().push(start.elapsed().as_secs());
                match begun_before {
                    0 => panic!("a test"),
                    1 | 2 => {}
                    // Long enough to be taken for well.
                    3 => sleep(MOST_PAUSE * 2).await,
                    4 => {}
                    _ => pending().await,
                }
            },
        );
        let _ = timeout(Duration::from_secs(3_600), lasting).await;
        assert_eq!(*begun.borrow(), [0, 1, 3, 7, 128, 130]);
        assert_eq!(ends.load(Ordering::Relaxed), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_when_it_is_over_stays_so() {
        let (ends, is_over) = (Arc::new(AtomicU64::new(0)), Cell::new(false));
        let lasting = last(
            "a test",
            Arc::clone(&ends),
            || is_over.get(),
            || async {
                is_over.set(true);
            },
        );
        assert!(timeout(PAUSE, lasting).await.is_ok());
        assert_eq!(ends.load(Ordering::Relaxed), 0);
    }
}
