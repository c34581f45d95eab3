//! How many connections one worker has to one target, and who waits for one.
//!
//! Each request under way over HTTP/1 has a connection of its own. Without a bound a burst makes as
//! many at once as clients send requests: the target's backlog and this machine's ports end before
//! that, and looking for a free port takes longer and longer on the way there.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// The places for connections to one target.
#[derive(Debug, Default)]
pub(super) struct Slots {
    taken: Cell<u32>,
    waiting: Cell<u32>,
    /// A place or an idle connection became free; whoever waits longest hears of it.
    freed: Notify,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Rc<Slots>);

/// Counts a request as waiting until it is dropped.
struct Waiting<'a>(&'a Slots);

impl Slots {
    /// Whether somebody waits: then nobody may go ahead of them.
    pub(super) fn has_queue(&self) -> bool {
        self.waiting.get() > 0
    }

    /// Whether more than half of the places are taken.
    pub(super) fn is_crowded(&self, most: u32) -> bool {
        self.taken.get() > most / 2
    }

    pub(super) fn take(self: &Rc<Self>, most: u32) -> Option<Slot> {
        self.has_room(most).then(|| self.take_beyond())
    }

    /// A place whether there is one or not.
    pub(super) fn take_beyond(self: &Rc<Self>) -> Slot {
        self.taken.set(self.taken.get() + 1);
        Slot(Rc::clone(self))
    }

    /// Something became free; costs a comparison while nobody waits.
    pub(super) fn free(&self) {
        if self.has_queue() {
            self.freed.notify_one();
        }
    }

    /// Waits in line until `found` finds something. First come, first served: who comes later lines up,
    /// and whoever leaves the line passes on what it was just told.
    ///
    /// What became free several times may be told of once, so that whoever found something looks whether
    /// `is_more` for the next one.
    pub(super) async fn wait<T>(
        &self,
        mut found: impl FnMut() -> Option<T>,
        is_more: impl Fn() -> bool,
    ) -> T {
        self.waiting.set(self.waiting.get() + 1);
        let waiting = Waiting(self);
        loop {
            self.freed.notified().await;
            if let Some(found) = found() {
                drop(waiting);
                if is_more() {
                    self.free();
                }
                return found;
            }
        }
    }

    pub(super) fn has_room(&self, most: u32) -> bool {
        self.taken.get() < most
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.0.free();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let slots = Rc::new(Slots::default());
        let first = slots.take(2).expect("a place");
        let _second = slots.take(2).expect("a place");
        assert!(slots.take(2).is_none());
        drop(first);
        assert!(slots.take(2).is_some());
    }

    #[test]
    fn what_becomes_free_at_once_is_for_as_many_as_wait() {
        let slots = Rc::new(Slots::default());
        let taken = [slots.take(2), slots.take(2)];
        let context = &mut Context::from_waker(Waker::noop());
        let mut waiting: Vec<_> = (0..2)
            .map(|_| Box::pin(slots.wait(|| slots.take(2), || slots.has_room(2))))
            .collect();
        for waiting in &mut waiting {
            assert!(waiting.as_mut().poll(context).is_pending());
        }
        // Before anybody who waits runs.
        drop(taken);
        let mut got = Vec::new();
        for waiting in &mut waiting {
            match waiting.as_mut().poll(context) {
                Poll::Ready(slot) => got.push(slot),
                Poll::Pending => panic!("a place is free, and nobody was told"),
            }
        }
        assert_eq!(got.len(), 2);
    }

    #[test]
    fn who_waits_longest_is_served_first_and_who_leaves_holds_up_nobody() {
        let slots = Rc::new(Slots::default());
        let only = slots.take(1).expect("a place");
        let context = &mut Context::from_waker(Waker::noop());
        let mut second = pin!(slots.wait(|| slots.take(1), || slots.has_room(1)));
        let mut third = pin!(slots.wait(|| slots.take(1), || slots.has_room(1)));
        {
            let mut first = Box::pin(slots.wait(|| slots.take(1), || slots.has_room(1)));
            assert!(first.as_mut().poll(context).is_pending());
            assert!(second.as_mut().poll(context).is_pending());
            assert!(third.as_mut().poll(context).is_pending());
            drop(only);
            // It was told, and leaves before it looks.
        }
        assert!(slots.has_queue());
        assert!(third.as_mut().poll(context).is_pending(), "not its turn");
        let Poll::Ready(place) = second.as_mut().poll(context) else {
            panic!("the place was lost");
        };
        assert!(third.as_mut().poll(context).is_pending());
        drop(place);
        assert!(third.as_mut().poll(context).is_ready());
        assert!(!slots.has_queue());
    }
}
