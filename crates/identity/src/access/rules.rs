//! Rules as they are asked: compiled once, and again when they were changed.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use weir_authorization::{
    Compiled, Decision, Fact, Failure, Kind, Organization, Principal, Question, Reason, Strength,
    Target,
};
use weir_core::TenantId;

use super::Author;
use super::kept::versions;
use crate::Identity;
use crate::error::Result;
use crate::permission::{Permission, Permissions};
use crate::tables::ACCESS_POLICIES;

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// What they are.
    pub kind: Kind,
    /// Their identifier.
    pub id: &'a str,
    /// The address by which people know them.
    pub name: Option<&'a str>,
    /// From where they ask, if that is known.
    pub address: Option<IpAddr>,
    /// How they proved who they are.
    pub strength: Strength,
    /// When they ask.
    pub now: Timestamp,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub asker: Asker<'a>,
    /// For what.
    pub permission: Permission,
    /// Where.
    pub organization: &'a TenantId,
    /// Its name in addresses.
    pub slug: &'a str,
    /// What their roles give them there, those on the platform among them.
    pub rights: Permissions,
    /// What their roles on the platform give them.
    pub platform_rights: Permissions,
    /// Whether they are a person who owns the organization, and has signed in only just now.
    pub is_owner: bool,
    /// What recent failures come to: 0 none … 100.
    pub risk: u8,
}

impl Asked<'_> {
    /// Whether it is how an owner comes out of what somebody else, or they themselves, have forbidden in the organization.
    const fn is_way_out(&self) -> bool {
        let is_of_policies = matches!(
            self.permission,
            Permission::AccessPolicyRead | Permission::AccessPolicyWrite
        );
        self.is_owner && is_of_policies
    }
}

/// The rules that hold in an organization: the platform's, and its own.
#[derive(Clone)]
pub struct AccessRules {
    platform: Arc<Rules>,
    own: Option<Arc<Rules>>,
}

impl AccessRules {
    /// Whether somebody may do this, and which rule says so. An organization's own rules do not hold for
    /// what somebody may do by a role on the platform: no organization keeps those out who run it. Nor do they keep its
    /// owners from its access policies: whoever else may write those could shut them out. The platform's rules hold for
    /// its owners, too, or they would be worth as much as an owner's password; the operator is the way out of them.
    pub fn decide(&self, asked: &Asked<'_>) -> Decision {
        let mut decision = self.platform.decide(asked);
        let is_by_platform = asked.platform_rights.has(asked.permission);
        let own = self
            .own
            .as_ref()
            .filter(|_| !is_by_platform && !asked.is_way_out());
        if let Some(own) = own.filter(|_| decision.allowed) {
            decision = own.decide(asked);
        }
        decision
    }

    /// Whether it is the platform's rules that keep somebody from this. Their names are for whoever may see them.
    pub fn is_denied_by_platform(&self, asked: &Asked<'_>) -> bool {
        !self.platform.decide(asked).allowed
    }

    /// Whether the platform has rules of its own.
    pub fn narrow(&self) -> bool {
        match &*self.platform {
            Rules::Usable(compiled) => compiled.rules().len() > 1,
            Rules::Unusable(_) => true,
        }
    }

    /// Whether a rule asks for recent failures.
    pub fn read_risk(&self) -> bool {
        let all = self.own.iter().chain([&self.platform]);
        all.into_iter().any(|rules| rules.read_risk())
    }
}

/// Rules of one owner.
pub(crate) enum Rules {
    Usable(Box<Compiled>),
    /// They were kept by another version of this program, and mean nothing to this one.
    Unusable(String),
}

impl Rules {
    fn decide(&self, asked: &Asked<'_>) -> Decision {
        let compiled = match self {
            Self::Usable(compiled) => compiled,
            Self::Unusable(why) => {
                return Decision {
                    allowed: false,
                    reason: Reason::Failed,
                    determining: Vec::new(),
                    errors: vec![Failure {
                        rule: None,
                        message: why.clone(),
                    }],
                };
            }
        };
        let permissions: Vec<_> = asked.rights.iter().map(Permission::as_str).collect();
        let Asker {
            kind,
            id,
            name,
            address,
            strength,
            now,
        } = asked.asker;
        compiled.decide(&Question {
            principal: Principal {
                kind,
                id,
                name,
                permissions: &permissions,
                ..Principal::default()
            },
            target: Target::Administration {
                permission: asked.permission.as_str(),
                organization: Organization {
                    id: asked.organization.as_str(),
                    slug: asked.slug,
                    is_platform: *asked.organization == TenantId::platform(),
                },
            },
            now,
            address,
            strength,
            risk: asked.risk,
        })
    }

    fn read_risk(&self) -> bool {
        match self {
            Self::Usable(compiled) => compiled.uses().reads(Fact::Risk),
            Self::Unusable(_) => false,
        }
    }

    /// Whether its author could change it back.
    pub(super) fn lets_write(&self, tenant: &TenantId, author: &Author<'_>) -> bool {
        let decision = self.decide(&Asked {
            asker: author.asker,
            permission: Permission::AccessPolicyWrite,
            organization: tenant,
            slug: author.slug,
            rights: author.rights,
            platform_rights: Permissions::default(),
            is_owner: false,
            risk: author.risk,
        });
        decision.allowed
    }
}

impl Identity {
    /// The rules that hold in an organization now, whichever node changed them: each time it is looked
    /// whether they are still those that were compiled.
    pub async fn access_rules(&self, tenant: &TenantId) -> Result<AccessRules> {
        let platform = TenantId::platform();
        let own = match *tenant == platform {
            true => None,
            false => Some(self.rules_of(tenant).await?),
        };
        Ok(AccessRules {
            platform: self.rules_of(&platform).await?,
            own,
        })
    }

    async fn rules_of(&self, tenant: &TenantId) -> Result<Arc<Rules>> {
        let access = &self.shared.access;
        let select = || ACCESS_POLICIES.of(tenant).select().order(["name"]);
        let rows = self
            .records
            .all(select().columns("id, version, name"))
            .await?;
        if let Some(rules) = access.find(tenant, &versions(&rows)?) {
            return Ok(rules);
        }
        let rows = self.records.all(select()).await?;
        let mut policies = Vec::with_capacity(rows.len());
        for row in &rows {
            policies.push((row.text("name")?, row.text("rules")?));
        }
        let rules = access.compile(&policies).await?.unwrap_or_else(|faults| {
            let why = faults.first().map(ToString::to_string).unwrap_or_default();
            tracing::error!(%tenant, why, "access policies cannot be used: nobody but the operator is let in");
            Rules::Unusable(why)
        });
        let rules = Arc::new(rules);
        access.keep(tenant, versions(&rows)?, &rules);
        Ok(rules)
    }
}
