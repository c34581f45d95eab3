//! All splits of the process, by their routes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;
use weir_config::model::{Config, Split};

use super::change::{Change, ChangeError};
use super::report::SplitReport;
use super::running::Running;
use super::shares::Shares;
use super::state::{SavedSplit, State, wall_clock};

/// The splits that run.
#[derive(Debug)]
pub struct Traffic {
    inner: Mutex<Inner>,
    /// Whether changes are made here. Of a process and its successor one decides at a time; held while it
    /// does, so that what was decided before it was handed over is in [`Traffic::saved`] after it.
    decides: Mutex<bool>,
    /// Grows when something happens that [`Traffic::saved`] tells.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    /// In the order of the configuration's routes.
    splits: Vec<Arc<Running>>,
    /// From a former process, until the first configuration took it up.
    saved: Vec<SavedSplit>,
}

impl Traffic {
    pub(crate) fn new(saved: Vec<SavedSplit>, decides: bool) -> Arc<Self> {
        let splits = Vec::new();
        Arc::new(Self {
            inner: Mutex::new(Inner { splits, saved }),
            decides: Mutex::new(decides),
            changes: watch::Sender::new(0),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decides(&self) -> MutexGuard<'_, bool> {
        self.decides.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn splits(&self) -> Vec<Arc<Running>> {
        self.inner().splits.clone()
    }

    /// Takes up a new revision, from here on also for requests that still go by the former one.
    /// Returns the state of the split of each route that has one.
    pub(crate) fn configure(
        &self,
        config: &Config,
        splits: Vec<(Arc<str>, &Split)>,
        workers: usize,
    ) -> Vec<Arc<Running>> {
        let now = Instant::now();
        let inner = &mut *self.inner();
        let saved = std::mem::take(&mut inner.saved);
        let mut configured = Vec::with_capacity(splits.len());
        for (route, split) in splits {
            let name = |at: usize| Arc::from(config.upstreams[at].name.as_str());
            let upstreams: Vec<Arc<str>> = split
                .backends
                .iter()
                .map(|backend| name(backend.upstream))
                .collect();
            let weights = split
                .backends
                .iter()
                .map(|backend| f64::from(backend.weight));
            let file = Shares::of(&weights.collect::<Vec<f64>>());
            let known = inner.splits.iter().find(|known| *known.route() == route);
            let was_changed = match known {
                Some(known) if known.upstreams() == upstreams => {
                    let was_changed = known.configure(file, split.guard, now);
                    configured.push(Arc::clone(known));
                    was_changed
                }
                _ => {
                    let kept = saved.iter().find(|saved| *saved.route == *route);
                    let usable = kept.filter(|kept| kept.fits(&upstreams, &file));
                    let was_changed = (kept.is_some() && usable.is_none())
                        || known.is_some_and(|known| known.saved().is_some());
                    let mut state =
                        usable.map_or_else(|| State::as_in(file), |kept| kept.state.clone());
                    // Before the first request, not with the first tick.
                    state.advance(wall_clock());
                    let route = Arc::clone(&route);
                    let running = Running::new(route, upstreams, workers, state, split.guard, now);
                    configured.push(Arc::new(running));
                    was_changed
                }
            };
            if was_changed {
                tracing::info!(%route, "the split in the file is another one: it replaces the shares that were set while running");
            }
        }
        inner.splits.clone_from(&configured);
        self.changes.send_modify(|changes| *changes += 1);
        configured
    }

    /// What time alone does: shifts go on, guards look.
    pub(crate) fn advance(&self, now: Instant) {
        let wall = wall_clock();
        let mut is_changed = false;
        let decides = self.decides();
        for split in self.splits() {
            is_changed |= split.advance(now, wall, *decides);
        }
        drop(decides);
        if is_changed {
            self.changes.send_modify(|changes| *changes += 1);
        }
    }

    /// Changes the shares of a route's split.
    pub fn change(&self, route: &str, change: &Change) -> Result<SplitReport, ChangeError> {
        let decides = self.decides();
        if !*decides {
            return Err(ChangeError::HandedOver);
        }
        let split = self.find(route)?;
        split.change(change, Instant::now(), wall_clock())?;
        let report = split.report();
        let percents = report.backends.iter();
        let shares: Vec<String> = percents
            .map(|backend| format!("{}={}%", backend.upstream, backend.percent))
            .collect();
        tracing::info!(
            route,
            change = change.name(),
            shares = shares.join(" "),
            "traffic changed"
        );
        self.changes.send_modify(|changes| *changes += 1);
        Ok(report)
    }

    /// Decides nothing from now on: no change is made, no guard acts, and [`Traffic::saved`] has all that
    /// was decided.
    pub fn yield_decisions(&self) {
        *self.decides() = false;
    }

    /// Decides from now on.
    pub fn decide(&self) {
        *self.decides() = true;
    }

    /// Takes up what the process has decided that still does: what it saves.
    pub fn adopt(&self, saved: &[SavedSplit]) {
        let (now, wall) = (Instant::now(), wall_clock());
        for split in self.splits() {
            let kept = saved.iter().find(|saved| saved.route == **split.route());
            split.adopt(kept, now, wall);
        }
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn find(&self, route: &str) -> Result<Arc<Running>, ChangeError> {
        let splits = self.splits();
        let found = splits.into_iter().find(|split| **split.route() == *route);
        found.ok_or_else(|| ChangeError::UnknownRoute(route.to_owned()))
    }

    /// All splits, in the order of the configuration's routes.
    pub fn reports(&self) -> Vec<SplitReport> {
        self.splits().iter().map(|split| split.report()).collect()
    }

    /// What has to be kept for the next process: splits whose shares are not as in the file.
    pub fn saved(&self) -> Vec<SavedSplit> {
        self.splits()
            .iter()
            .filter_map(|split| split.saved())
            .collect()
    }

    /// Tells when [`Traffic::saved`] may have something new to say.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
