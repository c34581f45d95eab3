use super::*;

const GOOD: Outcome = Outcome {
    is_failure: false,
    is_slow: false,
};
const BAD: Outcome = Outcome {
    is_failure: true,
    is_slow: false,
};

pub(super) fn settings() -> model::Breaker {
    model::Breaker {
        error_rate_percent: 50,
        slow_call: Some(Duration::from_secs(1)),
        slow_rate_percent: 80,
        window: Duration::from_secs(10),
        minimum_requests: 20,
        open_for: Duration::from_secs(5),
        probes: 3,
    }
}

/// A breaker with one worker, and a clock that only moves when told.
struct Bench {
    breaker: Arc<Breaker>,
    counters: [UpstreamCounters; 2],
    now: Instant,
    settings: Option<model::Breaker>,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            breaker: Breaker::new(now),
            counters: Default::default(),
            now,
            settings: Some(settings()),
        }
    }

    fn tick(&mut self, after: Duration) -> Phase {
        self.now += after;
        let settings = self.settings.as_ref();
        self.breaker
            .advance("up", settings, &self.counters, self.now);
        self.breaker.report("up").phase
    }

    fn fail(&self, attempts: u64) {
        self.counters[1].attempts.add(attempts);
        self.counters[1].failed.add(attempts);
    }

    fn admit(&self) -> Result<Option<Permit>, u32> {
        self.breaker.admit(&settings())
    }

    fn probe(&self) -> Permit {
        self.admit().expect("let through").expect("as a probe")
    }

    fn settle(&self, permit: Permit, outcome: Outcome) {
        permit.settle(outcome, &settings(), self.now);
    }

    fn opened() -> Self {
        let mut bench = Self::new();
        bench.fail(20);
        assert_eq!(bench.tick(Duration::from_millis(100)), Phase::Open);
        bench
    }

    fn half_opened() -> Self {
        let mut bench = Self::opened();
        assert_eq!(bench.tick(Duration::from_secs(5)), Phase::HalfOpen);
        bench
    }
}

#[test]
fn it_opens_by_the_counters_of_all_workers_and_says_why() {
    let mut bench = Bench::new();
    bench.counters[0].attempts.add(10);
    bench.fail(9);
    assert_eq!(bench.tick(Duration::from_millis(100)), Phase::Closed);
    assert!(matches!(bench.admit(), Ok(None)));
    bench.fail(2);
    assert_eq!(bench.tick(Duration::from_millis(100)), Phase::Open);
    let report = bench.breaker.report("up");
    assert_eq!(report.reason.as_deref(), Some("11 of 21 attempts failed"));
    assert_eq!(report.opened, 1);
    assert!(matches!(bench.admit(), Err(1..=6)));
    assert!(bench.breaker.refusal().is_some());
}

#[test]
fn it_half_opens_when_its_time_has_come_and_closes_by_successes() {
    let mut bench = Bench::opened();
    assert_eq!(bench.tick(Duration::from_millis(4_900)), Phase::Open);
    assert_eq!(bench.tick(Duration::from_millis(100)), Phase::HalfOpen);
    let probes = [bench.probe(), bench.probe(), bench.probe()];
    assert!(bench.admit().is_err(), "no more than three");
    for probe in probes {
        assert_eq!(bench.tick(Duration::from_millis(100)), Phase::HalfOpen);
        bench.settle(probe, GOOD);
    }
    assert!(matches!(bench.admit(), Ok(None)), "at once");
    // What failed before it opened is not held against it.
    assert_eq!(bench.tick(Duration::from_millis(100)), Phase::Closed);
    assert_eq!(bench.tick(Duration::from_millis(100)), Phase::Closed);
}

#[test]
fn fewer_probes_than_have_succeeded_close_it() {
    let mut bench = Bench::new();
    bench.fail(100);
    assert_eq!(bench.tick(Duration::from_millis(100)), Phase::Open);
    assert_eq!(bench.tick(Duration::from_secs(5)), Phase::HalfOpen);
    for _ in 0..2 {
        bench.probe().settle(GOOD, &settings(), bench.now);
    }
    assert_eq!(bench.tick(Duration::from_millis(100)), Phase::HalfOpen);
    bench.settings = Some(model::Breaker {
        probes: 1,
        ..settings()
    });
    assert_eq!(bench.tick(Duration::from_millis(100)), Phase::Closed);
}

#[test]
fn one_failed_probe_opens_it_again_for_the_whole_time() {
    let slow = Outcome {
        is_failure: false,
        is_slow: true,
    };
    for (bad, reason) in [(BAD, "a probe failed"), (slow, "a probe was slow")] {
        let mut bench = Bench::half_opened();
        let (good, late) = (bench.probe(), bench.probe());
        bench.settle(good, GOOD);
        let probe = bench.probe();
        bench.settle(probe, bad);
        assert!(bench.admit().is_err(), "at once");
        assert_eq!(bench.tick(Duration::from_millis(100)), Phase::Open);
        let report = bench.breaker.report("up");
        assert_eq!(report.reason.as_deref(), Some(reason));
        assert_eq!(report.opened, 2);
        assert_eq!(bench.tick(Duration::from_millis(4_800)), Phase::Open);
        assert_eq!(bench.tick(Duration::from_millis(100)), Phase::HalfOpen);
        // A probe of the former time has no say.
        bench.settle(late, BAD);
        assert_eq!(bench.tick(Duration::from_millis(100)), Phase::HalfOpen);
        let probes = [bench.probe(), bench.probe(), bench.probe()];
        assert!(bench.admit().is_err());
        drop(probes);
    }
}

#[test]
fn a_probe_that_is_abandoned_comes_back() {
    let bench = Bench::half_opened();
    for _ in 0..1_000 {
        let probes = [bench.probe(), bench.probe(), bench.probe()];
        assert!(bench.admit().is_err());
        drop(probes);
    }
    drop(bench.probe());
}

#[test]
fn probes_are_exact_however_many_workers_ask() {
    let bench = Bench::half_opened();
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let asked = (0..10_000).map(|_| bench.admit());
                    asked.filter_map(Result::ok).collect::<Vec<_>>()
                })
            })
            .collect();
        // All are kept until all have asked.
        let kept: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().expect("an end"))
            .collect();
        kept.iter().map(Vec::len).sum()
    });
    assert_eq!(passed, 3);
}

#[test]
fn new_settings_keep_it_open_and_none_close_it() {
    let mut bench = Bench::opened();
    bench.settings = Some(model::Breaker {
        error_rate_percent: 90,
        ..settings()
    });
    assert_eq!(bench.tick(Duration::from_millis(100)), Phase::Open);
    bench.settings = None;
    assert_eq!(bench.tick(Duration::from_millis(100)), Phase::Closed);
    assert!(bench.breaker.report("up").reason.is_none());
}
