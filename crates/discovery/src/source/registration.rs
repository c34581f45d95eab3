//! Targets that announce themselves: a table of leases, and the loop that ends them.

mod lease;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until};
use weir_config::model::Target;
use weir_core::Secret;
use weir_files::{Writer, Written};

use crate::accept::Bounds;
use crate::feed::Feed;
use crate::last_known::Kept;
pub use lease::{Registered, Registration, RegistrationError};
use lease::{check, check_id};

/// How long changes are gathered before they take effect: targets often start all at once.
const GATHER: Duration = Duration::from_millis(50);
/// Largest file of registrations that is read back.
const LARGEST: u64 = 64 << 20;

/// Who is registered for one upstream.
///
/// Only who is registered is on disk, not until when: while Weir was down no target could renew its
/// lease, so that each gets a whole one at the start.
pub(crate) struct Table {
    file: PathBuf,
    writer: Writer,
    expiry: Duration,
    token: Option<Secret<String>>,
    bounds: Bounds,
    /// Held by whoever changes who is registered, until that is on disk: one after the other, so that
    /// a change which cannot be kept can be taken back.
    changing: Mutex<()>,
    /// Never held while somebody waits for a disk: the loop that ends leases takes it, too.
    inner: Mutex<Inner>,
    changed: Notify,
}

struct Inner {
    leases: BTreeMap<String, Lease>,
    /// The last ones, which expired together and are in use all the same: nobody else is there.
    expired: BTreeMap<String, Target>,
    /// Whether the last one left by taking its leave, rather than by falling silent.
    emptied: bool,
    is_open: bool,
}

struct Lease {
    target: Target,
    renewed: Instant,
}

#[derive(Serialize, Deserialize)]
struct OnDisk {
    targets: BTreeMap<String, Kept>,
}

impl Table {
    /// Where an upstream's registrations are kept.
    pub(crate) fn path(data: &Path, upstream: &str) -> PathBuf {
        let directory = data.join("discovery").join("registered");
        directory.join(format!("{upstream}.json"))
    }

    /// Who was registered in an earlier process.
    pub(crate) fn kept(data: &Path, upstream: &str) -> Vec<Target> {
        let kept = load(&Self::path(data, upstream));
        kept.into_values().map(Target::from).collect()
    }

    /// The table with who was registered in an earlier process.
    pub(crate) fn open(
        file: PathBuf,
        writer: Writer,
        expiry: Duration,
        token: Option<Secret<String>>,
        bounds: Bounds,
    ) -> Self {
        let now = Instant::now();
        let leases = load(&file).into_iter().map(|(id, kept)| {
            let target = kept.into();
            (
                id,
                Lease {
                    target,
                    renewed: now,
                },
            )
        });
        let inner = Inner {
            leases: leases.collect(),
            expired: BTreeMap::new(),
            emptied: false,
            is_open: true,
        };
        Self {
            file,
            writer,
            expiry,
            token,
            bounds,
            changing: Mutex::new(()),
            inner: Mutex::new(inner),
            changed: Notify::new(),
        }
    }

    /// Nothing is registered from now on, nor written.
    pub(crate) fn close(&self) {
        self.lock().is_open = false;
    }

    pub(crate) fn authorise(&self, token: &str) -> Result<(), RegistrationError> {
        let Some(expected) = &self.token else {
            return Err(RegistrationError::Unauthorised);
        };
        let presented = token.as_bytes();
        // What it takes to compare says nothing about where two tokens differ.
        verify_slices_are_equal(expected.expose().as_bytes(), presented)
            .map_err(|_| RegistrationError::Unauthorised)
    }

    /// Renews what is registered just like this; `None` if it is not.
    pub(crate) fn renew_as(
        &self,
        id: &str,
        registration: &Registration,
        now: Instant,
    ) -> Result<Option<Registered>, RegistrationError> {
        check_id(id)?;
        let target = check(registration, &self.bounds)?;
        let is_renewed = self.renew_target(id, &target, now)?;
        Ok(is_renewed.then(|| Registered::new(id, target, self.expiry)))
    }

    /// Registers, or renews and takes over what changed. Waits for the disk if something did.
    pub(crate) fn register(
        &self,
        id: &str,
        registration: &Registration,
        now: Instant,
    ) -> Result<(bool, Registered), RegistrationError> {
        check_id(id)?;
        let target = check(registration, &self.bounds)?;
        if self.renew_target(id, &target, now)? {
            return Ok((false, Registered::new(id, target, self.expiry)));
        }
        let _changing = self.changing();
        let (former, written) = {
            let mut inner = self.open_inner()?;
            let is_new = !inner.leases.contains_key(id);
            if is_new && inner.leases.len() >= self.bounds.most_targets {
                return Err(RegistrationError::Full(self.bounds.most_targets));
            }
            let lease = Lease {
                target: target.clone(),
                renewed: now,
            };
            let former = inner.leases.insert(id.to_owned(), lease);
            (former, self.save(&inner))
        };
        let is_new = former.is_none();
        if let Err(error) = written.and_then(Written::wait) {
            // What is not on disk is not registered.
            self.put_back(id, former);
            return Err(RegistrationError::Storage(error));
        }
        self.changed.notify_one();
        Ok((is_new, Registered::new(id, target, self.expiry)))
    }

    /// False if it is not registered, or another one.
    fn renew_target(
        &self,
        id: &str,
        target: &Target,
        now: Instant,
    ) -> Result<bool, RegistrationError> {
        let mut inner = self.open_inner()?;
        let lease = inner.leases.get_mut(id);
        let Some(lease) = lease.filter(|lease| lease.target == *target) else {
            return Ok(false);
        };
        lease.renewed = now;
        Ok(true)
    }

    fn put_back(&self, id: &str, former: Option<Lease>) {
        let mut inner = self.lock();
        match former {
            Some(former) => inner.leases.insert(id.to_owned(), former),
            None => inner.leases.remove(id),
        };
    }

    pub(crate) fn renew(&self, id: &str, now: Instant) -> Result<Registered, RegistrationError> {
        let mut inner = self.open_inner()?;
        let lease = inner
            .leases
            .get_mut(id)
            .ok_or(RegistrationError::NotRegistered)?;
        lease.renewed = now;
        Ok(Registered::new(id, lease.target.clone(), self.expiry))
    }

    /// Takes a target out. Waits for the disk.
    pub(crate) fn deregister(&self, id: &str) -> Result<(), RegistrationError> {
        let _changing = self.changing();
        let (former, written) = {
            let mut inner = self.open_inner()?;
            if inner.expired.remove(id).is_some() {
                // The disk knows nothing of it any more.
                inner.emptied = inner.expired.is_empty();
                self.changed.notify_one();
                return Ok(());
            }
            let former = inner
                .leases
                .remove(id)
                .ok_or(RegistrationError::NotRegistered)?;
            (former, self.save(&inner))
        };
        if let Err(error) = written.and_then(Written::wait) {
            self.put_back(id, Some(former));
            return Err(RegistrationError::Storage(error));
        }
        let mut inner = self.lock();
        inner.emptied = inner.leases.is_empty();
        drop(inner);
        self.changed.notify_one();
        Ok(())
    }

    pub(crate) fn list(&self, now: Instant) -> Vec<Registered> {
        let inner = self.lock();
        let each = inner.leases.iter().map(|(id, lease)| {
            let left = self
                .expiry
                .saturating_sub(now.duration_since(lease.renewed));
            Registered::new(id, lease.target.clone(), left)
        });
        let expired = inner
            .expired
            .iter()
            .map(|(id, target)| Registered::new(id, target.clone(), Duration::ZERO));
        each.chain(expired).collect()
    }

    /// Ends the leases that were not renewed in time, and says what is left.
    fn sweep(&self, now: Instant) -> Left {
        let mut inner = self.lock();
        let has_ended =
            |_: &String, lease: &mut Lease| now.duration_since(lease.renewed) >= self.expiry;
        let ended: BTreeMap<String, Lease> = inner.leases.extract_if(.., has_ended).collect();
        if !ended.is_empty() && inner.is_open {
            inner.emptied = false;
            if inner.leases.is_empty() {
                let ended = ended.into_iter();
                inner.expired = ended.map(|(id, lease)| (id, lease.target)).collect();
            }
            if let Err(error) = self.save(&inner) {
                tracing::warn!(file = %self.file.display(), %error, "registrations have no JSON form");
            }
        }
        if !inner.leases.is_empty() {
            inner.emptied = false;
            inner.expired.clear();
        }
        let targets = inner.leases.values().map(|lease| lease.target.clone());
        let oldest = inner.leases.values().map(|lease| lease.renewed).min();
        Left {
            targets: targets.collect(),
            expired: inner.expired.values().cloned().collect(),
            emptied: inner.emptied,
            next: oldest.map(|oldest| oldest + self.expiry),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_inner(&self) -> Result<MutexGuard<'_, Inner>, RegistrationError> {
        let inner = self.lock();
        if inner.is_open {
            Ok(inner)
        } else {
            Err(RegistrationError::NoSuchUpstream)
        }
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it written, in the order of the changes.
    fn save(&self, inner: &Inner) -> std::io::Result<Written> {
        let each = inner.leases.iter();
        let on_disk = OnDisk {
            targets: each
                .map(|(id, lease)| (id.clone(), Kept::from(&lease.target)))
                .collect(),
        };
        let content = serde_json::to_vec(&on_disk)?;
        Ok(self.writer.replace(&self.file, content))
    }
}

/// What a sweep left.
struct Left {
    targets: Vec<Target>,
    /// Those that are in use for want of others.
    expired: Vec<Target>,
    /// Whether there are none because the last one took its leave.
    emptied: bool,
    /// When the next lease ends, unless it is renewed.
    next: Option<Instant>,
}

pub(crate) async fn run(table: &Table, feed: &Feed) {
    loop {
        let left = table.sweep(Instant::now());
        if left.emptied {
            feed.answered_for_certain(left.targets);
        } else if left.targets.is_empty() && !feed.targets().is_empty() {
            if !left.expired.is_empty() && left.expired.len() < feed.targets().len() {
                feed.answered(left.expired);
            }
            feed.failed("every registration has expired");
        } else {
            feed.answered(left.targets);
        }
        let expiry = async {
            match left.next {
                Some(next) => sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = table.changed.notified() => sleep(GATHER).await,
            () = expiry => {}
        }
    }
}

fn load(file: &Path) -> BTreeMap<String, Kept> {
    let read = weir_files::read(file, LARGEST).and_then(|content| match content {
        Some(content) => Ok(serde_json::from_slice::<OnDisk>(&content)?.targets),
        None => Ok(BTreeMap::new()),
    });
    read.unwrap_or_else(|error| {
        tracing::warn!(file = %file.display(), %error, "registrations cannot be used");
        BTreeMap::new()
    })
}

#[cfg(test)]
mod tests;
