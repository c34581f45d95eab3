//! A contract: what judges the messages of a route.

use std::borrow::Cow;

use crate::body::BodyCheck;
use crate::documents::{Documents, Fault};
use crate::media;
use crate::openapi::{Api, ApiOptions};
use crate::schema::Schema;
use crate::violation::{Place, Violation};

/// Methods whose requests are about their body.
const WITH_BODY: [&str; 3] = ["POST", "PUT", "PATCH"];

/// What messages must look like.
#[derive(Debug)]
pub struct Contract {
    kind: Kind,
    checks: Vec<BodyCheck>,
}

#[derive(Debug)]
enum Kind {
    /// For JSON bodies only.
    Schemas {
        request: Option<BodyRule>,
        response: Option<BodyRule>,
    },
    OpenApi(Api),
}

/// Which check of a contract a body has to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRule(pub(crate) usize);

/// The parts of a request that are known before its body.
pub struct Request<'a> {
    /// In capitals.
    pub method: &'a str,
    /// Normalised.
    pub path: &'a str,
    /// Without `?`.
    pub query: Option<&'a str>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// Whether a body follows.
    pub has_body: bool,
    /// A field's value by its name in lower case; several of a name are one list.
    pub field: &'a dyn Fn(&str) -> Option<Cow<'a, str>>,
}

/// What is known of a request before its body.
#[derive(Debug, Default)]
pub struct Judgement {
    /// What is wrong already.
    pub violations: Vec<Violation>,
    /// What checks its body; `None` if nothing does.
    pub body: Option<BodyRule>,
    /// Of a path that has other methods: those.
    pub allowed: Vec<String>,
    /// What its response is judged by.
    pub operation: Option<usize>,
}

/// A response that is over.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// [`Judgement::operation`] of its request.
    pub operation: Option<usize>,
    /// Status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `None` for a response to `HEAD`.
    pub body: Option<&'a [u8]>,
}

impl Contract {
    /// By a schema for the JSON bodies of requests, and one for those of responses with success.
    pub fn of_schemas(request: Option<Schema>, response: Option<Schema>) -> Self {
        let mut checks = Vec::new();
        let mut rule = |schema: Schema| {
            checks.push(BodyCheck::Json(schema));
            BodyRule(checks.len() - 1)
        };
        let kind = Kind::Schemas {
            request: request.map(&mut rule),
            response: response.map(&mut rule),
        };
        Self { kind, checks }
    }

    /// By an OpenAPI document.
    pub fn of_openapi(documents: &Documents, options: &ApiOptions) -> Result<Self, Fault> {
        let mut checks = Vec::new();
        let kind = Kind::OpenApi(Api::compile(documents, options, &mut checks)?);
        Ok(Self { kind, checks })
    }

    /// Whether there is anything to judge requests by.
    pub fn judges_requests(&self) -> bool {
        match &self.kind {
            Kind::Schemas { request, .. } => request.is_some(),
            Kind::OpenApi(_) => true,
        }
    }

    /// Whether there is anything to judge responses by.
    pub fn judges_responses(&self) -> bool {
        match &self.kind {
            Kind::Schemas { response, .. } => response.is_some(),
            Kind::OpenApi(_) => true,
        }
    }

    /// Judges a request, but for its body.
    pub fn judge(&self, request: &Request<'_>) -> Judgement {
        match &self.kind {
            Kind::Schemas { request: rule, .. } => {
                rule.map_or_else(Judgement::default, |rule| judge_json(rule, request))
            }
            Kind::OpenApi(api) => api.judge(request),
        }
    }

    /// Judges the body of a request.
    pub fn check_body(&self, rule: BodyRule, body: &[u8]) -> Result<(), Vec<Violation>> {
        self.checks[rule.0].check(body)
    }

    /// Judges a whole response.
    pub fn judge_response(&self, response: &Response<'_>) -> Result<(), Vec<Violation>> {
        match &self.kind {
            Kind::Schemas { response: rule, .. } => {
                let (Some(rule), Some(body)) = (rule, response.body) else {
                    return Ok(());
                };
                if !(200..300).contains(&response.status) || response.status == 204 {
                    return Ok(());
                }
                if !response.content_type.is_some_and(media::is_json) {
                    return Err(vec![Violation::new(Place::ContentType, "must be JSON")]);
                }
                self.check_body(*rule, body)
            }
            Kind::OpenApi(api) => api.judge_response(response, &self.checks),
        }
    }
}

fn judge_json(rule: BodyRule, request: &Request<'_>) -> Judgement {
    let mut judgement = Judgement::default();
    if !request.has_body {
        if WITH_BODY.contains(&request.method) {
            let missing = Violation::new(Place::Body, "is missing");
            judgement.violations.push(missing);
        }
    } else if request.content_type.is_some_and(media::is_json) {
        judgement.body = Some(rule);
    } else {
        let wrong = Violation::new(Place::ContentType, "must be application/json");
        judgement.violations.push(wrong);
    }
    judgement
}

#[cfg(test)]
mod tests;
