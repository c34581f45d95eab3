//! Sessions that `weir login` began, by the address of their admin listener.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use weir_core::Secret;

use super::{Credential, Source};
use crate::admin_client::Place;

/// More than a person signs in to.
const LARGEST: u64 = 1 << 20;

/// The file that has all of them.
pub(crate) struct Kept {
    path: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
struct Sessions {
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
        let token = Secret::new(self.token.clone());
        Credential::new(token, Source::Session(self.email.clone()))
    }
}

impl Kept {
    /// That of the person whose shell this is; `None` where nobody has a home.
    pub(crate) fn find() -> Option<Self> {
        path().map(|path| Self { path })
    }

    /// The session at an admin listener.
    pub(crate) fn at(&self, place: &Place) -> anyhow::Result<Option<KeptSession>> {
        Ok(self.read()?.sessions.remove(&place.to_string()))
    }

    /// Keeps a session, in place of one there.
    pub(crate) fn put(&self, place: &Place, session: KeptSession) -> anyhow::Result<()> {
        self.change(|sessions| {
            sessions.insert(place.to_string(), session);
            true
        })
    }

    /// Keeps another token of a session there, unless it has another one already, or is somebody else's.
    pub(crate) fn replace(
        &self,
        place: &Place,
        former: &Secret<String>,
        token: &Secret<String>,
    ) -> anyhow::Result<()> {
        self.change(|sessions| match sessions.get_mut(&place.to_string()) {
            Some(session) if session.token == *former.expose() => {
                session.token.clone_from(token.expose());
                true
            }
            _ => false,
        })
    }

    /// Forgets the session there.
    pub(crate) fn forget(&self, place: &Place) -> anyhow::Result<()> {
        self.change(|sessions| sessions.remove(&place.to_string()).is_some())
    }

    fn read(&self) -> anyhow::Result<Sessions> {
        let shown = self.path.display();
        let text = weir_files::read(&self.path, LARGEST)
            .with_context(|| format!("cannot read the sessions in {shown}"))?;
        match text {
            None => Ok(Sessions::default()),
            Some(text) => serde_json::from_slice(&text).with_context(|| {
                format!("{shown} is not as `weir login` writes it: delete it and sign in again")
            }),
        }
    }

    /// Writes the file anew if `make` changed something. Of several commands one does so at a time: none undoes what another
    /// has written.
    fn change(
        &self,
        make: impl FnOnce(&mut BTreeMap<String, KeptSession>) -> bool,
    ) -> anyhow::Result<()> {
        let shown = self.path.display();
        let locked = lock(&self.path.with_extension("lock"));
        let _locked = locked.with_context(|| format!("cannot lock {shown}"))?;
        let mut file = self.read()?;
        if !make(&mut file.sessions) {
            return Ok(());
        }
        let mut text = serde_json::to_vec_pretty(&file)?;
        text.push(b'\n');
        weir_files::replace(&self.path, &text).with_context(|| format!("cannot write {shown}"))
    }
}

/// Holds the lock until it is dropped. It is a file of its own, since the other one is replaced.
fn lock(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        let mut made = DirBuilder::new();
        made.recursive(true).mode(0o700).create(directory)?;
    }
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(path)?;
    file.lock()?;
    Ok(file)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn session(token: &str) -> KeptSession {
        KeptSession {
            email: "ada@acme.example".to_owned(),
            token: token.to_owned(),
        }
    }

    fn place(number: usize) -> Place {
        format!("127.0.0.1:{}", 9000 + number).parse().unwrap()
    }

    #[test]
    fn what_several_commands_keep_at_once_is_all_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weir/credentials.json");
        std::thread::scope(|scope| {
            for number in 0..16 {
                let kept = Kept { path: path.clone() };
                scope.spawn(move || kept.put(&place(number), session("x")).unwrap());
            }
        });
        let kept = Kept { path };
        for number in 0..16 {
            assert!(kept.at(&place(number)).unwrap().is_some(), "{number}");
        }
    }

    #[test]
    fn a_token_takes_the_place_of_its_former_one_alone() {
        let directory = tempfile::tempdir().unwrap();
        let kept = Kept {
            path: directory.path().join("credentials.json"),
        };
        let replace = |former: &str, token: &str| {
            let secret = |text: &str| Secret::new(text.to_owned());
            kept.replace(&place(0), &secret(former), &secret(token))
        };
        let token = || kept.at(&place(0)).unwrap().map(|session| session.token);
        // Nobody who has signed out is signed in by it.
        replace("one", "two").unwrap();
        assert_eq!(token(), None);
        kept.put(&place(0), session("one")).unwrap();
        replace("one", "two").unwrap();
        assert_eq!(token().as_deref(), Some("two"));
        replace("one", "three").unwrap();
        assert_eq!(token().as_deref(), Some("two"));
    }
}
