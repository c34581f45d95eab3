//! Cedar rules: who may send which request where.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::Method;
use jiff::Timestamp;
use serde_json::Value;
use weir_authorization::{Compiled, Fact, Kind, Principal, Question, Route, Strength, Target};
use weir_core::principal;

use super::known::Known;
use super::risk::Risk;

/// The rules of a policy.
pub(super) struct Rules {
    compiled: Arc<Compiled>,
    /// Never given twice by a process.
    id: u64,
    /// Whether a decision about the same caller, method and route is always the same.
    is_stable: bool,
}

/// What is asked of them, beside the caller.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) host: &'a str,
    /// The host as it was asked for, perhaps with a port.
    pub(crate) authority: &'a str,
    /// Normalised.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    /// Whether another protocol is asked for.
    pub(crate) is_upgrade: bool,
    pub(crate) route: &'a RouteFacts,
    pub(crate) client: IpAddr,
    /// What recent failures come to.
    pub(crate) risk: &'a Risk,
}

/// A route, as rules know it.
#[derive(Debug, Default)]
pub(crate) struct RouteFacts {
    name: String,
    host: Option<String>,
    path: String,
    organization: Option<String>,
}

/// What rules say; a denial names the one that decided, if one did.
pub(super) type Verdict = Result<(), Option<Arc<str>>>;

impl RouteFacts {
    pub(super) fn of(route: &weir_config::model::Route) -> Self {
        use weir_config::pattern::HostPattern;
        let host = route.matcher.hosts.first().map(|host| match host {
            HostPattern::Exact(host) => host.clone(),
            HostPattern::Wildcard(suffix) => format!("*.{suffix}"),
        });
        let path = route.matcher.paths.first();
        Self {
            name: route.name.clone(),
            host,
            path: path.map_or_else(|| "/*".to_owned(), |path| path.as_str().to_owned()),
            organization: route.organization.clone(),
        }
    }
}

impl Rules {
    pub(super) fn new(compiled: &Arc<Compiled>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let uses = compiled.uses();
        let changing = [
            Fact::Time,
            Fact::Address,
            Fact::Path,
            Fact::Host,
            Fact::Risk,
        ];
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            is_stable: !changing.into_iter().any(|fact| uses.reads(fact)),
            compiled: Arc::clone(compiled),
        }
    }

    /// Whether they let a caller pass. What was decided stays decided where nothing else is looked at than who it is, the
    /// method and the route: each route has rules of its own number.
    pub(super) fn ask(&self, caller: Option<&Known>, asked: &Asked<'_>) -> Verdict {
        let Some(known) = caller.filter(|_| self.is_stable) else {
            return self.decide(caller.map(|known| &known.principal), asked);
        };
        if let Some(verdict) = known.decided(self.id, asked.method) {
            return verdict;
        }
        let verdict = self.decide(Some(&known.principal), asked);
        known.decide(self.id, asked.method, &verdict);
        verdict
    }

    fn decide(&self, caller: Option<&weir_core::Principal>, asked: &Asked<'_>) -> Verdict {
        let (scopes, roles) = match caller {
            Some(caller) => (texts(&caller.scopes), texts(&caller.roles)),
            None => Default::default(),
        };
        let claims = match caller {
            Some(caller) if self.compiled.uses().reads_claims() => claims(caller),
            _ => Vec::new(),
        };
        let claims: Vec<(&str, &str)> = claims
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let question = Question {
            principal: Principal {
                kind: caller.map_or(Kind::Anonymous, kind),
                id: caller.map_or("", |caller| &caller.subject),
                issuer: caller.and_then(|caller| caller.issuer.as_deref()),
                tenant: caller.and_then(|caller| caller.organization.as_deref()),
                name: None,
                scopes: &scopes,
                roles: &roles,
                permissions: &[],
                claims: &claims,
            },
            target: Target::Request {
                method: asked.method.as_str(),
                host: asked.host,
                path: asked.path,
                route: Route {
                    name: &asked.route.name,
                    host: asked.route.host.as_deref(),
                    path: &asked.route.path,
                    tenant: asked.route.organization.as_deref(),
                },
            },
            now: Timestamp::now(),
            address: Some(asked.client.to_canonical()),
            strength: caller.map_or(Strength::None, strength),
            risk: match self.compiled.uses().reads(Fact::Risk) {
                true => asked.risk.of(asked.client, Instant::now()),
                false => 0,
            },
        };
        let decision = self.compiled.decide(&question);
        if decision.allowed {
            return Ok(());
        }
        let erring = decision.errors.into_iter().find_map(|error| error.rule);
        Err(decision.determining.into_iter().next().or(erring))
    }
}

fn texts(words: &[Box<str>]) -> Vec<&str> {
    words.iter().map(|word| &**word).collect()
}

/// Claims as text; what is no text is JSON.
fn claims(caller: &weir_core::Principal) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let claims = caller.claims.iter();
    claims
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

fn kind(caller: &weir_core::Principal) -> Kind {
    match caller.method {
        principal::Method::Token | principal::Method::Signature => Kind::Client,
        principal::Method::Key => Kind::ApiKey,
        principal::Method::Password | principal::Method::TwoFactor => Kind::User,
        principal::Method::Certificate => Kind::Certificate,
    }
}

fn strength(caller: &weir_core::Principal) -> Strength {
    match caller.method {
        principal::Method::Token | principal::Method::Signature => Strength::Token,
        principal::Method::Key => Strength::Key,
        principal::Method::Password => Strength::Password,
        principal::Method::TwoFactor => Strength::TwoFactor,
        principal::Method::Certificate => Strength::Certificate,
    }
}
