//! The resources that were last in effect, kept in the data directory as the records keep them: their secrets
//! are sealed.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_config::{Document, ResourceKind, ResourceName, Resources};

const FILE: &str = "resources.json";
/// Largest file that is read back; far more than there can be.
const LARGEST: u64 = 1 << 30;

#[derive(Serialize, Deserialize)]
struct Content {
    revision: i64,
    /// Not there in what an earlier version kept.
    #[serde(default)]
    digest: String,
    resources: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    kind: ResourceKind,
    name: String,
    document: Box<RawValue>,
}

/// Keeps them: whole or not at all, whatever happens meanwhile.
pub(super) fn save(directory: &Path, resources: &Resources) -> anyhow::Result<()> {
    let kept = |document: &Document| {
        Ok(Kept {
            kind: document.id.kind,
            name: document.id.name.clone(),
            document: RawValue::from_string(document.text.to_string())?,
        })
    };
    let documents = resources.documents().iter();
    let documents: serde_json::Result<Vec<_>> = documents.map(kept).collect();
    let content = Content {
        revision: resources.revision(),
        digest: resources.digest().to_owned(),
        resources: documents.context("cannot write resources")?,
    };
    let text = serde_json::to_vec(&content).context("cannot write resources")?;
    let path = directory.join(FILE);
    weir_files::replace(&path, &text)
        .with_context(|| format!("cannot keep resources in {}", path.display()))
}

/// What was kept; nothing if nothing ever was.
pub(crate) fn read(directory: &Path) -> anyhow::Result<Resources> {
    let path = directory.join(FILE);
    let text = weir_files::read(&path, LARGEST)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let Some(text) = text else {
        return Ok(Resources::default());
    };
    let content: Content =
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
    let documents = content.resources.into_iter().map(|kept| Document {
        id: ResourceName {
            kind: kept.kind,
            name: kept.name,
        },
        text: kept.document.get().into(),
    });
    let resources = Resources::new(content.revision, documents.collect());
    Ok(resources.with_digest(&content.digest))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_kept_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()).unwrap(), Resources::default());
        let document = |name: &str, text: &str| Document {
            id: ResourceName::new(ResourceKind::Route, name).unwrap(),
            text: text.into(),
        };
        let all = vec![
            document("b", r#"{"name":"b","upstream":"ü\n"}"#),
            document("a", r#"{"name":"a"}"#),
        ];
        let resources = Resources::new(7, all).with_digest("0f");
        save(directory.path(), &resources).unwrap();
        assert_eq!(read(directory.path()).unwrap(), resources);
        for damaged in [
            "",
            "{}",
            "{\"revision\":1,\"resources\":[{\"kind\":\"other\"}]}",
        ] {
            fs::write(directory.path().join(FILE), damaged).unwrap();
            let error = read(directory.path()).unwrap_err();
            assert!(error.to_string().ends_with("resources.json is damaged"));
        }
    }
}
