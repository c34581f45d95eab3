//! `weir api-key`: what programs show to say who they are.

use std::iter;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use weir_core::Id;
use weir_identity::Permission;

use super::api::{Api, Ask, Column, Confirmation, InOrganization, List, Paging, details, tell};
use crate::cli::Global;
use crate::log::printable;
use crate::output::{Output, Style};

const COLUMNS: [Column; 7] = [
    Column::member("NAME", "/name"),
    Column::member("KEY", "/key"),
    Column::of("STATE", |key| state(key).to_owned()),
    Column::moment("EXPIRES", "/expires_at"),
    Column::moment("LAST USED", "/last_used_at"),
    Column::member("SCOPES", "/scopes"),
    Column::member("ID", "/id"),
];

/// API keys of an organization: list, make, change, replace, revoke
///
/// What a key may do is said twice: permissions count in Weir's own admin API, scopes are words of the
/// organization's own, which its routes ask for. The key itself is shown once, when it is made.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir api-key list --org acme
    weir api-key create --org acme 'nightly import' --scope catalog:read,catalog:write
    weir api-key create --org acme deploy --permission route:read,route:write --expires-in 90d
    weir api-key update --org acme deploy --permission route:read --expires-in 30d
    weir api-key rotate --org acme 'nightly import' --overlap 7d
    weir api-key revoke --org acme deploy")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List keys, those that do not work any more included
    List {
        #[command(flatten)]
        organization: InOrganization,
        /// Only those whose name begins with this
        #[arg(long, value_name = "PREFIX")]
        name: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a key, but not what it is
    Show {
        #[command(flatten)]
        organization: InOrganization,
        /// Name or identifier
        key: String,
    },
    /// Make a key of the organization's own, and print it
    Create {
        #[command(flatten)]
        organization: InOrganization,
        /// What it is for
        name: String,
        /// What it may do in the admin API; several with commas between them, or the option again
        #[arg(long = "permission", value_name = "PERMISSION", value_delimiter = ',', value_parser = permissions(), hide_possible_values = true)]
        permissions: Vec<String>,
        /// What it may ask of routes; several with commas between them, or the option again
        #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
        scopes: Vec<String>,
        /// For how long it works: `90d`, or `never` for one that does not end; a year if not given
        #[arg(long, value_name = "DURATION", value_parser = lifetime)]
        expires_in: Option<Lifetime>,
    },
    /// Give a key another name, less than it may, or an earlier end
    ///
    /// What it does not have it does not get: whoever has the key now would have it, too. Make another one for that.
    Update {
        #[command(flatten)]
        organization: InOrganization,
        /// Name or identifier
        key: String,
        #[command(flatten)]
        change: Update,
    },
    /// Have another key take one's place, and print it; the former works on for a while
    Rotate {
        #[command(flatten)]
        organization: InOrganization,
        /// Name or identifier
        key: String,
        /// For how long the former works on, at most 30d
        #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = overlap)]
        overlap: Duration,
    },
    /// Refuse a key from now on
    Revoke {
        #[command(flatten)]
        organization: InOrganization,
        /// Name or identifier
        key: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Revoke a key and move it to the trash
    Delete {
        #[command(flatten)]
        organization: InOrganization,
        /// Name or identifier
        key: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

/// What of a key is to be different.
#[derive(Debug, Args)]
#[group(id = "change", required = true, multiple = true)]
struct Update {
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// What of its permissions it keeps; several with commas between them, or the option again
    #[arg(long = "permission", value_name = "PERMISSION", value_delimiter = ',', value_parser = permissions(), hide_possible_values = true)]
    permissions: Vec<String>,
    /// Take all its permissions
    #[arg(long, conflicts_with = "permissions")]
    no_permissions: bool,
    /// What of its scopes it keeps; several with commas between them, or the option again
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// Take all its scopes
    #[arg(long, conflicts_with = "scopes")]
    no_scopes: bool,
    /// For how long it works from now on, such as `30d`: no longer than it would
    #[arg(long, value_name = "DURATION", value_parser = remaining)]
    expires_in: Option<Duration>,
}

impl Update {
    fn patch(&self) -> anyhow::Result<Value> {
        let mut patch = Map::new();
        let mut change = |member: &str, value: Value| patch.insert(member.to_owned(), value);
        if let Some(name) = &self.name {
            change("name", json!(name));
        }
        if self.no_permissions || !self.permissions.is_empty() {
            change("permissions", json!(self.permissions));
        }
        if self.no_scopes || !self.scopes.is_empty() {
            change("scopes", json!(self.scopes));
        }
        if let Some(time) = self.expires_in {
            change("expires_at", json!(end(time)?));
        }
        Ok(patch.into())
    }
}

/// For how long a key is to work.
#[derive(Clone, Copy, Debug)]
enum Lifetime {
    Never,
    For(Duration),
}

fn permissions() -> PossibleValuesParser {
    PossibleValuesParser::new(Permission::ALL.iter().map(|one| one.as_str()))
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    match text {
        "never" => Ok(Lifetime::Never),
        text => match overlap(text)? {
            Duration::ZERO => {
                Err("it would never work: write `never` for one that does not end".to_owned())
            }
            time => Ok(Lifetime::For(time)),
        },
    }
}

fn remaining(text: &str) -> Result<Duration, String> {
    match text {
        "never" => {
            Err("a key can end earlier, never later: make another one that does not end".to_owned())
        }
        text => match overlap(text)? {
            Duration::ZERO => {
                Err("to have it refused from now on, use `weir api-key revoke`".to_owned())
            }
            time => Ok(time),
        },
    }
}

/// What durations of the configuration look like, and none at all.
fn overlap(text: &str) -> Result<Duration, String> {
    match text {
        "0s" | "0d" => Ok(Duration::ZERO),
        text => weir_config::parse_duration(text),
    }
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
            name,
            paging,
        } => {
            let list = List::at(organization.path(&["api-keys"])).with("name", name.as_ref());
            return list.print(api, paging, &COLUMNS, output);
        }
        Action::Show { organization, key } => {
            let found = api.get(&address(api, organization, key, &[])?)?;
            match output.json {
                true => output.print_json(&found)?,
                false => output.print(&details(&found, output))?,
            }
        }
        Action::Create {
            organization,
            name,
            permissions,
            scopes,
            expires_in,
        } => {
            let mut new = json!({ "name": name, "permissions": permissions, "scopes": scopes });
            match expires_in {
                None => {}
                Some(Lifetime::Never) => new["expires_at"] = Value::Null,
                Some(Lifetime::For(time)) => new["expires_at"] = json!(end(*time)?),
            }
            let made = api.create(&organization.path(&["api-keys"]), &new)?;
            say("created", &made, output)?;
        }
        Action::Update {
            organization,
            key,
            change,
        } => {
            let address = address(api, organization, key, &[])?;
            let changed = api.patch(&address, &change.patch()?)?;
            let done = output.style(Style::Good, "changed");
            let name = printable(changed["name"].as_str().unwrap_or_default());
            tell(&changed, &format!("{done} the key {name}"), output)?;
        }
        Action::Rotate {
            organization,
            key,
            overlap,
        } => {
            let address = address(api, organization, key, &["rotate"])?;
            let body = json!({ "overlap_seconds": overlap.as_secs() });
            say("replaced", &api.create(&address, &body)?, output)?;
        }
        Action::Revoke {
            organization,
            key,
            confirmation,
        } => {
            let address = address(api, organization, key, &["revoke"])?;
            let shown = printable(key);
            confirmation.ask(&format!("refuse the key {shown} from now on"), output)?;
            let revoked = api.post(&address, None)?;
            let done = output.style(Style::Good, "revoked");
            tell(&revoked, &format!("{done} the key {shown}"), output)?;
            // An identifier means that key and no other.
            if !output.json && !is_id(key) {
                tell_of_formers(api, organization, key, &revoked, output)?;
            }
        }
        Action::Delete {
            organization,
            key,
            confirmation,
        } => {
            let address = address(api, organization, key, &[])?;
            let shown = printable(key);
            confirmation.ask(&format!("revoke and delete the key {shown}"), output)?;
            let deleted = api.delete(&address)?;
            let done = output.style(Style::Good, "deleted");
            tell(&deleted, &format!("{done} the key {shown}"), output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn end(time: Duration) -> anyhow::Result<Timestamp> {
    let end = Timestamp::now().checked_add(time);
    end.context("that is too long")
}

/// The key is a result, too: alone on its line, so that it can be passed on.
fn say(done: &str, made: &Value, output: &Output) -> anyhow::Result<()> {
    let member = |name: &str| printable(made[name].as_str().unwrap_or_default());
    let secret = made["secret"].as_str();
    let secret = secret.context("the answer of the admin listener has no key")?;
    let done = output.style(Style::Good, done);
    let sentence = format!(
        "{done} the key {} ({}), which is shown only here:\n{}",
        member("name"),
        member("id"),
        printable(secret)
    );
    tell(made, &sentence, output)
}

/// The path of a key, by its identifier or the name that only one has that works.
fn address(
    api: &Api,
    organization: &InOrganization,
    named: &str,
    rest: &[&str],
) -> anyhow::Result<String> {
    let id = match is_id(named) {
        true => named.to_owned(),
        false => by_name(api, organization, named)?,
    };
    Ok(organization.path(&[&["api-keys", &id], rest].concat()))
}

fn is_id(named: &str) -> bool {
    named.parse::<Id>().is_ok_and(|id| id.prefix() == "key")
}

/// Says which keys still work that the revoked one took the place of.
fn tell_of_formers(
    api: &Api,
    organization: &InOrganization,
    named: &str,
    revoked: &Value,
    output: &Output,
) -> anyhow::Result<()> {
    let list = List::at(organization.path(&["api-keys"])).with("name", Some(named));
    let keys = list.all(api)?;
    for former in formers(&keys, &revoked["id"]) {
        let member = |name: &str| printable(former[name].as_str().unwrap_or_default());
        let (id, end) = (member("id"), member("expires_at"));
        output.print(&format!(
            "its former key {id} works until {end}: `weir api-key revoke {id}` ends it, too\n"
        ))?;
    }
    Ok(())
}

/// The replaced keys that still work of those that led to this one, the latest first.
fn formers<'k>(keys: &'k [Value], id: &Value) -> impl Iterator<Item = &'k Value> {
    let former_of = move |id: &Value| keys.iter().find(|key| key["replaced_by"] == *id);
    let line = iter::successors(former_of(id), move |key| former_of(&key["id"]));
    line.take(keys.len()).filter(|key| state(key) == "replaced")
}

fn by_name(api: &Api, organization: &InOrganization, named: &str) -> anyhow::Result<String> {
    let list = List::at(organization.path(&["api-keys"])).with("name", Some(named));
    let mut found = list.all(api)?;
    found.retain(|key| key["name"] == *named);
    // A key that was replaced has the name of the one that took its place.
    if found.len() > 1 {
        found.retain(|key| key["replaced_by"].is_null() && state(key) == "works");
    }
    match found.as_slice() {
        [one] => Ok(one["id"].as_str().unwrap_or_default().to_owned()),
        [] => bail!(
            "{} has no key {}: `weir api-key list` shows those that it has",
            printable(organization.name()),
            printable(named)
        ),
        _ => bail!(
            "several keys are called {}: name one by its identifier, which `weir api-key list` shows",
            printable(named)
        ),
    }
}

fn state(key: &Value) -> &'static str {
    let expires_at = key["expires_at"].as_str();
    let end = expires_at.and_then(|end| end.parse::<Timestamp>().ok());
    if !key["leaked_at"].is_null() {
        "leaked"
    } else if !key["revoked_at"].is_null() {
        "revoked"
    } else if end.is_some_and(|end| end <= Timestamp::now()) {
        "expired"
    } else if !key["replaced_by"].is_null() {
        "replaced"
    } else {
        "works"
    }
}
