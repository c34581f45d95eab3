//! Revisions of what is kept beside the file.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_config::{ResourceKind, ResourceName};
use weir_identity::Permission;
use weir_revisions::{Action, Change, Precondition, Proposal, What, unified};
use weir_store::records::Value;

use crate::api::answer::told;
use crate::api::body::Body;
use crate::api::guard::Guard;
use crate::api::list::{List, Listed};
use crate::api::making::{Editor, Made, ShownChange, ShownRevision, make, name_authors, readable};
use crate::api::parameters::{Path, Query};
use crate::api::services::Services;
use crate::page::Page;
use crate::problem::{FieldError, Problem};

/// MiB of a batch.
const BATCH: usize = 64;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_revisions, make_revision))
        .routes(routes!(show_revision))
        .routes(routes!(diff_revisions))
        .routes(routes!(roll_back))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfRevision {
    /// The revision's number.
    #[param(example = 42)]
    number: i64,
}

/// Which revisions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Revisions {}

impl Listed for Revisions {
    type Order = ();

    const ORDERS: &'static [(&'static str, Self::Order)] = &[("age", ())];
}

/// Changes that are to take effect together.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// From 1 to 20,000, each of another resource.
    changes: Vec<BatchChange>,
    /// Why, for those who read the revision later.
    #[serde(default)]
    comment: String,
    /// The number of the revision that the changes are meant for; with another one nothing is changed.
    #[serde(default)]
    expected: Option<i64>,
    /// Whether to say what would happen, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// A change of one resource.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BatchChange {
    /// `route`, `upstream`, `policy` or `certificate`.
    #[schema(value_type = String, example = "route")]
    kind: ResourceKind,
    #[schema(example = "items")]
    name: String,
    /// What the configuration file would say, where `•••` keeps the secret that is there; null deletes the
    /// resource.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(value_type = Option<Object>, required)]
    document: Option<Json>,
}

/// How to go back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rollback {
    /// Why, for those who read the revision later.
    #[serde(default)]
    comment: String,
    /// The number of the latest revision, as it is believed to be; with another one nothing is changed.
    #[serde(default)]
    expected: Option<i64>,
    /// Whether certificates that are others by now are to be the former ones, too.
    #[serde(default)]
    certificates: bool,
    /// Whether to say what would happen, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Comparing {
    /// The revision to compare with; default: the one before. 0 is before the first.
    from: Option<i64>,
    /// For the listener: whether the answer is laid out.
    #[param(ignore)]
    #[serde(rename = "pretty")]
    _pretty: Option<String>,
}

/// What is different between two revisions.
#[derive(Serialize, ToSchema)]
struct Compared {
    from: i64,
    to: i64,
    /// By kind and name, of the kinds that the caller may read.
    changes: Vec<ShownChange>,
    /// How many are not shown, because they are of other kinds.
    hidden: usize,
}

/// List revisions
///
/// The latest first.
#[utoipa::path(
    get,
    path = "/v1/revisions",
    tag = "configuration",
    params(List<Revisions>),
    responses((status = 200, description = "A page of them.", body = Page<ShownRevision>))
)]
async fn list_revisions(
    guard: Guard,
    State(services): State<Services>,
    list: List<Revisions>,
) -> Result<Response, Problem> {
    guard.platform(Permission::RevisionRead)?;
    let after = match list.after.as_slice() {
        [] => None,
        [Value::Int(Some(number))] => Some(*number),
        _ => {
            return Err(Problem::invalid(vec![FieldError {
                pointer: "cursor".to_owned(),
                detail: "is of another list".to_owned(),
            }]));
        }
    };
    let limit = i64::from(list.limit);
    let revisions = &services.configuration().revisions;
    let latest_first = !list.descending;
    let mut found = revisions.revisions(after, latest_first, limit + 1).await?;
    let has_more = found.len() > list.limit as usize;
    found.truncate(list.limit as usize);
    let last = found.last().map(|last| last.number);
    let next = last
        .filter(|_| has_more)
        .map(|number| vec![Value::from(number)]);
    let mut items: Vec<ShownRevision> = found.into_iter().map(Into::into).collect();
    name_authors(guard.identity(), &mut items).await?;
    Ok(list.answer(items, next))
}

/// Make a revision
///
/// Up to 20,000 changes that take effect together, or not at all.
#[utoipa::path(
    post,
    path = "/v1/revisions",
    tag = "configuration",
    request_body = Batch,
    responses(
        (status = 200, description = "Nothing is different, or it was only tried.", body = Made),
        (status = 201, description = "The revision.", body = Made),
        (status = 404, description = "A resource that is to be deleted is not there."),
        (status = 409, description = "One of the resources is the file's."),
        (status = 412, description = "Another revision was made since."),
        (status = 413, description = "The body is larger than 64 MiB."),
    )
)]
async fn make_revision(
    Editor(guard): Editor,
    State(services): State<Services>,
    Body(batch): Body<Batch, BATCH>,
) -> Result<Response, Problem> {
    let changes = batch
        .changes
        .into_iter()
        .enumerate()
        .map(|(index, change)| {
            let resource = ResourceName::new(change.kind, &change.name).map_err(|why| {
                Problem::invalid(vec![FieldError {
                    pointer: format!("/changes/{index}/name"),
                    detail: why,
                }])
            })?;
            Ok(Change {
                resource,
                action: change.document.map_or(Action::Delete, Action::Put),
                precondition: Precondition::None,
            })
        });
    let changes: Result<Vec<_>, Problem> = changes.collect();
    let proposal = Proposal {
        what: What::Changes(changes?),
        comment: batch.comment,
        expected: batch.expected,
        dry_run: batch.dry_run,
    };
    let (status, made) = make(&guard, &services, proposal).await?;
    Ok((status, JsonAnswer(made)).into_response())
}

/// Show a revision
#[utoipa::path(
    get,
    path = "/v1/revisions/{number}",
    tag = "configuration",
    params(OfRevision),
    responses((status = 200, description = "The revision.", body = ShownRevision))
)]
async fn show_revision(
    guard: Guard,
    Path(path): Path<OfRevision>,
    State(services): State<Services>,
) -> Result<Response, Problem> {
    guard.platform(Permission::RevisionRead)?;
    let revisions = &services.configuration().revisions;
    let mut shown = [revisions.revision(path.number).await?.into()];
    name_authors(guard.identity(), &mut shown).await?;
    let [revision]: [ShownRevision; 1] = shown;
    Ok(told(&revision))
}

/// Compare two revisions
///
/// As JSON, or as `diff -u` writes it if `Accept` asks for `text/plain`. Of kinds that the caller may not read it is
/// only told how many resources are different.
#[utoipa::path(
    get,
    path = "/v1/revisions/{number}/diff",
    tag = "configuration",
    params(OfRevision, Comparing),
    responses(
        (status = 200, description = "What is different.", content(
            (Compared = "application/json"),
            (String = "text/plain"),
        )),
    )
)]
async fn diff_revisions(
    guard: Guard,
    Path(path): Path<OfRevision>,
    Query(query): Query<Comparing>,
    headers: HeaderMap,
    State(services): State<Services>,
) -> Result<Response, Problem> {
    guard.platform(Permission::RevisionRead)?;
    let to = path.number;
    let from = query.from.unwrap_or(to.saturating_sub(1));
    let differences = services.configuration().revisions.diff(from, to).await?;
    let (differences, hidden) = readable(&guard, differences);
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/plain")) {
        let media_type = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
        let mut text = unified(&differences);
        if hidden > 0 {
            // As `diff` writes what is no line of either side.
            text.push_str(&format!(
                "\\ {hidden} more, of kinds that the caller may not read\n"
            ));
        }
        return Ok((media_type, text).into_response());
    }
    Ok(told(&Compared {
        from,
        to,
        changes: differences.into_iter().map(Into::into).collect(),
        hidden,
    }))
}

/// Go back to a revision
///
/// Makes a new revision after which everything is as it was after that one; 0 is before the first. A certificate
/// that was renewed since stays the new one, unless that has run out or `certificates` is true; one that
/// would not be valid now does not come back. The answer names both kinds in `staying`.
#[utoipa::path(
    post,
    path = "/v1/revisions/{number}/rollback",
    tag = "configuration",
    params(OfRevision),
    request_body = Rollback,
    responses(
        (status = 200, description = "Nothing is different, or it was only tried.", body = Made),
        (status = 201, description = "The revision.", body = Made),
        (status = 412, description = "Another revision was made since."),
    )
)]
async fn roll_back(
    guard: Guard,
    Path(path): Path<OfRevision>,
    State(services): State<Services>,
    Body(body): Body<Rollback>,
) -> Result<Response, Problem> {
    let proposal = Proposal {
        what: What::Rollback {
            to: path.number,
            certificates: body.certificates,
        },
        comment: body.comment,
        expected: body.expected,
        dry_run: body.dry_run,
    };
    let (status, made) = make(&guard, &services, proposal).await?;
    Ok((status, JsonAnswer(made)).into_response())
}
