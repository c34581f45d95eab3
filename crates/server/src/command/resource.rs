//! `weir route`, `weir upstream`, and what `weir policy` has of them: what is wanted of the gateway, beside its file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use weir_config::ResourceKind;

use super::api::{Api, Ask, Column, Confirmation, List, Paging, path, text_file};
use super::revision::{Making, tell_made};
use crate::cli::Global;
use crate::log::printable;
use crate::output::Output;

const COLUMNS: [Column; 5] = [
    Column::member("NAME", "/name"),
    Column::member("OWNER", "/owner"),
    Column::member("REVISION", "/revision"),
    Column::member("IN EFFECT", "/in_effect"),
    Column::of("DOES", does),
];

pub(crate) const ROUTES: &str = "\
Examples:
    weir route list
    weir route put -f items.yaml --comment 'items have moved'
    weir route put items -f items.yaml --dry-run
    weir route delete items";

pub(crate) const UPSTREAMS: &str = "\
Examples:
    weir upstream list --owner api
    echo 'targets: [127.0.0.1:9001]' | weir upstream put catalog -f -
    weir upstream show catalog";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// List what is wanted: the file's, and what is kept beside it
    List(Listing),
    /// Show one
    Show {
        /// Its name
        name: String,
    },
    /// Make or change one
    Put {
        /// Its name; for a route, otherwise that of its document
        name: Option<String>,
        /// What the configuration file would say, in YAML or JSON; `-` is standard input
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        making: Making,
    },
    /// Delete one; `restore` brings it back
    Delete(Deletion),
    /// Bring back the one of this name that was deleted last
    Restore(Restoration),
}

/// Which are listed.
#[derive(Debug, Args)]
pub(super) struct Listing {
    /// Those whose name begins with this
    #[arg(long, value_name = "PREFIX")]
    name: Option<String>,
    /// Those of the file, or those beside it
    #[arg(long)]
    owner: Option<Owner>,
    /// Those that were deleted, the latest first
    #[arg(long)]
    deleted: bool,
    #[command(flatten)]
    paging: Paging,
}

/// What is deleted.
#[derive(Debug, Args)]
pub(super) struct Deletion {
    /// Its name
    name: String,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// What is brought back.
#[derive(Debug, Args)]
pub(super) struct Restoration {
    /// Its name
    name: String,
    #[command(flatten)]
    making: Making,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Owner {
    /// Kept beside the file
    Api,
    /// In the configuration file of the node
    File,
}

pub(crate) fn run(
    kind: ResourceKind,
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let api = &Api::find(&arguments.ask, global, output)?;
    arguments.action.run(api, kind, output)
}

impl Action {
    pub(super) fn run(
        &self,
        api: &Api,
        kind: ResourceKind,
        output: &Output,
    ) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(listing) => listing.print(api, kind, &COLUMNS, output),
            Self::Show { name } => {
                let found = api.get(&address(kind, name))?;
                match output.json {
                    true => output.print_json(&found)?,
                    false => output.print(&format!("{:#}\n", found["document"]))?,
                }
                Ok(ExitCode::SUCCESS)
            }
            Self::Put { name, file, making } => {
                let document = read(file)?;
                let name = match (name, document["name"].as_str()) {
                    (Some(name), _) => name,
                    (None, Some(name)) if kind == ResourceKind::Route => name,
                    _ => bail!("say which {}: its name comes before -f", kind.name()),
                };
                put(api, kind, name, &document, making, output)
            }
            Self::Delete(deletion) => deletion.run(api, kind, output),
            Self::Restore(restoration) => restoration.run(api, kind, output),
        }
    }
}

/// Where one is.
pub(super) fn address(kind: ResourceKind, name: &str) -> String {
    path(&["config", kind.section(), name])
}

/// Makes or changes one.
pub(super) fn put(
    api: &Api,
    kind: ResourceKind,
    name: &str,
    document: &Value,
    making: &Making,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let made = api.put(&making.address(&address(kind, name))?, document)?;
    tell_made(&made, making.dry_run, output)
}

impl Listing {
    pub(super) fn print(
        &self,
        api: &Api,
        kind: ResourceKind,
        columns: &[Column],
        output: &Output,
    ) -> anyhow::Result<ExitCode> {
        let owner = self.owner.map(|owner| match owner {
            Owner::Api => "api",
            Owner::File => "file",
        });
        List::at(path(&["config", kind.section()]))
            .with("name", self.name.as_ref())
            .with("owner", owner)
            .with("deleted", self.deleted.then_some("true"))
            .print(api, &self.paging, columns, output)
    }
}

impl Deletion {
    pub(super) fn run(
        &self,
        api: &Api,
        kind: ResourceKind,
        output: &Output,
    ) -> anyhow::Result<ExitCode> {
        let Self { name, making, .. } = self;
        if !making.dry_run {
            let what = format!("delete the {} {}", kind.name(), printable(name));
            self.confirmation.ask(&what, output)?;
        }
        let made = api.delete(&making.address(&address(kind, name))?)?;
        tell_made(&made, making.dry_run, output)
    }
}

impl Restoration {
    pub(super) fn run(
        &self,
        api: &Api,
        kind: ResourceKind,
        output: &Output,
    ) -> anyhow::Result<ExitCode> {
        let address = path(&["config", kind.section(), &self.name, "restore"]);
        let made = api.post(&self.making.address(&address)?, None)?;
        tell_made(&made, self.making.dry_run, output)
    }
}

/// A document in YAML or JSON.
pub(super) fn read(file: &Path) -> anyhow::Result<Value> {
    let text = text_file(file)?;
    let name = file.display().to_string();
    weir_config::read_document(&text, &name).with_context(|| format!("{name} cannot be used"))
}

/// In a few words what a document says.
fn does(resource: &Value) -> String {
    let document = &resource["document"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(upstream) = text(&document["upstream"]) {
        let path = text(&document["match"]["path"]).unwrap_or_else(|| "*".to_owned());
        return format!("{path} to {upstream}");
    }
    let keys = document.as_object().into_iter().flatten();
    let keys = keys.map(|(key, _)| key.as_str());
    let keys: Vec<_> = keys
        .filter(|key| !["name", "match"].contains(key))
        .collect();
    keys.join(", ")
}
