//! `weir account second-factor`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::super::api::{self, Api, path, tell};
use super::proof::Proof;
use crate::log::printable;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Set an authenticator up: shows its secret, asks for a code of it and shows the recovery codes
    ///
    /// Without a terminal the secret is all that is shown; `confirm` makes it count.
    Enrol {
        #[command(flatten)]
        proof: Proof,
    },
    /// Confirm an authenticator with a code of it, and show the recovery codes
    Confirm {
        /// What it shows
        code: String,
    },
    /// Make ten other recovery codes in place of all there were
    RecoveryCodes {
        #[command(flatten)]
        proof: Proof,
    },
    /// Remove the authenticator and the recovery codes
    Remove {
        #[command(flatten)]
        proof: Proof,
    },
}

pub(super) fn run(api: &Api, action: &Action, output: &Output) -> anyhow::Result<()> {
    match action {
        Action::Enrol { proof } => enrol(api, proof, output),
        Action::Confirm { code } => confirm(api, code, output),
        Action::RecoveryCodes { proof } => {
            let body = proof.shown(api, output)?;
            let made = api.post(&path(&["me", "recovery-codes"]), Some(&body))?;
            tell(&made, &codes(&made), output)
        }
        Action::Remove { proof } => {
            let body = proof.shown(api, output)?;
            let removed = api.post(&path(&["me", "totp", "remove"]), Some(&body))?;
            tell(&removed, "signing in takes the password only", output)
        }
    }
}

fn enrol(api: &Api, proof: &Proof, output: &Output) -> anyhow::Result<()> {
    let body = proof.shown(api, output)?;
    let made = api.post(&path(&["me", "totp"]), Some(&body))?;
    let text = |name: &str| printable(made[name].as_str().unwrap_or_default());
    tell(
        &made,
        &format!(
            "secret for the authenticator: {}\n{}",
            text("secret"),
            text("url")
        ),
        output,
    )?;
    if output.json || !api::has_terminal() {
        output
            .note("it counts once a code is confirmed: weir account second-factor confirm CODE\n");
        return Ok(());
    }
    confirm(api, &api::line("code that it shows: ", output)?, output)
}

fn confirm(api: &Api, code: &str, output: &Output) -> anyhow::Result<()> {
    let body = json!({ "code": code });
    let confirmed = api.post(&path(&["me", "totp", "confirm"]), Some(&body))?;
    tell(&confirmed, &codes(&confirmed), output)
}

/// They are a result: alone on their lines, so that they can be kept.
fn codes(answer: &Value) -> String {
    let codes = answer["recovery_codes"].as_array();
    let codes = codes.into_iter().flatten().filter_map(Value::as_str);
    let codes: Vec<_> = codes.map(printable).collect();
    format!(
        "recovery codes, each good for once in place of the authenticator; they are shown only here:\n{}",
        codes.join("\n")
    )
}
