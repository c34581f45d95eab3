//! One issuer, looked at from time to time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::time::{sleep, timeout};
use weir_files::Writer;
use weir_jose::remote::{Attempt, Publisher};
use weir_jose::{KeySet, LONGEST_SET, Skipped};
use weir_outbound::{Backoff, HttpError, Trust};

use crate::fetch::Access;
use crate::kept;
use crate::metadata::{MetadataFault, locate};
use crate::settings::{Settings, Source};

/// How often a file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long metadata are good for, unless what they say leads to a failure before.
const METADATA: Duration = Duration::from_secs(60 * 60);

/// Follows one issuer.
pub(crate) struct Follower {
    pub(crate) settings: Settings,
    pub(crate) publisher: Publisher,
    pub(crate) tally: Arc<Tally>,
    pub(crate) writer: Writer,
    /// Where the keys are kept, unless they are a file themselves.
    pub(crate) kept: Option<PathBuf>,
    pub(crate) backoff: Backoff,
    /// Whom to believe; read anew after a failure, since authorities change.
    pub(crate) trust: Option<Trust>,
    pub(crate) located: Option<Located>,
}

/// What is counted of an issuer.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) fetches: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) skipped: AtomicUsize,
    /// When it is looked at next, in seconds since 1970; 0 before the first look is over.
    pub(crate) next_at: AtomicU64,
}

/// Where an issuer's keys are, by its metadata.
pub(crate) struct Located {
    url: String,
    until: Instant,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Http(#[from] HttpError),
    #[error("{0}")]
    Metadata(#[from] MetadataFault),
    #[error("no answer within {0:?}")]
    Slow(Duration),
    #[error("{0}")]
    Set(#[from] weir_jose::SetError),
    #[error("{path} cannot be read: {error}")]
    File { path: String, error: io::Error },
}

/// A set as it was published.
struct Found {
    set: KeySet,
    skipped: Vec<Skipped>,
    text: Bytes,
    max_age: Option<Duration>,
}

impl Follower {
    /// Looks, tells, and waits until it is time to look again or somebody asks for an unknown key.
    pub(crate) async fn run(mut self) {
        loop {
            let attempt = self.publisher.begin();
            let pause = self.look(attempt).await;
            let next = SystemTime::now() + pause;
            let next = next.duration_since(UNIX_EPOCH).unwrap_or_default();
            self.tally.next_at.store(next.as_secs(), Ordering::Relaxed);
            tokio::select! {
                () = sleep(pause) => {}
                () = self.publisher.asked() => {}
            }
        }
    }

    async fn look(&mut self, attempt: Attempt) -> Duration {
        self.tally.fetches.fetch_add(1, Ordering::Relaxed);
        let found = timeout(self.settings.timeout, self.fetch()).await;
        let found = found.unwrap_or(Err(Fault::Slow(self.settings.timeout)));
        let now = SystemTime::now();
        match found {
            Ok(found) => self.take(attempt, found, now),
            Err(fault) => self.lose(attempt, &fault, now),
        }
    }

    fn take(&mut self, attempt: Attempt, found: Found, now: SystemTime) -> Duration {
        let issuer = &self.settings.source;
        if let Some(lost) = &self.publisher.view().lost {
            let after = now.duration_since(lost.since).unwrap_or_default();
            tracing::info!(%issuer, ?after, "issuer is back");
        }
        // Before anybody hears of them: whoever then has them forgotten removes what is kept.
        if let Some(path) = &self.kept {
            kept::save(&self.writer, path, &self.settings, &found.text, now);
        }
        let keys = found.set.keys().len();
        let has_changed = self.publisher.obtained(attempt, found.set, now);
        self.backoff.reset();
        self.tally
            .skipped
            .store(found.skipped.len(), Ordering::Relaxed);
        if has_changed {
            tracing::info!(%issuer, keys, "issuer's keys changed");
            for Skipped { index, fault } in &found.skipped {
                tracing::warn!(%issuer, index, reason = %fault, "a key of the issuer is not used");
            }
        }
        if matches!(issuer, Source::File(_)) {
            return LOOK;
        }
        self.settings.pause(found.max_age, fastrand::f64())
    }

    fn lose(&mut self, attempt: Attempt, fault: &Fault, now: SystemTime) -> Duration {
        let issuer = &self.settings.source;
        self.tally.failures.fetch_add(1, Ordering::Relaxed);
        (self.trust, self.located) = (None, None);
        let view = self.publisher.view();
        if view.lost.is_none() {
            let comes_of_it = match view.keys {
                Some(_) => "issuer lost, its last known keys stay",
                None => "issuer not found yet, none of its tokens can be judged",
            };
            tracing::warn!(%issuer, error = %fault, "{comes_of_it}");
        }
        let age = view.fetched_at.and_then(|at| now.duration_since(at).ok());
        if view.keys.is_some() && age.is_some_and(|age| age >= self.settings.stale) {
            tracing::warn!(%issuer, "issuer's last known keys are too old and not used any more");
            self.publisher.expired();
        }
        self.publisher.failed(attempt, fault.to_string(), now);
        match issuer {
            Source::File(_) => LOOK,
            _ => self.backoff.pause(),
        }
    }

    async fn fetch(&mut self) -> Result<Found, Fault> {
        let (text, max_age) = match self.settings.source.clone() {
            Source::File(path) => (read(&path).await?, None),
            Source::Keys(url) => self.document(&url).await?,
            Source::Issuer(issuer) => {
                let url = self.locate(&issuer).await?;
                self.document(&url).await?
            }
        };
        let (set, skipped) = self.settings.form.parse(&text)?;
        Ok(Found {
            set,
            skipped,
            text,
            max_age,
        })
    }

    async fn locate(&mut self, issuer: &str) -> Result<String, Fault> {
        let now = Instant::now();
        if let Some(located) = self.located.as_ref().filter(|one| now < one.until) {
            return Ok(located.url.clone());
        }
        let url = locate(issuer, &self.access()?).await?;
        self.located = Some(Located {
            url: url.clone(),
            until: now + METADATA,
        });
        Ok(url)
    }

    async fn document(&mut self, url: &str) -> Result<(Bytes, Option<Duration>), Fault> {
        let document = self.access()?.get(url, LONGEST_SET).await?;
        Ok((document.body, document.max_age))
    }

    fn access(&mut self) -> Result<Access<'_>, HttpError> {
        let trust = match self.trust.take() {
            Some(trust) => trust,
            None => trust(&self.settings)?,
        };
        self.trust = Some(trust.clone());
        Ok(Access {
            trust,
            reach: &self.settings.reach,
            patience: self.settings.timeout,
        })
    }
}

/// Authorities are needed even for a plain URL: its metadata may lead to another one.
fn trust(settings: &Settings) -> Result<Trust, HttpError> {
    let is_plain = matches!(&settings.source, Source::Keys(url) if url.starts_with("http://"));
    if is_plain {
        return Ok(Trust::none());
    }
    Trust::new(settings.authorities.as_deref())
}

/// File systems can hang, and so can pipes; other issuers do not wait for them.
async fn read(path: &Path) -> Result<Bytes, Fault> {
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        if !std::fs::metadata(&file)?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let content = weir_files::read(&file, LONGEST_SET as u64)?;
        content.ok_or_else(|| io::ErrorKind::NotFound.into())
    });
    let content = reading
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)));
    content.map(Bytes::from).map_err(|error| Fault::File {
        path: path.display().to_string(),
        error,
    })
}
