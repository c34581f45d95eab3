//! Requests that are worth keeping a connection for: those of somebody who showed who they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many such requests a connection has.
#[derive(Clone, Debug, Default)]
pub struct UnderWay(Arc<AtomicUsize>);

/// A request, as an extension of it. It counts from [`begin`](Self::begin) on, for as long as a clone of this lives.
#[derive(Clone, Debug)]
pub struct OneRequest(Arc<One>);

#[derive(Debug)]
struct One {
    all: UnderWay,
    counts: AtomicBool,
}

impl UnderWay {
    /// One that does not count yet.
    pub fn request(&self) -> OneRequest {
        OneRequest(Arc::new(One {
            all: self.clone(),
            counts: AtomicBool::new(false),
        }))
    }

    /// Whether none counts.
    pub fn is_none(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl OneRequest {
    /// From here on it counts.
    pub fn begin(&self) {
        if !self.0.counts.swap(true, Ordering::Relaxed) {
            self.0.all.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        if *self.counts.get_mut() {
            self.all.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_once_and_until_nobody_has_it() {
        let all = UnderWay::default();
        let one = all.request();
        assert!(all.is_none());
        one.begin();
        let answer = one.clone();
        answer.begin();
        drop(one);
        assert!(!all.is_none());
        drop(answer);
        assert!(all.is_none());
        drop(all.request());
        assert!(all.is_none());
    }
}
