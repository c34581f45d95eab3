//! All issuers that are followed: start, share, report, stop.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use weir_files::Writer;
use weir_jose::remote::{Lost, RemoteKeys};
use weir_outbound::Backoff;

use crate::follow::{Follower, Tally};
use crate::introspect::{Introspection, Introspector, Unreachable};
use crate::kept;
use crate::settings::Settings;

/// Longest wait for files.
const DISK: Duration = Duration::from_secs(5);

/// How issuers are followed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Data directory: what is known is kept in its `issuers`.
    pub data: PathBuf,
}

/// Foreign issuers as a whole; clones are handles to the same. It ends when the last one is dropped.
#[derive(Clone)]
pub struct Issuers(Arc<Shared>);

struct Shared {
    options: Options,
    writer: Writer,
    runtime: Handle,
    followed: Mutex<BTreeMap<Settings, Followed>>,
    /// Ends the thread as it is dropped.
    _stop: oneshot::Sender<()>,
}

struct Followed {
    keys: RemoteKeys,
    tally: Arc<Tally>,
    task: AbortHandle,
}

/// How an issuer fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Kind and place of the keys, in one line, without secrets.
    pub source: String,
    /// Keys in use.
    pub keys: usize,
    /// Keys of the last set that are not used.
    pub skipped: usize,
    /// How often the issuer was looked at in this process.
    pub fetches: u64,
    /// How often that gave no set.
    pub failures: u64,
    /// How often an unknown key was not asked about, because the issuer was asked only just now.
    pub damped: u64,
    /// When it is looked at next, unless somebody asks before; `None` before the first look is over.
    pub next_at: Option<SystemTime>,
    /// When the set was last found to be the issuer's, perhaps by an earlier process.
    pub fetched_at: Option<SystemTime>,
    /// What is wrong with the issuer, if something is.
    pub lost: Option<Lost>,
}

impl Issuers {
    /// Starts the thread that looks at issuers, with none yet.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn run(options: Options) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("weir-issuers".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(stopped);
                // A look-up by the system may hang; nobody waits for it.
                runtime.shutdown_background();
            })?;
        let writer = Writer::new("weir-keys", |file, error| {
            tracing::warn!(file = %file.display(), %error, "an issuer's keys cannot be kept");
        });
        Ok(Self(Arc::new(Shared {
            options,
            writer,
            runtime: handle,
            followed: Mutex::default(),
            _stop: stop,
        })))
    }

    /// The keys of an issuer, which is followed from now on if it was not before. What an earlier process knew of it is
    /// there at once. It reads a file: call it where blocking is allowed.
    pub fn follow(&self, settings: &Settings) -> RemoteKeys {
        let mut followed = self.followed();
        if let Some(known) = followed.get(settings) {
            return known.keys.clone();
        }
        let (keys, mut publisher) = RemoteKeys::new(settings.damping, Instant::now());
        let kept = kept::path(&self.0.options.data, settings);
        let known = kept
            .as_ref()
            .and_then(|path| kept::load(path, settings, SystemTime::now()));
        if let Some((set, fetched_at)) = known {
            publisher.restored(set, fetched_at);
        }
        let tally = Arc::<Tally>::default();
        let follower = Follower {
            settings: settings.clone(),
            publisher,
            tally: Arc::clone(&tally),
            writer: self.0.writer.clone(),
            kept,
            backoff: Backoff::default(),
            trust: None,
            located: None,
        };
        let task = self.0.runtime.spawn(follower.run()).abort_handle();
        let entry = Followed {
            keys: keys.clone(),
            tally,
            task,
        };
        followed.insert(settings.clone(), entry);
        keys
    }

    /// Stops following all issuers but these, and forgets their keys: for when a configuration has taken effect. Who
    /// still reads the keys of another one sees the last of them, as of an issuer that is lost.
    pub fn retain(&self, in_use: &[Settings]) {
        let data = &self.0.options.data;
        let files: Vec<_> = in_use
            .iter()
            .filter_map(|one| kept::path(data, one))
            .collect();
        self.followed().retain(|settings, followed| {
            if in_use.contains(settings) {
                return true;
            }
            followed.task.abort();
            // Other settings of the same source have the same file.
            let file = kept::path(data, settings).filter(|file| !files.contains(file));
            if let Some(file) = file {
                drop(self.0.writer.remove(&file));
            }
            false
        });
    }

    /// Waits until each issuer has given its keys or failed to, but no longer than this. Where keys are known from before
    /// there is nothing to wait for.
    pub async fn settled(&self, within: Duration) {
        let all: Vec<_> = self
            .followed()
            .values()
            .map(|one| one.keys.clone())
            .collect();
        let settled = async {
            for keys in all {
                keys.first().await;
            }
        };
        let waiting = self.0.runtime.spawn(tokio::time::timeout(within, settled));
        let _ = waiting.await;
    }

    /// How each issuer fares.
    pub fn status(&self) -> Vec<Status> {
        let followed = self.followed();
        let status = followed.iter().map(|(settings, followed)| {
            let view = followed.keys.view();
            let tally = &followed.tally;
            Status {
                source: settings.source.to_string(),
                keys: view.keys.as_ref().map_or(0, |keys| keys.set.keys().len()),
                skipped: tally.skipped.load(Ordering::Relaxed),
                fetches: tally.fetches.load(Ordering::Relaxed),
                failures: tally.failures.load(Ordering::Relaxed),
                damped: followed.keys.damped(),
                next_at: match tally.next_at.load(Ordering::Relaxed) {
                    0 => None,
                    seconds => Some(UNIX_EPOCH + Duration::from_secs(seconds)),
                },
                fetched_at: view.fetched_at,
                lost: view.lost.clone(),
            }
        });
        status.collect()
    }

    /// Who asks an issuer about opaque tokens, on the thread that looks at issuers.
    ///
    /// # Errors
    /// If the settings lead nowhere: a URL that is none, or authorities that cannot be read.
    pub fn introspector(&self, settings: Introspection) -> Result<Introspector, Unreachable> {
        Introspector::new(settings, self.0.runtime.clone())
    }

    /// Stops following every issuer and keeps what is known: for a process that ends. Call it where blocking is allowed.
    pub fn stop(&self) {
        for (_, followed) in std::mem::take(&mut *self.followed()) {
            followed.task.abort();
        }
        if !self.0.writer.flush(DISK) {
            tracing::warn!("issuers' keys are not kept yet: the disk takes its time");
        }
    }

    fn followed(&self) -> MutexGuard<'_, BTreeMap<Settings, Followed>> {
        self.0
            .followed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
