//! `weir keys rewrap`: everything that is sealed, under the installation's present key.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use weir_identity::{Caller, Identity, KeyState, Options, Rewrapped};
use weir_revisions::{Revisions, Secrets};
use weir_store::Records;
use weir_store::audit::Actor;

use crate::cli::Global;
use crate::installation_key::InstallationKey;
use crate::output::{Output, Style, counted};
use crate::records;

/// Seal all secrets in the records under `records.key`
///
/// The last step when the installation gets another key: what is still sealed under one of `records.former_keys` is
/// sealed under `records.key`, after which the former ones are not needed any more. Goes to the database directly, while
/// nodes run. It can be ended and run again at any time, and does no harm if there is nothing to do.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir keys rewrap
    weir keys rewrap --json

Exit status: 0; 1 if something is still under a former key, or opens under none.")]
pub(crate) struct Arguments {}

pub(super) fn run(global: &Global, output: &Output) -> anyhow::Result<ExitCode> {
    let config = weir_config::load(&global.config, &global.lenient())?.config;
    records::with(global, async |records| {
        let Some(records) = records else {
            bail!("there are no records yet: `weir run` or `weir migrate` makes them");
        };
        let key = InstallationKey::of(&config)?;
        rewrap(records, &key, output).await
    })
}

async fn rewrap(
    records: Records,
    key: &InstallationKey,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let options = Options {
        former_keys: key.former().to_vec(),
        ..Options::new("", key.secret().clone())
    };
    let identity = Identity::new(records.clone(), options).context("cannot set up sealing")?;
    check(identity.key_state().await?)?;
    let secrets = Secrets::with_former(key.secret(), key.former());
    let revisions = Revisions::new(records, secrets.context("cannot set up sealing")?);
    let line = output.progress();
    let show = |what: &str, seen: u64| line.show(&format!("{what}: {seen} looked at"));
    let mut all = identity.rewrap(|done| show(done.what, done.seen)).await?;
    let documents = revisions
        .rewrap(|done| show("resources", done.seen))
        .await?;
    line.clear();
    all.push(Rewrapped {
        what: "resources",
        seen: documents.seen,
        anew: documents.anew,
        unreadable: documents.unreadable,
        left: documents.left,
    });
    let is_done = all.iter().all(Rewrapped::is_done);
    if is_done {
        let caller = Caller {
            actor: Actor::Operator,
            ..Caller::system()
        };
        identity.note_rewrapped(&caller, &all).await?;
    }
    tell(&all, is_done, output)?;
    let is_good = is_done && all.iter().all(|one| one.unreadable == 0);
    Ok(ExitCode::from(u8::from(!is_good)))
}

fn check(state: KeyState) -> anyhow::Result<()> {
    match state {
        KeyState::Settled | KeyState::RewrapDue => Ok(()),
        KeyState::Unused => bail!("nothing is sealed yet: `weir run` begins with this key"),
        KeyState::New => bail!(
            "no node has taken up this key yet: start every node with it as `records.key`, and the one before it \
             among `records.former_keys`; then run this again"
        ),
        KeyState::Superseded => bail!(
            "another key has taken the place of this `records.key`: run this with the configuration of a node that \
             has it"
        ),
        KeyState::Wrong => bail!(
            "these records are sealed under a key that is neither `records.key` nor among `records.former_keys`"
        ),
    }
}

fn tell(all: &[Rewrapped], is_done: bool, output: &Output) -> anyhow::Result<()> {
    if output.json {
        let kinds = all.iter().map(|one| {
            let counts = json!({
                "seen": one.seen, "sealed_anew": one.anew, "unreadable": one.unreadable, "left": one.left,
            });
            (one.what.to_owned(), counts)
        });
        let kinds: serde_json::Map<_, _> = kinds.collect();
        return output.print_json(&json!({ "done": is_done, "secrets": kinds }));
    }
    let mut text = String::new();
    for one in all {
        let mut said = format!("{}, {} sealed anew", one.seen, one.anew);
        if one.unreadable > 0 {
            said.push_str(&format!(", {} open under no key", one.unreadable));
        }
        if one.left > 0 {
            said.push_str(&format!(", {} being changed", one.left));
        }
        text.push_str(&format!("  {}: {said}\n", one.what));
    }
    let anew: u64 = all.iter().map(|one| one.anew).sum();
    let head = match is_done {
        true => format!(
            "{} {} sealed anew; former keys are not needed any more\n",
            output.style(Style::Good, "done:"),
            counted(usize::try_from(anew).unwrap_or(usize::MAX), "secret"),
        ),
        false => format!(
            "{} some are still under a former key: run this again\n",
            output.style(Style::Warning, "not done:")
        ),
    };
    output.print(&format!("{head}{text}"))
}
