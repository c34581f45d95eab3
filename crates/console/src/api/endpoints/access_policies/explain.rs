//! What somebody may do, and which rule says so.

use std::net::IpAddr;

use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_authorization::{Kind, Strength, UnknownStrength};
use weir_core::TenantId;
use weir_identity::{Asked, Asker, Permission, PersonWithRights};

use crate::api::answer::told;
use crate::api::body::Body;
use crate::api::guard::Guard;
use crate::api::services::Services;
use crate::problem::{FieldError, Problem};

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default().routes(routes!(explain_access))
}

/// A question.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccessQuestion {
    /// Somebody's identifier or e-mail address.
    #[schema(example = "ada@example.com")]
    who: String,
    /// What they would do.
    permission: Permission,
    /// Where: an organization's identifier or slug. Otherwise, on the platform.
    #[schema(example = "acme")]
    organization: Option<String>,
    /// How they would ask.
    #[serde(default)]
    context: Circumstances,
}

/// How somebody asks.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Circumstances {
    /// When; otherwise now.
    time: Option<Timestamp>,
    /// From where. Otherwise it is not known, and rules that read it deny.
    #[schema(value_type = Option<String>, example = "192.0.2.1")]
    address: Option<IpAddr>,
    /// How they proved who they are; otherwise by a password.
    #[schema(example = "two_factor")]
    strength: Option<String>,
    /// What recent failures come to, from 0 to 100.
    #[schema(maximum = 100)]
    risk: u8,
}

impl Circumstances {
    fn strength(&self) -> Result<Strength, Problem> {
        let Some(text) = &self.strength else {
            return Ok(Strength::Password);
        };
        text.parse().map_err(|error: UnknownStrength| {
            Problem::invalid(vec![FieldError {
                pointer: "/context/strength".to_owned(),
                detail: error.to_string(),
            }])
        })
    }
}

/// An answer.
#[derive(Serialize, ToSchema)]
struct AccessDecision {
    /// Whether they may.
    allowed: bool,
    /// `permitted`, `no_permit`, `forbidden` or `failed`.
    #[schema(example = "forbidden")]
    reason: &'static str,
    /// Which rules decided. `role` is what roles give. Those of the platform are named to whoever may see its policies.
    rules: Vec<String>,
    /// What could not be evaluated, which denies.
    errors: Vec<AccessFailure>,
}

/// A rule that could not be evaluated.
#[derive(Serialize, ToSchema)]
struct AccessFailure {
    /// Its name.
    rule: Option<String>,
    /// What is wrong.
    message: String,
}

/// Explain what somebody may do
///
/// Which rules decide, if they asked like this, having just signed in. Whoever does not belong to the organization has no rights there, as whoever
/// does not exist.
#[utoipa::path(
    post,
    path = "/v1/access/explain",
    tag = "access policies",
    request_body = AccessQuestion,
    responses(
        (status = 200, description = "The decision.", body = AccessDecision),
        (status = 404, description = "There is no such organization, or not for this caller."),
    )
)]
async fn explain_access(
    guard: Guard,
    Body(question): Body<AccessQuestion>,
) -> Result<Response, Problem> {
    let (tenant, slug) = match &question.organization {
        Some(organization) => {
            let organization = guard
                .organization(organization, Permission::AccessPolicyRead)
                .await?;
            (organization.id, organization.slug)
        }
        None => {
            guard.platform(Permission::AccessPolicyRead)?;
            (TenantId::platform(), "platform".to_owned())
        }
    };
    let identity = guard.identity();
    let sees_platform = guard.platform_rights().has(Permission::AccessPolicyRead);
    let person = identity.person_with_rights(&question.who, &tenant, sees_platform);
    let person = person.await?;
    let context = &question.context;
    let rules = identity.access_rules(&tenant).await?;
    let rights =
        |person: &PersonWithRights| (person.rights, person.platform_rights, person.is_owner);
    let (rights, platform_rights, is_owner) = person.as_ref().map(rights).unwrap_or_default();
    let asked = Asked {
        asker: Asker {
            kind: Kind::User,
            id: person.as_ref().map_or("", |person| person.id.as_str()),
            name: person.as_ref().map(|person| person.email.as_str()),
            address: context.address,
            strength: context.strength()?,
            now: context.time.unwrap_or_else(Timestamp::now),
        },
        permission: question.permission,
        organization: &tenant,
        slug: &slug,
        rights,
        platform_rights,
        is_owner,
        risk: context.risk,
    };
    let mut decision = rules.decide(&asked);
    if !decision.allowed && !sees_platform && rules.is_denied_by_platform(&asked) {
        decision.determining.clear();
        decision.errors.clear();
    }
    Ok(told(&AccessDecision {
        allowed: decision.allowed,
        reason: decision.reason.as_str(),
        rules: decision
            .determining
            .iter()
            .map(ToString::to_string)
            .collect(),
        errors: decision
            .errors
            .into_iter()
            .map(|failure| AccessFailure {
                rule: failure.rule.map(|rule| rule.to_string()),
                message: failure.message,
            })
            .collect(),
    }))
}
