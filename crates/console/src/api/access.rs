//! What access policies say of what somebody asks for, beyond what their roles give.

use std::net::IpAddr;

use axum::http::StatusCode;
use jiff::Timestamp;
use weir_authorization::{Decision, Kind, Reason, Strength};
use weir_core::TenantId;
use weir_identity::{
    AccessRules, Asked, Asker, Authenticated, Caller, Identity, Organization, Permission,
    Permissions,
};

use super::guard::RECENT;
use crate::authenticate::Principal;
use crate::problem::Problem;

/// The name by which rules know the platform.
const PLATFORM: &str = "platform";

/// What the policies of the platform say to one request. Those of organizations are read when one is
/// asked about.
pub(super) struct Access {
    /// `None` for the operator: no policy keeps out whoever can read the data directory.
    judged: Option<Judged>,
}

struct Judged {
    platform: AccessRules,
    address: Option<IpAddr>,
    risk: u8,
    now: Timestamp,
}

impl Access {
    /// # Errors
    /// 503 if the policies cannot be read: nobody is let past what is not known.
    pub(super) async fn of(
        identity: &Identity,
        principal: &Principal,
        caller: &Caller,
    ) -> Result<Self, Problem> {
        if let Principal::Operator = principal {
            return Ok(Self { judged: None });
        }
        let platform = identity.access_rules(&TenantId::platform()).await?;
        let address = caller.origin.address.as_deref();
        let risk = match platform.read_risk() {
            true => identity.risk(account(principal), address).await?,
            false => 0,
        };
        Ok(Self {
            judged: Some(Judged {
                platform,
                address: address.and_then(|address| address.parse().ok()),
                risk,
                now: Timestamp::now(),
            }),
        })
    }

    /// Whether the platform's policies let somebody do on the platform what their roles give.
    ///
    /// # Errors
    /// 403; the rule is named to whoever may see it.
    pub(super) fn on_platform(
        &self,
        principal: &Principal,
        permission: Permission,
    ) -> Result<(), Problem> {
        let Some((judged, asker)) = self.judged_as(principal) else {
            return Ok(());
        };
        let platform = TenantId::platform();
        let rights = principal.rights(&platform);
        let decision = judged.platform.decide(&Asked {
            asker,
            permission,
            organization: &platform,
            slug: PLATFORM,
            rights,
            platform_rights: rights,
            is_owner: false,
            risk: judged.risk,
        });
        refuse(&decision, rights)
    }

    /// Of these rights on the platform, those that its policies let somebody use.
    pub(super) fn narrow(&self, principal: &Principal, rights: Permissions) -> Permissions {
        let is_let = |permission: &Permission| self.on_platform(principal, *permission).is_ok();
        match &self.judged {
            Some(judged) if judged.platform.narrow() => rights.iter().filter(is_let).collect(),
            _ => rights,
        }
    }

    /// The same in an organization, which may have policies of its own.
    ///
    /// # Errors
    /// 403; 503 if its policies cannot be read. An owner whom the organization's own rules keep from its access policies
    /// hears that another sign-in helps.
    pub(super) async fn in_organization(
        &self,
        identity: &Identity,
        principal: &Principal,
        organization: &Organization,
        permission: Permission,
    ) -> Result<(), Problem> {
        let Some((judged, asker)) = self.judged_as(principal) else {
            return Ok(());
        };
        let rules = identity.access_rules(&organization.id).await?;
        let address = asker.address.map(|address| address.to_string());
        let risk = match rules.read_risk() {
            true => {
                let risk = identity.risk(account(principal), address.as_deref());
                risk.await?
            }
            false => 0,
        };
        let owner = owner(principal, &organization.id);
        let rights = principal.rights(&organization.id);
        let asked = Asked {
            asker,
            permission,
            organization: &organization.id,
            slug: &organization.slug,
            rights,
            platform_rights: principal.rights(&TenantId::platform()),
            is_owner: owner.is_some_and(|owner| has_just_signed_in(owner, judged.now)),
            risk,
        };
        let decision = rules.decide(&asked);
        let as_owner = Asked {
            is_owner: owner.is_some(),
            ..asked
        };
        if !decision.allowed && rules.decide(&as_owner).allowed {
            return Err(sign_in_again());
        }
        let seen = match !decision.allowed && rules.is_denied_by_platform(&asked) {
            true => principal.rights(&TenantId::platform()),
            false => rights,
        };
        refuse(&decision, seen)
    }

    /// How somebody asks, for whoever looks ahead at what rules will say to them; `None` for the operator.
    pub(super) fn asker<'a>(&self, principal: &'a Principal) -> Option<Asker<'a>> {
        self.judged_as(principal).map(|(_, asker)| asker)
    }

    fn judged_as<'a>(&self, principal: &'a Principal) -> Option<(&Judged, Asker<'a>)> {
        let judged = self.judged.as_ref()?;
        Some((judged, judged.asker(principal)?))
    }
}

impl Judged {
    /// `None` for the operator.
    fn asker<'a>(&self, principal: &'a Principal) -> Option<Asker<'a>> {
        let (kind, id, name, strength) = match principal {
            Principal::Operator => return None,
            Principal::User(who) => {
                let strength = match who.session.is_two_factor {
                    true => Strength::TwoFactor,
                    false => Strength::Password,
                };
                let name = Some(who.user.email.as_str());
                (Kind::User, who.user.id.as_str(), name, strength)
            }
            // Its name is whatever somebody wrote: a rule must not take it for an address.
            Principal::Key(holder) => (Kind::ApiKey, holder.id.as_str(), None, Strength::Key),
        };
        Some(Asker {
            kind,
            id,
            name,
            address: self.address,
            strength,
            now: self.now,
        })
    }
}

/// The account whose failures count; a key has none, so that only those from its address do.
fn account(principal: &Principal) -> Option<&str> {
    match principal {
        Principal::User(who) => Some(&who.user.email),
        Principal::Operator | Principal::Key(_) => None,
    }
}

/// An owner of the organization. What they own, no program does for them.
fn owner<'a>(principal: &'a Principal, tenant: &TenantId) -> Option<&'a Authenticated> {
    match principal {
        Principal::User(who) => Some(&**who).filter(|who| who.owns(tenant)),
        Principal::Operator | Principal::Key(_) => None,
    }
}

fn has_just_signed_in(who: &Authenticated, now: Timestamp) -> bool {
    now.duration_since(who.session.created_at).unsigned_abs() < RECENT
}

fn sign_in_again() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "recent_sign_in_needed",
        "An access policy of the organization forbids this, but to its owners only until they sign in: sign in again.",
    )
}

/// A denial, with the rule's name for whoever may see rules by these rights.
fn refuse(decision: &Decision, rights: Permissions) -> Result<(), Problem> {
    if decision.allowed {
        return Ok(());
    }
    let refused = |detail: String| Problem::new(StatusCode::FORBIDDEN, "forbidden", detail);
    if !rights.has(Permission::AccessPolicyRead) {
        return Err(refused("A policy forbids this.".to_owned()));
    }
    let names: Vec<_> = decision
        .determining
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    let detail = match decision.reason {
        Reason::Failed => {
            let failed = decision.errors.iter().map(|failure| {
                let rule = failure.rule.as_deref().unwrap_or("all of them");
                format!("`{rule}`: {}", failure.message)
            });
            let failed: Vec<_> = failed.collect();
            format!(
                "Access policies cannot be evaluated, which denies ({}).",
                failed.join("; ")
            )
        }
        _ => format!(
            "The access policy's rule {} forbids this.",
            names.join(", ")
        ),
    };
    Err(refused(detail))
}
