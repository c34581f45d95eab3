//! `weir whoami`: as whom commands ask.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::api::{Api, Ask, Column, Table, path};
use crate::admin_client::{Admin, Refusal};
use crate::cli::Global;
use crate::credential::Source;
use crate::log::printable;
use crate::output::Output;

const ORGANIZATIONS: [Column; 3] = [
    Column::member("ORGANIZATION", "/slug"),
    Column::member("ROLE", "/role"),
    Column::of("STATE", |one| match one["is_suspended"] == true {
        true => "suspended".to_owned(),
        false => "active".to_owned(),
    }),
];

/// Show as whom commands ask the running Weir, and where they belong
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir whoami
    weir whoami --json

Exit status: 0; 1 if Weir knows nobody by the credential, or cannot be asked.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let api = Api::find(&arguments.ask, global, output)?;
    let me = match api.get(&path(&["me"])) {
        Ok(me) => Some(me),
        Err(error) if is_operator(&error) => None,
        Err(error) => return Err(error),
    };
    if output.json {
        output.print_json(&me.unwrap_or_else(|| json!({ "operator": true })))?;
        return Ok(ExitCode::SUCCESS);
    }
    let source = described(api.admin());
    let Some(me) = me else {
        output.print(&format!("the operator of this node, by {source}\n"))?;
        return Ok(ExitCode::SUCCESS);
    };
    let member = |name: &str| printable(me[name].as_str().unwrap_or_default());
    let mut text = format!("{} ({}), by {source}\n", member("email"), member("name"));
    let organizations = me["organizations"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let table = Table::new(&ORGANIZATIONS).page(organizations, output);
    if !table.is_empty() {
        text = format!("{text}\n{table}");
    }
    output.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn is_operator(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.and_then(Refusal::reason) == Some("no_account")
}

fn described(admin: &Admin) -> &'static str {
    match admin.source() {
        Some(Source::Variable) => "the token in WEIR_TOKEN",
        Some(Source::Session(_)) => "the session of `weir login`",
        Some(Source::Operator) => "the operator's token in the data directory",
        None => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organizations_are_shown_with_their_state() {
        let output = Output::new(crate::cli::ColorChoice::Never, false);
        let one = json!({"slug": "acme", "role": "owner", "is_suspended": true});
        assert_eq!(
            Table::new(&ORGANIZATIONS).page(&[one], &output),
            "ORGANIZATION  ROLE   STATE\nacme          owner  suspended\n"
        );
    }
}
