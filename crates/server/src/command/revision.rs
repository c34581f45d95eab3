//! `weir revision`: sets of changes that took effect together, and the way back.

mod apply;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use weir_config::{ResourceKind, ResourceName};
use weir_revisions::{ChangeKind, Difference, MOST_COMMENT, unified};

use super::api::{Api, Ask, Column, Confirmation, List, Paging, details, path};
use crate::cli::Global;
use crate::output::{Incomplete, Output, Style};

const COLUMNS: [Column; 5] = [
    Column::member("REVISION", "/number"),
    Column::moment("MADE", "/created_at"),
    Column::of("BY", |revision| {
        let author = &revision["author"];
        let known = ["name", "id", "kind"].map(|member| author[member].as_str());
        let known = known.into_iter().flatten().next();
        known.unwrap_or_default().to_owned()
    }),
    Column::member("CHANGES", "/changes"),
    Column::member("COMMENT", "/comment"),
];

/// Revisions of what is kept beside the configuration file: list, compare, go back, apply
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir revision list
    weir revision diff 42
    weir revision diff 42 --from 40
    weir revision rollback 41
    weir revision apply -f gateway.yaml --dry-run
    weir revision apply -f gateway.yaml --prune --comment 'as in the repository'

Exit status: 0; 1 if nothing could be changed, or this node cannot run it.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List revisions, the latest first
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a revision
    Show {
        /// Its number
        number: u64,
    },
    /// Show what is different after a revision
    Diff {
        /// Its number
        number: u64,
        /// Compare with this one; otherwise with the one before. 0 is before the first
        #[arg(long, value_name = "NUMBER")]
        from: Option<u64>,
    },
    /// Have everything again as it was after a revision; this makes a new one
    Rollback {
        /// Its number; 0 is before the first
        number: u64,
        /// Have the former certificates again, too, where there are others by now
        #[arg(long)]
        certificates: bool,
        /// Why
        #[arg(long, default_value = "", hide_default_value = true)]
        comment: String,
        /// Show what would be different, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Make everything what a file says under `routes`, `upstreams`, `policies` and `certificates`
    Apply {
        /// In YAML or JSON, as a configuration file; `-` is standard input
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Delete what the file does not have; certificates only if it has some
        #[arg(long)]
        prune: bool,
        /// Why
        #[arg(long, default_value = "", hide_default_value = true)]
        comment: String,
        /// Show what would be different, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

/// A comment as the API takes it: it can be part of an address, which has a bound of its own.
fn check(comment: &str) -> anyhow::Result<()> {
    let is_good = comment.chars().count() <= MOST_COMMENT && !comment.contains(char::is_control);
    match is_good {
        true => Ok(()),
        false => {
            let message = format!("a comment has at most {MOST_COMMENT} characters, on one line");
            Err(Incomplete(message).into())
        }
    }
}

/// How a change of one resource is made.
#[derive(Debug, Args)]
pub(super) struct Making {
    /// Why, for those who read the revision later
    #[arg(long)]
    comment: Option<String>,
    /// Show what would be different, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl Making {
    /// The address of a change.
    pub(super) fn address(&self, path: &str) -> anyhow::Result<String> {
        self.comment.as_deref().map_or(Ok(()), check)?;
        Ok(List::at(path.to_owned())
            .with("comment", self.comment.as_ref())
            .with("dry_run", self.dry_run.then_some("true"))
            .address())
    }
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let api = &Api::find(&arguments.ask, global, output)?;
    match &arguments.action {
        Action::List { paging } => {
            let code = List::at(path(&["revisions"])).print(api, paging, &COLUMNS, output)?;
            if !output.json {
                tell_what_does_not_run(api, output)?;
            }
            Ok(code)
        }
        Action::Show { number } => {
            let found = api.get(&path(&["revisions", &number.to_string()]))?;
            match output.json {
                true => output.print_json(&found)?,
                false => output.print(&details(&found, output))?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Diff { number, from } => {
            let address = List::at(path(&["revisions", &number.to_string(), "diff"]));
            let address = address.with("from", from.map(|from| from.to_string()));
            let found = api.get(&address.address())?;
            match output.json {
                true => output.print_json(&found)?,
                false => {
                    output.print(&differences(&found, output)?)?;
                    tell_hidden(&found, output);
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Rollback {
            number,
            certificates,
            comment,
            dry_run,
            confirmation,
        } => {
            check(comment)?;
            if !dry_run {
                confirmation.ask(&format!("go back to revision {number}"), output)?;
            }
            let address = path(&["revisions", &number.to_string(), "rollback"]);
            let body = json!({
                "comment": comment, "certificates": certificates, "dry_run": dry_run,
            });
            tell_made(&api.post(&address, Some(&body))?, *dry_run, output)
        }
        Action::Apply {
            file,
            prune,
            comment,
            dry_run,
            confirmation,
        } => {
            check(comment)?;
            let mut changes = apply::changes(file)?;
            if *prune {
                let gone = apply::superfluous(api, &changes)?;
                if !gone.is_empty() && !dry_run {
                    let what = format!("delete {} that the file does not have", gone.len());
                    confirmation.ask(&what, output)?;
                }
                changes.extend(gone);
            }
            let body = json!({ "changes": changes, "comment": comment, "dry_run": dry_run });
            let made = api.post(&path(&["revisions"]), Some(&body))?;
            tell_made(&made, *dry_run, output)
        }
    }
}

/// Says what of the latest revision the node that was asked cannot run.
fn tell_what_does_not_run(api: &Api, output: &Output) -> anyhow::Result<()> {
    let resources = &api.get("/v1/status")?["resources"];
    let head = output.note_style(Style::Warning, "warning:");
    for one in without(resources) {
        output.note(&format!("{head} this node runs without {one}\n"));
    }
    let refused = &resources["refused"];
    if let (Some(revision), Some(why)) = (refused["revision"].as_i64(), refused["message"].as_str())
    {
        output.note(&format!(
            "{head} this node cannot run revision {revision}:\n{why}\n"
        ));
    }
    Ok(())
}

/// The resources that a node runs without, as its status tells them, each with why.
pub(super) fn without(resources: &Value) -> impl Iterator<Item = String> {
    let left_out = resources["left_out"].as_array().into_iter().flatten();
    left_out.map(|one| {
        let part = |name: &str| crate::log::printable(one[name].as_str().unwrap_or_default());
        let code = one["code"].as_str().map(|code| format!("{code}: "));
        let code = code.unwrap_or_default();
        format!(
            "{} `{}` ({code}{})",
            part("kind"),
            part("name"),
            part("message")
        )
    })
}

/// Says what a change came to.
pub(super) fn tell_made(made: &Value, is_trial: bool, output: &Output) -> anyhow::Result<ExitCode> {
    let is_in_effect = made["in_effect"] == true;
    let code = match is_in_effect || is_trial {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    };
    if output.json {
        output.print_json(made)?;
        return Ok(code);
    }
    for warning in made["warnings"].as_array().into_iter().flatten() {
        let member = |name: &str| crate::log::printable(warning[name].as_str().unwrap_or_default());
        let head = output.note_style(Style::Warning, "warning:");
        output.note(&format!(
            "{head} {}: {}\n",
            member("file"),
            member("message")
        ));
    }
    tell_staying(made, output);
    let count = made["changes"].as_array().map_or(0, Vec::len) + hidden(made);
    let changes = match count {
        1 => "1 change".to_owned(),
        count => format!("{count} changes"),
    };
    if is_trial {
        output.print(&differences(made, output)?)?;
        tell_hidden(made, output);
        output.note(&format!("{changes}; nothing was changed\n"));
        return Ok(code);
    }
    let Some(number) = made["revision"]["number"].as_i64() else {
        let latest = &made["latest"];
        output.print(&format!("nothing is different: revision {latest} stays\n"))?;
        return Ok(code);
    };
    let head = output.style(Style::Good, &format!("revision {number}:"));
    if is_in_effect {
        output.print(&format!("{head} {changes}, in effect\n"))?;
    } else if let Some(why) = made["refused"].as_str() {
        output.print(&format!("{head} {changes}\n"))?;
        let head = output.note_style(Style::Bad, "this node cannot run it:");
        output.note(&format!("{head}\n{why}\n"));
    } else {
        output.print(&format!(
            "{head} {changes}, not in effect on this node yet\n"
        ))?;
    }
    Ok(code)
}

/// Says which certificates going back left as they are.
fn tell_staying(made: &Value, output: &Output) {
    for one in made["staying"].as_array().into_iter().flatten() {
        let member = |name: &str| crate::log::printable(one[name].as_str().unwrap_or_default());
        let (kind, name) = (member("kind"), member("name"));
        let why = match one["why"].as_str() {
            Some("renewed") => {
                "there is another one by now; --certificates brings the former one back"
            }
            _ => "the former one is not valid now",
        };
        let head = output.note_style(Style::Faint, "note:");
        output.note(&format!("{head} {kind} `{name}` stays as it is: {why}\n"));
    }
}

/// How many changes an answer does not show.
fn hidden(answer: &Value) -> usize {
    let hidden = answer["hidden"].as_u64().unwrap_or_default();
    usize::try_from(hidden).unwrap_or(usize::MAX)
}

fn tell_hidden(answer: &Value, output: &Output) {
    match hidden(answer) {
        0 => {}
        hidden => output.note(&format!(
            "{hidden} more, of kinds that this account may not read\n"
        )),
    }
}

/// As `diff -u` writes them.
fn differences(answer: &Value, output: &Output) -> anyhow::Result<String> {
    let changes = answer["changes"].as_array().map_or(&[][..], Vec::as_slice);
    let difference = |change: &Value| {
        let kind = change["kind"].as_str().and_then(ResourceKind::of_name);
        let document = |name: &str| Some(change[name].clone()).filter(|value| !value.is_null());
        let (before, after) = (document("before"), document("after"));
        Some(Difference {
            change: match (&before, &after) {
                (None, _) => ChangeKind::Create,
                (Some(_), Some(_)) => ChangeKind::Update,
                (Some(_), None) => ChangeKind::Delete,
            },
            resource: ResourceName {
                kind: kind?,
                name: change["name"].as_str()?.to_owned(),
            },
            before,
            after,
            secrets: change["secrets"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|pointer| Some(pointer.as_str()?.to_owned()))
                .collect(),
        })
    };
    let differences: Option<Vec<_>> = changes.iter().map(difference).collect();
    let differences = differences.context("the answer of the admin listener has no differences")?;
    let style = |line: &str| {
        let style = match line.as_bytes().first() {
            Some(b'+') => Style::Good,
            Some(b'-') => Style::Bad,
            Some(b'@') => Style::Faint,
            _ => return format!("{line}\n"),
        };
        output.style(style, line) + "\n"
    };
    let text = unified(&differences);
    Ok(text.lines().map(style).collect())
}
