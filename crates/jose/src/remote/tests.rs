//! Readers and the follower of an issuer, without an issuer and without a clock.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::key::Key;
use crate::testing::{A2_KEY, A3_KEY, ED25519_KEY};

const DAMPING: Duration = Duration::from_secs(30);
const THEN: SystemTime = SystemTime::UNIX_EPOCH;

fn set(jwks: &[&str]) -> KeySet {
    let keys = jwks
        .iter()
        .map(|jwk| Key::from_jwk(jwk.as_bytes()).unwrap());
    KeySet::new(keys.collect()).unwrap()
}

/// The outcome, if it is there at once.
fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

fn is_asked(publisher: &Publisher) -> bool {
    poll(pin!(publisher.asked())).is_some()
}

#[test]
fn what_is_not_known_yet_can_be_waited_for() {
    let (keys, mut publisher) = RemoteKeys::new(DAMPING, Instant::now());
    assert!(keys.keys().is_none());
    assert_eq!(keys.freshness(), Freshness::Never);
    let mut first = pin!(keys.first());
    assert!(poll(first.as_mut()).is_none());
    let attempt = publisher.begin();
    assert!(publisher.obtained(attempt, set(&[A3_KEY]), THEN));
    let view = poll(first).unwrap();
    assert_eq!(view.freshness(), Freshness::Fresh);
    assert_eq!(view.keys.as_ref().unwrap().generation, 1);
}

#[test]
fn a_failed_first_attempt_is_told_at_once() {
    let (keys, publisher) = RemoteKeys::new(DAMPING, Instant::now());
    let mut first = pin!(keys.first());
    assert!(poll(first.as_mut()).is_none());
    publisher.failed(publisher.begin(), "connection refused".into(), THEN);
    assert_eq!(poll(first).unwrap().freshness(), Freshness::Never);
    assert_eq!(
        keys.view().lost.as_ref().unwrap().error,
        "connection refused"
    );
}

#[test]
fn a_lost_issuer_leaves_its_last_set() {
    let (keys, mut publisher) = RemoteKeys::new(DAMPING, Instant::now());
    publisher.obtained(publisher.begin(), set(&[A3_KEY]), THEN);
    let minute = |minutes: u64| THEN + Duration::from_secs(60 * minutes);
    publisher.failed(publisher.begin(), "one".into(), minute(1));
    publisher.failed(publisher.begin(), "two".into(), minute(2));
    assert_eq!(keys.freshness(), Freshness::Stale);
    let lost = Lost {
        error: "two".into(),
        since: minute(1),
    };
    assert_eq!(keys.view().lost, Some(lost));
    assert_eq!(keys.view().fetched_at, Some(THEN));
    assert!(keys.keys().is_some());
    // The same set again is no other one.
    assert!(!publisher.obtained(publisher.begin(), set(&[A3_KEY]), minute(3)));
    assert_eq!(
        (keys.freshness(), keys.keys().unwrap().generation),
        (Freshness::Fresh, 1)
    );
    publisher.failed(publisher.begin(), "three".into(), minute(4));
    publisher.expired();
    assert_eq!(keys.freshness(), Freshness::Never);
}

#[test]
fn an_unknown_key_is_asked_for_once_whoever_asks() {
    let now = Instant::now();
    let (keys, mut publisher) = RemoteKeys::new(DAMPING, now);
    publisher.obtained(publisher.begin(), set(&[A3_KEY]), THEN);
    assert!(!is_asked(&publisher));

    let mut one = pin!(keys.ask_again(1, now));
    let mut other = pin!(keys.ask_again(1, now));
    assert!(poll(one.as_mut()).is_none());
    assert!(poll(other.as_mut()).is_none());
    assert!(is_asked(&publisher));
    assert!(!is_asked(&publisher), "the issuer is asked once");
    let attempt = publisher.begin();
    publisher.obtained(attempt, set(&[A3_KEY, A2_KEY]), THEN);
    assert!(matches!(poll(one), Some(Asked::Newer(set)) if set.generation == 2));
    assert!(matches!(poll(other), Some(Asked::Newer(_))));
}

#[test]
fn a_flood_of_unknown_keys_asks_once_in_an_interval() {
    let now = Instant::now();
    let (keys, mut publisher) = RemoteKeys::new(DAMPING, now);
    publisher.obtained(publisher.begin(), set(&[A3_KEY]), THEN);
    let mut fetches = 0;
    for second in 0..300 {
        let now = now + Duration::from_secs(second);
        for _ in 0..100 {
            let mut asked = pin!(keys.ask_again(1, now));
            if let Some(asked) = poll(asked.as_mut()) {
                assert!(matches!(asked, Asked::Same));
                continue;
            }
            assert!(is_asked(&publisher));
            publisher.obtained(publisher.begin(), set(&[A3_KEY]), THEN);
            fetches += 1;
            assert!(matches!(poll(asked), Some(Asked::Same)));
        }
    }
    assert_eq!(fetches, 10);
}

#[test]
fn a_question_during_an_attempt_is_answered_by_the_next_one() {
    let now = Instant::now();
    let (keys, mut publisher) = RemoteKeys::new(DAMPING, now);
    publisher.obtained(publisher.begin(), set(&[A3_KEY]), THEN);
    // The issuer may have made its answer before the key was there.
    let early = publisher.begin();
    let mut asked = pin!(keys.ask_again(1, now));
    assert!(poll(asked.as_mut()).is_none());
    publisher.obtained(early, set(&[A3_KEY]), THEN);
    assert!(poll(asked.as_mut()).is_none());
    assert!(is_asked(&publisher));
    publisher.obtained(publisher.begin(), set(&[A2_KEY]), THEN);
    assert!(matches!(poll(asked), Some(Asked::Newer(_))));
}

#[test]
fn an_unreachable_issuer_says_nothing_of_a_key() {
    let now = Instant::now();
    let (keys, mut publisher) = RemoteKeys::new(DAMPING, now);
    publisher.obtained(publisher.begin(), set(&[A3_KEY]), THEN);
    let mut asked = pin!(keys.ask_again(1, now));
    assert!(poll(asked.as_mut()).is_none());
    publisher.failed(publisher.begin(), "connection refused".into(), THEN);
    assert!(matches!(poll(asked), Some(Asked::Unreachable)));
    // Within the interval too: it is not known that the key is none.
    assert!(matches!(
        poll(pin!(keys.ask_again(1, now))),
        Some(Asked::Unreachable)
    ));
}

#[test]
fn who_has_an_older_set_gets_the_newer_without_asking() {
    let now = Instant::now();
    let (keys, mut publisher) = RemoteKeys::new(DAMPING, now);
    publisher.obtained(publisher.begin(), set(&[A3_KEY]), THEN);
    publisher.obtained(publisher.begin(), set(&[ED25519_KEY]), THEN);
    assert!(matches!(
        poll(pin!(keys.ask_again(1, now))),
        Some(Asked::Newer(_))
    ));
    assert!(!is_asked(&publisher));
}

#[test]
fn who_waits_for_an_issuer_that_is_given_up_hears_of_it() {
    let now = Instant::now();
    let (keys, mut publisher) = RemoteKeys::new(DAMPING, now);
    publisher.obtained(publisher.begin(), set(&[A3_KEY]), THEN);
    let mut asked = pin!(keys.ask_again(1, now));
    assert!(poll(asked.as_mut()).is_none());
    drop(publisher);
    assert!(matches!(poll(asked), Some(Asked::Unreachable)));
    assert_eq!(keys.freshness(), Freshness::Stale);
}

#[tokio::test]
async fn readers_of_another_thread_are_woken() {
    let (keys, mut publisher) = RemoteKeys::new(DAMPING, Instant::now());
    let reader = std::thread::spawn({
        let keys = keys.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(async {
                let first = keys.first().await.keys.clone().unwrap().generation;
                matches!(keys.ask_again(first, Instant::now()).await, Asked::Newer(_))
            })
        }
    });
    publisher.restored(set(&[A3_KEY]), THEN);
    publisher.asked().await;
    publisher.obtained(publisher.begin(), set(&[A2_KEY]), THEN);
    assert!(reader.join().unwrap());
}
