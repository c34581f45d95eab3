//! The room that whole bodies take in a worker's memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use crate::overload::Source;
use crate::worker::Worker;

/// Bytes of bodies that a worker holds, all requests together.
const MOST_HELD: usize = 256 << 20;
/// Those of them that are of strangers: others have their room however many of these come.
const MOST_OF_STRANGERS: usize = MOST_HELD / 2;
/// Those that are of strangers of one address, unless one body may be longer.
const MOST_OF_ONE: usize = MOST_OF_STRANGERS / 16;

/// A share of the bytes that a worker may hold; given back when dropped.
pub(crate) struct Room {
    worker: Rc<Worker>,
    bytes: usize,
    stranger: Option<Stranger>,
}

/// Somebody of whom it is not known yet whether they may send a body, and what of theirs is held.
struct Stranger {
    worker: Rc<Worker>,
    source: Source,
    /// Longest body that they may send.
    most: usize,
    bytes: usize,
}

/// What a worker holds of strangers.
#[derive(Default)]
pub(crate) struct Strangers {
    all: usize,
    by_source: HashMap<Source, usize>,
}

impl Room {
    pub(crate) fn new(worker: &Rc<Worker>) -> Self {
        Self {
            worker: Rc::clone(worker),
            bytes: 0,
            stranger: None,
        }
    }

    /// For a body of `most` bytes that has to be read before it is known whether this client may send it.
    pub(super) fn of_stranger(worker: &Rc<Worker>, client: IpAddr, most: usize) -> Self {
        Self {
            stranger: Some(Stranger {
                worker: Rc::clone(worker),
                source: Source::from(client),
                most,
                bytes: 0,
            }),
            worker: Rc::clone(worker),
            bytes: 0,
        }
    }

    /// Whether there is room for more.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        let held = self.worker.held.get() + bytes;
        if held > MOST_HELD {
            return false;
        }
        if let Some(stranger) = &mut self.stranger
            && !stranger.add(bytes)
        {
            return false;
        }
        self.worker.held.set(held);
        self.bytes += bytes;
        true
    }

    /// For what was made of a body, in its place: that is there already.
    pub(crate) fn resize(&mut self, bytes: usize) {
        let others = self.worker.held.get() - self.bytes;
        self.worker.held.set(others + bytes);
        self.bytes = bytes;
    }

    /// It is not a stranger's any more.
    pub(crate) fn vouch(&mut self) {
        self.stranger = None;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.worker.held.set(self.worker.held.get() - self.bytes);
    }
}

impl Stranger {
    fn add(&mut self, bytes: usize) -> bool {
        let mut strangers = self.worker.strangers.borrow_mut();
        let has_room = strangers.add(self.source, bytes, self.most);
        if has_room {
            self.bytes += bytes;
        }
        has_room
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut strangers = self.worker.strangers.borrow_mut();
        strangers.remove(self.source, self.bytes);
    }
}

impl Strangers {
    /// Whether there is room for more of an address, whose longest body may have `most` bytes.
    fn add(&mut self, source: Source, bytes: usize, most: usize) -> bool {
        let of_one = self.by_source.get(&source).copied().unwrap_or_default() + bytes;
        let is_too_much = self.all + bytes > MOST_OF_STRANGERS || of_one > MOST_OF_ONE.max(most);
        if is_too_much {
            return false;
        }
        self.all += bytes;
        self.by_source.insert(source, of_one);
        true
    }

    fn remove(&mut self, source: Source, bytes: usize) {
        let Some(of_one) = self.by_source.get_mut(&source) else {
            return;
        };
        self.all -= bytes;
        *of_one -= bytes;
        if *of_one == 0 {
            self.by_source.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn source(last: u8) -> Source {
        Source::from(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn strangers_of_one_address_do_not_take_the_room_of_others() {
        let mut strangers = Strangers::default();
        let fits = |strangers: &mut Strangers, last| strangers.add(source(last), MIB, MIB);
        let of_one = (0..1000).filter(|_| fits(&mut strangers, 1)).count();
        assert_eq!(of_one, MOST_OF_ONE / MIB);
        assert!(fits(&mut strangers, 2));
        strangers.remove(source(1), MIB);
        assert!(fits(&mut strangers, 1));
        assert!(!fits(&mut strangers, 1));
    }

    #[test]
    fn strangers_leave_room_for_everybody_else_and_nothing_behind() {
        let mut strangers = Strangers::default();
        let mut held = 0;
        for last in 1..=250 {
            while strangers.add(source(last), MIB, MIB) {
                held += MIB;
            }
        }
        assert_eq!(held, MOST_OF_STRANGERS);
        assert!(held < MOST_HELD);
        let all: Vec<_> = strangers.by_source.clone().into_iter().collect();
        for (source, bytes) in all {
            strangers.remove(source, bytes);
        }
        assert!(strangers.all == 0 && strangers.by_source.is_empty());
    }

    #[test]
    fn one_body_of_the_longest_fits() {
        let mut strangers = Strangers::default();
        assert!(strangers.add(source(1), 64 * MIB, 64 * MIB));
        assert!(!strangers.add(source(1), 1, 64 * MIB));
        assert!(strangers.add(source(2), 1, MIB));
    }
}
