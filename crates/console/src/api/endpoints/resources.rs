//! Routes, upstreams and policies as they are wanted: the file's, and those beside it.

mod trashed;

use axum::Json as JsonAnswer;
use axum::extract::{FromRequestParts, State};
use axum::http::header::{ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, Required, Type};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_config::{ResourceKind, ResourceName};
use weir_revisions::{Action, Change, Precondition, Proposal, Resource, Wanted, What};
use weir_store::records::Value;

use crate::api::answer::{shown, told};
use crate::api::body::Body;
use crate::api::guard::Guard;
use crate::api::list::{List, Listed};
use crate::api::making::{Made, make, reading};
use crate::api::parameters::{IfMatch, Path, Query};
use crate::api::services::Services;
use crate::configuration::Running;
use crate::page::Page;
use crate::precondition::{Expected, entity_tag, expected_version};
use crate::problem::{FieldError, Problem};

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
}

impl Section {
    const fn kind(self) -> ResourceKind {
        match self {
            Self::Routes => ResourceKind::Route,
            Self::Upstreams => ResourceKind::Upstream,
            Self::Policies => ResourceKind::Policy,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct InSection {
    /// `routes`, `upstreams` or `policies`.
    #[param(inline)]
    section: Section,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfResource {
    /// `routes`, `upstreams` or `policies`.
    #[param(inline)]
    section: Section,
    /// The resource's name.
    #[param(example = "items")]
    name: String,
}

impl OfResource {
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

/// Who a resource belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Owner {
    /// It is kept beside the file, and can be changed here.
    Api,
    /// It stands in the configuration file of the node, and can be changed there.
    File,
}

/// A resource.
#[derive(Serialize, ToSchema)]
struct ShownResource {
    /// `route`, `upstream` or `policy`.
    #[schema(value_type = String)]
    kind: ResourceKind,
    name: String,
    #[schema(inline)]
    owner: Owner,
    /// What the configuration file says, or would say.
    #[schema(value_type = Object, example = json!({"name": "items", "match": {"path": "/items/*"}, "upstream": "catalog"}))]
    document: Json,
    /// The revision that changed it last; none if it is the file's.
    revision: Option<i64>,
    /// Whether this node runs it as it is here.
    in_effect: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
    /// Since when it is in the trash.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    deleted_at: Option<Timestamp>,
}

impl ShownResource {
    fn of(resource: Resource, running: &Running) -> Self {
        let name = &resource.name;
        let in_effect = running.revision >= resource.revision
            && resource.deleted_at.is_none()
            && running.file.document(name).is_none()
            && !running.left_out.contains(name);
        Self {
            kind: name.kind,
            owner: Owner::Api,
            document: resource.document,
            revision: Some(resource.revision),
            in_effect,
            created_at: Some(resource.created_at),
            updated_at: Some(resource.updated_at),
            deleted_at: resource.deleted_at,
            name: resource.name.name,
        }
    }

    fn of_file(name: &ResourceName, document: &Json) -> Self {
        Self {
            kind: name.kind,
            name: name.name.clone(),
            owner: Owner::File,
            document: document.clone(),
            revision: None,
            in_effect: true,
            created_at: None,
            updated_at: None,
            deleted_at: None,
        }
    }

    /// By what lists are sorted.
    fn key(&self) -> (&str, Owner) {
        (&self.name, self.owner)
    }
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
/// Routes, upstreams or policies as they are wanted: those of this node's file, and those beside it.
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
        items.extend(of_file.map(|(name, document)| ShownResource::of_file(name, document)));
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
    // Nothing is called what is no name.
    let name = path.resource().map_err(|_| Problem::not_found())?;
    let configuration = services.configuration();
    let running = configuration.running.borrow().clone();
    if let Some(document) = running.file.document(&name) {
        return Ok(told(&ShownResource::of_file(&name, document)));
    }
    let resource = configuration.revisions.resource(&name).await?;
    let revision = resource.revision;
    Ok(shown(revision, &ShownResource::of(resource, &running)))
}

/// Make or change a resource
///
/// The body is what the configuration file would say. It makes a revision of one change; nothing is
/// changed if the whole would not load with it.
#[utoipa::path(
    put,
    path = "/v1/config/{section}/{name}",
    tag = "configuration",
    params(OfResource, Making, Conditions),
    request_body(content = Object, example = json!({"match": {"path": "/items/*"}, "upstream": "catalog"})),
    responses(
        (status = 200, description = "It is as it was, or it was only tried.", body = Made),
        (status = 201, description = "A revision was made.", body = Made),
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
    let change = Change {
        resource: path.resource()?,
        action,
        precondition,
    };
    make_one(guard, services, making, What::Changes(vec![change])).await
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
    let what = What::Restore(path.resource()?);
    make_one(&guard, &services, making, what).await
}

async fn make_one(
    guard: &Guard,
    services: &Services,
    making: Making,
    what: What,
) -> Result<Response, Problem> {
    let proposal = Proposal {
        what,
        comment: making.comment.unwrap_or_default(),
        expected: None,
        dry_run: making.dry_run == Some(true),
    };
    let (status, made) = make(guard, services, proposal).await?;
    let tag: [(HeaderName, HeaderValue); 1] = [(ETAG, entity_tag(made.latest))];
    let is_made = made.revision.is_some();
    let answer = (status, JsonAnswer(made));
    Ok(match is_made {
        true => (tag, answer).into_response(),
        false => answer.into_response(),
    })
}
