//! The sources of all upstreams: start, change, report, stop.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use weir_config::Config;
use weir_config::model::{Discovery, DiscoverySource, Target};
use weir_files::Writer;

use crate::accept::Bounds;
use crate::feed::{Feed, Inner};
use crate::last_known;
use crate::source::kubernetes::Pod;
use crate::source::registration::{Registered, Registration, RegistrationError, Table};
use crate::source::{self, Source};
use crate::state::State;
use crate::status::Status;

/// Longest wait for files.
const DISK: Duration = Duration::from_secs(5);

/// How discovery runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Data directory: what is known is kept in its `discovery`.
    pub data: PathBuf,
    /// What Kubernetes sources take from the pod that this process runs in.
    pub pod: Pod,
}

/// Another set of targets: it replaces what the upstream had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Name of the upstream.
    pub upstream: String,
    /// Sorted, each address once. Empty only if the last target took its leave.
    pub targets: Vec<Target>,
}

/// Discovery as a whole; clones are handles to the same. It ends when the last one is dropped.
#[derive(Clone)]
pub struct Discoverer(Arc<Shared>);

struct Shared {
    options: Options,
    /// What is known goes to the disk beside the thread that asks sources.
    writer: Writer,
    found: UnboundedSender<Found>,
    runtime: Handle,
    /// Told of every word of every source.
    heard: Arc<Notify>,
    running: Mutex<BTreeMap<String, Running>>,
    /// Ends the thread as it is dropped.
    _stop: oneshot::Sender<()>,
}

/// One upstream's source.
struct Running {
    settings: Discovery,
    feed: Arc<Feed>,
    /// Registered targets, if that is the source.
    table: Option<Arc<Table>>,
    task: AbortHandle,
}

impl Discoverer {
    /// Starts the thread that asks sources, with none yet: see [`Discoverer::apply`]. What they
    /// find comes out of the receiver, of each upstream only what differs from before.
    pub fn run(options: Options) -> io::Result<(Self, UnboundedReceiver<Found>)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("weir-discovery".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(stopped);
                // A look-up by the system may hang; nobody waits for it.
                runtime.shutdown_background();
            })?;
        let writer = Writer::new("weir-targets", |file, error| {
            tracing::warn!(file = %file.display(), %error, "targets cannot be kept");
        });
        let (found, receiver) = unbounded_channel();
        let shared = Shared {
            options,
            writer,
            found,
            runtime: handle,
            heard: Arc::default(),
            running: Mutex::default(),
            _stop: stop,
        };
        Ok((Self(Arc::new(shared)), receiver))
    }

    /// Writes into a configuration what is known of its discovered targets, so that it takes effect
    /// with them: of a running source what it found, otherwise what an earlier process knew of the
    /// same source.
    pub fn fill(&self, config: &mut Config) {
        // What is known of a source that just ended may still be on its way to the disk.
        self.flush();
        let running = self.running();
        for upstream in &mut config.upstreams {
            let Some(settings) = &upstream.discovery else {
                continue;
            };
            let known = match running.get(&upstream.name) {
                Some(running) => running.feed.targets(),
                None => self.last_known(&upstream.name, settings),
            };
            upstream.targets = State::with(known, &bounds(settings)).targets().to_vec();
        }
    }

    /// Asks the sources of this configuration from now on. One whose settings are as before goes
    /// on undisturbed. The new source of an upstream that had another one begins with what that one
    /// knew, until it answers.
    pub fn apply(&self, config: &Config) {
        let mut running = self.running();
        let mut former = std::mem::take(&mut *running);
        for upstream in &config.upstreams {
            let Some(settings) = &upstream.discovery else {
                continue;
            };
            let name = upstream.name.clone();
            let next = match former.remove(&name) {
                Some(same) if same.settings == *settings => same,
                Some(other) => {
                    let is_same = other.feed.source == last_known::describe(&settings.source);
                    let is_kept = is_same && other.feed.is_kept();
                    let known = other.end();
                    if !matches!(settings.source, DiscoverySource::Registration { .. }) {
                        self.forget_registrations(&name);
                    }
                    let next = self.start(&name, settings, known, is_kept);
                    // Of narrower bounds the data plane hears at once.
                    let targets = next.feed.targets();
                    let upstream = name.clone();
                    let _ = self.0.found.send(Found { upstream, targets });
                    next
                }
                None => {
                    let known = self.last_known(&name, settings);
                    self.start(&name, settings, known, true)
                }
            };
            running.insert(name, next);
        }
        for (name, ended) in former {
            ended.end();
            self.forget_registrations(&name);
            self.remove(&last_known::path(&self.0.options.data, &name));
        }
    }

    /// Waits until no upstream is without a target only because its source was not heard of yet, but
    /// no longer than this. Where targets are known from before there is nothing to wait for.
    pub async fn settled(&self, within: Duration) {
        let settled = async {
            loop {
                let mut heard = pin!(self.0.heard.notified());
                // From here on nothing is missed.
                heard.as_mut().enable();
                if self.running().values().all(|one| one.feed.is_settled()) {
                    return;
                }
                heard.await;
            }
        };
        let _ = tokio::time::timeout(within, settled).await;
    }

    /// How each upstream's source fares, by the upstream's name.
    pub fn status(&self) -> BTreeMap<String, Status> {
        let running = self.running();
        let each = running.iter();
        each.map(|(name, running)| (name.clone(), running.feed.status()))
            .collect()
    }

    /// Ends every source, and keeps what is known: for a process that ends, or whose successor has taken
    /// over. Call it where blocking is allowed.
    pub fn stop(&self) {
        for (_, running) in std::mem::take(&mut *self.running()) {
            running.end();
        }
        self.flush();
    }

    /// Waits until what is known is on disk, if the disk does its part.
    fn flush(&self) {
        if !self.0.writer.flush(DISK) {
            tracing::warn!("targets are not kept yet: the disk takes its time");
        }
    }

    /// Whether a bearer token may register targets of this upstream. One without a token of its own takes
    /// none.
    pub fn authorise(&self, upstream: &str, token: &str) -> Result<(), RegistrationError> {
        self.table(upstream)?.authorise(token)
    }

    /// Registers a target under an id that it chose, or renews what it registered. True if it is
    /// new. It is on disk when this returns: call it where blocking is allowed.
    pub fn register(
        &self,
        upstream: &str,
        id: &str,
        registration: &Registration,
    ) -> Result<(bool, Registered), RegistrationError> {
        self.table(upstream)?
            .register(id, registration, Instant::now())
    }

    /// Renews what is registered just like this; `None` if it is not.
    pub fn renew_as(
        &self,
        upstream: &str,
        id: &str,
        registration: &Registration,
    ) -> Result<Option<Registered>, RegistrationError> {
        self.table(upstream)?
            .renew_as(id, registration, Instant::now())
    }

    /// Renews a registration as it is.
    pub fn renew(&self, upstream: &str, id: &str) -> Result<Registered, RegistrationError> {
        self.table(upstream)?.renew(id, Instant::now())
    }

    /// Takes a target out, before it expires. As [`Discoverer::register`], this may block.
    pub fn deregister(&self, upstream: &str, id: &str) -> Result<(), RegistrationError> {
        self.table(upstream)?.deregister(id)
    }

    /// What is registered.
    pub fn registered(&self, upstream: &str) -> Result<Vec<Registered>, RegistrationError> {
        Ok(self.table(upstream)?.list(Instant::now()))
    }

    fn table(&self, upstream: &str) -> Result<Arc<Table>, RegistrationError> {
        let running = self.running();
        let found = running
            .get(upstream)
            .and_then(|running| running.table.clone());
        found.ok_or(RegistrationError::NoSuchUpstream)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn last_known(&self, upstream: &str, settings: &Discovery) -> Vec<Target> {
        let data = &self.0.options.data;
        if matches!(settings.source, DiscoverySource::Registration { .. }) {
            // Written before a registration is confirmed; what was found from it is written later.
            let registered = Table::kept(data, upstream);
            if !registered.is_empty() {
                return registered;
            }
        }
        let path = last_known::path(data, upstream);
        last_known::load(&path, &last_known::describe(&settings.source))
    }

    fn start(
        &self,
        upstream: &str,
        settings: &Discovery,
        known: Vec<Target>,
        is_kept: bool,
    ) -> Running {
        let Options { data, pod } = &self.0.options;
        let bounds = bounds(settings);
        let state = State::with(known, &bounds);
        let feed = Arc::new(Feed {
            upstream: upstream.to_owned(),
            kind: settings.source.name(),
            source: last_known::describe(&settings.source),
            bounds: bounds.clone(),
            file: last_known::path(data, upstream),
            writer: self.0.writer.clone(),
            found: self.0.found.clone(),
            heard: Arc::clone(&self.0.heard),
            inner: Mutex::new(Inner {
                state,
                is_open: true,
                is_kept,
            }),
        });
        let writer = &self.0.writer;
        let (source, table) = Source::new(settings, data, writer, upstream, bounds, pod);
        let task = self.0.runtime.spawn(source::run(source, Arc::clone(&feed)));
        Running {
            settings: settings.clone(),
            feed,
            table,
            task: task.abort_handle(),
        }
    }

    fn forget_registrations(&self, upstream: &str) {
        self.remove(&Table::path(&self.0.options.data, upstream));
    }

    /// After the last word of who wrote it.
    fn remove(&self, path: &Path) {
        drop(self.0.writer.remove(path));
    }
}

impl Running {
    /// Ends the source; returns what it knew.
    fn end(self) -> Vec<Target> {
        self.task.abort();
        if let Some(table) = &self.table {
            table.close();
        }
        self.feed.close()
    }
}

fn bounds(settings: &Discovery) -> Bounds {
    Bounds {
        networks: settings.networks.clone(),
        most_targets: settings.most_targets,
    }
}
