//! `env:NAME` and `file:PATH`: values that are kept outside of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use weir_core::Secret;

use crate::codes;
use crate::model::{Material, Source};
use crate::suggest::quote;
use crate::value::Fault;

/// Largest referenced file.
const LARGEST: u64 = 1 << 20;
/// Largest document of a contract.
const LARGEST_DOCUMENT: u64 = 16 << 20;

/// Where `env:` references look.
#[derive(Clone, Debug, Default)]
pub enum Variables {
    /// The environment of this process.
    #[default]
    Process,
    /// These and no others: for tests and for configurations that come from elsewhere.
    Only(BTreeMap<String, String>),
}

impl Variables {
    fn get(&self, name: &str) -> Option<String> {
        match self {
            Self::Process => std::env::var(name).ok(),
            Self::Only(variables) => variables.get(name).cloned(),
        }
    }
}

/// A reference as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference<'t> {
    Environment(&'t str),
    File(&'t str),
}

impl<'t> Reference<'t> {
    /// `None` if the text is no reference at all, a fault if it is one without a usable name.
    pub(crate) fn parse(text: &'t str) -> Option<Result<Self, Fault>> {
        if let Some(name) = text.strip_prefix("env:") {
            return Some(if is_variable_name(name) {
                Ok(Self::Environment(name))
            } else {
                let message = format!("{} is not the name of a variable", quote(name));
                Err(Fault::new(codes::NOT_A_REFERENCE, message)
                    .help("write letters, digits and `_` right behind `env:`"))
            });
        }
        let path = text.strip_prefix("file:")?;
        let is_url = path.starts_with("//");
        if path.is_empty() || is_url || path.trim() != path || path.contains('\0') {
            let message = format!("{} is not the path of a file", quote(path));
            return Some(Err(Fault::new(codes::NOT_A_REFERENCE, message)
                .help("write the path right behind `file:`, as in `file:tls.crt`")));
        }
        Some(Ok(Self::File(path)))
    }
}

/// Reads what references lead to and remembers what was read.
pub(crate) struct Materials<'a> {
    /// Relative paths start here.
    pub(crate) base: &'a Path,
    pub(crate) variables: &'a Variables,
    /// The moment for which certificates are judged.
    pub(crate) now: SystemTime,
    files: BTreeSet<PathBuf>,
    digest: Sha256,
}

impl<'a> Materials<'a> {
    pub(crate) fn new(base: &'a Path, variables: &'a Variables, now: SystemTime) -> Self {
        Self {
            base,
            variables,
            now,
            files: BTreeSet::new(),
            digest: Sha256::new(),
        }
    }

    /// The bytes behind a reference. A fault never repeats them.
    pub(crate) fn read(&mut self, reference: &Reference<'_>) -> Result<Material, Fault> {
        let (bytes, source) = match reference {
            Reference::Environment(name) => {
                let value = self.variables.get(name).ok_or_else(|| {
                    Fault::new(
                        codes::VARIABLE_UNSET,
                        format!("the variable {} is not set", quote(name)),
                    )
                    .help(
                        "set it in the environment of the process, or refer to a file with `file:`",
                    )
                })?;
                (value.into_bytes(), Source::Environment((*name).to_owned()))
            }
            Reference::File(path) => {
                let path = self.resolve(path);
                self.files.insert(path.clone());
                (read_file(&path, LARGEST)?, Source::File(path))
            }
        };
        self.digest_part(source.to_string().as_bytes());
        self.digest_part(&bytes);
        Ok(Material {
            bytes: Secret::new(Arc::from(bytes)),
            source,
        })
    }

    /// A file below a directory, wherever links lead. What is wrong with it is said in words.
    pub(crate) fn read_below(&mut self, root: &Path, path: &str) -> Result<Vec<u8>, String> {
        let file = root.join(path);
        self.files.insert(file.clone());
        let here = if root.as_os_str().is_empty() {
            Path::new(".")
        } else {
            root
        };
        let real = |path: &Path| path.canonicalize().map_err(|error| io_reason(&error));
        let (real_root, real_file) = (real(here)?, real(&file)?);
        if !real_file.starts_with(real_root) {
            return Err("it lies outside of the configuration's directory".into());
        }
        let bytes = read_regular(&real_file, LARGEST_DOCUMENT)?;
        self.digest_part(path.as_bytes());
        self.digest_part(&bytes);
        Ok(bytes)
    }

    /// A path of the configuration, seen from the working directory.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    pub(crate) fn digest_part(&mut self, bytes: &[u8]) {
        self.digest.update((bytes.len() as u64).to_le_bytes());
        self.digest.update(bytes);
    }

    /// The files that were asked for and the digest of everything read, hexadecimal.
    pub(crate) fn finish(self) -> (Vec<PathBuf>, String) {
        let digest = self.digest.finalize();
        let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        (self.files.into_iter().collect(), digest)
    }
}

fn read_file(path: &Path, most: u64) -> Result<Vec<u8>, Fault> {
    read_regular(path, most).map_err(|reason| {
        let message = format!(
            "{} cannot be read: {reason}",
            quote(&path.display().to_string())
        );
        Fault::new(codes::FILE_UNREADABLE, message)
            .help("relative paths start at the configuration file's directory")
    })
}

fn read_regular(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| io_reason(&error))?;
    // Opening a pipe or a device could wait forever.
    if !metadata.is_file() {
        return Err("it is not a regular file".into());
    }
    let file = std::fs::File::open(path).map_err(|error| io_reason(&error))?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| io_reason(&error))?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {most} bytes"));
    }
    Ok(bytes)
}

/// The system's words without its error number: they differ in nothing else.
pub(crate) fn io_reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string().to_lowercase(),
    }
}

fn is_variable_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_allowed) && !name.as_bytes()[0].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &Variables) -> Result<Material, Fault> {
        let base = Path::new(env!("CARGO_MANIFEST_DIR"));
        let reference = Reference::parse(text).unwrap()?;
        Materials::new(base, variables, SystemTime::UNIX_EPOCH).read(&reference)
    }

    #[test]
    fn only_prefixed_texts_are_references() {
        assert!(Reference::parse("tls.crt").is_none());
        assert!(Reference::parse("ENV:X").is_none());
        assert_eq!(
            Reference::parse("env:A_1").unwrap().unwrap(),
            Reference::Environment("A_1")
        );
        for wrong in [
            "env:",
            "env:1A",
            "env:A-B",
            "env: A",
            "file:",
            "file:///x",
            "file: x",
        ] {
            assert!(Reference::parse(wrong).unwrap().is_err(), "{wrong}");
        }
    }

    #[test]
    fn variables_come_from_where_they_should() {
        let variables = Variables::Only([("TOKEN".into(), "canary-7f3a".into())].into());
        let material = read("env:TOKEN", &variables).unwrap();
        assert_eq!(material.bytes.expose().as_ref(), b"canary-7f3a");
        assert!(!format!("{material:?}").contains("canary"));
        assert_eq!(
            read("env:OTHER", &variables).unwrap_err().code,
            codes::VARIABLE_UNSET
        );
        assert!(read("env:CARGO_MANIFEST_DIR", &Variables::Process).is_ok());
    }

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let variables = Variables::default();
        assert!(read("file:Cargo.toml", &variables).is_ok());
        for wrong in ["file:src", "file:nowhere.pem", "file:/dev/zero"] {
            assert_eq!(
                read(wrong, &variables).unwrap_err().code,
                codes::FILE_UNREADABLE
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let large = folder.path().join("large");
        std::fs::write(&large, vec![0; (1 << 20) + 1]).unwrap();
        let fault = read(&format!("file:{}", large.display()), &variables).unwrap_err();
        assert!(fault.message.contains("larger"));
    }
}
