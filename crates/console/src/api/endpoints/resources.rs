//! Routes, upstreams, policies and certificates as they are wanted: the file's, and those beside it.

mod shown;

use std::sync::Arc;

mod trashed;

use axum::Json as JsonAnswer;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::header::{ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::Value as Json;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, Required, Type};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_config::{FileResources, ResourceKind, ResourceName};
use weir_revisions::{Action, Change, Precondition, Proposal, Wanted, What};
use weir_store::records::Value;

use crate::api::answer::{shown, told};
use crate::api::body::Body;
use crate::api::guard::Guard;
use crate::api::list::{List, Listed};
use crate::api::making::{Made, make, reading, writing};
use crate::api::parameters::{IfMatch, Path, Query};
use crate::api::refusal::file_owned;
use crate::api::services::Services;
use crate::page::Page;
use crate::precondition::{Expected, entity_tag, expected_version};
use crate::problem::{FieldError, Problem};
use shown::{Owner, ShownResource};

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_resources))
        .routes(routes!(show_resource, put_resource, delete_resource))
        .routes(routes!(restore_resource))
}

/// Of which kind.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Section {
    Routes,
    Upstreams,
    Policies,
    Certificates,
}

impl Section {
    const fn kind(self) -> ResourceKind {
        match self {
            Self::Routes => ResourceKind::Route,
            Self::Upstreams => ResourceKind::Upstream,
            Self::Policies => ResourceKind::Policy,
            Self::Certificates => ResourceKind::Certificate,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct InSection {
    /// `routes`, `upstreams`, `policies` or `certificates`.
    #[param(inline)]
    section: Section,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfResource {
    /// `routes`, `upstreams`, `policies` or `certificates`.
    #[param(inline)]
    section: Section,
    /// The resource's name.
    #[param(example = "items")]
    name: String,
}

impl OfResource {
    /// The file's of this name. A listener's own certificate is called what nothing else can be.
    fn of_file(&self, file: &FileResources) -> Option<(ResourceName, Json)> {
        let name = ResourceName {
            kind: self.section.kind(),
            name: self.name.clone(),
        };
        let document = file.document(&name)?.clone();
        Some((name, document))
    }

    fn resource(&self) -> Result<ResourceName, Problem> {
        ResourceName::new(self.section.kind(), &self.name).map_err(|why| {
            Problem::invalid(vec![FieldError {
                pointer: "name".to_owned(),
                detail: why,
            }])
        })
    }
}

/// Which resources.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Resources {
    /// Those whose name begins with this.
    name: Option<String>,
    /// Those of the file, or those beside it.
    #[param(inline)]
    owner: Option<Owner>,
    /// Those that were deleted, the latest first, instead of those that are there.
    deleted: Option<bool>,
}

impl Listed for Resources {
    type Order = ();

    const ORDERS: &'static [(&'static str, Self::Order)] = &[("name", ())];
}

/// How a change is made.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Making {
    /// Why, for those who read the revision later.
    comment: Option<String>,
    /// Whether to say what would happen, and change nothing.
    dry_run: Option<bool>,
    /// For the listener: whether the answer is laid out.
    #[param(ignore)]
    #[serde(rename = "pretty")]
    _pretty: Option<String>,
}

/// What must be so for a change to be made: `If-Match` and `If-None-Match` (RFC 9110 §13.1).
struct Conditions(Precondition);

impl<S: Sync> FromRequestParts<S> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let has = |name: HeaderName| headers.contains_key(name);
        Ok(Self(match expected_version(headers)? {
            Expected::Version(revision) => Precondition::Revision(revision),
            Expected::Any if has(IF_MATCH) => Precondition::Present,
            Expected::Any if has(IF_NONE_MATCH) => {
                let is_any = headers.get(IF_NONE_MATCH).is_some_and(|value| value == "*");
                match is_any {
                    true => Precondition::Absent,
                    false => {
                        return Err(Problem::invalid(vec![FieldError {
                            pointer: "If-None-Match".to_owned(),
                            detail: "must be `*`".to_owned(),
                        }]));
                    }
                }
            }
            Expected::Any => Precondition::None,
        }))
    }
}

impl IntoParams for Conditions {
    fn into_params(provider: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameters = IfMatch::into_params(provider);
        let schema = ObjectBuilder::new().schema_type(Type::String);
        let parameter = ParameterBuilder::new()
            .name("If-None-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("`*`: only if there is none of this name."))
            .schema(Some(schema));
        parameters.push(parameter.build());
        parameters
    }
}

/// List resources
///
/// Routes, upstreams, policies or certificates as they are wanted: those of this node's file, and those
/// beside it. A certificate that stands with a listener of the file has the listener's address as its name.
#[utoipa::path(
    get,
    path = "/v1/config/{section}",
    tag = "configuration",
    params(InSection, List<Resources>),
    responses((status = 200, description = "A page of them.", body = Page<ShownResource>))
)]
async fn list_resources(
    guard: Guard,
    Path(path): Path<InSection>,
    State(services): State<Services>,
    list: List<Resources>,
) -> Result<Response, Problem> {
    let kind = path.section.kind();
    guard.platform(reading(kind))?;
    if list.filter.deleted == Some(true) {
        return trashed::page(&services, kind, &list).await;
    }
    let configuration = services.configuration();
    let running = configuration.running.borrow().clone();
    let after = after(&list)?;
    let prefix = list.filter.name.clone().unwrap_or_default();
    let mut items = Vec::new();
    if list.filter.owner != Some(Owner::File) {
        let wanted = Wanted {
            kind,
            prefix: prefix.clone(),
            from: after.as_ref().map(|(name, _)| name.clone()),
            descending: list.descending,
            // The first may be the last one of the page before.
            limit: i64::from(list.limit) + 2,
        };
        let kept = configuration
            .revisions
            .resources(&wanted)
            .await?
            .into_iter();
        items.extend(kept.map(|resource| ShownResource::of(resource, &running)));
    }
    if list.filter.owner != Some(Owner::Api) {
        let of_file = running.file.documents().iter();
        let of_file =
            of_file.filter(|(name, _)| name.kind == kind && name.name.starts_with(&prefix));
        let of_file =
            of_file.map(|(name, document)| ShownResource::of_file(name, document, &running.file));
        items.extend(of_file);
    }
    items.sort_by(|left, right| left.key().cmp(&right.key()));
    if list.descending {
        items.reverse();
    }
    if let Some((name, owner)) = &after {
        let after = (name.as_str(), *owner);
        items.retain(|item| match list.descending {
            true => item.key() < after,
            false => item.key() > after,
        });
    }
    let has_more = items.len() > list.limit as usize;
    items.truncate(list.limit as usize);
    let next = items.last().filter(|_| has_more).map(|last| {
        let is_of_file = i64::from(last.owner == Owner::File);
        vec![Value::from(&last.name), Value::from(is_of_file)]
    });
    Ok(list.answer(items, next))
}

/// Where the page before ended.
fn after(list: &List<Resources>) -> Result<Option<(String, Owner)>, Problem> {
    match list.after.as_slice() {
        [] => Ok(None),
        [Value::Text(Some(name)), Value::Int(Some(is_of_file))] => {
            let owner = match is_of_file {
                0 => Owner::Api,
                _ => Owner::File,
            };
            Ok(Some((name.clone(), owner)))
        }
        _ => Err(Problem::invalid(vec![FieldError {
            pointer: "cursor".to_owned(),
            detail: "is of another list".to_owned(),
        }])),
    }
}

/// Show a resource
///
/// If the file has one of this name, too, the file's is shown: it is the one that counts.
#[utoipa::path(
    get,
    path = "/v1/config/{section}/{name}",
    tag = "configuration",
    params(OfResource),
    responses(
        (status = 200, description = "The resource.", body = ShownResource),
        (status = 422, description = "No resource can have this name."),
    )
)]
async fn show_resource(
    guard: Guard,
    Path(path): Path<OfResource>,
    State(services): State<Services>,
) -> Result<Response, Problem> {
    guard.platform(reading(path.section.kind()))?;
    let configuration = services.configuration();
    let running = configuration.running.borrow().clone();
    if let Some((name, document)) = path.of_file(&running.file) {
        let shown = ShownResource::of_file(&name, &document, &running.file);
        return Ok(told(&shown));
    }
    // Nothing else is called what is no name.
    let name = path.resource().map_err(|_| Problem::not_found())?;
    let resource = configuration.revisions.resource(&name).await?;
    let revision = resource.revision;
    Ok(shown(revision, &ShownResource::of(resource, &running)))
}

/// Make or change a resource
///
/// The body is what the configuration file would say; `•••` in place of a secret keeps the one that is there.
/// It makes a revision of one change; nothing is changed if the whole would not load with it.
#[utoipa::path(
    put,
    path = "/v1/config/{section}/{name}",
    tag = "configuration",
    params(OfResource, Making, Conditions),
    request_body(content = Object, examples(
        ("route" = (value = json!({"match": {"path": "/items/*"}, "upstream": "catalog"}))),
        ("certificate" = (value = json!({
            "certificate": "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n",
            "key": "-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----\n",
            "listeners": ["0.0.0.0:8443"],
        }))),
    )),
    responses(
        (status = 200, description = "It was changed; or it is as it was, or it was only tried, and `revision` is null.", body = Made),
        (status = 201, description = "It was made.", body = Made),
        (status = 409, description = "It is the file's."),
    )
)]
async fn put_resource(
    guard: Guard,
    Path(path): Path<OfResource>,
    Query(making): Query<Making>,
    conditions: Conditions,
    State(services): State<Services>,
    Body(document): Body<Json>,
) -> Result<Response, Problem> {
    change(
        &guard,
        &services,
        &path,
        making,
        conditions,
        Action::Put(document),
    )
    .await
}

/// Delete a resource
///
/// It makes a revision of one change, and can be brought back from the trash. What still needs it
/// keeps it from being deleted.
#[utoipa::path(
    delete,
    path = "/v1/config/{section}/{name}",
    tag = "configuration",
    params(OfResource, Making, Conditions),
    responses(
        (status = 200, description = "It was only tried.", body = Made),
        (status = 201, description = "A revision was made.", body = Made),
        (status = 409, description = "It is the file's."),
        (status = 422, description = "Without it the configuration would not load."),
    )
)]
async fn delete_resource(
    guard: Guard,
    Path(path): Path<OfResource>,
    Query(making): Query<Making>,
    conditions: Conditions,
    State(services): State<Services>,
) -> Result<Response, Problem> {
    change(&guard, &services, &path, making, conditions, Action::Delete).await
}

async fn change(
    guard: &Guard,
    services: &Services,
    path: &OfResource,
    making: Making,
    Conditions(precondition): Conditions,
    action: Action,
) -> Result<Response, Problem> {
    guard.platform(writing(path.section.kind()))?;
    let file = Arc::clone(&services.configuration().running.borrow().file);
    let resource = path
        .resource()
        .map_err(|problem| match path.of_file(&file) {
            // What only the file can have, by its name.
            Some((name, _)) => file_owned(&name),
            None => problem,
        });
    let change = Change {
        resource: resource?,
        action,
        precondition,
    };
    let is_put = matches!(change.action, Action::Put(_));
    let (status, made) = make_one(guard, services, making, What::Changes(vec![change])).await?;
    // What was there is changed, not made (RFC 9110 §9.3.4).
    let status = match is_put && made.is_update {
        true => StatusCode::OK,
        false => status,
    };
    Ok(answered(status, made))
}

/// Bring a deleted resource back
///
/// The one of this name that was deleted last; it makes a revision.
#[utoipa::path(
    post,
    path = "/v1/config/{section}/{name}/restore",
    tag = "configuration",
    params(OfResource, Making),
    responses(
        (status = 200, description = "It was only tried.", body = Made),
        (status = 201, description = "A revision was made.", body = Made),
        (status = 412, description = "There is one of this name."),
        (status = 422, description = "With it the configuration would not load."),
    )
)]
async fn restore_resource(
    guard: Guard,
    Path(path): Path<OfResource>,
    Query(making): Query<Making>,
    State(services): State<Services>,
) -> Result<Response, Problem> {
    let what = What::Restore(path.resource()?, None);
    let (status, made) = make_one(&guard, &services, making, what).await?;
    Ok(answered(status, made))
}

async fn make_one(
    guard: &Guard,
    services: &Services,
    making: Making,
    what: What,
) -> Result<(StatusCode, Made), Problem> {
    let proposal = Proposal {
        what,
        comment: making.comment.unwrap_or_default(),
        expected: None,
        dry_run: making.dry_run == Some(true),
    };
    make(guard, services, proposal).await
}

fn answered(status: StatusCode, made: Made) -> Response {
    let tag: [(HeaderName, HeaderValue); 1] = [(ETAG, entity_tag(made.latest))];
    let is_made = made.revision.is_some();
    let answer = (status, JsonAnswer(made));
    match is_made {
        true => (tag, answer).into_response(),
        false => answer.into_response(),
    }
}
