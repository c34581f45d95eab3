//! Which requests a worker refuses because it cannot keep up.

use std::cell::Cell;
use std::time::Duration;

use weir_config::model::Priority;

/// For how long the delay must stay above its bound before anything follows from it.
const INTERVAL: Duration = Duration::from_millis(200);
/// How often it must have been looked at in that time: a single long stop of the process is no overload.
/// Where requests are refused already, one look is enough.
const LOOKS: u32 = 3;
/// What the pressure rises by in a second when the delay is twice its bound or more, and falls by when
/// there is none.
const PER_SECOND: f32 = 0.5;
/// The most that it changes by at once, however long that took.
const MOST_CHANGE: f32 = 0.5;
/// Refusals for each request that is served, beyond which they are held back. A refusal costs about two
/// thirds of what an answer does.
const REFUSALS: f32 = 0.05;
/// Refusals a second that are made in any case.
const LEAST_REFUSALS: f32 = 100.0;
/// Longest time that a refusal is held back: as long as a refused client is asked to stay away at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// How late the event loop is decides, in the manner of CoDel (RFC 8289): peaks do not count, only the
/// least delay of an interval does. While it stays above the bound, the *pressure* rises, and it falls
/// when the delay is below. Between 0 and 1 it is the share of low requests that is refused; between 1
/// and 2 all of those, and a share of the normal ones; between 2 and 3 also a share of the high ones.
/// Critical requests are never refused.
///
/// As the pressure moves in small steps, some delay remains, and with it work for every moment: what is
/// answered stays near what the worker can do.
#[derive(Debug, Default)]
pub(crate) struct Shedder {
    pressure: Cell<f32>,
    interval: Cell<Interval>,
    /// Whether requests of each class, low, normal and high, came in this interval.
    seen: [Cell<bool>; 3],
    /// Requests that were let through in this interval.
    served: Cell<u32>,
    /// Microseconds from one refusal to the next.
    refusal_every: Cell<u64>,
    /// When the next refusal is due, in microseconds of the worker's time.
    next_refusal: Cell<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Interval {
    length: Duration,
    looks: u32,
    least: Duration,
}

impl Shedder {
    /// Takes up how late the event loop is now, `since` the last look. Without a bound nothing is
    /// refused.
    pub(crate) fn look(&self, since: Duration, delay: Duration, bound: Option<Duration>) {
        let Some(bound) = bound else {
            self.pressure.set(0.0);
            self.interval.take();
            return;
        };
        let mut interval = self.interval.get();
        interval.least = match interval.looks {
            0 => delay,
            _ => interval.least.min(delay),
        };
        interval.length += since;
        interval.looks += 1;
        self.interval.set(interval);
        let looks = if self.is_calm() { LOOKS } else { 1 };
        if interval.length >= INTERVAL && interval.looks >= looks {
            self.interval.take();
            self.adjust(interval, bound);
        }
    }

    fn adjust(&self, interval: Interval, bound: Duration) {
        let seconds = interval.length.as_secs_f32();
        let refusals = self.served.take() as f32 / seconds * REFUSALS;
        let every = 1e6 / refusals.max(LEAST_REFUSALS);
        self.refusal_every.set(every as u64);
        let before = self.pressure.get();
        let excess = interval.least.as_secs_f32() / bound.as_secs_f32().max(f32::EPSILON) - 1.0;
        let change = excess.clamp(-1.0, 1.0) * PER_SECOND * interval.length.as_secs_f32();
        let change = change.clamp(-MOST_CHANGE, MOST_CHANGE);
        let mut after = (before + change).clamp(0.0, 3.0);
        if change > 0.0 {
            after = self.skip_absent(after);
        }
        self.pressure.set(after);
        for seen in &self.seen {
            seen.set(false);
        }
    }

    /// Refusing what does not come helps nobody: goes on to the first class that is there.
    fn skip_absent(&self, pressure: f32) -> f32 {
        let class = pressure as usize;
        match self.seen.iter().position(Cell::get) {
            Some(first) if first > class => first as f32,
            _ => pressure,
        }
    }

    /// Whether requests may be refused now.
    pub(crate) fn is_calm(&self) -> bool {
        self.pressure.get() == 0.0
    }

    /// How far it has come, from 0 to 3.
    pub(crate) fn pressure(&self) -> f32 {
        self.pressure.get()
    }

    /// Whether to refuse a request. `draw` is a random number from 0 up to 1.
    pub(crate) fn refuses(&self, priority: Priority, draw: f32) -> bool {
        let class = match priority {
            Priority::Low => 0,
            Priority::Normal => 1,
            Priority::High => 2,
            Priority::Critical => return false,
        };
        self.seen[class].set(true);
        draw < self.pressure.get() - class as f32
    }

    /// Counts a request that is let through.
    pub(crate) fn serves(&self) {
        self.served.set(self.served.get().saturating_add(1));
    }

    /// How long to hold the next refusal back.
    ///
    /// Clients that ask again at once after each refusal would otherwise turn all of the worker's time into
    /// refusals.
    pub(crate) fn pause(&self, now_milliseconds: u64) -> Duration {
        let now = now_milliseconds.saturating_mul(1_000);
        let due = self.next_refusal.get().max(now);
        let pause = Duration::from_micros(due - now).min(LONGEST_PAUSE);
        // Does not run ahead further than anybody waits.
        let latest = now.saturating_add(LONGEST_PAUSE.as_micros() as u64);
        self.next_refusal
            .set((due + self.refusal_every.get()).min(latest));
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Option<Duration> = Some(Duration::from_millis(250));

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    /// Looks for so long at an event loop that is this late.
    fn late(shedder: &Shedder, delay: u64, seconds: u64) {
        let since = 20 + delay;
        for _ in 0..seconds * 1_000 / since {
            shedder.refuses(Priority::Low, 1.0);
            shedder.refuses(Priority::Normal, 1.0);
            shedder.look(milliseconds(since), milliseconds(delay), BOUND);
        }
    }

    #[test]
    fn peaks_are_no_overload() {
        let shedder = Shedder::default();
        for look in 0..1_000 {
            // Two looks in three are terribly late.
            let delay = if look % 3 == 0 { 249 } else { 5_000 };
            shedder.look(milliseconds(20 + delay), milliseconds(delay), BOUND);
            assert!(shedder.is_calm());
        }
        // Neither is a process that was stopped for a minute.
        shedder.look(milliseconds(60_000), milliseconds(60_000), BOUND);
        late(&shedder, 1, 10);
        assert!(shedder.is_calm());
    }

    #[test]
    fn classes_are_refused_one_after_the_other_and_come_back_in_turn() {
        let shedder = Shedder::default();
        let refused = |priority| shedder.refuses(priority, 0.999);
        let state = || {
            use Priority::{Critical, High, Low, Normal};
            [Low, Normal, High, Critical].map(refused)
        };
        late(&shedder, 400, 2);
        assert!((0.1..0.9).contains(&shedder.pressure()));
        assert_eq!(state(), [false; 4]);
        assert!(shedder.refuses(Priority::Low, 0.05));
        late(&shedder, 600, 2);
        assert!((1.1..2.0).contains(&shedder.pressure()));
        assert_eq!(state(), [true, false, false, false]);
        assert!(shedder.refuses(Priority::Normal, 0.05));
        late(&shedder, 600, 3);
        assert_eq!(state(), [true, true, false, false]);
        late(&shedder, 600, 30);
        assert_eq!(state(), [true, true, true, false]);
        // It comes back as it went.
        late(&shedder, 0, 3);
        assert_eq!(state(), [true, false, false, false]);
        late(&shedder, 0, 10);
        assert_eq!(state(), [false; 4]);
        assert!(shedder.is_calm());
    }

    #[test]
    fn classes_that_nobody_asks_for_are_passed_over() {
        let shedder = Shedder::default();
        for _ in 0..3 {
            assert!(!shedder.refuses(Priority::Normal, 0.0));
            shedder.look(milliseconds(320), milliseconds(300), BOUND);
        }
        assert!(shedder.pressure() >= 1.0, "{}", shedder.pressure());
        assert!(shedder.pressure() < 1.2, "{}", shedder.pressure());
    }

    #[test]
    fn turning_it_off_ends_it() {
        let shedder = Shedder::default();
        late(&shedder, 600, 10);
        assert!(!shedder.is_calm());
        shedder.look(milliseconds(20), milliseconds(600), None);
        assert!(shedder.is_calm());
    }

    #[test]
    fn refusals_are_paced_only_when_they_are_very_many() {
        let shedder = Shedder::default();
        // It serves 20,000 a second, and so refuses a thousand at once.
        for _ in 0..20_000 {
            shedder.serves();
        }
        let looks = (0..3).map(|_| milliseconds(1_000) / 3);
        looks.for_each(|since| shedder.look(since, Duration::ZERO, BOUND));
        for at in 0..5_000 {
            assert!(shedder.pause(at) < milliseconds(2), "{at}");
        }
        // Fifty thousand at once: they wait longer and longer, three seconds at most.
        let pauses: Vec<Duration> = (0..50_000).map(|_| shedder.pause(5_000)).collect();
        assert!(pauses.is_sorted());
        assert!((milliseconds(495)..milliseconds(505)).contains(&pauses[500]));
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
        // A moment later it is as if nothing had been.
        assert_eq!(shedder.pause(9_000), Duration::ZERO);
        // Who serves next to nothing refuses some all the same.
        let looks = (0..3).map(|_| milliseconds(100));
        looks.for_each(|since| shedder.look(since, Duration::ZERO, BOUND));
        assert_eq!(shedder.pause(20_000), Duration::ZERO);
        assert_eq!(shedder.pause(20_000), milliseconds(10));
    }

    /// A worker whose requests take a millisecond each, asked for three times as many by clients that
    /// wait for 3,000 answers at most: how many it answers of those that it could.
    #[test]
    fn a_worker_that_is_asked_for_three_times_too_much_stays_busy_and_keeps_the_delay_bounded() {
        let shedder = Shedder::default();
        let mut random = fastrand::Rng::with_seed(7);
        let (mut queue, mut answered, mut longest) = (0.0_f64, 0.0, 0.0_f64);
        let mut now = 0.0;
        while now < 120.0 {
            // One turn of the event loop: everything that was ready, and the look behind it.
            let length = (queue / 1_000.0).max(0.02);
            let served = (length * 1_000.0).min(queue);
            queue -= served;
            now += length;
            if now > 60.0 {
                answered += served;
                longest = longest.max(length);
            }
            let delay = if length > 0.02 { length } else { 0.0 };
            shedder.look(
                Duration::from_secs_f64(length),
                Duration::from_secs_f64(delay),
                BOUND,
            );
            for _ in 0..(length * 3_000.0) as usize {
                if queue < 3_000.0 && !shedder.refuses(Priority::Normal, random.f32()) {
                    queue += 1.0;
                }
            }
        }
        let share = answered / 60_000.0;
        assert!(share > 0.95, "{share} of what it could");
        assert!(longest < 1.5, "{longest} s late");
    }
}
