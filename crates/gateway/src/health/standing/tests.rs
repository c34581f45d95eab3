use std::time::Duration;

use weir_config::model::Probe;

use super::*;

const TOOK: Duration = Duration::from_millis(2);
const SECOND: Duration = Duration::from_secs(1);

fn check() -> ActiveCheck {
    ActiveCheck {
        probe: Probe::Tcp,
        interval: Duration::from_secs(2),
        timeout: SECOND,
        unhealthy_after: 3,
        healthy_after: 2,
        port: None,
    }
}

fn passive() -> PassiveCheck {
    PassiveCheck {
        consecutive_failures: 5,
        statuses: Vec::new(),
        failure_rate_percent: None,
        minimum_requests: 100,
        eject_for: Duration::from_secs(30),
        max_ejected_percent: 50,
    }
}

/// A standing and a clock.
struct Target {
    standing: Standing,
    now: Moment,
}

impl Target {
    fn new() -> Self {
        Self {
            standing: Standing::default(),
            now: Moment::now(),
        }
    }

    fn checked() -> Self {
        let mut target = Self::new();
        let change = target.standing.expect_answers(target.now);
        assert_eq!(change.map(|change| change.to), Some(HealthState::Unknown));
        target
    }

    fn wait(&mut self, by: Duration) {
        self.now = self.now.later(by);
    }

    /// One answer a second; `-` is a wrong one.
    fn answers(&mut self, answers: &str) -> HealthState {
        for answer in answers.chars() {
            self.wait(SECOND);
            let wrong = (answer == '-').then(|| "status 503".to_owned());
            self.standing.answered(&check(), wrong, TOOK, self.now);
        }
        self.standing.state()
    }

    fn eject(&mut self) -> HealthState {
        self.standing
            .eject(&passive(), "5 failures in a row".to_owned(), self.now);
        self.standing.state()
    }

    fn advance(&mut self, by: Duration) -> HealthState {
        self.wait(by);
        self.standing.advance(self.now);
        self.standing.state()
    }
}

#[test]
fn a_target_takes_traffic_until_something_speaks_against_it() {
    let target = Target::new();
    assert_eq!(target.standing.state(), HealthState::Healthy);
    let mut target = Target::checked();
    assert!(target.standing.state().takes_traffic(), "not asked yet");
    assert_eq!(target.answers("+"), HealthState::Healthy);
    assert_eq!(
        target.standing.healthy_since, None,
        "it took traffic all the time: no slow start"
    );
}

#[test]
fn a_report_names_the_state_since_when_and_why() {
    let mut target = Target::checked();
    target.answers("+---");
    let turned = target.now.wall;
    assert_eq!(target.answers("-+"), HealthState::Unhealthy);
    let report = target.standing.report();
    assert_eq!(report.since, turned);
    assert_eq!(report.reason.as_deref(), Some("status 503"));
    let checks = report.checks.expect("checks");
    assert_eq!((checks.passed, checks.failed), (2, 4));
    let last = checks.last.expect("an answer");
    assert_eq!(
        (last.at, last.wrong, last.took),
        (target.now.wall, None, TOOK)
    );
    target.answers("+");
    let report = target.standing.report();
    assert_eq!((report.state, report.reason), (HealthState::Healthy, None));
    assert_eq!(target.standing.healthy_since, Some(target.now.instant));
}

#[test]
fn right_answers_do_not_shorten_an_ejection() {
    let mut target = Target::checked();
    target.answers("+");
    assert_eq!(target.eject(), HealthState::Ejected);
    assert_eq!(target.answers("++++"), HealthState::Ejected);
    assert_eq!(target.advance(25 * SECOND), HealthState::Ejected);
    assert_eq!(target.advance(SECOND), HealthState::Healthy);
    assert_eq!(target.standing.healthy_since, Some(target.now.instant));
}

#[test]
fn a_target_that_answers_wrongly_stays_out_when_its_ejection_ends() {
    let mut target = Target::checked();
    target.answers("+");
    target.eject();
    assert_eq!(target.answers("---"), HealthState::Unhealthy);
    assert!(
        target.standing.report().until.is_some(),
        "and is ejected, too"
    );
    assert_eq!(target.advance(60 * SECOND), HealthState::Unhealthy);
    let report = target.standing.report();
    assert_eq!((report.until, report.ejections), (None, 1));
    assert_eq!(target.answers("++"), HealthState::Healthy);
    assert_eq!(target.standing.healthy_since, Some(target.now.instant));
}

#[test]
fn a_check_that_is_done_away_with_takes_its_verdict_along() {
    let mut target = Target::checked();
    assert_eq!(target.answers("-"), HealthState::Unhealthy);
    let change = target.standing.expect_no_answers(target.now);
    assert!(change.is_some_and(Change::concerns_traffic));
    assert_eq!(target.standing.state(), HealthState::Healthy);
    assert_eq!(target.standing.expect_no_answers(target.now), None);
}

#[test]
fn another_check_keeps_the_verdict_until_it_has_its_own() {
    let mut target = Target::checked();
    target.answers("+---");
    assert_eq!(target.standing.expect_answers(target.now), None);
    assert_eq!(target.standing.state(), HealthState::Unhealthy);
    assert_eq!(target.answers("+"), HealthState::Healthy);
}

#[test]
fn nobody_stays_ejected_when_requests_do_not_count_any_more() {
    let mut target = Target::new();
    target.eject();
    let change = target.standing.pardon(target.now);
    assert!(change.is_some_and(Change::concerns_traffic));
    assert_eq!(target.standing.report().ejections, 1, "it did happen");
    assert_eq!(target.standing.pardon(target.now), None);
}
