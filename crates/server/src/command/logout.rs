//! `weir logout`: ends the session that `weir login` began.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::api::{Api, Ask, path, tell};
use crate::admin_client::Refusal;
use crate::cli::Global;
use crate::credential::Kept;
use crate::output::Output;

/// End the session that `weir login` began, and forget it
///
/// If Weir cannot be asked the session is forgotten all the same, and ends by itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir logout

Exit status: 0, also if nobody was signed in; 1 if the session could not be ended.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let nobody = Api::as_nobody(&arguments.ask, global, output)?;
    let place = nobody.admin().place.clone();
    let found = match Kept::find() {
        Some(kept) => kept.at(&place)?.map(|session| (kept, session)),
        None => None,
    };
    let Some((kept, session)) = found else {
        let nothing = json!({ "signed_out": null });
        tell(&nothing, &format!("nobody is signed in at {place}"), output)?;
        return Ok(ExitCode::SUCCESS);
    };
    kept.forget(&place)?;
    let admin = nobody.admin().clone();
    let api = Api::of(admin.with(Some(session.credential())))?;
    match api.post(&path(&["sign-out"]), None) {
        Ok(_) => {}
        // It has ended before.
        Err(error) if is_unknown(&error) => {}
        Err(error) => return Err(error.context("the session is forgotten, but was not ended")),
    }
    let who = json!({ "signed_out": session.email });
    tell(
        &who,
        &format!("signed out {} at {place}", session.email),
        output,
    )?;
    Ok(ExitCode::SUCCESS)
}

fn is_unknown(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.and_then(Refusal::reason) == Some("unauthenticated")
}
