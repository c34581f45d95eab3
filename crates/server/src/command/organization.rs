//! `weir org`: organizations.

mod brand;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use self::brand::Brand;
use super::api::{Api, Ask, Column, Confirmation, List, Paging, details, json_file, path, tell};
use crate::cli::Global;
use crate::log::printable;
use crate::output::{Output, Style};

const COLUMNS: [Column; 5] = [
    Column::member("SLUG", "/slug"),
    Column::member("NAME", "/name"),
    Column::of("STATE", |organization| state(organization).to_owned()),
    Column::moment("CREATED", "/created_at"),
    Column::member("ID", "/id"),
];

/// Organizations: list, make, change, brand, suspend, delete
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir org list
    weir org create acme --name 'Acme Works'
    weir org update acme --settings settings.json
    weir org brand acme --logo logo.png --primary-color '#0b57a4' --support mailto:help@acme.example
    weir org suspend acme --reason 'unpaid invoices'
    weir org delete acme")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List organizations: all, for whoever may see them, or those to which one belongs
    List {
        /// Only those whose slug begins with this
        #[arg(long, value_name = "PREFIX")]
        slug: Option<String>,
        /// Only those whose name begins with this
        #[arg(long, value_name = "PREFIX")]
        name: Option<String>,
        /// Only those that are suspended, or not
        #[arg(long, value_name = "BOOL")]
        suspended: Option<bool>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show an organization
    Show {
        /// Slug or identifier
        organization: String,
    },
    /// Make an organization
    Create {
        /// 2 to 63 lower-case letters, digits and hyphens; never changes
        slug: String,
        /// Its name
        #[arg(long)]
        name: String,
        /// File with its settings in JSON; `-` is standard input
        #[arg(long, value_name = "FILE")]
        settings: Option<PathBuf>,
    },
    /// Change an organization
    Update {
        /// Slug or identifier
        organization: String,
        /// Another name
        #[arg(long, required_unless_present = "settings")]
        name: Option<String>,
        /// File with the settings to change, as a merge patch in JSON (null removes); `-` is standard input
        #[arg(long, value_name = "FILE")]
        settings: Option<PathBuf>,
    },
    /// Change how an organization shows itself on the sign-in pages
    Brand {
        /// Slug or identifier
        organization: String,
        #[command(flatten)]
        brand: Brand,
    },
    /// Refuse an organization's traffic, and changes by its members
    Suspend {
        /// Slug or identifier
        organization: String,
        /// Why; its members can read it
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// End a suspension
    Resume {
        /// Slug or identifier
        organization: String,
    },
    /// Move an organization to the trash with all that it has
    Delete {
        /// Slug or identifier
        organization: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let api = &Api::find(&arguments.ask, global, output)?;
    match &arguments.action {
        Action::List {
            slug,
            name,
            suspended,
            paging,
        } => {
            return List::at(path(&["organizations"]))
                .with("slug", slug.as_ref())
                .with("name", name.as_ref())
                .with("suspended", suspended.map(|is| is.to_string()))
                .print(api, paging, &COLUMNS, output);
        }
        Action::Show { organization } => {
            let mut found = api.get(&path(&["organizations", organization]))?;
            match output.json {
                true => output.print_json(&found)?,
                false => {
                    brand::shorten(&mut found);
                    output.print(&details(&found, output))?;
                }
            }
        }
        Action::Create {
            slug,
            name,
            settings,
        } => {
            let mut new = json!({ "slug": slug, "name": name });
            if let Some(settings) = settings {
                new["settings"] = json_file(settings)?;
            }
            let made = api.create(&path(&["organizations"]), &new)?;
            say("created", &made, output)?;
            warn(&made, output);
        }
        Action::Update {
            organization,
            name,
            settings,
        } => {
            let mut patch = Map::new();
            if let Some(name) = name {
                patch.insert("name".to_owned(), json!(name));
            }
            if let Some(settings) = settings {
                patch.insert("settings".to_owned(), json_file(settings)?);
            }
            let changed = api.patch(&path(&["organizations", organization]), &patch.into())?;
            say("changed", &changed, output)?;
        }
        Action::Brand {
            organization,
            brand,
        } => {
            let changed = api.patch(&path(&["organizations", organization]), &brand.patch()?)?;
            say("changed", &changed, output)?;
        }
        Action::Suspend {
            organization,
            reason,
            confirmation,
        } => {
            let what = format!("refuse all traffic of {}", printable(organization));
            confirmation.ask(&what, output)?;
            let body = json!({ "reason": reason });
            let address = path(&["organizations", organization, "suspend"]);
            say("suspended", &api.post(&address, Some(&body))?, output)?;
        }
        Action::Resume { organization } => {
            let address = path(&["organizations", organization, "resume"]);
            say("resumed", &api.post(&address, None)?, output)?;
        }
        Action::Delete {
            organization,
            confirmation,
        } => delete(api, organization, *confirmation, output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn delete(
    api: &Api,
    organization: &str,
    confirmation: Confirmation,
    output: &Output,
) -> anyhow::Result<()> {
    let address = path(&["organizations", organization]);
    let found = api.get(&address)?;
    let slug = printable(found["slug"].as_str().unwrap_or(organization));
    let name = printable(found["name"].as_str().unwrap_or_default());
    let what = format!("delete the organization {name} with all that it has");
    confirmation.ask_for_name(&what, &slug, output)?;
    let deleted = api.delete(&address)?;
    let id = found["id"].as_str().unwrap_or_default();
    let sentence = format!(
        "{} {slug}; `weir trash restore {id}` brings it back",
        output.style(Style::Good, "deleted")
    );
    tell(&deleted, &sentence, output)
}

fn say(done: &str, organization: &Value, output: &Output) -> anyhow::Result<()> {
    let member = |name: &str| printable(organization[name].as_str().unwrap_or_default());
    let done = output.style(Style::Good, done);
    let sentence = format!("{done} {} ({})", member("slug"), member("id"));
    tell(organization, &sentence, output)
}

/// Says what the answer says should be looked at.
fn warn(made: &Value, output: &Output) {
    for warning in made["warnings"].as_array().into_iter().flatten() {
        let warning = printable(warning.as_str().unwrap_or_default());
        let head = output.note_style(Style::Warning, "warning:");
        output.note(&format!("{head} {warning}\n"));
    }
}

fn state(organization: &Value) -> &'static str {
    match organization["suspended_at"].is_null() {
        true => "active",
        false => "suspended",
    }
}
