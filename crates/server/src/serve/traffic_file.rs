//! Shares of splits that were changed while running, kept in the data directory, so that a restart or
//! an upgrade changes nothing about them.
//!
//! While a successor starts, the former process goes on deciding and writing, and the successor follows
//! what it writes. Once the successor serves, the former one decides no more, writes for the last time and
//! says so; then the successor decides.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::task::block_in_place;
use tokio::time::sleep;
use weir_gateway::traffic::{SavedSplit, Traffic};

use super::{Node, Stage};

const FILE: &str = "traffic.json";
/// Largest file that is read back.
const LARGEST: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Content {
    splits: Vec<SavedSplit>,
}

/// How often a successor looks what the former process has decided.
const LOOK: Duration = Duration::from_millis(100);

/// The file. Written as a whole or not at all.
#[derive(Debug)]
pub(crate) struct TrafficFile {
    directory: PathBuf,
    /// Held while it is written: whoever writes last has the newest to say.
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    /// What the file holds; `None` if that is not known.
    text: Option<Vec<u8>>,
    /// Whether it is another process's to write.
    is_handed_over: bool,
}

impl TrafficFile {
    /// What a former process has kept. A damaged file is left as it is until there is something new
    /// to keep; traffic is served as the configuration says then.
    pub(crate) fn open(directory: &Path) -> (Self, Vec<SavedSplit>) {
        let (text, saved) = match read(&directory.join(FILE)) {
            Ok(None) => (Some(empty()), Vec::new()),
            Ok(Some((text, saved))) => (Some(text), saved),
            Err(error) => {
                tracing::error!("splits have the shares of the configuration: {error:#}");
                (None, Vec::new())
            }
        };
        let file = Self {
            directory: directory.to_owned(),
            held: Mutex::new(Held {
                text,
                is_handed_over: false,
            }),
        };
        (file, saved)
    }

    /// Keeps what is to be kept now, durably.
    pub(crate) fn save(&self, traffic: &Traffic) -> anyhow::Result<()> {
        self.write(traffic, &mut self.held())
    }

    /// Decides nothing about splits and writes nothing from now on, but for what was decided until now.
    pub(super) fn hand_over(&self, traffic: &Traffic) -> anyhow::Result<()> {
        let mut held = self.held();
        traffic.yield_decisions();
        let written = self.write(traffic, &mut held);
        held.is_handed_over = true;
        written
    }

    /// Takes up what the former process has written since the last look.
    fn look(&self, traffic: &Traffic) -> anyhow::Result<()> {
        let mut held = self.held();
        let (text, saved) =
            read(&self.directory.join(FILE))?.unwrap_or_else(|| (empty(), Vec::new()));
        if held.text.as_ref() != Some(&text) {
            traffic.adopt(&saved);
            held.text = Some(text);
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, traffic: &Traffic, held: &mut Held) -> anyhow::Result<()> {
        // What was to be kept was kept when it was handed over.
        if held.is_handed_over {
            return Ok(());
        }
        let splits = traffic.saved();
        if held.text.is_none() && splits.is_empty() {
            return Ok(());
        }
        let text = serde_json::to_vec(&Content { splits }).context("cannot write the shares")?;
        if held.text.as_ref() == Some(&text) {
            return Ok(());
        }
        let path = self.directory.join(FILE);
        weir_files::replace(&path, &text)
            .with_context(|| format!("cannot keep the shares of splits in {}", path.display()))?;
        held.text = Some(text);
        Ok(())
    }
}

fn empty() -> Vec<u8> {
    serde_json::to_vec(&Content { splits: Vec::new() }).unwrap_or_default()
}

fn read(path: &Path) -> anyhow::Result<Option<(Vec<u8>, Vec<SavedSplit>)>> {
    let text = weir_files::read(path, LARGEST)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let Some(text) = text else { return Ok(None) };
    let content: Content =
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
    Ok(Some((text, content.splits)))
}

/// Keeps what guards, shifts and reloads change, until the process is about to end: then it may be
/// another one's to keep.
pub(super) async fn keep(node: Arc<Node>) {
    let mut changes = node.gateway.traffic().changes();
    changes.mark_changed();
    while changes.changed().await.is_ok() {
        if node.stage() == Stage::Draining {
            return;
        }
        said(block_in_place(|| {
            node.traffic_file.save(node.gateway.traffic())
        }));
    }
}

/// Follows what the former process decides while this one starts.
pub(super) async fn follow(node: &Node) -> Infallible {
    loop {
        if let Err(error) = block_in_place(|| node.traffic_file.look(node.gateway.traffic())) {
            tracing::debug!("the shares of splits cannot be followed: {error:#}");
        }
        sleep(LOOK).await;
    }
}

/// Leaves deciding to the successor.
pub(super) fn hand_over(node: &Node) {
    said(block_in_place(|| {
        node.traffic_file.hand_over(node.gateway.traffic())
    }));
}

/// Takes up what the former process has decided last, and decides from now on.
pub(super) fn take_over(node: &Node) {
    let traffic = node.gateway.traffic();
    said(block_in_place(|| node.traffic_file.look(traffic)));
    traffic.decide();
}

/// Traffic flows all the same.
fn said(outcome: anyhow::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!("{error:#}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_damaged_file_is_an_error_that_names_it_and_no_file_is_none() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read(&directory.path().join(FILE)).unwrap().is_none());
        for damaged in [
            "",
            "{\"splits\":[{}]}",
            "[]",
            "{\"splits\":[{\"route\":\"a\"}]}",
        ] {
            fs::write(directory.path().join(FILE), damaged).unwrap();
            let error = read(&directory.path().join(FILE)).unwrap_err();
            assert!(
                error.to_string().ends_with("traffic.json is damaged"),
                "{error}"
            );
            let (file, saved) = TrafficFile::open(directory.path());
            assert!(saved.is_empty() && file.held().text.is_none());
        }
    }
}
