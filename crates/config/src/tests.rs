//! Tests of the crate as a whole; those of a part stand beside it.

mod access;
mod beside;
mod by_claims;
mod certificates;
mod defaults;
mod discovery;
mod documentation;
mod environments;
mod explanations;
mod hostile;
mod leaked_keys;
mod mail;
mod meaning;
mod mistakes;
mod overload;
mod rendering;
mod resources;
mod schema;
mod secrets;
mod sessions;
mod shaping;
mod split;
mod streams;
mod telemetry;
mod tokens;
mod transform;
mod upstreams;
mod validate;
mod websocket;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{
    Document, LoadOptions, Loaded, Report, ResourceKind, ResourceName, Variables, load_text,
};

/// The smallest configuration.
const BASE: &str = "listeners: [{address: 127.0.0.1:8080}]\n";

/// A folder with the test material, keys with the permissions that keys should have: version
/// control does not keep those.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let material = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        for entry in std::fs::read_dir(material).unwrap() {
            let entry = entry.unwrap();
            let target = folder.path().join(entry.file_name());
            std::fs::copy(entry.path(), &target).unwrap();
            set_mode(&target, 0o600);
        }
        let exposed = folder.path().join("exposed.key");
        std::fs::copy(folder.path().join("tls.key"), &exposed).unwrap();
        set_mode(&exposed, 0o644);
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Variables::Only(pairs.collect::<BTreeMap<_, _>>())
}

fn options() -> LoadOptions {
    LoadOptions {
        variables: variables(&[]),
        ..LoadOptions::default()
    }
}

fn try_load(text: &str) -> Result<Loaded, Report> {
    load_text(text, "weir.yaml", &PathBuf::new(), &options())
}

#[track_caller]
fn loaded(text: &str) -> Loaded {
    try_load(text).unwrap_or_else(|report| panic!("{report}"))
}

#[track_caller]
fn refused(text: &str) -> Report {
    match try_load(text) {
        Ok(_) => panic!("loaded:\n{text}"),
        Err(report) => report,
    }
}

fn codes_of(report: &Report) -> Vec<&'static str> {
    report
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect()
}

/// A resource; `kind` as its name is written.
fn resource(kind: &str, name: &str, text: &str) -> Document {
    let kind = ResourceKind::of_name(kind).unwrap();
    let id = ResourceName::new(kind, name).unwrap();
    Document {
        id,
        text: text.into(),
    }
}
