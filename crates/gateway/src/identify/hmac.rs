//! Requests with an HMAC of their body, as webhooks have one.

use serde_json::Map;
use weir_config::model::Hmac;
use weir_core::Principal;
use weir_core::principal::Method;
use weir_signatures::{Fault, Message, SimpleCheck};

use super::Verdict;
use super::known::Known;
use super::message::{self, Open};

/// Judges the fields.
pub(super) fn open<'a, F>(model: &Hmac, message: &Message<'a, F>, now: u64) -> Result<Open, Fault>
where
    F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
{
    let check = model.form.begin(message, &model.secrets, now)?;
    Ok(Open::Simple(check))
}

/// Whose it is, after the body.
pub(super) fn close(model: &Hmac, check: SimpleCheck) -> Verdict {
    let verified = match check.finish() {
        Ok(verified) => verified,
        Err(fault) => return message::refused(fault),
    };
    let principal = Principal {
        method: Method::Signature,
        issuer: None,
        subject: model.subject.as_str().into(),
        organization: None,
        scopes: Vec::new(),
        roles: Vec::new(),
        claims: Map::new(),
    };
    // `until` is the last second in which it is good.
    let ends_at = verified
        .until
        .map_or(u64::MAX, |until| until.saturating_add(1));
    Verdict::Good(Known::new(principal, ends_at, None))
}
