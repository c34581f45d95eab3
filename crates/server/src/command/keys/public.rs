//! `weir keys public`: what verifies tokens that keys of the configuration sign.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use weir_jose::SigningKey;

use crate::output::Output;

/// Print the public keys of private keys as a JWK set
///
/// For upstreams that verify the tokens of an `identity` policy with a `key`: they read the set instead of
/// `/.well-known/jwks.json`, which has the installation's own keys. While one key takes the place of another, name
/// both.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir keys public internal.pem > jwks.json
    weir keys public internal.pem next.pem > jwks.json")]
pub(crate) struct Arguments {
    /// Private keys in PEM
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let keys = arguments.files.iter().map(|file| public(file));
    let keys = keys.collect::<anyhow::Result<Vec<_>>>()?;
    output.print_json(&json!({ "keys": keys }))?;
    Ok(ExitCode::SUCCESS)
}

fn public(file: &Path) -> anyhow::Result<Value> {
    let pem = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let key = SigningKey::from_pem(&pem)
        .with_context(|| format!("{} has no private key that signs tokens", file.display()))?;
    Ok(key.public_jwk())
}
