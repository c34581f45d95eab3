//! Compiled rules, kept for the organizations that were asked about last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;
use weir_authorization::{Fault, Rule, Schema, Source, compile};
use weir_core::{Id, TenantId};
use weir_store::records::Row;

use super::rules::Rules;
use crate::error::{Error, Result};
use crate::permission::Permission;

/// What is always there: roles give rights.
const ROLES: Source<'static> = Source {
    name: "roles",
    text: "@id(\"role\") permit (principal, action, resource) \
           when { principal.permissions.contains(context.permission) };",
};

/// Organizations whose rules are kept compiled.
const MOST: usize = 256;

/// What was compiled; each change of a policy gives it another version.
#[derive(Default)]
pub(crate) struct Kept {
    schema: Mutex<Option<Arc<Schema>>>,
    sets: Mutex<Sets>,
}

/// Which policies were compiled together: each with its version, in the order of their names.
pub(super) type Versions = Vec<(Id, i64)>;

#[derive(Default)]
struct Sets {
    /// How often any of them was asked for.
    asked: u64,
    of: HashMap<TenantId, Set>,
}

struct Set {
    versions: Versions,
    rules: Arc<Rules>,
    last_asked: u64,
}

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

    pub(super) fn find(&self, tenant: &TenantId, versions: &Versions) -> Option<Arc<Rules>> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.asked += 1;
        let asked = sets.asked;
        let set = sets.of.get_mut(tenant)?;
        set.last_asked = asked;
        (set.versions == *versions).then(|| Arc::clone(&set.rules))
    }

    /// Keeps rules; if there are as many as there may be, in the place of those that were not asked for longest.
    pub(super) fn keep(&self, tenant: &TenantId, versions: Versions, rules: &Arc<Rules>) {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.of.len() >= MOST && !sets.of.contains_key(tenant) {
            let oldest = sets.of.iter().min_by_key(|(_, set)| set.last_asked);
            if let Some(oldest) = oldest.map(|(tenant, _)| tenant.clone()) {
                sets.of.remove(&oldest);
            }
        }
        let set = Set {
            versions,
            rules: Arc::clone(rules),
            last_asked: sets.asked,
        };
        sets.of.insert(tenant.clone(), set);
    }
}

/// Which policies these rows are.
pub(super) fn versions(rows: &[Row]) -> Result<Versions> {
    let version = |row: &Row| -> Result<(Id, i64)> { Ok((row.id("id")?, row.int("version")?)) };
    rows.iter().map(version).collect()
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

/// The mistake of a rule that would give a right.
fn not_a_grant(rule: &Rule) -> Fault {
    Fault {
        policy: rule.policy.to_string(),
        line: rule.line,
        column: 1,
        text: "an access policy only forbids: what somebody may do is given by their roles".into(),
        help: Some("write `forbid … unless` in place of `permit … when`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_longest_makes_room() {
        let kept = Kept::default();
        let rules = Arc::new(Rules::Unusable("of a test".to_owned()));
        let tenants: Vec<_> = (0..=MOST).map(|_| TenantId::generate()).collect();
        let is_kept = |tenant: &TenantId| kept.find(tenant, &Versions::new()).is_some();
        for tenant in &tenants[..MOST] {
            assert!(!is_kept(tenant));
            kept.keep(tenant, Versions::new(), &rules);
        }
        assert!(is_kept(&tenants[0]));
        // The same once more takes nobody's place.
        kept.keep(&tenants[2], Versions::new(), &rules);
        assert!(is_kept(&tenants[1]) && is_kept(&tenants[0]));
        kept.keep(&tenants[MOST], Versions::new(), &rules);
        let gone: Vec<_> = tenants.iter().filter(|tenant| !is_kept(tenant)).collect();
        assert_eq!(gone, [&tenants[3]]);
    }
}
