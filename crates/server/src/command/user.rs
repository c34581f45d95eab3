//! `weir user`: everybody's accounts, for those who run the platform.

mod erase;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::api::{
    Api, Ask, Column, Confirmation, List, Paging, Table, details, path, person, tell,
};
use crate::cli::Global;
use crate::log::printable;
use crate::output::{Output, Style, counted};

const COLUMNS: [Column; 5] = [
    Column::member("EMAIL", "/email"),
    Column::member("NAME", "/name"),
    Column::of("STATE", |user| state(user).to_owned()),
    Column::moment("CREATED", "/created_at"),
    Column::member("ID", "/id"),
];

const SESSIONS: [Column; 6] = [
    Column::moment("BEGAN", "/created_at"),
    Column::moment("LAST SEEN", "/last_seen_at"),
    Column::moment("ENDS", "/expires_at"),
    Column::member("ADDRESS", "/address"),
    Column::member("TWO FACTORS", "/is_two_factor"),
    Column::member("DEVICE", "/device"),
];

/// Accounts of the whole installation: list, make, suspend, delete, erase
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir user list --email ada@
    weir user create ada@acme.example --name 'Ada Lovelace'
    weir user sessions ada@acme.example --end
    weir user reset-link ada@acme.example
    weir user suspend ada@acme.example --reason 'left the company'
    weir user erase ada@acme.example --json > certificate.json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List accounts
    List {
        /// Only those whose address begins with this
        #[arg(long, value_name = "PREFIX")]
        email: Option<String>,
        /// Only those that are suspended, or not
        #[arg(long, value_name = "BOOL")]
        suspended: Option<bool>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show an account
    Show {
        /// Address or identifier
        user: String,
    },
    /// Make an account; its owner sets the password by the letter for a forgotten one
    Create {
        /// The person's address
        email: String,
        /// How the person is called
        #[arg(long)]
        name: String,
    },
    /// Change an account
    Update {
        /// Address or identifier
        user: String,
        /// Another address, which is to be verified again
        #[arg(long, required_unless_present = "name")]
        email: Option<String>,
        /// Another name
        #[arg(long)]
        name: Option<String>,
    },
    /// Keep somebody from signing in, and end their sessions
    Suspend {
        /// Address or identifier
        user: String,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// End a suspension
    Resume {
        /// Address or identifier
        user: String,
    },
    /// List the sessions of somebody, or end them
    Sessions {
        /// Address or identifier
        user: String,
        /// End all of them
        #[arg(long)]
        end: bool,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Print a link by which somebody sets another password, to hand over to them
    ///
    /// It works once, within an hour, and ends nothing by itself; a second factor stays.
    ResetLink {
        /// Address or identifier
        user: String,
    },
    /// Remove the authenticator and the recovery codes of somebody who lost them, and end their sessions
    RemoveSecondFactor {
        /// Address or identifier
        user: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Move an account to the trash with its memberships, and end its sessions
    Delete {
        /// Address or identifier
        user: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Remove all that records have of a person, for good, and print a certificate of it
    ///
    /// The audit keeps what was done, but not by whom or from where. An address need not be that of an
    /// account: it may be somebody's who was only invited, or was mistyped. An identifier can be that of an
    /// account that is gone.
    Erase {
        /// Address or identifier
        user: String,
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
    let address = |user: &str, rest: &[&str]| {
        let id = person(api, None, user)?;
        anyhow::Ok(path(&[&["users", &id], rest].concat()))
    };
    match &arguments.action {
        Action::List {
            email,
            suspended,
            paging,
        } => {
            return List::at(path(&["users"]))
                .with("email", email.as_ref())
                .with("suspended", suspended.map(|is| is.to_string()))
                .print(api, paging, &COLUMNS, output);
        }
        Action::Show { user } => {
            let found = api.get(&address(user, &[])?)?;
            match output.json {
                true => output.print_json(&found)?,
                false => output.print(&details(&found, output))?,
            }
        }
        Action::Create { email, name } => {
            let new = json!({ "email": email, "name": name });
            say("created", &api.create(&path(&["users"]), &new)?, output)?;
        }
        Action::Update { user, email, name } => {
            let mut patch = Map::new();
            for (member, value) in [("email", email), ("name", name)] {
                if let Some(value) = value {
                    patch.insert(member.to_owned(), json!(value));
                }
            }
            let changed = api.patch(&address(user, &[])?, &patch.into())?;
            say("changed", &changed, output)?;
        }
        Action::Suspend {
            user,
            reason,
            confirmation,
        } => {
            let address = address(user, &["suspend"])?;
            let what = format!("keep {} from signing in", printable(user));
            confirmation.ask(&what, output)?;
            let body = json!({ "reason": reason });
            say("suspended", &api.post(&address, Some(&body))?, output)?;
        }
        Action::Resume { user } => {
            let resumed = api.post(&address(user, &["resume"])?, None)?;
            say("resumed", &resumed, output)?;
        }
        Action::Delete { user, confirmation } => {
            let address = address(user, &[])?;
            let found = api.get(&address)?;
            let email = printable(found["email"].as_str().unwrap_or_default());
            let what = format!("delete the account {email} with its memberships");
            confirmation.ask(&what, output)?;
            let deleted = api.delete(&address)?;
            let sentence = format!(
                "{} {email}; `weir trash restore {}` brings it back",
                output.style(Style::Good, "deleted"),
                found["id"].as_str().unwrap_or_default()
            );
            tell(&deleted, &sentence, output)?;
        }
        Action::ResetLink { user } => {
            let made = api.post(&address(user, &["reset-link"])?, None)?;
            let link = made["link"].as_str();
            let link = link.context("the answer of the admin listener has no link")?;
            tell(&made, &printable(link), output)?;
        }
        Action::RemoveSecondFactor { user, confirmation } => {
            let address = address(user, &["totp"])?;
            let shown = printable(user);
            let what = format!("remove the second factor of {shown} and end their sessions");
            confirmation.ask(&what, output)?;
            let removed = api.delete(&address)?;
            let done = output.style(Style::Good, "removed");
            tell(
                &removed,
                &format!("{done} the second factor of {shown}"),
                output,
            )?;
        }
        Action::Erase { user, confirmation } => {
            erase::erase(api, user, *confirmation, output)?;
        }
        Action::Sessions {
            user, end: false, ..
        } => {
            let mut found = api.get(&address(user, &["sessions"])?)?;
            let sessions = found["items"].as_array_mut().map(std::mem::take);
            let sessions = sessions.unwrap_or_default();
            match output.json {
                true => output.print_json(&sessions)?,
                false => output.print(&Table::new(&SESSIONS).page(&sessions, output))?,
            }
        }
        Action::Sessions {
            user, confirmation, ..
        } => {
            let address = address(user, &["sessions"])?;
            let shown = printable(user);
            confirmation.ask(&format!("end all sessions of {shown}"), output)?;
            let ended = api.delete(&address)?;
            let count = ended["ended"].as_u64().unwrap_or_default();
            let count = counted(usize::try_from(count)?, "session");
            let done = output.style(Style::Good, "ended");
            tell(&ended, &format!("{done} {count} of {shown}"), output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn say(done: &str, user: &Value, output: &Output) -> anyhow::Result<()> {
    let member = |name: &str| printable(user[name].as_str().unwrap_or_default());
    let done = output.style(Style::Good, done);
    tell(
        user,
        &format!("{done} {} ({})", member("email"), member("id")),
        output,
    )
}

fn state(user: &Value) -> &'static str {
    match user["suspended_at"].is_null() {
        true => "active",
        false => "suspended",
    }
}
