//! Sessions that `weir login` began, by the address of their admin listener.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use weir_core::Secret;

use super::{Credential, Source};
use crate::admin_client::Place;

/// More than a person signs in to.
const LARGEST: u64 = 1 << 20;

/// All of them, as the file has them.
pub(crate) struct Kept {
    path: PathBuf,
    file: File,
}

#[derive(Default, Serialize, Deserialize)]
struct File {
    sessions: BTreeMap<String, KeptSession>,
}

/// One of them.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeptSession {
    /// Who signed in.
    pub(crate) email: String,
    /// The session's token.
    pub(crate) token: String,
}

impl KeptSession {
    /// To be shown.
    pub(crate) fn credential(&self) -> Credential {
        Credential {
            token: Secret::new(self.token.clone()),
            source: Source::Session(self.email.clone()),
        }
    }
}

impl Kept {
    /// What is kept for the person whose shell this is; `None` where nobody has a home.
    pub(crate) fn load() -> anyhow::Result<Option<Self>> {
        let Some(path) = path() else {
            return Ok(None);
        };
        let shown = path.display();
        let text = weir_files::read(&path, LARGEST)
            .with_context(|| format!("cannot read the sessions in {shown}"))?;
        let file = match text {
            None => File::default(),
            Some(text) => serde_json::from_slice(&text).with_context(|| {
                format!("{shown} is not as `weir login` writes it: delete it and sign in again")
            })?,
        };
        Ok(Some(Self { path, file }))
    }

    /// The session at an admin listener.
    pub(crate) fn at(&self, place: &Place) -> Option<&KeptSession> {
        self.file.sessions.get(&place.to_string())
    }

    /// Keeps a session, in place of one there.
    pub(crate) fn put(&mut self, place: &Place, session: KeptSession) -> anyhow::Result<()> {
        self.file.sessions.insert(place.to_string(), session);
        self.write()
    }

    /// Forgets the session there.
    pub(crate) fn forget(&mut self, place: &Place) -> anyhow::Result<()> {
        if self.file.sessions.remove(&place.to_string()).is_none() {
            return Ok(());
        }
        self.write()
    }

    fn write(&self) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(&self.file)?;
        text.push(b'\n');
        weir_files::replace(&self.path, &text)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// As the XDG Base Directory Specification has it.
fn path() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let configuration =
        absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(configuration.join("weir/credentials.json"))
}
