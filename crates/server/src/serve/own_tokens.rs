//! This installation as an issuer of tokens that its own gateway checks: the keys and revocations that it knows reach the data
//! plane as they change, and no record is asked for a token.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use tokio::sync::Mutex;
use weir_config::model::OwnKeys;
use weir_identity::{Identity, Shown};
use weir_jose::remote::{Publisher, RemoteKeys};
use weir_jose::{KeySet, Revoked, TokenFacts};

/// Least time between two questions to records for keys that are not known.
const DAMPING: Duration = Duration::from_secs(10);

/// What configurations are told of the installation.
#[derive(Clone, Debug)]
pub(crate) struct OwnIssuer {
    /// `iss` of its tokens.
    pub(crate) name: String,
    pub(crate) keys: OwnKeys,
}

/// Tells the data plane what there is to know.
pub(super) struct Teller {
    identity: Identity,
    revoked: Revoked,
    publisher: Mutex<Publisher>,
}

impl OwnIssuer {
    /// Of this name, and the publisher of its keys.
    pub(crate) fn new(name: String) -> (Self, Publisher) {
        let (keys, publisher) = RemoteKeys::new(DAMPING, Instant::now());
        let revoked = Revoked::default();
        let keys = OwnKeys { keys, revoked };
        (Self { name, keys }, publisher)
    }
}

impl Teller {
    /// Tells at once what a former process knew.
    pub(super) fn new(identity: Identity, own: &OwnIssuer, mut publisher: Publisher) -> Arc<Self> {
        let revoked = own.keys.revoked.clone();
        tell_revoked(&identity, &revoked);
        if let Some(keys) = published(&identity) {
            publisher.restored(keys, SystemTime::now());
        }
        Arc::new(Self {
            identity,
            revoked,
            publisher: Mutex::new(publisher),
        })
    }

    /// Goes on telling for as long as the process serves.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut publisher = self.publisher.lock().await;
        let mut changes = self.identity.verification_changes();
        // What was told before this task began.
        changes.mark_changed();
        loop {
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.tell(&mut publisher);
                }
                () = publisher.asked() => self.ask(&mut publisher).await,
            }
        }
    }

    fn tell(&self, publisher: &mut Publisher) {
        // First: a token whose key is known is judged by all that is known with that key.
        tell_revoked(&self.identity, &self.revoked);
        let attempt = publisher.begin();
        if let Some(keys) = published(&self.identity) {
            publisher.obtained(attempt, keys, SystemTime::now());
        }
    }

    /// Asks records for keys that are not known.
    async fn ask(&self, publisher: &mut Publisher) {
        let attempt = publisher.begin();
        let asked = self.identity.refresh_credentials().await;
        tell_revoked(&self.identity, &self.revoked);
        let now = SystemTime::now();
        match (asked, published(&self.identity)) {
            (Ok(()), Some(keys)) => {
                publisher.obtained(attempt, keys, now);
            }
            (Ok(()), None) => publisher.failed(attempt, "there are no keys yet".to_owned(), now),
            (Err(error), _) => publisher.failed(attempt, error.in_full(), now),
        }
    }
}

/// The keys that are published; a set of our own can be read.
fn published(identity: &Identity) -> Option<KeySet> {
    let published = identity.published_keys()?;
    let (keys, _) = KeySet::parse(published.document.as_bytes()).ok()?;
    Some(keys)
}

fn tell_revoked(identity: &Identity, revoked: &Revoked) {
    let revocations = identity.revocations();
    revoked.tell(move |token| shown(token).is_none_or(|shown| revocations.refuse(&shown)));
}

/// A token as revocations see it; `None` for one that does not say when it was issued, which none of ours is.
fn shown(token: &TokenFacts) -> Option<Shown<'_>> {
    Some(Shown {
        kid: token.kid.as_deref()?,
        token: token.token.as_deref(),
        family: token.family.as_deref(),
        user: token.subject.as_deref(),
        issued_at: Timestamp::from_second(token.issued_at).ok()?,
    })
}
