//! The last configuration that took effect, kept in the data directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use weir_config::Loaded;

const FILE: &str = "last-good.json";

/// A configuration's text and what is needed to load it again. What it refers to (`file:`, `env:`)
/// is not copied: secrets stay where they are.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LastGood {
    /// Where the text was read from; references are relative to its directory.
    pub(super) file: PathBuf,
    /// The environment whose overlay was applied.
    pub(super) environment: Option<String>,
    pub(super) digest: String,
    pub(super) text: String,
}

impl LastGood {
    /// What is to be kept of a configuration that took effect.
    pub(super) fn of(file: &Path, loaded: &Loaded) -> Self {
        Self {
            file: std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
            environment: loaded.config.environment.clone(),
            digest: loaded.digest.clone(),
            text: loaded.text.clone(),
        }
    }

    /// Keeps it: whole or not at all, whatever happens meanwhile.
    pub(super) fn save(&self, data: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec(self).context("cannot write the last good revision")?;
        replace(data, FILE, &text).with_context(|| {
            format!(
                "cannot keep the last good revision in {}",
                data.join(FILE).display()
            )
        })
    }

    /// What was kept; `None` if nothing ever was.
    pub(super) fn load(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = data.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let kept = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Some(kept))
    }
}

/// Replaces a file so that a reader, or the next start after a power cut, sees the old or the new
/// content and nothing between. Only the owner may read it.
pub(super) fn replace(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!(".{name}.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, directory.join(name)))
        .and_then(|()| File::open(directory)?.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_comes_back_and_leaves_no_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        assert!(LastGood::load(directory.path()).unwrap().is_none());
        let kept = LastGood {
            file: PathBuf::from("/etc/weir/weir.yaml"),
            environment: Some("production".into()),
            digest: "abc".into(),
            text: "listeners: []\n".into(),
        };
        kept.save(directory.path()).unwrap();
        kept.save(directory.path()).unwrap();
        let back = LastGood::load(directory.path()).unwrap().unwrap();
        assert_eq!((back.text, back.environment), (kept.text, kept.environment));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "{\"file\":").unwrap();
        let error = LastGood::load(directory.path()).unwrap_err();
        assert!(
            error.to_string().ends_with("last-good.json is damaged"),
            "{error}"
        );
    }
}
