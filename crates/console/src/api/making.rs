//! Making a revision: who may, what this node says of it, and whether it runs here by now.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;
use tokio::time::timeout;
use utoipa::ToSchema;
use weir_config::ResourceKind;
use weir_identity::{Identity, Permission};
use weir_revisions::{
    Action, Author, ChangeKind, Difference, Outcome, Proposal, Revision, Staying, What, Why,
};

use super::guard::Guard;
use super::refusal::{file_owned, refused};
use super::relevant::Relevant;
use super::services::Services;
use crate::authenticate::Principal;
use crate::configuration::Running;
use crate::problem::Problem;

/// How long an answer waits for the revision to take effect on this node.
const EFFECT: Duration = Duration::from_secs(5);

/// What a change came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct Made {
    /// The new revision; null if nothing was to be changed, or to be only tried.
    pub(crate) revision: Option<ShownRevision>,
    /// Whether all that is different was there before.
    #[serde(skip)]
    pub(crate) is_update: bool,
    /// The number of the latest revision.
    pub(crate) latest: i64,
    /// Whether this node runs it by now. Others follow within a second.
    pub(crate) in_effect: bool,
    /// Why this node cannot run it, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    /// What is different, of the kinds that the caller may read.
    changes: Vec<ShownChange>,
    /// How many changes are not shown, because they are of other kinds.
    hidden: usize,
    /// Certificates that going back left as they are; left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    staying: Vec<ShownStaying>,
    /// Diagnostics that refuse nothing: of what is different, and others that were not there before.
    #[schema(value_type = Vec<Object>)]
    warnings: Vec<Json>,
}

/// A revision.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShownRevision {
    /// Counts up from 1.
    #[schema(example = 42)]
    number: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    author: ShownAuthor,
    /// Why, in the author's words.
    comment: String,
    /// The revision that it went back to.
    rolled_back_to: Option<i64>,
    /// How many resources it changed.
    changes: i64,
    /// Fingerprint of all resources as they are from then on.
    digest: String,
}

/// Who made a revision.
#[derive(Serialize, ToSchema)]
struct ShownAuthor {
    /// `user`, `api_key`, `operator` or `system`.
    kind: String,
    /// Of a person or key.
    id: Option<String>,
    /// The address of the person's account, as it is now; null if it is no more.
    name: Option<String>,
}

/// A resource that is different.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShownChange {
    /// `route`, `upstream`, `policy` or `certificate`.
    #[schema(value_type = String)]
    kind: ResourceKind,
    name: String,
    /// `create`, `update` or `delete`.
    change: &'static str,
    /// What it was, with `•••` in place of secrets. Left out, as `after`, of batches of more than 100 changes
    /// that are not only tried.
    #[schema(value_type = Option<Object>)]
    before: Option<Json>,
    /// What it is.
    #[schema(value_type = Option<Object>)]
    after: Option<Json>,
    /// Where there was a secret and now is another one, as JSON Pointers into the document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, example = json!(["/headers/request/set/authorization"]))]
    secrets: Vec<String>,
}

/// A certificate that going back left as it is.
#[derive(Serialize, ToSchema)]
struct ShownStaying {
    /// `certificate`.
    #[schema(value_type = String, example = "certificate")]
    kind: ResourceKind,
    #[schema(example = "shop")]
    name: String,
    /// `renewed`: there is another one by now. `outdated`: the former one is not valid now.
    #[schema(value_type = String, example = "renewed")]
    why: Why,
}

impl From<Revision> for ShownRevision {
    fn from(revision: Revision) -> Self {
        Self {
            number: revision.number,
            created_at: revision.created_at,
            author: ShownAuthor {
                kind: revision.author_kind,
                id: revision.author_id,
                name: None,
            },
            comment: revision.comment,
            rolled_back_to: revision.rolled_back_to,
            changes: revision.changes,
            digest: revision.digest,
        }
    }
}

/// Adds by which addresses the authors are known.
pub(crate) async fn name_authors(
    identity: &Identity,
    revisions: &mut [ShownRevision],
) -> Result<(), Problem> {
    let mut known: HashMap<String, Option<String>> = HashMap::new();
    for ShownRevision { author, .. } in revisions {
        let Some(id) = &author.id else { continue };
        if !known.contains_key(id) {
            let account = match id.parse() {
                Ok(id) => identity.user(&id).await.map(Some),
                Err(_) => Ok(None),
            };
            let email = match account {
                Ok(account) => account.map(|account| account.email),
                Err(weir_identity::Error::Missing(_)) => None,
                Err(error) => return Err(error.into()),
            };
            known.insert(id.clone(), email);
        }
        author.name = known.get(id).cloned().flatten();
    }
    Ok(())
}

impl From<Difference> for ShownChange {
    fn from(difference: Difference) -> Self {
        Self {
            change: difference.change.word(),
            kind: difference.resource.kind,
            name: difference.resource.name,
            before: difference.before,
            after: difference.after,
            secrets: difference.secrets,
        }
    }
}

impl From<Staying> for ShownStaying {
    fn from(staying: Staying) -> Self {
        Self {
            kind: staying.resource.kind,
            name: staying.resource.name,
            why: staying.why,
        }
    }
}

/// Those of the kinds that somebody may read, and how many others there are.
pub(crate) fn readable(guard: &Guard, differences: Vec<Difference>) -> (Vec<Difference>, usize) {
    let all = differences.len();
    let is_there = |kind: &ResourceKind| differences.iter().any(|one| one.resource.kind == *kind);
    // Asked for as every right is: an answer that is kept and sent again takes it then, too.
    let may = |kind: &ResourceKind| guard.platform(reading(*kind)).is_ok();
    let kinds = ResourceKind::ALL.into_iter().filter(is_there);
    let kinds: Vec<_> = kinds.filter(may).collect();
    let shown = differences.into_iter();
    let shown: Vec<_> = shown
        .filter(|one| kinds.contains(&one.resource.kind))
        .collect();
    let hidden = all - shown.len();
    (shown, hidden)
}

/// The right to see resources of a kind.
pub(crate) const fn reading(kind: ResourceKind) -> Permission {
    match kind {
        ResourceKind::Route => Permission::RouteRead,
        ResourceKind::Upstream => Permission::UpstreamRead,
        ResourceKind::Policy => Permission::PolicyRead,
        ResourceKind::Certificate => Permission::CertificateRead,
    }
}

/// The right to change resources of a kind.
pub(crate) const fn writing(kind: ResourceKind) -> Permission {
    match kind {
        ResourceKind::Route => Permission::RouteWrite,
        ResourceKind::Upstream => Permission::UpstreamWrite,
        ResourceKind::Policy => Permission::PolicyWrite,
        ResourceKind::Certificate => Permission::CertificateWrite,
    }
}

/// Makes a revision, if the caller may, and waits until this node runs it.
///
/// # Errors
/// 403, also for secrets that are not the caller's to lend; 409 for what is the file's; 412; 422 with the diagnostics if the whole would not load.
pub(crate) async fn make(
    guard: &Guard,
    services: &Services,
    proposal: Proposal,
) -> Result<(StatusCode, Made), Problem> {
    let configuration = services.configuration();
    authorise(guard, &proposal.what)?;
    let running = configuration.running.borrow().clone();
    let file = Arc::clone(&running.file);
    let relevant = Relevant::to(&running);
    if let What::Changes(changes) = &proposal.what {
        for change in changes {
            if matches!(change.action, Action::Put(_)) && file.document(&change.resource).is_some()
            {
                return Err(file_owned(&change.resource));
            }
        }
    }
    let author = author(guard);
    let judge = Arc::clone(&configuration.judge);
    let made = configuration
        .revisions
        .apply(&author, proposal, |resources| judge(resources));
    let outcome = made.await.map_err(|error| match error {
        weir_revisions::Error::NoResource(resource) if file.document(&resource).is_some() => {
            file_owned(&resource)
        }
        weir_revisions::Error::Refused { report, changed } => {
            let changed = changed.iter().collect();
            refused(*report, |one| relevant.is(one, &changed))
        }
        error => error.into(),
    })?;
    // Whoever is given this answer again must have these rights, too.
    for kind in &outcome.lent {
        guard.platform(writing(*kind))?;
    }
    let status = match &outcome.revision {
        Some(_) => StatusCode::CREATED,
        None => StatusCode::OK,
    };
    Ok((status, followed(guard, services, outcome, &relevant).await))
}

/// Who asks, as revisions and the audit name them.
pub(crate) fn author(guard: &Guard) -> Author {
    let caller = guard.caller();
    Author {
        actor: caller.actor.clone(),
        origin: caller.origin.clone(),
        request_id: caller.request_id.clone(),
        once: caller.once.clone(),
        lends: lends(guard),
    }
}

/// Changes need the right to change each kind that they change; the way back, which may change all of
/// them, has a right of its own.
fn authorise(guard: &Guard, what: &What) -> Result<(), Problem> {
    match what {
        What::Changes(changes) => {
            for kind in ResourceKind::ALL {
                if changes.iter().any(|change| change.resource.kind == kind) {
                    guard.platform(writing(kind))?;
                }
            }
            Ok(())
        }
        What::Restore(resource, _) => guard.platform(writing(resource.kind)),
        What::Rollback { .. } => guard.platform(Permission::RevisionWrite),
    }
}

/// The kinds of resources whose secrets the caller may have sent elsewhere: those that they may change.
fn lends(guard: &Guard) -> Vec<ResourceKind> {
    let kinds = ResourceKind::ALL.into_iter();
    let rights = guard.platform_rights();
    kinds.filter(|kind| rights.has(writing(*kind))).collect()
}

/// Whether somebody may change any kind of resource: nobody else's large bodies are read.
///
/// # Errors
/// 403, which names a permission.
pub(super) fn may_change_any(principal: &Principal) -> Result<(), Problem> {
    let allowed = ResourceKind::ALL.map(|kind| principal.allow_on_platform(writing(kind)));
    match allowed.iter().any(Result::is_ok) {
        true => Ok(()),
        false => allowed.into_iter().collect(),
    }
}

/// Somebody who may change resources.
pub(crate) struct Editor(pub(crate) Guard);

impl FromRequestParts<Services> for Editor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Problem> {
        let guard = Guard::from_request_parts(parts, services).await?;
        may_change_any(guard.principal())?;
        Ok(Self(guard))
    }
}

/// The answer, as soon as this node runs what was made, or cannot, or takes too long.
async fn followed(
    guard: &Guard,
    services: &Services,
    outcome: Outcome,
    relevant: &Relevant,
) -> Made {
    let mut running = services.configuration().running.clone();
    let number = outcome.revision.as_ref().map(|revision| revision.number);
    let refused = |running: &Running, number| {
        let refused = running.refused.as_ref();
        refused
            .filter(|refused| refused.revision >= number)
            .cloned()
    };
    let made = outcome.revision.as_ref();
    let runs = |running: &Running| {
        made.is_none_or(|made| match running.revision.cmp(&made.number) {
            Ordering::Less => false,
            Ordering::Equal => *running.digest == made.digest,
            Ordering::Greater => true,
        })
    };
    let is_settled = |running: &Running| {
        number.is_none_or(|number| runs(running) || refused(running, number).is_some())
    };
    // Whoever took too long is not in effect, and says so.
    let _ = timeout(EFFECT, running.wait_for(is_settled)).await;
    let now = running.borrow().clone();
    let number = number.unwrap_or(outcome.latest);
    let changed: HashSet<_> = outcome
        .differences
        .iter()
        .map(|one| &one.resource)
        .collect();
    // Diagnostics can always be written.
    let warnings = outcome
        .warnings
        .iter()
        .filter(|one| relevant.is(one, &changed))
        .map(|one| serde_json::json!(one))
        .collect();
    let is_update = outcome
        .differences
        .iter()
        .all(|one| one.change != ChangeKind::Create);
    let (shown, hidden) = readable(guard, outcome.differences);
    Made {
        is_update,
        in_effect: now.revision >= number && runs(&now),
        revision: outcome.revision.map(Into::into),
        latest: outcome.latest,
        refused: refused(&now, number).map(|refused| refused.text.clone()),
        changes: shown.into_iter().map(Into::into).collect(),
        hidden,
        staying: outcome.staying.into_iter().map(Into::into).collect(),
        warnings,
    }
}
