//! Targets by Kubernetes' EndpointSlices: list, then watch.

mod access;
mod slices;

use std::time::{Duration, Instant};

use http::StatusCode;
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use weir_config::model::KubernetesSource;

use crate::feed::Feed;
use access::Access;
pub use access::Pod;
use slices::{Slice, Slices};
use weir_outbound::{self as client, Backoff, HttpError, Lines, encode};

/// Slices of one page of a list.
const PAGE: usize = 500;
/// How long the API server may keep a watch open; spread, so that those of a fleet do not end
/// together.
const WATCH: Duration = Duration::from_secs(240);
const WATCH_SPREAD: Duration = Duration::from_secs(60);
/// Beyond that it is silent.
const BEYOND: Duration = Duration::from_secs(30);
/// How long a head, or a page of a list, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of one event. etcd keeps no object of more than 1.5 MiB.
const LINE_BYTES: usize = 4 << 20;
/// How long events are gathered before they take effect: a roll-out sends a burst of them.
const GATHER: Duration = Duration::from_millis(100);

/// Least time from one watch to the next, whatever the server does.
const LEAST: Duration = Duration::from_secs(1);

/// Why a watch ended in failure.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Http(#[from] HttpError),
    /// What was seen is too old to go on from (410, "Gone"): the list must be read anew.
    #[error("the resource version is too old")]
    Gone,
    /// The code, and what the server says to it.
    #[error("answered {0}")]
    Api(String),
    #[error("an event is not as expected: {0}")]
    Event(serde_json::Error),
    #[error("{0}")]
    Settings(String),
    #[error("there are more endpoints than can be kept")]
    TooMany,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(default)]
    items: Option<Vec<Slice>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    r#continue: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    r#type: String,
    object: serde_json::Value,
}

/// What an `ERROR` event and a refusal carry.
#[derive(Default, Deserialize)]
struct ApiStatus {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

pub(crate) async fn run(source: &KubernetesSource, pod: &Pod, feed: &Feed) {
    let mut backoff = Backoff::default();
    let mut watched = Watched::new(source, feed);
    loop {
        let began = Instant::now();
        match watched.go_on(source, pod).await {
            Ok(()) => {
                backoff.reset();
                sleep(LEAST.saturating_sub(began.elapsed())).await;
            }
            Err(fault) => {
                if !matches!(fault, Fault::Http(_)) {
                    // Whatever is wrong, what was seen so far is no ground to go on from.
                    watched.version = None;
                }
                // That a version is too old is ordinary, unless it happens again and again.
                if !matches!(fault, Fault::Gone) || watched.gone > 1 {
                    feed.failed(format!("kubernetes: {fault}"));
                }
                // Even what is ordinary does not come more often than once in a while.
                let is_ordinary = matches!(fault, Fault::Gone) && watched.gone == 1;
                let pause = if is_ordinary {
                    Duration::ZERO
                } else {
                    backoff.pause()
                };
                sleep(pause.max(LEAST.saturating_sub(began.elapsed()))).await;
            }
        }
    }
}

/// What is known of a service's slices.
struct Watched<'a> {
    feed: &'a Feed,
    slices: Slices,
    /// What the list, or the last event, was the state of; `None` before there is a list.
    version: Option<String>,
    /// How often in a row the version was too old.
    gone: u32,
}

impl<'a> Watched<'a> {
    fn new(source: &KubernetesSource, feed: &'a Feed) -> Self {
        Self {
            feed,
            slices: Slices::new(source.port.clone(), feed.bounds.most_targets),
            version: None,
            gone: 0,
        }
    }

    /// One list, if need be, and one watch.
    async fn go_on(&mut self, source: &KubernetesSource, pod: &Pod) -> Result<(), Fault> {
        let access = Access::of(source, pod).await.map_err(Fault::Settings)?;
        let outcome = async {
            let version = match &self.version {
                Some(version) => version.clone(),
                None => self.list(&access).await?,
            };
            self.watch(&access, &version).await
        };
        let outcome = outcome.await;
        match outcome {
            Err(Fault::Gone) => self.gone += 1,
            Err(_) => {}
            Ok(()) => self.gone = 0,
        }
        outcome
    }

    /// Reads all slices; returns of which version the list is.
    async fn list(&mut self, access: &Access) -> Result<String, Fault> {
        self.slices.clear();
        let mut next: Option<String> = None;
        loop {
            let mut query = format!("limit={PAGE}");
            if let Some(token) = &next {
                query.push_str(&format!("&continue={}", encode(token)));
            }
            let answer = access.get(&query, PATIENCE).await?;
            if answer.status != StatusCode::OK {
                return Err(refusal(answer).await);
            }
            let list: List = answer.json().await?;
            for slice in list.items.unwrap_or_default() {
                if !self.slices.put(slice) {
                    return Err(Fault::TooMany);
                }
            }
            next = list.metadata.r#continue.filter(|token| !token.is_empty());
            if next.is_none() {
                let version = list.metadata.resource_version;
                self.version = Some(version.clone());
                self.publish();
                return Ok(version);
            }
        }
    }

    async fn watch(&mut self, access: &Access, version: &str) -> Result<(), Fault> {
        let open_for = WATCH + WATCH_SPREAD.mul_f64(fastrand::f64());
        let query = format!(
            "watch=true&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
            open_for.as_secs(),
            encode(version)
        );
        let answer = access.get(&query, PATIENCE).await?;
        if answer.status != StatusCode::OK {
            return Err(refusal(answer).await);
        }
        // An API server that lets us watch is one that is there.
        self.publish();
        let mut lines = answer.lines(LINE_BYTES);
        let silent = open_for + BEYOND;
        loop {
            let line = timeout(silent, lines.next()).await;
            let Some(line) = line.map_err(|_| HttpError::Silent(silent))?? else {
                return Ok(());
            };
            let mut outcome = self.take(&line);
            if matches!(outcome, Ok(true)) {
                outcome = self.gather(&mut lines).await;
            }
            outcome?;
        }
    }

    /// Takes the events that come close behind one, then publishes what they came to.
    async fn gather(&mut self, lines: &mut Lines) -> Result<bool, Fault> {
        let mut rest = std::pin::pin!(sleep(GATHER));
        let outcome = loop {
            let line = tokio::select! {
                line = lines.next() => line,
                () = &mut rest => break Ok(true),
            };
            match line {
                // The next look finds the end, or the failure, again.
                Ok(None) | Err(_) => break Ok(true),
                Ok(Some(line)) => {
                    if let Err(fault) = self.take(&line) {
                        break Err(fault);
                    }
                }
            }
        };
        self.publish();
        outcome
    }

    /// Takes one event; true if the slices may be others than before.
    fn take(&mut self, line: &[u8]) -> Result<bool, Fault> {
        let event: Event = serde_json::from_slice(line).map_err(Fault::Event)?;
        if event.r#type == "ERROR" {
            let status: ApiStatus = serde_json::from_value(event.object).unwrap_or_default();
            return Err(status.into());
        }
        let slice: Slice = serde_json::from_value(event.object).map_err(Fault::Event)?;
        self.version = Some(slice.version().to_owned());
        self.gone = 0;
        match event.r#type.as_str() {
            "ADDED" | "MODIFIED" => {
                if !self.slices.put(slice) {
                    return Err(Fault::TooMany);
                }
            }
            "DELETED" => self.slices.remove(&slice),
            // A bookmark says only how far the watch has come; what is not known says nothing.
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn publish(&self) {
        match self.slices.targets() {
            Ok(targets) => self.feed.answered(targets),
            Err(fault) => self.feed.failed(format!("kubernetes: {fault}")),
        }
    }
}

async fn refusal(answer: client::Answer) -> Fault {
    let code = answer.status.as_u16();
    let mut status: ApiStatus = answer.error_body().await.unwrap_or_default();
    status.code = code;
    status.into()
}

impl From<ApiStatus> for Fault {
    fn from(status: ApiStatus) -> Self {
        match status.code {
            410 => Self::Gone,
            code if status.message.is_empty() => Self::Api(code.to_string()),
            code => Self::Api(format!("{code}: {}", status.message)),
        }
    }
}
