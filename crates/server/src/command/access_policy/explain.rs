//! What somebody may do, and which rule says so.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use weir_identity::Permission;

use crate::command::api::{Api, Organization, path};
use crate::log::printable;
use crate::output::{Output, Style};

/// A question.
#[derive(Debug, Args)]
pub(super) struct Question {
    /// Whose rights: identifier or e-mail address
    who: String,
    /// What they would do, such as `route:write`
    #[arg(value_parser = permissions(), hide_possible_values = true)]
    permission: String,
    #[command(flatten)]
    organization: Organization,
    /// From where they would ask; without it, rules that read the address deny
    #[arg(long)]
    address: Option<IpAddr>,
    /// When they would ask; otherwise now
    #[arg(long)]
    time: Option<Timestamp>,
    /// How they would have signed in: password or `two_factor`; otherwise by a password
    #[arg(long)]
    strength: Option<String>,
    /// What recent failures would come to, 0 to 100
    #[arg(long, value_parser = clap::value_parser!(u8).range(..=100))]
    risk: Option<u8>,
}

fn permissions() -> PossibleValuesParser {
    PossibleValuesParser::new(Permission::ALL.iter().map(|one| one.as_str()))
}

impl Question {
    pub(super) fn ask(&self, api: &Api, output: &Output) -> anyhow::Result<ExitCode> {
        let decision = api.post(&path(&["access", "explain"]), Some(&self.body()))?;
        match output.json {
            true => output.print_json(&decision)?,
            false => output.print(&self.answer(&decision, output))?,
        }
        Ok(match decision["allowed"] == true {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    fn body(&self) -> Value {
        let mut context = Map::new();
        let mut state = |member: &str, value: Option<Value>| {
            if let Some(value) = value {
                context.insert(member.to_owned(), value);
            }
        };
        state("address", self.address.map(|address| json!(address)));
        state("time", self.time.map(|time| json!(time)));
        state("strength", self.strength.as_ref().map(|it| json!(it)));
        state("risk", self.risk.map(|risk| json!(risk)));
        json!({
            "who": self.who, "permission": self.permission, "organization": self.organization.name(),
            "context": context,
        })
    }

    fn answer(&self, decision: &Value, output: &Output) -> String {
        let word = match decision["allowed"] == true {
            true => output.style(Style::Good, "allowed"),
            false => output.style(Style::Bad, "denied"),
        };
        let why = match decision["reason"].as_str() {
            Some("permitted") => "roles give it, and no rule forbids it",
            Some("no_permit") => "no role gives it",
            Some("forbidden") => "a rule forbids it",
            _ => "a rule cannot be evaluated, which denies",
        };
        let mut text = format!(
            "{word}: {} {} ({why})\n",
            printable(&self.who),
            self.permission
        );
        for rule in items(&decision["rules"]) {
            text.push_str(&format!(
                "  {}\n",
                printable(rule.as_str().unwrap_or_default())
            ));
        }
        for failed in items(&decision["errors"]) {
            let part = |name: &str| failed[name].as_str().map(printable);
            let rule = part("rule").unwrap_or_else(|| "the question".to_owned());
            let message = part("message").unwrap_or_default();
            text.push_str(&format!("  {rule}: {message}\n"));
        }
        text
    }
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}
