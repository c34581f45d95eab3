//! The operator's token: whoever can read the data directory may do everything on this node.

use std::path::Path;

use anyhow::{Context, bail};
use weir_console::OperatorToken;

/// Its file in the data directory, for the owner alone.
pub(crate) const FILE: &str = "operator.token";
/// More than a token and a line break.
const LARGEST: u64 = 256;

/// The token of a data directory, made if there is none. It stays from start to start, so that whoever
/// was given it need not be told anew; deleted, another one is made with the next start.
pub(crate) fn load_or_make(data: &Path) -> anyhow::Result<OperatorToken> {
    if let Some(token) = load(data)? {
        return Ok(token);
    }
    let token = OperatorToken::generate().context("the system has no random numbers")?;
    let path = data.join(FILE);
    weir_files::replace(&path, format!("{}\n", token.expose()).as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(token)
}

/// The token of a data directory, if it has one.
pub(crate) fn load(data: &Path) -> anyhow::Result<Option<OperatorToken>> {
    let path = data.join(FILE);
    let Some(text) = weir_files::read(&path, LARGEST)
        .with_context(|| format!("cannot read {}", path.display()))?
    else {
        return Ok(None);
    };
    let token = std::str::from_utf8(&text).ok().map(str::trim);
    match token.and_then(OperatorToken::parse) {
        Some(token) => Ok(Some(token)),
        None => bail!(
            "{} holds no token of an operator: delete it, and the next start makes one",
            path.display()
        ),
    }
}
