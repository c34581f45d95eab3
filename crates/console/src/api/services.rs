//! What the endpoints need.

use std::sync::Arc;

use axum::http::request::Parts;

use super::guard::address;
use weir_identity::{Caller, Permission, TokenState};

use super::access::Access;
use super::endpoints::SignedReports;
use crate::authenticate::{Authenticator, OperatorToken, Principal};
use crate::configuration::Configuration;
use crate::cursor::CursorKey;
use crate::people::People;
use crate::problem::Problem;
use crate::site::{SignedIn, Site, TokenDue};
use crate::under_way::OneRequest;

/// What the endpoints need; clones share everything.
#[derive(Clone)]
pub struct Services(Arc<Shared>);

struct Shared {
    people: Arc<People>,
    authenticator: Authenticator,
    cursors: CursorKey,
    configuration: Configuration,
    site: Site,
    reports: SignedReports,
}

impl Services {
    /// For these people, with the operator's token of this node and a key that every node has; `site` says
    /// where browsers find the pages.
    pub fn new(
        people: Arc<People>,
        operator: &OperatorToken,
        cursors: CursorKey,
        configuration: Configuration,
        site: Site,
    ) -> Self {
        Self(Arc::new(Shared {
            people,
            authenticator: Authenticator::new(operator),
            cursors,
            configuration,
            site,
            reports: SignedReports::default(),
        }))
    }

    /// Organizations and people.
    pub fn people(&self) -> &People {
        &self.0.people
    }

    /// Who sends this head.
    ///
    /// # Errors
    /// 401, which is the same whatever was wrong (RFC 6750 §3); 403 for a change that another site may have
    /// made a browser ask for; 503 if that cannot be known for now.
    pub async fn principal(&self, parts: &Parts) -> Result<Principal, Problem> {
        let principal = match parts.extensions.get::<SignedIn>() {
            Some(signed_in) => Principal::User(signed_in.user(parts)?),
            None => {
                let authenticator = &self.0.authenticator;
                let client = address(parts);
                let principal =
                    authenticator.principal(&parts.headers, client.as_deref(), self.people());
                principal.await?
            }
        };
        if let (Principal::User(who), Some(due)) = (&principal, parts.extensions.get::<TokenDue>())
            && who.token != TokenState::Current
        {
            due.note();
        }
        if let Some(request) = parts.extensions.get::<OneRequest>() {
            request.begin();
        }
        Ok(principal)
    }

    /// Whether somebody may do this on the platform, by their roles and by its access policies.
    ///
    /// # Errors
    /// 403; 503 if the policies cannot be read.
    pub async fn allow_on_platform(
        &self,
        principal: &Principal,
        caller: &Caller,
        permission: Permission,
    ) -> Result<(), Problem> {
        principal.allow_on_platform(permission)?;
        let identity = self.people().unchecked();
        let access = Access::of(identity, principal, caller).await?;
        access.on_platform(principal, permission)
    }

    /// The wanted configuration.
    pub fn configuration(&self) -> &Configuration {
        &self.0.configuration
    }

    /// Where browsers find the pages.
    pub(crate) fn site(&self) -> &Site {
        &self.0.site
    }

    /// Which signed reports of leaked keys were there already.
    pub(super) fn signed_reports(&self) -> &SignedReports {
        &self.0.reports
    }

    /// What cursors are signed with.
    pub(crate) fn cursors(&self) -> &CursorKey {
        &self.0.cursors
    }
}
