//! Going back: what it brings back, and which certificates it leaves as they are.

use jiff::Timestamp;
use serde::Serialize;
use weir_config::{CertificateFacts, ResourceKind, ResourceName};

use crate::diff::KeptDifference;
use crate::sealed::Kept;

/// A certificate that going back leaves as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staying {
    /// Which one.
    pub resource: ResourceName,
    /// Why.
    pub why: Why,
}

/// Why a certificate stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// There is another one by now: who takes back a route does not want the one back that was replaced before it
    /// runs out, or because its key was lost.
    Renewed,
    /// The former one is not valid now: nothing could be done with it.
    Outdated,
}

/// Takes out the certificates that stay as they are; `certificates`: only those that could not be used.
pub(crate) fn leave(
    since: Vec<KeptDifference>,
    certificates: bool,
) -> (Vec<KeptDifference>, Vec<Staying>) {
    let now = Timestamp::now();
    let (mut back, mut staying) = (Vec::with_capacity(since.len()), Vec::new());
    for one in since {
        match why(&one, certificates, now) {
            Some(why) => staying.push(Staying {
                resource: one.resource,
                why,
            }),
            None => back.push(one),
        }
    }
    (back, staying)
}

fn why(one: &KeptDifference, certificates: bool, now: Timestamp) -> Option<Why> {
    let former = one.before.as_ref()?;
    if one.resource.kind != ResourceKind::Certificate {
        return None;
    }
    if is_outdated(former, now) {
        return Some(Why::Outdated);
    }
    let present = one.after.as_ref()?;
    let is_another = present.shown.get("certificate") != former.shown.get("certificate");
    let is_renewed = is_another && !certificates && !is_outdated(present, now);
    is_renewed.then_some(Why::Renewed)
}

/// One that cannot be read is for whoever judges the whole.
fn is_outdated(kept: &Kept, now: Timestamp) -> bool {
    let pem = kept.shown.get("certificate").and_then(|pem| pem.as_str());
    let facts = pem.and_then(|pem| CertificateFacts::of_pem(pem.as_bytes()));
    facts.is_some_and(|facts| !(facts.not_before..=facts.not_after).contains(&now.as_second()))
}
