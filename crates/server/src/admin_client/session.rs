//! The session that `weir login` keeps goes on under other tokens: the listener says when one is due, and another command may
//! have taken its successor already.

use std::io::Write as _;
use std::time::Duration;

use http::Method;
use weir_core::Secret;

use super::exchange::{Answer, Question, Sink, exchange_once};
use super::{Admin, AdminError};
use crate::credential::{Credential, Kept, Source};

/// Longest wait for another token: the command has its answer already.
const PATIENCE: Duration = Duration::from_secs(2);
const SUCCESSOR: &str = "/v1/me/session/token";

/// Sends a request with the token that the session has by now, and takes the next one when the answer says so. Otherwise as
/// [`exchange_once`].
pub(crate) async fn exchange(
    admin: &Admin,
    question: &Question,
    silence: Duration,
    mut sink: Option<Sink<'_>>,
) -> Result<Answer, AdminError> {
    let passed: Option<Sink<'_>> = match &mut sink {
        Some(sink) => Some(&mut **sink),
        None => None,
    };
    let mut answer = exchange_once(admin, question, silence, passed).await?;
    let Some(credential) = of_login(admin) else {
        return Ok(answer);
    };
    if answer.response.status == 401 && takes_what_is_kept(admin, credential) {
        answer = exchange_once(admin, question, silence, sink).await?;
    }
    if answer.is_token_due {
        take_successor(admin, credential).await;
    }
    Ok(answer)
}

fn of_login(admin: &Admin) -> Option<&Credential> {
    let credential = admin.credential.as_ref()?;
    matches!(credential.source, Source::Session(_)).then_some(credential)
}

/// Whether another command keeps a newer token of the same person by now, which is shown from here on.
fn takes_what_is_kept(admin: &Admin, credential: &Credential) -> bool {
    let kept = Kept::find().and_then(|kept| kept.at(&admin.place).ok()?);
    let Some(kept) = kept.map(|session| session.credential()) else {
        return false;
    };
    let is_newer = kept.token().expose() != credential.token().expose();
    if kept.source != credential.source || !is_newer {
        return false;
    }
    credential.replace(kept.token());
    true
}

/// Keeps the token that takes this one's place. If the answer is lost the next command asks again: whoever shows the former one
/// within its overlap is told the same.
async fn take_successor(admin: &Admin, credential: &Credential) {
    let former = credential.token();
    let question = Question::new(Method::POST, SUCCESSOR);
    let Ok(answer) = exchange_once(admin, &question, PATIENCE, None).await else {
        return;
    };
    let told = answer.response.json();
    let Some(token) = told.as_ref().and_then(|told| told["token"].as_str()) else {
        return;
    };
    let token = Secret::new(token.to_owned());
    credential.replace(token.clone());
    let kept = match Kept::find() {
        Some(kept) => kept.replace(&admin.place, &former, &token),
        None => Ok(()),
    };
    if let Err(error) = kept {
        let said = format!(
            "the session's next token cannot be kept ({error:#}): `weir login` begins another session\n"
        );
        // The command has done what it was asked; nobody is left to tell if this fails.
        let _ = std::io::stderr().write_all(said.as_bytes());
    }
}
