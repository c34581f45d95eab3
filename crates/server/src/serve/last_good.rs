//! The last configuration that took effect, kept in the data directory.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use weir_config::Loaded;

const FILE: &str = "last-good.json";
/// Largest file that is read back: a configuration of 16 MiB, escaped.
const LARGEST: u64 = 128 << 20;

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
        let path = data.join(FILE);
        weir_files::replace(&path, &text)
            .with_context(|| format!("cannot keep the last good revision in {}", path.display()))
    }

    /// What was kept; `None` if nothing ever was.
    pub(super) fn load(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = data.join(FILE);
        let text = weir_files::read(&path, LARGEST)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let Some(text) = text else { return Ok(None) };
        let kept = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Some(kept))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
