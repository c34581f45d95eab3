//! `weir certificate`: certificates that listeners answer with, beside the file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};
use weir_config::ResourceKind;

use super::api::{Api, Ask, Column, details, moment, text_file};
use super::resource::{Deletion, Listing, Restoration, address, put};
use super::revision::Making;
use crate::cli::Global;
use crate::output::Output;

const KIND: ResourceKind = ResourceKind::Certificate;

const COLUMNS: [Column; 6] = [
    Column::member("NAME", "/name"),
    Column::member("OWNER", "/owner"),
    Column::member("REVISION", "/revision"),
    Column::member("IN EFFECT", "/in_effect"),
    Column::of("EXPIRES", expires),
    Column::of("FOR", names),
];

/// Names that a table has room for.
const MOST_NAMES: usize = 3;

/// Certificates beside the configuration file: list, show, put, delete, restore
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir certificate list
    weir certificate put shop --certificate shop.crt --key shop.key
    weir certificate put shop --certificate shop.crt --key shop.key --listener 0.0.0.0:8443
    weir certificate show shop
    weir certificate delete shop")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what listeners have: the file's, and what is kept beside it
    List(Listing),
    /// Show what one says of itself; its key is shown to nobody
    Show {
        /// Its name; for one that stands with a listener of the file, the listener's address
        name: String,
    },
    /// Make one, or put another in its place; it takes effect within a second
    Put {
        /// Its name
        name: String,
        /// PEM of the chain, the server's own certificate first; `-` is standard input
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// PEM of the private key, without a passphrase
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Address of a listener that it is for; otherwise all with TLS
        #[arg(long, value_name = "ADDRESS")]
        listener: Vec<SocketAddr>,
        #[command(flatten)]
        making: Making,
    },
    /// Delete one; `restore` brings it back
    Delete(Deletion),
    /// Bring back the one of this name that was deleted last
    Restore(Restoration),
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let api = &Api::find(&arguments.ask, global, output)?;
    match &arguments.action {
        Action::List(listing) => listing.print(api, KIND, &COLUMNS, output),
        Action::Show { name } => {
            let found = api.get(&address(KIND, name))?;
            match output.json {
                true => output.print_json(&found)?,
                false => output.print(&details(&shown(found), output))?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Put {
            name,
            certificate,
            key,
            listener,
            making,
        } => {
            let mut document = json!({
                "certificate": text_file(certificate)?,
                "key": text_file(key)?,
            });
            if !listener.is_empty() {
                document["listeners"] = json!(listener);
            }
            put(api, KIND, name, &document, making, output)
        }
        Action::Delete(deletion) => deletion.run(api, KIND, output),
        Action::Restore(restoration) => restoration.run(api, KIND, output),
    }
}

/// Without PEM, which is for programs.
fn shown(mut found: Value) -> Value {
    let listeners = found["document"]["listeners"].take();
    if let Some(members) = found.as_object_mut() {
        members.remove("document");
        members.insert("listeners".to_owned(), listeners);
    }
    found
}

/// When a certificate runs out, and whether it has.
fn expires(resource: &Value) -> String {
    let not_after = &resource["certificate"]["not_after"];
    let moment = moment(not_after);
    let parsed = not_after.as_str().and_then(|text| text.parse().ok());
    let is_over = parsed.is_some_and(|end: Timestamp| end < Timestamp::now());
    match is_over {
        true => format!("{moment} expired"),
        false => moment,
    }
}

/// What a certificate is for.
fn names(resource: &Value) -> String {
    let names = resource["certificate"]["names"].as_array();
    let names: Vec<_> = names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let shown = names.iter().take(MOST_NAMES).copied().collect::<Vec<_>>();
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_has_run_out_says_so() {
        let shown = |not_after: Value| expires(&json!({"certificate": {"not_after": not_after}}));
        assert_eq!(
            shown(json!("2020-01-01T00:00:00Z")),
            "2020-01-01T00:00:00Z expired"
        );
        assert_eq!(
            shown(json!("2999-01-01T00:00:00.5Z")),
            "2999-01-01T00:00:00Z"
        );
        assert_eq!(shown(Value::Null), "");
        assert_eq!(expires(&json!({"certificate": null})), "");
    }
}
