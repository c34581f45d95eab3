//! `weir role`: what members of an organization may do.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::bail;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use weir_identity::{Assigned, Permission};

use super::api::{Api, Ask, Column, Confirmation, InOrganization, List, Paging, details, tell};
use crate::cli::Global;
use crate::log::printable;
use crate::output::{Output, Style};

const COLUMNS: [Column; 4] = [
    Column::member("NAME", "/name"),
    Column::member("DESCRIPTION", "/description"),
    Column::member("ID", "/id"),
    Column::member("PERMISSIONS", "/permissions"),
];

/// Roles that an organization made: list, make, change, delete
///
/// The roles owner, admin, editor and viewer are always there, and not listed. Nobody can give a
/// permission that they do not have.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir role list --org acme
    weir role create --org acme releaser --permission revision:read,revision:write
    weir role update --org acme releaser --description 'goes back to earlier revisions'
    weir role delete --org acme releaser")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List roles
    List {
        #[command(flatten)]
        organization: InOrganization,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a role
    Show {
        #[command(flatten)]
        organization: InOrganization,
        /// Name or identifier
        role: String,
    },
    /// Make a role
    Create {
        #[command(flatten)]
        organization: InOrganization,
        /// Unique in the organization
        name: String,
        /// What it lets one do; several with commas between them, or the option again
        #[arg(long = "permission", value_name = "PERMISSION", required = true, value_delimiter = ',', value_parser = permissions(), hide_possible_values = true)]
        permissions: Vec<String>,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
    },
    /// Change a role, for all who have it
    Update {
        #[command(flatten)]
        organization: InOrganization,
        /// Name or identifier
        role: String,
        /// Another name
        #[arg(long)]
        name: Option<String>,
        /// What it lets one do, in place of all that it did
        #[arg(long = "permission", value_name = "PERMISSION", value_delimiter = ',', value_parser = permissions(), hide_possible_values = true, required_unless_present_any = ["name", "description"])]
        permissions: Vec<String>,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
    },
    /// Delete a role that nobody has
    Delete {
        #[command(flatten)]
        organization: InOrganization,
        /// Name or identifier
        role: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

fn permissions() -> PossibleValuesParser {
    PossibleValuesParser::new(Permission::ALL.iter().map(|one| one.as_str()))
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
            let list = List::at(organization.path(&["roles"]));
            return list.print(api, paging, &COLUMNS, output);
        }
        Action::Show { organization, role } => {
            let found = api.get(&address(api, organization, role)?)?;
            match output.json {
                true => output.print_json(&found)?,
                false => output.print(&details(&found, output))?,
            }
        }
        Action::Create {
            organization,
            name,
            permissions,
            description,
        } => {
            let new = json!({
                "name": name, "description": description, "permissions": permissions,
            });
            let made = api.create(&organization.path(&["roles"]), &new)?;
            say("created", &made, output)?;
        }
        Action::Update {
            organization,
            role,
            name,
            permissions,
            description,
        } => {
            let mut patch = Map::new();
            for (member, value) in [("name", name), ("description", description)] {
                if let Some(value) = value {
                    patch.insert(member.to_owned(), json!(value));
                }
            }
            if !permissions.is_empty() {
                patch.insert("permissions".to_owned(), json!(permissions));
            }
            let changed = api.patch(&address(api, organization, role)?, &patch.into())?;
            say("changed", &changed, output)?;
        }
        Action::Delete {
            organization,
            role,
            confirmation,
        } => {
            let address = address(api, organization, role)?;
            let shown = printable(role);
            confirmation.ask(&format!("delete the role {shown}"), output)?;
            let deleted = api.delete(&address)?;
            let done = output.style(Style::Good, "deleted");
            tell(&deleted, &format!("{done} the role {shown}"), output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn say(done: &str, role: &Value, output: &Output) -> anyhow::Result<()> {
    let member = |name: &str| printable(role[name].as_str().unwrap_or_default());
    let done = output.style(Style::Good, done);
    let sentence = format!("{done} the role {} ({})", member("name"), member("id"));
    tell(role, &sentence, output)
}

/// The path of a role of an organization's own.
fn address(api: &Api, organization: &InOrganization, named: &str) -> anyhow::Result<String> {
    let id = assigned(api, organization, named)?;
    Ok(organization.path(&["roles", &id]))
}

/// A role as the API takes it, by its name or identifier.
pub(super) fn assigned(
    api: &Api,
    organization: &InOrganization,
    named: &str,
) -> anyhow::Result<String> {
    if named.parse::<Assigned>().is_ok() {
        return Ok(named.to_owned());
    }
    let list = List::at(organization.path(&["roles"]));
    let found = list.find(api, |role| role["name"] == *named)?;
    match found.as_ref().and_then(|role| role["id"].as_str()) {
        Some(id) => Ok(id.to_owned()),
        None => bail!(
            "{} has no role {}: `weir role list` shows those of its own, beside owner, admin, editor and \
             viewer",
            printable(organization.name()),
            printable(named)
        ),
    }
}

/// Puts names in the place of identifiers of roles, for people.
pub(super) fn name_all(
    api: &Api,
    organization: &InOrganization,
    holders: &mut [Value],
) -> anyhow::Result<()> {
    let is_own = |holder: &Value| match holder["role"].as_str().map(str::parse) {
        Some(Ok(Assigned::Custom(id))) => Some(id.to_string()),
        _ => None,
    };
    let mut names = BTreeMap::new();
    for holder in holders {
        let Some(id) = is_own(holder) else {
            continue;
        };
        let name = match names.get(&id) {
            Some(name) => Value::clone(name),
            None => {
                // Whoever may see members may be unable to see roles: the identifier will do.
                let role = api.get(&organization.path(&["roles", &id]));
                let name = role.map_or_else(|_| json!(id), |role| role["name"].clone());
                names.insert(id, name.clone());
                name
            }
        };
        holder["role"] = name;
    }
    Ok(())
}
