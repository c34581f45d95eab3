//! What would happen to a request, as programs are told.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use weir_config::model::Config;
use weir_core::path::PathError;
use weir_gateway::router::{Caller, Explanation, Outcome, RouteRequest, Router};
use weir_gateway::{Failure, preflight};

use super::plan::{self, Plan, Towards};
use super::question::{Asked, Request};

/// What would happen to a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// It is refused before a route is looked for.
    Refused {
        refused: Refused,
    },
    Judged(Box<Judged>),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(super) status: u16,
    pub(super) reason: Cow<'static, str>,
    pub(super) cause: Cow<'static, str>,
    pub(super) message: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(super) request: Shown,
    pub(super) routing: Explanation,
    /// None if no route takes it.
    pub(super) plan: Option<Plan>,
    /// Whose the route is, as a Weir that runs tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<Owner>,
}

/// Where a route stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Owner {
    File,
    Api,
}

/// The request as the gateway would see it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Shown {
    pub(super) method: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
}

impl Answer {
    /// By this configuration.
    pub(crate) fn of(asked: &Asked, config: &Config) -> Self {
        let request = match Request::new(asked, config) {
            Ok(request) => request,
            Err(error) => return Self::refused(&error),
        };
        let routing = explain(&request, config);
        let plan = match &routing.outcome {
            Outcome::Found { index, .. } => Some(Plan::new(*index, &request, config)),
            Outcome::NoRoute | Outcome::NoCredential | Outcome::Method { .. } => None,
        };
        let request = Shown {
            method: request.method.to_string(),
            host: request.host,
            path: request.path,
            query: request.query,
        };
        Self::Judged(Box::new(Judged {
            request,
            routing,
            plan,
            owner: None,
        }))
    }

    /// The gateway answers such a path or query with 400 before it looks for a route.
    fn refused(error: &PathError) -> Self {
        let cause = error.reason();
        let refused = Refused {
            status: 400,
            reason: Failure::BadPath(cause).reason().into(),
            cause: cause.into(),
            message: error.to_string(),
        };
        Self::Refused { refused }
    }

    /// The same, with whose the route is.
    pub(crate) fn owned(mut self, owner: impl FnOnce(&str) -> Owner) -> Self {
        if let Self::Judged(judged) = &mut self {
            judged.owner = judged.plan.as_ref().map(|plan| owner(&plan.route));
        }
        self
    }

    /// Whether something but a refusal comes of it.
    pub(super) fn is_taken(&self) -> bool {
        let Self::Judged(judged) = self else {
            return false;
        };
        let is_refused = |plan: &Plan| matches!(plan.towards, Towards::Refusal { .. });
        judged.plan.as_ref().is_some_and(|plan| !is_refused(plan))
    }
}

/// The route that takes the request; a preflight is for that of the request which it asks about.
fn explain(request: &Request, config: &Config) -> Explanation {
    let router = Router::compile(&config.routes);
    let wanted = request.route_request();
    if let Some(method) = preflight::asked_method(&request.method, &request.fields) {
        let about = RouteRequest {
            method: &method,
            ..wanted
        };
        // It carries no credential.
        let explanation = router.explain(&about, Caller::Unasked);
        if let Outcome::Found { index, .. } = &explanation.outcome
            && plan::cors(&config.routes[*index], config).is_some()
        {
            return explanation;
        }
    }
    router.explain(&wanted, request.caller())
}
