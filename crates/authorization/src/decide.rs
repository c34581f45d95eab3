//! From a question to a decision.

use std::net::IpAddr;
use std::sync::Arc;

use cedar_policy::{
    AuthorizationError, Context, Entities, Entity, EntityUid, Request, Response,
    RestrictedExpression as Value,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::compile::Compiled;
use crate::decision::{Decision, Failure, Reason};
use crate::question::{Organization, Principal, Question, Route, Target};
use crate::schema::Domain;
use crate::uses::Fact;

/// Every attribute of principals and resources, of both schemas.
pub(crate) const ATTRIBUTES: [&str; 10] = [
    "id",
    "issuer",
    "tenant",
    "scopes",
    "roles",
    "permissions",
    "name",
    "host",
    "path",
    "slug",
];

/// Stack that asking takes, in all and for each step of depth. Cedar takes a rule for one that cannot be
/// evaluated when the stack runs low, so that where there is less than this, more is taken.
const STACK: usize = 256 << 10;
const STACK_OF_A_STEP: usize = 32 << 10;
const LARGE_STACK: usize = 32 << 20;

impl Compiled {
    /// Whether it is allowed. A question of the other domain's is denied.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        let answered = self.ask(question);
        answered.unwrap_or_else(Decision::failed)
    }

    fn ask(&self, question: &Question<'_>) -> Result<Decision, String> {
        let principal = self.types.principal(&question.principal);
        let (action, group, resource) = match &question.target {
            Target::Request { method, route, .. } if self.domain == Domain::Requests => {
                let (action, group) = method_action(method);
                (action, group, self.route(route)?)
            }
            Target::Administration {
                permission,
                organization,
            } if self.domain == Domain::Administration => {
                let group = match permission.ends_with(":read") {
                    true => "read",
                    false => "write",
                };
                (*permission, group, self.organization(organization)?)
            }
            Target::Request { .. } | Target::Administration { .. } => {
                return Err("the question is not one that these rules are for".into());
            }
        };
        let action = self.types.action(action);
        let entities = [
            self.principal(principal.clone(), &question.principal)?,
            Entity::new_no_attrs(action.clone(), [self.types.action(group)].into()),
        ];
        let place = resource.uid();
        let entities = Entities::from_entities(entities.into_iter().chain([resource]), None)
            .map_err(|error| error.to_string())?;
        let context = self.context(question)?;
        // What is handed over here is made to fit the schema; a test holds it to that.
        let request = Request::new(principal, action, place, context, None)
            .map_err(|error| error.to_string())?;
        let needed = STACK + self.depth * STACK_OF_A_STEP;
        let response = stacker::maybe_grow(needed, LARGE_STACK, || {
            self.authorizer
                .is_authorized(&request, &self.policies, &entities)
        });
        Ok(self.decision(&response))
    }

    fn decision(&self, response: &Response) -> Decision {
        let diagnostics = response.diagnostics();
        let mut errors: Vec<_> = diagnostics
            .errors()
            .map(|error| self.failure(error))
            .collect();
        errors.sort_by_key(|(order, _)| *order);
        let mut reasons: Vec<_> = diagnostics
            .reason()
            .filter_map(|id| self.rules.get(id))
            .collect();
        reasons.sort_by_key(|rule| rule.order);
        let permits = response.decision() == cedar_policy::Decision::Allow;
        let reason = match (errors.is_empty(), permits, reasons.is_empty()) {
            // A prohibition that holds is said, whatever else went wrong.
            (_, false, false) => Reason::Forbidden,
            (false, ..) => Reason::Failed,
            (true, true, _) => Reason::Permitted,
            (true, false, true) => Reason::NoPermit,
        };
        let determining = match reason {
            Reason::Permitted | Reason::Forbidden => reasons,
            Reason::NoPermit | Reason::Failed => Vec::new(),
        };
        Decision {
            allowed: reason == Reason::Permitted,
            reason,
            determining: determining.iter().map(|rule| rule.name.clone()).collect(),
            errors: errors.into_iter().map(|(_, failure)| failure).collect(),
        }
    }

    fn failure(&self, error: &AuthorizationError) -> (usize, Failure) {
        let AuthorizationError::PolicyEvaluationError(error) = error;
        let rule = self.rules.get(error.policy_id());
        let failure = Failure {
            rule: rule.map(|rule| Arc::clone(&rule.name)),
            message: error.inner().to_string(),
        };
        (rule.map_or(usize::MAX, |rule| rule.order), failure)
    }

    fn principal(&self, uid: EntityUid, principal: &Principal<'_>) -> Result<Entity, String> {
        let mut attributes = Attributes::of(self, 8);
        match self.domain {
            Domain::Requests => {
                attributes.text("id", Some(principal.id));
                attributes.text("issuer", principal.issuer);
                attributes.text("tenant", principal.tenant);
                attributes.set("scopes", principal.scopes);
                attributes.set("roles", principal.roles);
            }
            Domain::Administration => {
                attributes.text("id", Some(principal.id));
                attributes.text("name", principal.name);
                attributes.set("permissions", principal.permissions);
            }
        }
        let claims = match self.uses.reads_claims() {
            true => principal.claims,
            false => &[],
        };
        let tags = claims
            .iter()
            .map(|(name, value)| ((*name).to_owned(), text(value)));
        Entity::new_with_tags(uid, attributes.pairs, [], tags).map_err(|error| error.to_string())
    }

    fn route(&self, route: &Route<'_>) -> Result<Entity, String> {
        let mut attributes = Attributes::of(self, 4);
        attributes.text("name", Some(route.name));
        attributes.text("host", route.host);
        attributes.text("path", Some(route.path));
        attributes.text("tenant", route.tenant);
        let uid = self.types.route(route.name);
        Entity::new_with_tags(uid, attributes.pairs, [], []).map_err(|error| error.to_string())
    }

    fn organization(&self, organization: &Organization<'_>) -> Result<Entity, String> {
        let Organization {
            id,
            slug,
            is_platform,
        } = *organization;
        let mut attributes = Attributes::of(self, 2);
        attributes.text("id", Some(id));
        attributes.text("slug", Some(slug));
        let uid = self.types.organization(id, is_platform);
        Entity::new_with_tags(uid, attributes.pairs, [], []).map_err(|error| error.to_string())
    }

    /// What rules read of the context, and no more: times and addresses are parsed by Cedar.
    fn context(&self, question: &Question<'_>) -> Result<Context, String> {
        let mut pairs = Vec::with_capacity(8);
        let mut add = |name: &str, value: Value| pairs.push((name.to_owned(), value));
        if self.uses.reads(Fact::Time) {
            let utc = question.now.to_zoned(TimeZone::UTC);
            add("time", Value::new_datetime(written(question.now)));
            let weekday = utc.weekday().to_monday_one_offset();
            add("weekday", Value::new_long(weekday.into()));
        }
        let address = question.address.filter(|_| self.uses.reads(Fact::Address));
        if let Some(address) = address.as_ref().map(IpAddr::to_canonical) {
            add("address", Value::new_ip(address.to_string()));
        }
        if self.uses.reads(Fact::Strength) {
            add("strength", text(question.strength.as_str()));
            add("level", Value::new_long(question.strength.level().into()));
        }
        if self.uses.reads(Fact::Risk) {
            add("risk", Value::new_long(question.risk.min(100).into()));
        }
        let mut add_text = |fact, name: &str, value: &str| {
            if self.uses.reads(fact) {
                pairs.push((name.to_owned(), text(value)));
            }
        };
        let tenant = match &question.target {
            Target::Request {
                method,
                host,
                path,
                route,
            } => {
                add_text(Fact::Method, "method", method);
                add_text(Fact::Host, "host", host);
                add_text(Fact::Path, "path", path);
                route.tenant
            }
            Target::Administration {
                permission,
                organization,
            } => {
                add_text(Fact::Permission, "permission", permission);
                Some(organization.id).filter(|_| !organization.is_platform)
            }
        };
        if let Some(tenant) = tenant {
            add_text(Fact::Tenant, "tenant", tenant);
        }
        Context::from_pairs(pairs).map_err(|error| error.to_string())
    }
}

/// Attributes of an entity that rules read.
struct Attributes<'c> {
    compiled: &'c Compiled,
    pairs: Vec<(String, Value)>,
}

impl<'c> Attributes<'c> {
    fn of(compiled: &'c Compiled, capacity: usize) -> Self {
        Self {
            compiled,
            pairs: Vec::with_capacity(capacity),
        }
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        let value = value.filter(|_| self.compiled.uses.reads_attribute(name));
        let pair = value.map(|value| (name.to_owned(), text(value)));
        self.pairs.extend(pair);
    }

    fn set(&mut self, name: &str, values: &[&str]) {
        if self.compiled.uses.reads_attribute(name) {
            let values = Value::new_set(values.iter().map(|value| text(value)));
            self.pairs.push((name.to_owned(), values));
        }
    }
}

/// A method's action, and the group that it is in.
fn method_action(method: &str) -> (&str, &'static str) {
    match method {
        "GET" | "HEAD" | "OPTIONS" | "TRACE" => (method, "read"),
        "POST" | "PUT" | "PATCH" | "DELETE" | "CONNECT" => (method, "write"),
        _ => ("other", "write"),
    }
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

/// In milliseconds, which is what Cedar's times have.
fn written(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
