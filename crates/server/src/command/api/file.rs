//! Documents that a command line names.

use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

/// As much as the largest batch that the API takes.
const MOST: u64 = 64 << 20;

/// The JSON of a file; `-` is standard input.
pub(crate) fn json_file(path: &Path) -> anyhow::Result<Value> {
    let text = text_file(path)?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// The text of a file; `-` is standard input.
pub(crate) fn text_file(path: &Path) -> anyhow::Result<String> {
    read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    match path == Path::new("-") {
        true => io::stdin().take(MOST + 1).read_to_string(&mut text)?,
        false => std::fs::File::open(path)?
            .take(MOST + 1)
            .read_to_string(&mut text)?,
    };
    // A part of a document may well be a document, and mean something else.
    if text.len() as u64 > MOST {
        let message = format!("it is larger than {MOST} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}
