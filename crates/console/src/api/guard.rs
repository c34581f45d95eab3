//! Who asks, and what they may do. No endpoint comes to the records but through here.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts};
use axum::http::StatusCode;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use jiff::Timestamp;
use weir_core::{RequestId, TenantId};
use weir_identity::{
    Asker, Authenticated, Caller, Identity, Organization, Permission, Permissions,
};
use weir_store::audit::{Actor, Origin};

use super::access::Access;
use super::asked::{Asked, Question};
use super::services::Services;
use crate::authenticate::Principal;
use crate::problem::Problem;

/// How long a sign-in is good for what a stolen session must not do.
pub(crate) const RECENT: Duration = Duration::from_secs(15 * 60);

/// Somebody with a credential.
pub(crate) struct Guard {
    identity: Identity,
    principal: Principal,
    caller: Caller,
    access: Access,
    /// What was let pass, for a request that may be sent again.
    asked: Asked,
}

impl FromRequestParts<Services> for Guard {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Problem> {
        let principal = services.principal(parts).await?;
        let identity = services.people().get_for(&principal)?.clone();
        let caller = caller(parts, &principal);
        Ok(Self {
            access: Access::of(&identity, &principal, &caller).await?,
            identity,
            caller,
            principal,
            asked: parts.extensions.get().cloned().unwrap_or_default(),
        })
    }
}

/// Where a credential is of use and not needed: one that is not good is none.
impl OptionalFromRequestParts<Services> for Guard {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Services,
    ) -> Result<Option<Self>, Problem> {
        let guard = <Self as FromRequestParts<Services>>::from_request_parts(parts, services);
        Ok(guard.await.ok())
    }
}

impl Guard {
    /// The service for organizations and people.
    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who asks, for the audit.
    pub(crate) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Who asks.
    pub(crate) const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// How somebody asks; `None` for the operator, whom no access policy judges.
    pub(crate) fn asker(&self) -> Option<Asker<'_>> {
        self.access.asker(&self.principal)
    }

    /// What the caller may do on the platform: what their roles there give, as far as access policies let
    /// them.
    pub(crate) fn platform_rights(&self) -> Permissions {
        let rights = self.principal.rights(&TenantId::platform());
        self.access.narrow(&self.principal, rights)
    }

    /// An organization, by its identifier or slug, if the caller may do this there. One of which the
    /// caller may know nothing is not there.
    ///
    /// # Errors
    /// 404; 403, which names the permission, or says that an access policy forbids it; 409 for a change of an organization that is suspended,
    /// unless the caller may do it by a role on the platform.
    pub(crate) async fn organization(
        &self,
        id_or_slug: &str,
        permission: Permission,
    ) -> Result<Organization, Problem> {
        let organization = self.identity.find_organization(id_or_slug).await?;
        self.principal.allow(&organization.id, permission)?;
        let is_frozen = organization.suspended_at.is_some() && !permission.is_read();
        let platform_rights = self.principal.rights(&TenantId::platform());
        if is_frozen && !platform_rights.has(permission) {
            return Err(Problem::suspended());
        }
        let access = &self.access;
        access
            .in_organization(&self.identity, &self.principal, &organization, permission)
            .await?;
        let id = organization.id.clone();
        self.asked.note(Question::Organization(id, permission));
        Ok(organization)
    }

    /// Whether the caller may do this on the platform.
    ///
    /// # Errors
    /// 403, which names the permission.
    pub(crate) fn platform(&self, permission: Permission) -> Result<(), Problem> {
        self.principal.allow_on_platform(permission)?;
        self.access.on_platform(&self.principal, permission)?;
        self.asked.note(Question::Platform(permission));
        Ok(())
    }

    /// The person who asks.
    ///
    /// # Errors
    /// 403 for the operator and for programs, who have no account.
    pub(crate) fn user(&self) -> Result<&Authenticated, Problem> {
        match &self.principal {
            Principal::User(who) => {
                self.asked.note(Question::User);
                Ok(who)
            }
            Principal::Operator => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "no_account",
                "The operator has no account: sign in as a person.",
            )),
            Principal::Key(_) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "no_account",
                "This takes a person, and a key is none: sign in.",
            )),
        }
    }

    /// The person who asks, if they have signed in only just now.
    ///
    /// # Errors
    /// 403 if that was some time ago.
    pub(crate) fn recent_user(&self) -> Result<&Authenticated, Problem> {
        let who = self.user()?;
        let since = Timestamp::now().duration_since(who.session.created_at);
        match since.unsigned_abs() < RECENT {
            true => {
                self.asked.note(Question::RecentUser);
                Ok(who)
            }
            false => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "recent_sign_in_needed",
                "This needs a sign-in of the last 15 minutes: sign in again.",
            )),
        }
    }

    /// Whoever asks; if it is a person, one who has signed in only just now: for what outlives a stolen session.
    ///
    /// # Errors
    /// 403 for a person for whom that was some time ago.
    pub(crate) fn recent(&self) -> Result<(), Problem> {
        match self.principal {
            Principal::User(_) => self.recent_user().map(drop),
            Principal::Operator | Principal::Key(_) => Ok(()),
        }
    }

    /// Nobody but whoever can read the data directory.
    ///
    /// # Errors
    /// 403 for everybody else.
    pub(crate) fn operator(&self) -> Result<(), Problem> {
        match self.principal {
            Principal::Operator => {
                self.asked.note(Question::Operator);
                Ok(())
            }
            Principal::User(_) | Principal::Key(_) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "This needs the operator's token.",
            )),
        }
    }
}

/// Somebody without a credential, or whose credential does not matter.
pub(crate) struct Visitor {
    identity: Identity,
    caller: Caller,
}

impl FromRequestParts<Services> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Problem> {
        Ok(Self {
            identity: services.people().get()?.clone(),
            caller: Caller {
                once: None,
                ..caller_as(parts, Actor::Anonymous)
            },
        })
    }
}

impl Visitor {
    /// The service for organizations and people.
    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// From where it is asked, for the audit.
    pub(crate) const fn caller(&self) -> &Caller {
        &self.caller
    }
}

impl FromRequestParts<Services> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Problem> {
        services.principal(parts).await
    }
}

/// Who sends this head, as the audit names them.
pub fn caller(parts: &Parts, principal: &Principal) -> Caller {
    Caller {
        origin: Origin {
            name: principal.name().map(str::to_owned),
            ..origin(parts)
        },
        ..caller_as(parts, principal.actor())
    }
}

/// The same for whoever has no account.
pub fn caller_as(parts: &Parts, actor: Actor) -> Caller {
    Caller {
        actor,
        origin: origin(parts),
        request_id: request_id(parts),
        once: parts.extensions.get().cloned(),
    }
}

fn origin(parts: &Parts) -> Origin {
    let agent = parts.headers.get(USER_AGENT);
    Origin {
        name: None,
        address: address(parts),
        agent: agent.and_then(|agent| agent.to_str().ok().map(str::to_owned)),
    }
}

/// From where it is asked.
pub(super) fn address(parts: &Parts) -> Option<String> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|peer| peer.0.ip().to_canonical().to_string())
}

fn request_id(parts: &Parts) -> Option<String> {
    parts.extensions.get::<RequestId>().map(ToString::to_string)
}
