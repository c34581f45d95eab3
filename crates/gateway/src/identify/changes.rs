//! Credentials that do not count as they did: told to the data plane as they change, and looked at before anything
//! is believed that was known before.
//!
//! A worker does not search its memory when something changes; it compares one number with each request, and only if
//! that has grown since a credential was last used, it looks whether the change was about this one. So a change costs the
//! same however much is known.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

/// How long a change is remembered. Whatever was asked about before one that is not remembered any more is asked
/// about anew: nobody can say whether it changed since.
const KEPT: Duration = Duration::from_secs(600);

/// What changed since the process began.
#[derive(Debug, Default)]
pub struct Changes {
    /// Number of the latest one. Written last, so that whoever reads it finds the change.
    latest: AtomicU64,
    /// Whatever was known at this number or before is worthless.
    forgotten: AtomicU64,
    /// The number of the latest change of each subject.
    subjects: ArcSwap<HashMap<Box<str>, u64>>,
    writing: Mutex<VecDeque<Noted>>,
}

/// A change, as long as it is remembered.
#[derive(Debug)]
struct Noted {
    at: Instant,
    number: u64,
    subject: Box<str>,
}

impl Changes {
    /// The number of the latest change. Whoever asks about a credential reads it before.
    pub fn latest(&self) -> u64 {
        self.latest.load(Ordering::Acquire)
    }

    /// Whether something that was asked about when `since` was the latest change is still to be believed.
    pub fn is_good(&self, since: u64, about: &[Box<str>]) -> bool {
        // Before the number is: whoever sees that a change is gone sees the number that stands for it.
        let subjects = self.subjects.load();
        if self.forgotten.load(Ordering::Acquire) > since {
            return false;
        }
        about
            .iter()
            .all(|subject| subjects.get(subject).is_none_or(|number| *number <= since))
    }

    /// These do not count as they did.
    pub fn note(&self, changed: impl IntoIterator<Item = Box<str>>, now: Instant) {
        let mut writing = self.lock();
        let number = self.latest.load(Ordering::Relaxed) + 1;
        let mut subjects = HashMap::clone(&self.subjects.load());
        let before = writing.len();
        for subject in changed {
            subjects.insert(subject.clone(), number);
            writing.push_back(Noted {
                at: now,
                number,
                subject,
            });
        }
        if writing.len() == before {
            return;
        }
        while let Some(oldest) = writing.front()
            && now.duration_since(oldest.at) > KEPT
        {
            // It may have changed again since.
            if subjects.get(&oldest.subject) == Some(&oldest.number) {
                subjects.remove(&oldest.subject);
                self.forgotten.fetch_max(oldest.number, Ordering::AcqRel);
            }
            writing.pop_front();
        }
        self.subjects.store(Arc::new(subjects));
        self.latest.store(number, Ordering::Release);
    }

    /// Nothing that was known counts: what changed is not known.
    pub fn forget_all(&self) {
        let _writing = self.lock();
        let number = self.latest.load(Ordering::Relaxed) + 1;
        self.forgotten.store(number, Ordering::Release);
        self.latest.store(number, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Noted>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(texts: &[&str]) -> Vec<Box<str>> {
        texts.iter().map(|text| Box::from(*text)).collect()
    }

    #[test]
    fn what_was_asked_about_before_a_change_of_it_is_worthless() {
        let (changes, now) = (Changes::default(), Instant::now());
        let since = changes.latest();
        changes.note(about(&["key_1"]), now);
        assert!(!changes.is_good(since, &about(&["key_1", "usr_1"])));
        assert!(changes.is_good(since, &about(&["key_2", "usr_1"])));
        let since = changes.latest();
        assert!(changes.is_good(since, &about(&["key_1"])), "asked anew");
        changes.note(about(&["usr_1"]), now);
        assert!(!changes.is_good(since, &about(&["key_1", "usr_1"])));
        let since = changes.latest();
        changes.forget_all();
        assert!(!changes.is_good(since, &[]));
        assert!(changes.is_good(changes.latest(), &[]));
    }

    #[test]
    fn changes_are_not_remembered_for_ever() {
        let (changes, now) = (Changes::default(), Instant::now());
        for number in 0..100_u32 {
            changes.note(
                about(&["again", &format!("key_{number}")]),
                now + KEPT / 10 * number,
            );
        }
        let subjects = changes.subjects.load();
        assert!(subjects.len() <= 12, "{}", subjects.len());
        assert!(subjects.contains_key("again"));
    }

    #[test]
    fn what_a_forgotten_change_was_about_does_not_come_back() {
        let (changes, now) = (Changes::default(), Instant::now());
        let since = changes.latest();
        changes.note(about(&["key_1"]), now);
        let between = changes.latest();
        let later = now + KEPT + Duration::from_secs(1);
        changes.note(about(&["key_2"]), later);
        assert!(!changes.subjects.load().contains_key("key_1"));
        assert!(!changes.is_good(since, &about(&["key_1"])));
        assert!(changes.is_good(between, &about(&["key_1"])), "asked since");
        changes.note(about(&["key_3"]), later);
        assert!(changes.is_good(between, &about(&["key_1"])));
        assert!(!changes.is_good(between, &about(&["key_3"])));
    }
}
