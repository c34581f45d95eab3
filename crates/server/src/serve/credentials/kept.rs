//! What is kept of credentials that records know, and how much room that takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use weir_gateway::identify::Changes;

use super::key::KnownKey;
use super::session::KnownSession;

/// About how large what is known of a credential is, for the first table.
const USUAL: u64 = 1024;

/// So long is believed for requests what records said while they are away. Whoever cuts a node off does not make a revoked key good for
/// ever; what was opened with it stays open.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// By what a credential is found, and known again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// The public part of a key.
    Key(Box<str>),
    /// The hash of a session's token.
    Session([u8; 32]),
}

/// What records said of a good credential.
pub(super) struct Kept {
    pub(super) name: Name,
    pub(super) who: Who,
    /// The latest change when it was asked for.
    pub(super) since: u64,
    pub(super) at: Instant,
    /// Whether somebody looks at it again.
    is_renewed: AtomicBool,
}

/// Whose it is.
pub(super) enum Who {
    Key(Box<KnownKey>),
    Session(Box<KnownSession>),
}

/// Good credentials that are known here. Bounded in bytes, as what each worker knows is.
pub(super) struct Memory {
    kept: Cache<Name, Arc<Kept>, Bytes>,
    /// For so many bytes there is room.
    room: AtomicU64,
}

#[derive(Clone, Copy)]
struct Bytes;

impl Weighter<Name, Arc<Kept>> for Bytes {
    fn weight(&self, name: &Name, kept: &Arc<Kept>) -> u64 {
        (name.size() + kept.size()) as u64
    }
}

impl Memory {
    /// With room for about so many bytes.
    pub(super) fn new(room: u64) -> Self {
        let entries = usize::try_from(room / USUAL).unwrap_or(usize::MAX);
        Self {
            kept: Cache::with_weighter(entries, room, Bytes),
            room: AtomicU64::new(room),
        }
    }

    /// What is known of a credential, if that is to be believed.
    pub(super) fn find(
        &self,
        name: &Name,
        changes: &Changes,
        now: Timestamp,
        at: Instant,
    ) -> Option<Arc<Kept>> {
        let kept = self.kept.get(name)?;
        let is_good = at.saturating_duration_since(kept.at) < STALE
            && kept.is_in_time(now)
            && changes.is_good(kept.since, kept.about());
        is_good.then_some(kept)
    }

    pub(super) fn keep(&self, kept: &Arc<Kept>) {
        self.kept.insert(kept.name.clone(), Arc::clone(kept));
    }

    pub(super) fn forget(&self, name: &Name) {
        self.kept.remove(name);
    }

    /// Gives it room for so many bytes; what is too much goes.
    pub(super) fn resize(&self, room: u64) {
        if self.room.swap(room, Ordering::Relaxed) != room {
            self.kept.set_capacity(room);
        }
    }
}

impl Kept {
    pub(super) fn new(name: Name, who: Who, since: u64) -> Arc<Self> {
        Arc::new(Self {
            name,
            who,
            since,
            at: Instant::now(),
            is_renewed: AtomicBool::new(false),
        })
    }

    /// Whether it is older than this and nobody looks at it again yet: whoever is told so does.
    pub(super) fn begin_renewal(&self, old: Duration) -> bool {
        self.at.elapsed() > old && !self.is_renewed.swap(true, Ordering::Relaxed)
    }

    /// It was not found out whether it is what it was.
    pub(super) fn give_up_renewal(&self) {
        self.is_renewed.store(false, Ordering::Relaxed);
    }

    /// Subjects whose change makes it worthless.
    fn about(&self) -> &[Box<str>] {
        match &self.who {
            Who::Key(key) => key.about(),
            Who::Session(session) => session.about(),
        }
    }

    fn is_in_time(&self, now: Timestamp) -> bool {
        match &self.who {
            // Until when it is good is judged with each use.
            Who::Key(_) => true,
            Who::Session(session) => session.is_in_time(now),
        }
    }

    /// About how many bytes it takes.
    fn size(&self) -> usize {
        let of_who = match &self.who {
            Who::Key(key) => key.size(),
            Who::Session(session) => session.size(),
        };
        size_of::<Self>() + self.name.size() + of_who
    }
}

impl Name {
    /// About how many bytes it takes.
    fn size(&self) -> usize {
        let text = match self {
            Self::Key(public) => public.len(),
            Self::Session(_) => 0,
        };
        size_of::<Self>() + text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;
    use weir_core::principal::Method;
    use weir_core::{Id, Principal};
    use weir_gateway::identify::{Good, Membership, Person};

    use super::*;

    const ROOM: u64 = 1 << 20;

    /// A session of somebody who belongs to so many organizations, which ends in a minute.
    fn session(number: u64, organizations: usize) -> Arc<Kept> {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        let membership = |number: usize| Membership {
            organization: format!("organization-{number}").into(),
            role: "editor".into(),
            scopes: vec!["route:read".into(), "route:write".into()],
        };
        let id = Id::new("ses");
        let good = Good {
            principal: Principal {
                method: Method::Password,
                issuer: None,
                subject: "usr_1".into(),
                organization: None,
                scopes: Vec::new(),
                roles: Vec::new(),
                claims: Map::new(),
            },
            ends_at: None,
            fresh_for: Duration::ZERO,
            about: vec![id.to_string().into()],
            person: Some(Person {
                memberships: (0..organizations).map(membership).collect(),
                successor: None,
            }),
        };
        let session = KnownSession {
            session: id,
            good,
            idle_at: Timestamp::UNIX_EPOCH + Duration::from_secs(60),
        };
        Kept::new(Name::Session(hash), Who::Session(Box::new(session)), 0)
    }

    #[test]
    fn sessions_are_bounded_in_bytes_and_those_of_many_organizations_take_more() {
        let memory = Memory::new(ROOM);
        for number in 0..10_000 {
            memory.keep(&session(number, 1));
        }
        let small = memory.kept.len();
        assert!(memory.kept.weight() <= ROOM, "{}", memory.kept.weight());
        assert!((500..5000).contains(&small), "{small}");
        for number in 0..500 {
            memory.keep(&session(number, 100));
            // What comes again stays.
            memory.keep(&session(number, 100));
        }
        assert!(memory.kept.len() < small / 4, "{}", memory.kept.len());
        assert!(memory.kept.weight() <= ROOM, "{}", memory.kept.weight());
        memory.resize(ROOM / 8);
        assert!(memory.kept.weight() <= ROOM / 8);
        memory.resize(0);
        assert_eq!(memory.kept.len(), 0);
    }

    #[test]
    fn a_session_is_believed_until_it_is_idle_for_too_long_or_something_changes() {
        let (memory, changes) = (Memory::new(ROOM), Changes::default());
        let kept = session(1, 1);
        memory.keep(&kept);
        let at = |seconds| Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
        let find = |now| memory.find(&kept.name, &changes, now, kept.at);
        assert!(find(at(59)).is_some());
        assert!(find(at(60)).is_none());
        changes.note([Box::from("ses_another")], Instant::now());
        assert!(find(at(59)).is_some());
        changes.note([kept.about()[0].clone()], Instant::now());
        assert!(find(at(59)).is_none());
    }

    #[test]
    fn what_records_said_is_not_believed_for_ever() {
        let (memory, changes) = (Memory::new(ROOM), Changes::default());
        let kept = session(1, 1);
        memory.keep(&kept);
        let after = |time| {
            let at = kept.at + time;
            memory.find(&kept.name, &changes, Timestamp::UNIX_EPOCH, at)
        };
        assert!(after(STALE - Duration::from_secs(1)).is_some());
        assert!(after(STALE).is_none());
    }
}
