//! Open connections of the admin listener, and which one gives way when all places are taken.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Extension, Request};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::task::AbortHandle;

/// Those that are open, the one that has been there longest first.
pub(super) struct Connections {
    most: usize,
    open: VecDeque<Open>,
}

struct Open {
    task: AbortHandle,
    requests: UnderWay,
}

impl Connections {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            most,
            open: VecDeque::new(),
        }
    }

    /// Whether there is a place for one more. If need be, the one that has been there longest without a request
    /// gives way: it has sent nothing yet, or has its answer. A request is never cut.
    pub(super) fn make_room(&mut self) -> bool {
        self.open.retain(|open| !open.task.is_finished());
        if self.open.len() < self.most {
            return true;
        }
        let idle = self.open.iter().position(|open| open.requests.is_none());
        let Some(open) = idle.and_then(|at| self.open.remove(at)) else {
            return false;
        };
        open.task.abort();
        true
    }

    pub(super) fn add(&mut self, task: AbortHandle, requests: UnderWay) {
        self.open.push_back(Open { task, requests });
    }
}

/// Requests of a connection, from their heads to the ends of their answers.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn begin(&self) -> One {
        self.0.fetch_add(1, Ordering::Relaxed);
        One(self.clone())
    }

    fn is_none(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// A request that is under way for as long as this lives.
struct One(UnderWay);

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a request until its answer is taken, or its client has left.
pub(super) async fn count(
    Extension(requests): Extension<UnderWay>,
    request: Request,
    next: Next,
) -> Response {
    let one = requests.begin();
    let answer = next.run(request).await;
    answer.map(|body| Body::new(Counted { body, _one: one }))
}

/// An answer's body that is under way until it ends.
struct Counted {
    body: Body,
    _one: One,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn the_idle_one_that_has_been_there_longest_gives_way() {
        let mut tasks = JoinSet::new();
        let mut connections = Connections::new(3);
        let mut handles = Vec::new();
        let requests: Vec<UnderWay> = (0..3).map(|_| UnderWay::default()).collect();
        for requests in &requests {
            assert!(connections.make_room());
            let task = tasks.spawn(pending::<()>());
            handles.push(task.clone());
            connections.add(task, requests.clone());
        }
        let first = requests[0].begin();
        assert!(connections.make_room(), "the second was idle");
        assert!(tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert!(handles[1].is_finished() && !handles[0].is_finished());
        let replaced = UnderWay::default();
        connections.add(tasks.spawn(pending::<()>()), replaced.clone());
        let (_third, _fourth) = (requests[2].begin(), replaced.begin());
        assert!(!connections.make_room(), "each has a request");
        assert!(!handles[0].is_finished() && !handles[2].is_finished());
        drop(first);
        assert!(connections.make_room(), "one has its answer");
        assert!(tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert!(handles[0].is_finished());
    }
}
