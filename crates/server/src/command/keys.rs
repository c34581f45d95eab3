//! `weir keys`: the installation's own keys: those that sign its tokens, and the one that its secrets are sealed under.

mod public;
mod rewrap;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::api::{Api, Ask, Column, Confirmation, Table, path, tell};
use crate::cli::Global;
use crate::output::{Output, Style};

const COLUMNS: [Column; 6] = [
    Column::member("KID", "/kid"),
    Column::member("ALGORITHM", "/algorithm"),
    Column::member("STAGE", "/stage"),
    Column::moment("SIGNS FROM", "/active_from"),
    Column::moment("UNTIL", "/retired_at"),
    Column::moment("PUBLISHED UNTIL", "/removed_at"),
];

/// The installation's own keys: list and replace those that sign tokens, seal secrets under another one
///
/// Keys that sign tokens replace each other by themselves (`identity.tokens.rotate_every`): the next one is published 15
/// minutes before it signs, and the one before it for as long as something that it has signed is good.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir keys list
    weir keys rotate
    weir keys rotate --now
    weir keys revoke NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs
    weir keys public internal.pem
    weir keys rewrap")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the keys that sign tokens
    List {
        #[command(flatten)]
        ask: Ask,
    },
    /// Make the next key that signs tokens
    Rotate {
        #[command(flatten)]
        ask: Ask,
        /// It signs at once: verifiers that have not read the published set since must do so when they meet it
        #[arg(long)]
        now: bool,
    },
    /// Take a key out at once, since somebody else may have it: nothing that it has signed is good any more
    Revoke {
        #[command(flatten)]
        ask: Ask,
        /// How tokens name it, as `weir keys list` shows it
        #[arg(allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    Public(public::Arguments),
    Rewrap(rewrap::Arguments),
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let keys = path(&["signing-keys"]);
    match &arguments.action {
        Action::List { ask } => {
            let found = Api::find(ask, global, output)?.get(&keys)?;
            if output.json {
                output.print_json(&found)?;
            } else {
                let items = found["items"].as_array().map_or(&[][..], Vec::as_slice);
                output.print(&Table::new(&COLUMNS).page(items, output))?;
            }
        }
        Action::Rotate { ask, now } => {
            let api = Api::find(ask, global, output)?;
            let made = api.create(&keys, &json!({ "now": now }))?;
            let head = output.style(Style::Good, "rotated:");
            tell(&made, &format!("{head} {}", said(&made)), output)?;
        }
        Action::Revoke {
            ask,
            kid,
            confirmation,
        } => {
            let api = Api::find(ask, global, output)?;
            let what = format!("take out {kid}, with all tokens that it has signed");
            confirmation.ask(&what, output)?;
            let done = api.post(&path(&["signing-keys", kid, "revoke"]), None)?;
            let head = output.style(Style::Good, "revoked:");
            tell(&done, &format!("{head} {kid}"), output)?;
        }
        Action::Public(arguments) => return public::run(arguments, output),
        Action::Rewrap(_) => return rewrap::run(global, output),
    }
    Ok(ExitCode::SUCCESS)
}

fn said(key: &Value) -> String {
    let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
    format!(
        "{} ({}) signs from {}",
        text("kid"),
        text("algorithm"),
        text("active_from")
    )
}
