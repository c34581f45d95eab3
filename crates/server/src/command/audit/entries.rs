//! `weir audit list` and `weir audit export`: entries, as a table or all of them at once.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::super::api::{Api, Column, List, Moment, Organization, Paging, person};
use crate::output::Output;

const COLUMNS: [Column; 6] = [
    Column::member("NUMBER", "/sequence"),
    Column::moment("AT", "/at"),
    Column::of("BY", |entry| {
        of(entry, ["actor_name", "actor_id", "actor_kind"])
    }),
    Column::member("ACTION", "/action"),
    Column::of("TO", |entry| of(entry, ["subject_id", "subject_kind", ""])),
    Column::of("CHANGED", changed),
];

/// List what was done, the latest first
///
/// With --json every entry is whole: what it changed from and to, from where, by which request.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir audit list --since 24h
    weir audit list --org acme --action member.remove --json
    weir audit list --all --sort at

Exit status: 0; 1 if Weir refuses, or cannot be asked.")]
pub(super) struct Listing {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    paging: Paging,
}

/// Write all that was done to standard output, the latest first
///
/// An export that is cut off on its way ends with exit status 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir audit export --org acme --since 2026-01-01 > acme.ndjson
    weir audit export --format csv > platform.csv

Exit status: 0; 1 if it is not whole.")]
pub(super) struct Export {
    #[command(flatten)]
    filter: Filter,
    /// An entry a line as JSON, or a table as spreadsheets read it
    #[arg(long, value_name = "FORMAT", default_value = "ndjson")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Ndjson,
    Csv,
}

/// Which entries.
#[derive(Debug, Args)]
struct Filter {
    #[command(flatten)]
    organization: Organization,
    /// Only what this person did: address or identifier
    #[arg(long, value_name = "USER")]
    actor: Option<String>,
    /// Only what was done to this: an identifier
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Only this, such as `organization.suspend`
    #[arg(long)]
    action: Option<String>,
    /// Not before this: 2026-11-21, 2026-11-21T14:00:00Z, or so long ago: 24h
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Before this
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

impl Filter {
    fn list(&self, api: &Api) -> anyhow::Result<List> {
        let actor = match &self.actor {
            // Not all who act in an organization are its members, and not all who ask may see others.
            Some(actor) => {
                Some(
                    person(api, None, actor).or_else(|error| match self.organization.name() {
                        Some(name) => person(api, Some(name), actor),
                        None => Err(error),
                    })?,
                )
            }
            None => None,
        };
        Ok(List::at(self.organization.path(&["audit"]))
            .with("actor", actor)
            .with("subject", self.subject.as_ref())
            .with("action", self.action.as_ref())
            .with("since", self.since.as_ref().map(ToString::to_string))
            .with("until", self.until.as_ref().map(ToString::to_string)))
    }
}

pub(super) fn list(api: &Api, wanted: &Listing, output: &Output) -> anyhow::Result<ExitCode> {
    let list = wanted.filter.list(api)?;
    list.print(api, &wanted.paging, &COLUMNS, output)
}

pub(super) fn export(api: &Api, wanted: &Export, output: &Output) -> anyhow::Result<ExitCode> {
    let format = match wanted.format {
        Format::Ndjson => "ndjson",
        Format::Csv => "csv",
    };
    let list = wanted.filter.list(api)?.with("format", Some(format));
    let mut has_begun = false;
    let streamed = api.stream(&list.address(), |bytes| {
        has_begun = true;
        output.write(bytes)
    });
    match streamed {
        Err(error) if has_begun => Err(Output::cut(error)),
        streamed => streamed.map(|()| ExitCode::SUCCESS),
    }
}

/// The first of these that is something.
fn of(entry: &Value, names: [&str; 3]) -> String {
    let found = names.iter().find_map(|name| entry[*name].as_str());
    found.unwrap_or_default().to_owned()
}

/// The names of what an entry changed.
fn changed(entry: &Value) -> String {
    let members = |side: &str| entry[side].as_object().into_iter().flatten();
    let mut names: Vec<&str> = members("before")
        .chain(members("after"))
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}
