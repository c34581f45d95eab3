//! Shares of splits that were changed while running, kept in the data directory, so that a restart or
//! an upgrade changes nothing about them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::task::block_in_place;
use weir_gateway::traffic::{SavedSplit, Traffic};

use super::{Node, Stage};

const FILE: &str = "traffic.json";
/// Largest file that is read back.
const LARGEST: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Content {
    splits: Vec<SavedSplit>,
}

/// The file. Written as a whole or not at all.
#[derive(Debug)]
pub(crate) struct TrafficFile {
    directory: PathBuf,
    /// What it holds; `None` if that is not known. Held while it is written: whoever writes last has
    /// the newest to say.
    text: Mutex<Option<Vec<u8>>>,
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
            text: Mutex::new(text),
        };
        (file, saved)
    }

    /// Keeps what is to be kept now, durably.
    pub(crate) fn save(&self, traffic: &Traffic) -> anyhow::Result<()> {
        let mut known = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let splits = traffic.saved();
        if known.is_none() && splits.is_empty() {
            return Ok(());
        }
        let text = serde_json::to_vec(&Content { splits }).context("cannot write the shares")?;
        if known.as_ref() == Some(&text) {
            return Ok(());
        }
        let path = self.directory.join(FILE);
        weir_files::replace(&path, &text)
            .with_context(|| format!("cannot keep the shares of splits in {}", path.display()))?;
        *known = Some(text);
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
        // A successor that is starting has read the file.
        let Some(_permit) = node.keeping.permit().await else {
            continue;
        };
        save(&node);
    }
}

/// Keeps what is to be kept now; failing that is only said.
pub(super) fn save(node: &Node) {
    let saved = block_in_place(|| node.traffic_file.save(node.gateway.traffic()));
    if let Err(error) = saved {
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
            assert!(saved.is_empty() && file.text.lock().unwrap().is_none());
        }
    }
}
