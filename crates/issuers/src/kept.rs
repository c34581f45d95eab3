//! Keys that outlive the process: `issuers/HASH.json` in the data directory.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use weir_files::Writer;
use weir_jose::KeySet;

use crate::settings::{Form, Settings, Source};

/// Largest file that is read back: a set, and what is around it once it is escaped.
const LARGEST: u64 = 8 << 20;

#[derive(Serialize, Deserialize)]
struct Kept {
    /// Who was asked: the keys of another issuer must not be taken for this one's.
    source: String,
    /// Unix seconds.
    fetched_at: u64,
    /// As it was published.
    set: String,
}

/// The file of what is known from this source; none for files, which are there by themselves.
pub(crate) fn path(data: &Path, settings: &Settings) -> Option<PathBuf> {
    let source = described(settings)?;
    let hash = digest(&SHA256, source.as_bytes());
    let name: String = hash.as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some(data.join("issuers").join(format!("{name}.json")))
}

/// Has the writer keep a set; returns at once.
pub(crate) fn save(writer: &Writer, path: &Path, settings: &Settings, set: &[u8], now: SystemTime) {
    let Some(source) = described(settings) else {
        return;
    };
    let kept = Kept {
        source,
        fetched_at: now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        set: String::from_utf8_lossy(set).into_owned(),
    };
    match serde_json::to_vec(&kept) {
        Ok(content) => drop(writer.replace(path, content)),
        Err(error) => tracing::warn!(%error, "an issuer's keys have no JSON form"),
    }
}

/// The set that this source had, and when; none if it never had one, it is too old, or the file cannot be used, which
/// the log is told.
pub(crate) fn load(
    path: &Path,
    settings: &Settings,
    now: SystemTime,
) -> Option<(KeySet, SystemTime)> {
    let read = weir_files::read(path, LARGEST).and_then(|content| match content {
        Some(content) => Ok(Some(serde_json::from_slice::<Kept>(&content)?)),
        None => Ok(None),
    });
    let kept = match read {
        Ok(kept) => kept?,
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "the last known keys cannot be used");
            return None;
        }
    };
    if Some(kept.source) != described(settings) {
        return None;
    }
    let fetched_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(kept.fetched_at))?;
    // A clock that was set back makes what is kept no younger than new.
    let age = now.duration_since(fetched_at).unwrap_or_default();
    if age >= settings.stale {
        return None;
    }
    let (set, _) = settings.form.parse(kept.set.as_bytes()).ok()?;
    Some((set, fetched_at))
}

/// Who is asked, in full, and for what.
fn described(settings: &Settings) -> Option<String> {
    match (&settings.source, settings.form) {
        (Source::File(_), _) => None,
        (Source::Keys(url), Form::Jwks) => Some(format!("keys {url}")),
        (Source::Keys(url), Form::Github) => Some(format!("keys of github {url}")),
        (Source::Issuer(url), _) => Some(format!("issuer {url}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    #[test]
    fn keys_come_back_for_the_same_source_until_they_are_too_old() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings::new(Source::Keys("https://a.test/jwks?p=1".into()));
        let path = path(directory.path(), &settings).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        assert!(load(&path, &settings, now).is_none());
        let writer = Writer::new("weir-files", |_, _| {});
        save(&writer, &path, &settings, SET, now);
        assert!(writer.flush(Duration::from_secs(30)));

        let (set, fetched_at) = load(&path, &settings, now + Duration::from_secs(60)).unwrap();
        assert_eq!((set.keys().len(), fetched_at), (1, now));
        assert!(load(&path, &settings, now + settings.stale).is_none());
        let other = Settings::new(Source::Keys("https://a.test/jwks?p=2".into()));
        assert!(load(&path, &other, now).is_none());
        weir_files::replace(&path, b"{\"source\":").unwrap();
        assert!(load(&path, &settings, now).is_none());
    }
}
