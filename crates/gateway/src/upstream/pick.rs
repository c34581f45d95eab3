//! The algorithms by which a member is picked.

use std::cell::Cell;

use super::latency::UNKNOWN;
use super::local::{View, Wish};
use super::plan::maglev::{self, Maglev};

/// Draws for a second candidate that is not the first; with so many, only heavily weighted members
/// are ever alone.
const DRAWS: usize = 4;

/// How far a worker has come in a schedule.
#[derive(Debug)]
pub(super) struct Turns(Cell<usize>);

impl Default for Turns {
    fn default() -> Self {
        // Workers start at different places, or each would send its first request to the same target.
        Self(Cell::new(fastrand::usize(..1 << 16)))
    }
}

impl Turns {
    /// The next place in a schedule of this length.
    fn next(&self, length: usize) -> usize {
        let at = self.0.get() % length;
        self.0.set(at + 1);
        at
    }
}

pub(super) fn round_robin(view: &View, turns: &Turns, schedule: &[u16], wish: &Wish) -> u16 {
    let first = schedule[turns.next(schedule.len())];
    if !view.was_tried(first, wish) {
        return first;
    }
    let others = (1..schedule.len()).map(|_| schedule[turns.next(schedule.len())]);
    untried(view, others, wish).unwrap_or(first)
}

/// Power of two choices: the less busy of two random candidates. The schedule weighs the candidates,
/// so that a heavier member comes up more often.
///
/// A request in flight weighs as much as its target is slower than the other one, if that is more
/// than chance: else a slow target would look idle as long as it has fewer requests than a fast one,
/// and get one in twenty of all when it is ten times slower.
pub(super) fn least_request(view: &View, schedule: &[u16], wish: &Wish) -> u16 {
    let [first, second] = candidates(view, schedule, wish);
    let load = |at: u16| view.pools[usize::from(at)].in_flight();
    let latency = |at: u16| view.pools[usize::from(at)].mean_latency();
    let (one, other) = (latency(first), latency(second));
    let cost = |at: u16, slower: f64| f64::from(load(at) + 1) * slower;
    if cost(second, slower(other, one)) < cost(first, slower(one, other)) {
        second
    } else {
        first
    }
}

/// How many times slower one is than the other; 1 if they are alike or one of them is not known.
fn slower(one: f64, other: f64) -> f64 {
    if other > 0.0 && one > other * ALIKE {
        one / other
    } else {
        1.0
    }
}

/// Latencies that differ by less than this factor are taken for alike.
const ALIKE: f64 = 3.0;
/// Power of two choices by expected wait: latency times the requests in line, this one included.
pub(super) fn peak_ewma(view: &View, schedule: &[u16], wish: &Wish) -> u16 {
    let [first, second] = candidates(view, schedule, wish);
    let cost = |at: u16| {
        let pool = &view.pools[usize::from(at)];
        let waiting = f64::from(pool.in_flight());
        match pool.peak_latency() {
            // The first request goes there at once, further ones when others are no better: else all
            // of them would until it answers the first one.
            0.0 => waiting * UNKNOWN,
            latency => latency * (waiting + 1.0),
        }
    };
    if cost(second) < cost(first) {
        second
    } else {
        first
    }
}

/// The member that the key belongs to; when that one failed, the one that a key derived from it
/// belongs to, so that repeats of one key go to one place, too.
pub(super) fn by_hash(view: &View, table: &Maglev, wish: &Wish) -> u16 {
    let mut hash = wish.hash.unwrap_or_else(|| fastrand::u64(..));
    let first = table.get(hash);
    if !view.was_tried(first, wish) {
        return first;
    }
    let derived = (0..view.plan.members.len() * 4).map(|_| {
        hash = maglev::hash(&hash.to_le_bytes(), 0);
        table.get(hash)
    });
    untried(view, derived, wish).unwrap_or(first)
}

/// Two different members, if there are, that did not fail the request, if there are.
fn candidates(view: &View, schedule: &[u16], wish: &Wish) -> [u16; 2] {
    let draw = || schedule[fastrand::usize(..schedule.len())];
    let first = draw();
    let mut second = draw();
    for _ in 0..DRAWS {
        if second != first {
            break;
        }
        second = draw();
    }
    if wish.tried.is_empty() {
        return [first, second];
    }
    match (view.was_tried(first, wish), view.was_tried(second, wish)) {
        (false, false) => [first, second],
        (false, true) => [first, first],
        (true, false) => [second, second],
        (true, true) => {
            let any = untried(view, schedule.iter().copied(), wish).unwrap_or(first);
            [any, any]
        }
    }
}

fn untried(view: &View, mut among: impl Iterator<Item = u16>, wish: &Wish) -> Option<u16> {
    among.find(|at| !view.was_tried(*at, wish))
}

#[cfg(test)]
mod tests;
