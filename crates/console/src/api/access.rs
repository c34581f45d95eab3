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
        let Principal::User(who) = principal else {
            return Ok(Self { judged: None });
        };
        let platform = identity.access_rules(&TenantId::platform()).await?;
        let address = caller.origin.address.as_deref();
        let risk = match platform.read_risk() {
            true => identity.risk(&who.user.email, address).await?,
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
        let (Some(judged), Principal::User(who)) = (&self.judged, principal) else {
            return Ok(());
        };
        let platform = TenantId::platform();
        let rights = who.permissions(&platform);
        let asked = judged.asked(who, permission, (&platform, PLATFORM), rights, judged.risk);
        refuse(&judged.platform.decide(&asked), rights)
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
    /// 403; 503 if its policies cannot be read.
    pub(super) async fn in_organization(
        &self,
        identity: &Identity,
        principal: &Principal,
        organization: &Organization,
        permission: Permission,
    ) -> Result<(), Problem> {
        let (Some(judged), Principal::User(who)) = (&self.judged, principal) else {
            return Ok(());
        };
        let rules = identity.access_rules(&organization.id).await?;
        let risk = match rules.read_risk() {
            true => judged.risk(identity, who).await?,
            false => 0,
        };
        let rights = who.permissions(&organization.id);
        let place = (&organization.id, organization.slug.as_str());
        let asked = judged.asked(who, permission, place, rights, risk);
        refuse(&rules.decide(&asked), rights)
    }

    /// How the person asks, for whoever looks ahead at what rules will say to them; `None` for the operator.
    pub(super) fn asker<'a>(&self, principal: &'a Principal) -> Option<Asker<'a>> {
        match (&self.judged, principal) {
            (Some(judged), Principal::User(who)) => Some(judged.asker(who)),
            _ => None,
        }
    }
}

impl Judged {
    async fn risk(&self, identity: &Identity, who: &Authenticated) -> Result<u8, Problem> {
        let address = self.address.map(|address| address.to_string());
        Ok(identity.risk(&who.user.email, address.as_deref()).await?)
    }

    fn asker<'a>(&self, who: &'a Authenticated) -> Asker<'a> {
        Asker {
            kind: Kind::User,
            id: who.user.id.as_str(),
            name: Some(&who.user.email),
            address: self.address,
            strength: match who.session.is_two_factor {
                true => Strength::TwoFactor,
                false => Strength::Password,
            },
            now: self.now,
        }
    }

    fn asked<'a>(
        &self,
        who: &'a Authenticated,
        permission: Permission,
        (organization, slug): (&'a TenantId, &'a str),
        rights: Permissions,
        risk: u8,
    ) -> Asked<'a> {
        Asked {
            asker: self.asker(who),
            permission,
            organization,
            slug,
            rights,
            platform_rights: who.permissions(&TenantId::platform()),
            risk,
        }
    }
}

/// A denial, with the rule's name for whoever may see rules.
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
