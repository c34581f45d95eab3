//! Open connections of the admin listener, and which one gives way when all places are taken.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Extension, Request};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::task::AbortHandle;
use weir_console::{OneRequest, UnderWay};

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
    /// that counts gives way: it has sent nothing yet, nobody knows whose it is, or the answer was handed over. So
    /// strangers cannot take all places.
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

/// Has a request count, if it is somebody's who shows who they are, until its answer was handed over or its
/// client has left.
pub(super) async fn count(
    Extension(requests): Extension<UnderWay>,
    mut request: Request,
    next: Next,
) -> Response {
    let one = requests.request();
    request.extensions_mut().insert(one.clone());
    let answer = next.run(request).await;
    answer.map(|body| Body::new(Counted { body, _one: one }))
}

/// An answer's body that is under way until it ends.
struct Counted {
    body: Body,
    _one: OneRequest,
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

    fn begun(requests: &UnderWay) -> OneRequest {
        let one = requests.request();
        one.begin();
        one
    }

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
        let first = begun(&requests[0]);
        assert!(connections.make_room(), "the second was idle");
        assert!(tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert!(handles[1].is_finished() && !handles[0].is_finished());
        let replaced = UnderWay::default();
        connections.add(tasks.spawn(pending::<()>()), replaced.clone());
        let (_third, _fourth) = (begun(&requests[2]), begun(&replaced));
        assert!(!connections.make_room(), "each has a request");
        assert!(!handles[0].is_finished() && !handles[2].is_finished());
        drop(first);
        assert!(connections.make_room(), "one has its answer");
        assert!(tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert!(handles[0].is_finished());
    }
}
