//! The installation's key: secrets in the records are sealed under it, so that a copy of the records
//! alone opens nothing.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_config::Config;
use weir_core::Secret;

/// Its file in the data directory, for the owner alone.
pub(crate) const FILE: &str = "installation.key";
/// More than a key and a line break.
const LARGEST: u64 = 256;

/// The key, and those that it has taken the place of.
pub(crate) struct InstallationKey {
    present: Secret<[u8; 32]>,
    former: Vec<Secret<[u8; 32]>>,
}

impl InstallationKey {
    /// The one that the configuration refers to, or that of the data directory, made if there is none.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        let former = config.records.former_keys.clone();
        if let Some(present) = config.records.key.clone() {
            return Ok(Self { present, former });
        }
        let path = config.data.join(FILE);
        if let Some(present) = load(&path)? {
            return Ok(Self { present, former });
        }
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| anyhow!("the system has no random numbers"))?;
        weir_files::replace(&path, format!("{}\n", STANDARD.encode(key)).as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            present: Secret::new(key),
            former,
        })
    }

    /// The key itself.
    pub(crate) const fn secret(&self) -> &Secret<[u8; 32]> {
        &self.present
    }

    /// Those under which secrets may be sealed as well.
    pub(crate) fn former(&self) -> &[Secret<[u8; 32]>] {
        &self.former
    }

    /// A key for one purpose, which tells nothing about this one or another (HKDF, RFC 5869).
    pub(crate) fn derive(&self, purpose: &str) -> anyhow::Result<[u8; 32]> {
        let mut derived = [0; 32];
        Prk::new_less_safe(HKDF_SHA256, self.present.expose())
            .expand(&[b"weir.", purpose.as_bytes()], HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut derived))
            .map_err(|_| anyhow!("cannot derive a key"))?;
        Ok(derived)
    }
}

fn load(path: &Path) -> anyhow::Result<Option<Secret<[u8; 32]>>> {
    let Some(text) = weir_files::read(path, LARGEST)
        .with_context(|| format!("cannot read {}", path.display()))?
    else {
        return Ok(None);
    };
    let key = STANDARD.decode(text.trim_ascii()).ok();
    match key.and_then(|key| key.try_into().ok()) {
        Some(key) => Ok(Some(Secret::new(key))),
        None => bail!(
            "{} holds no key: restore it from a backup, for without it second factors, waiting mail and \
             secrets of resources in the records cannot be read",
            path.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_and_each_purpose_has_its_own() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = format!(
            "data: {}\nlisteners: [{{ address: 127.0.0.1:0 }}]\n",
            directory.path().display()
        );
        let loaded = weir_config::load_text(
            &text,
            "weir.yaml",
            Path::new(""),
            &weir_config::LoadOptions::default(),
        );
        let config = loaded.expect("a configuration").config;
        let first = InstallationKey::of(&config).expect("a key");
        let second = InstallationKey::of(&config).expect("the same key");
        assert_eq!(first.secret(), second.secret());
        let derived = |purpose| first.derive(purpose).expect("a key");
        assert_eq!(derived("cursors"), second.derive("cursors").expect("a key"));
        assert_ne!(derived("cursors"), derived("others"));
        assert_ne!(derived("cursors"), *first.secret().expose());
        std::fs::write(directory.path().join(FILE), "no key").expect("written");
        let error = InstallationKey::of(&config).err().expect("an error");
        assert!(error.to_string().contains("holds no key"), "{error}");
    }
}
