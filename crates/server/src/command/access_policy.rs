//! `weir access-policy`: rules that narrow what roles give at the admin API.

mod explain;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::explain::Question;
use super::api::{
    Api, Ask, Column, Confirmation, List, Organization, Paging, moment, tell, text_file,
};
use crate::admin_client::Refusal;
use crate::cli::Global;
use crate::log::printable;
use crate::output::{Output, Style};

const COLUMNS: [Column; 4] = [
    Column::member("NAME", "/name"),
    Column::moment("CHANGED", "/updated_at"),
    Column::member("ID", "/id"),
    Column::of("RULES", rules),
];

/// Access policies of the admin API: list, show, make, change, delete, explain
///
/// Rules in the Cedar language that forbid what roles give, by time, address, strength of the sign-in or recent
/// failures. Those of the platform hold in all organizations, those of an organization in it. `weir policy test --admin-api`
/// tries a file of them without a running Weir.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir access-policy list
    weir access-policy create office-hours -f office-hours.cedar
    weir access-policy update --org acme two-factor -f two-factor.cedar
    weir access-policy show --org acme two-factor > two-factor.cedar
    weir access-policy explain ada@acme.example route:write --org acme --address 192.0.2.1")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List access policies
    List {
        #[command(flatten)]
        organization: Organization,
        #[command(flatten)]
        paging: Paging,
    },
    /// Print the rules of an access policy
    Show {
        #[command(flatten)]
        organization: Organization,
        /// The policy's name
        name: String,
    },
    /// Make an access policy
    Create {
        #[command(flatten)]
        organization: Organization,
        /// Unique in the organization
        name: String,
        #[command(flatten)]
        rules: Rules,
    },
    /// Put other rules in the place of an access policy's
    Update {
        #[command(flatten)]
        organization: Organization,
        /// The policy's name
        name: String,
        #[command(flatten)]
        rules: Rules,
    },
    /// Delete an access policy: it holds no longer
    Delete {
        #[command(flatten)]
        organization: Organization,
        /// The policy's name
        name: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Say whether somebody may do something, and which rule decides
    ///
    /// The exit status is 0 if they may, and 1 if not.
    Explain(Question),
}

/// What an access policy is to say.
#[derive(Debug, Args)]
struct Rules {
    /// Rules in the Cedar language; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Also if they would keep you yourself from changing them back
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let api = &Api::find(&arguments.ask, global, output)?;
    match &arguments.action {
        Action::List {
            organization,
            paging,
        } => {
            let list = List::at(organization.path(&["access-policies"]));
            return list.print(api, paging, &COLUMNS, output);
        }
        Action::Show { organization, name } => {
            let found = api.get(&address(organization, name))?;
            match output.json {
                true => output.print_json(&found)?,
                false => output.print(&shown(&found))?,
            }
        }
        Action::Create {
            organization,
            name,
            rules,
        } => {
            let made = rules.put(api, &address(organization, name), 0);
            let made = made.map_err(|error| instead(error, "stale", || exists(name)))?;
            say("created", &made, output)?;
        }
        Action::Update {
            organization,
            name,
            rules,
        } => {
            let address = address(organization, name);
            let before = api.get(&address);
            let before = before.map_err(|error| instead(error, "not_found", || missing(name)))?;
            let version = before["version"].as_i64().unwrap_or_default();
            say("changed", &rules.put(api, &address, version)?, output)?;
        }
        Action::Delete {
            organization,
            name,
            confirmation,
        } => {
            let shown = printable(name);
            confirmation.ask(&format!("delete the access policy {shown}"), output)?;
            let deleted = api.delete(&address(organization, name))?;
            let done = output.style(Style::Good, "deleted");
            tell(
                &deleted,
                &format!("{done} the access policy {shown}"),
                output,
            )?;
        }
        Action::Explain(question) => return question.ask(api, output),
    }
    Ok(ExitCode::SUCCESS)
}

impl Rules {
    fn put(&self, api: &Api, address: &str, version: i64) -> anyhow::Result<Value> {
        let body = json!({ "text": text_file(&self.file)? });
        match self.force {
            true => api.put_on(&format!("{address}?force=true"), version, &body),
            false => api.put_on(address, version, &body),
        }
    }
}

fn address(organization: &Organization, name: &str) -> String {
    organization.path(&["access-policies", name])
}

/// The same error, in other words if it is this refusal.
fn instead(error: anyhow::Error, reason: &str, words: impl Fn() -> String) -> anyhow::Error {
    match error.downcast::<Refusal>() {
        Ok(refusal) if refusal.reason() == Some(reason) => refusal.saying(words()).into(),
        Ok(refusal) => refusal.into(),
        Err(error) => error,
    }
}

fn exists(name: &str) -> String {
    let name = printable(name);
    format!(
        "there is an access policy {name} already: `weir access-policy update` puts other rules in its place"
    )
}

fn missing(name: &str) -> String {
    let name = printable(name);
    format!(
        "there is no access policy {name}, or none that this account may see: `weir access-policy list` shows those \
         that there are, `create` makes one"
    )
}

fn say(done: &str, policy: &Value, output: &Output) -> anyhow::Result<()> {
    let member = |name: &str| printable(policy[name].as_str().unwrap_or_default());
    let done = output.style(Style::Good, done);
    let sentence = format!(
        "{done} the access policy {} ({}), which holds from now on",
        member("name"),
        member("id")
    );
    tell(policy, &sentence, output)
}

/// Rules as a file has them: what is said of them is a comment.
fn shown(policy: &Value) -> String {
    let member = |name: &str| printable(policy[name].as_str().unwrap_or_default());
    let mut text = format!(
        "// {} ({}), version {}, changed {}\n",
        member("name"),
        member("id"),
        policy["version"],
        moment(&policy["updated_at"])
    );
    for line in policy["text"].as_str().unwrap_or_default().lines() {
        text.push_str(&printable(line));
        text.push('\n');
    }
    text
}

/// Their beginning.
fn rules(policy: &Value) -> String {
    let text = policy["text"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_shown_as_a_file_that_says_the_same() {
        let policy = json!({
            "id": "acp_1", "name": "night", "version": 2, "updated_at": "2026-11-21T12:00:00.5Z",
            "text": "forbid (principal, action, resource)\n  when { context.level < 3 };\n\u{1b}[2J",
        });
        assert_eq!(
            shown(&policy),
            "// night (acp_1), version 2, changed 2026-11-21T12:00:00Z\n\
             forbid (principal, action, resource)\n  when { context.level < 3 };\n\\x1b[2J\n"
        );
        assert_eq!(
            rules(&policy),
            "forbid (principal, action, resource) when { context.level < 3 }; \u{1b}[2J"
        );
    }
}
