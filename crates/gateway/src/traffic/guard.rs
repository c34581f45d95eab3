//! What makes a split halt or roll back by itself.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use weir_config::model::Guard;

use super::counters::Totals;

/// How many looks are kept of a window.
const LOOKS: u32 = 10;
/// Over which time reports speak where no guard says.
pub(super) const DEFAULT_WINDOW: Duration = Duration::from_secs(30);

/// What a split's sides did of late.
#[derive(Debug)]
pub(super) struct Watch {
    /// Oldest first. The first is the last one that is as old as the window, or where it began.
    looks: VecDeque<(Instant, Vec<Totals>)>,
}

impl Watch {
    /// Begins anew: what was before says nothing about what follows.
    pub(super) fn begin(now: Instant, totals: Vec<Totals>) -> Self {
        Self {
            looks: VecDeque::from([(now, totals)]),
        }
    }

    /// Whether it is time to look again.
    pub(super) fn is_due(&self, window: Duration, now: Instant) -> bool {
        let last = self.looks.back();
        last.is_none_or(|(at, _)| now.saturating_duration_since(*at) >= window / LOOKS)
    }

    pub(super) fn look(&mut self, window: Duration, now: Instant, totals: Vec<Totals>) {
        self.looks.push_back((now, totals));
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= window;
        while self.looks.get(1).is_some_and(|(at, _)| is_old(at)) {
            self.looks.pop_front();
        }
    }

    /// What a side did since the window's begin.
    pub(super) fn recent(&self, backend: usize, now: &[Totals]) -> Option<Totals> {
        let (_, begin) = self.looks.front()?;
        Some(now.get(backend)?.since(begin.get(backend)?))
    }
}

/// What a guard does not put up with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Breach {
    ErrorRate { percent: f64, allowed: f64 },
    Latency { p99: Duration, allowed: Duration },
}

/// Whether the requests of a window are too many errors, or too slow; too few say nothing.
pub(super) fn judge(guard: &Guard, recent: &Totals) -> Option<Breach> {
    let requests = recent.requests();
    if requests == 0 || requests < u64::from(guard.minimum_requests) {
        return None;
    }
    if let Some(allowed) = guard.error_rate
        && recent.failed as f64 > requests as f64 * allowed.percent() / 100.0
    {
        return Some(Breach::ErrorRate {
            percent: percent_failed(recent),
            allowed: allowed.percent(),
        });
    }
    let (p99, allowed) = (recent.p99()?, guard.latency?);
    (p99 > allowed).then_some(Breach::Latency { p99, allowed })
}

/// Share of failed requests in percent, to a hundredth.
pub(super) fn percent_failed(totals: &Totals) -> f64 {
    let part = totals.failed as f64 / totals.requests().max(1) as f64;
    (part * 10_000.0).round() / 100.0
}

impl fmt::Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorRate { percent, allowed } => {
                write!(formatter, "{percent}% of requests failed, {allowed}% may")
            }
            Self::Latency { p99, allowed } => {
                let millis = p99.as_millis();
                write!(
                    formatter,
                    "99th percentile of the latency is {millis}ms, {}ms is allowed",
                    allowed.as_millis()
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_config::model::{GuardAction, Share};

    use super::super::counters::BackendCounters;
    use super::*;

    const GUARD: Guard = Guard {
        error_rate: Share::of_millionths(50_000),
        latency: Some(Duration::from_millis(500)),
        window: Duration::from_secs(30),
        minimum_requests: 50,
        then: GuardAction::Rollback,
    };

    fn totals(good: usize, bad: usize, took: Duration) -> Totals {
        let counters = [BackendCounters::default()];
        (0..good).for_each(|_| counters[0].count(200, took));
        (0..bad).for_each(|_| counters[0].count(502, took));
        Totals::of(&counters)
    }

    const FAST: Duration = Duration::from_millis(3);
    const SLOW: Duration = Duration::from_millis(700);

    #[test]
    fn errors_and_slowness_count_once_there_are_enough_requests() {
        assert_eq!(judge(&GUARD, &totals(0, 49, SLOW)), None, "too few to tell");
        assert_eq!(judge(&GUARD, &totals(95, 5, FAST)), None, "5% may fail");
        let breach = judge(&GUARD, &totals(94, 6, FAST)).unwrap();
        assert_eq!(breach.to_string(), "6% of requests failed, 5% may");
        let breach = judge(&GUARD, &totals(60, 0, SLOW)).unwrap();
        assert!(matches!(breach, Breach::Latency { p99, .. } if p99 > Duration::from_millis(650)));
        let lenient = Guard {
            latency: None,
            ..GUARD
        };
        assert_eq!(judge(&lenient, &totals(60, 0, SLOW)), None);
        assert_eq!(
            judge(
                &Guard {
                    minimum_requests: 0,
                    ..GUARD
                },
                &totals(0, 0, FAST)
            ),
            None
        );
    }

    #[test]
    fn a_share_of_a_percent_and_minutes_can_be_too_much() {
        let strict = Guard {
            error_rate: Share::of_millionths(5_000),
            latency: Some(Duration::from_secs(90)),
            ..GUARD
        };
        assert_eq!(judge(&strict, &totals(995, 5, FAST)), None);
        let breach = judge(&strict, &totals(994, 6, FAST)).unwrap();
        assert_eq!(breach.to_string(), "0.6% of requests failed, 0.5% may");
        let minute = Duration::from_secs(60);
        assert_eq!(judge(&strict, &totals(60, 0, minute)), None);
        let breach = judge(&strict, &totals(60, 0, 2 * minute)).unwrap();
        assert!(matches!(breach, Breach::Latency { .. }));
    }

    #[test]
    fn a_window_forgets_what_is_older() {
        let begin = Instant::now();
        let window = Duration::from_secs(10);
        let mut watch = Watch::begin(begin, vec![totals(0, 0, FAST)]);
        // A burst of errors in the first second, and only good answers after it.
        for second in 1..=30 {
            let now = begin + Duration::from_secs(second);
            let so_far = vec![totals(second as usize, 20, FAST)];
            assert!(watch.is_due(window, now));
            watch.look(window, now, so_far.clone());
            assert!(!watch.is_due(window, now + Duration::from_millis(900)));
            let recent = watch.recent(0, &so_far).unwrap();
            let expected = if second <= 10 { 20 } else { 0 };
            assert_eq!(recent.failed, expected, "second {second}");
        }
        assert!(watch.looks.len() <= 12, "{}", watch.looks.len());
    }
}
