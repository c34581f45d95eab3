//! Rules as they are asked: compiled once, and again when they were changed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::task::spawn_blocking;
use weir_authorization::{
    Compiled, Decision, Fact, Failure, Fault, Kind, Organization, Principal, Question, Reason,
    Schema, Source, Strength, Target, compile,
};
use weir_core::{Id, TenantId};

use super::{Author, not_a_grant};
use crate::Identity;
use crate::error::{Error, Result};
use crate::permission::{Permission, Permissions};
use crate::tables::ACCESS_POLICIES;

/// What is always there: roles give rights.
const ROLES: Source<'static> = Source {
    name: "roles",
    text: "@id(\"role\") permit (principal, action, resource) \
           when { principal.permissions.contains(context.permission) };",
};

/// Organizations whose rules are kept compiled.
const MOST_KEPT: usize = 256;

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
    /// What recent failures come to: 0 none … 100.
    pub risk: u8,
}

/// The rules that hold in an organization: the platform's, and its own.
#[derive(Clone)]
pub struct AccessRules {
    platform: Arc<Rules>,
    own: Option<Arc<Rules>>,
}

impl AccessRules {
    /// Whether somebody may do this, and which rule says so. An organization's own rules do not hold for
    /// what somebody may do by a role on the platform: no organization keeps those out who run it.
    pub fn decide(&self, asked: &Asked<'_>) -> Decision {
        let mut decision = self.platform.decide(asked);
        let is_by_platform = asked.platform_rights.has(asked.permission);
        let own = self.own.as_ref().filter(|_| !is_by_platform);
        if let Some(own) = own.filter(|_| decision.allowed) {
            decision = own.decide(asked);
        }
        decision
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
            slug: "",
            rights: author.rights,
            platform_rights: Permissions::default(),
            risk: author.risk,
        });
        decision.allowed
    }
}

/// What was compiled; each change of a policy gives it another version.
#[derive(Default)]
pub(crate) struct Kept {
    schema: Mutex<Option<Arc<Schema>>>,
    sets: Mutex<HashMap<TenantId, (Versions, Arc<Rules>)>>,
}

type Versions = Vec<(Id, i64)>;

impl Kept {
    /// Compiles rules together with what roles give.
    pub(super) async fn compile(
        &self,
        policies: &[(String, String)],
    ) -> Result<std::result::Result<Rules, Vec<Fault>>> {
        let schema = self.schema()?;
        let policies = policies.to_vec();
        // Many rules take longer than others should wait for.
        let compiled = spawn_blocking(move || compile_all(&policies, &schema)).await;
        compiled.map_err(Error::internal)
    }

    fn schema(&self) -> Result<Arc<Schema>> {
        let mut kept = self.schema.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = &*kept {
            return Ok(Arc::clone(schema));
        }
        let permissions = Permission::ALL.iter().map(|permission| permission.as_str());
        let schema = Schema::administration(permissions);
        let schema = schema.map_err(|fault| Error::internal(fault.to_string()))?;
        Ok(Arc::clone(kept.insert(Arc::new(schema))))
    }

    fn find(&self, tenant: &TenantId, versions: &Versions) -> Option<Arc<Rules>> {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, rules) = sets.get(tenant)?;
        (known == versions).then(|| Arc::clone(rules))
    }

    fn keep(&self, tenant: &TenantId, versions: Versions, rules: &Arc<Rules>) {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MOST_KEPT {
            sets.clear();
        }
        sets.insert(tenant.clone(), (versions, Arc::clone(rules)));
    }
}

fn compile_all(
    policies: &[(String, String)],
    schema: &Schema,
) -> std::result::Result<Rules, Vec<Fault>> {
    let own = policies.iter().map(|(name, text)| Source { name, text });
    let sources: Vec<_> = [ROLES].into_iter().chain(own).collect();
    let compiled = compile(&sources, schema)?;
    let rules = compiled.rules();
    let grants = rules.iter().skip(1).filter(|rule| !rule.forbids);
    let grants: Vec<_> = grants.map(|rule| not_a_grant(rule)).collect();
    match grants.is_empty() {
        true => Ok(Rules::Usable(Box::new(compiled))),
        false => Err(grants),
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
        let mut versions = Vec::with_capacity(rows.len());
        for row in &rows {
            versions.push((row.id("id")?, row.int("version")?));
        }
        if let Some(rules) = access.find(tenant, &versions) {
            return Ok(rules);
        }
        let mut versions = Vec::with_capacity(rows.len());
        let mut policies = Vec::with_capacity(rows.len());
        for row in self.records.all(select()).await? {
            versions.push((row.id("id")?, row.int("version")?));
            policies.push((row.text("name")?, row.text("rules")?));
        }
        let rules = access.compile(&policies).await?.unwrap_or_else(|faults| {
            let why = faults.first().map(ToString::to_string).unwrap_or_default();
            tracing::error!(%tenant, why, "access policies cannot be used: nobody but the operator is let in");
            Rules::Unusable(why)
        });
        let rules = Arc::new(rules);
        access.keep(tenant, versions, &rules);
        Ok(rules)
    }
}
