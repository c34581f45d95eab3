//! An operation: parameters, body, responses.

use serde_json::Value as Document;

use super::content::{self, Content};
use super::convert::{Converter, Direction, Schemas};
use super::parameter::{self, Parameter, Parts};
use super::paths::Template;
use super::pointer::{At, members, resolve};
use crate::body::BodyCheck;
use crate::contract::{Judgement, Request, Response};
use crate::documents::Fault;
use crate::violation::{MOST, Place, Violation};

/// An operation whose schemas are not compiled yet.
#[derive(Debug)]
pub(super) struct Draft {
    parameters: Vec<parameter::Draft>,
    body: Option<(content::Draft, bool)>,
    responses: Vec<(Status, content::Draft)>,
}

#[derive(Debug)]
pub(super) struct Operation {
    parameters: Vec<Parameter>,
    body: Option<Content>,
    is_body_required: bool,
    responses: Vec<(Status, Content)>,
}

/// Which statuses a response is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Exact(u16),
    /// `2XX`
    Class(u16),
    Default,
}

/// Reads the operation at a place; `item` is that of its path.
pub(super) fn draft(
    converter: &mut Converter<'_>,
    item: &At,
    at: &At,
    template: &Template,
) -> Result<Draft, Fault> {
    let (item, _) = resolve(converter.documents, item)?;
    let (at, object) = resolve(converter.documents, at)?;
    let mut parameters: Vec<parameter::Draft> = Vec::new();
    for place in [&item, &at] {
        for parameter in list(converter, place, "parameters")? {
            let Some(draft) = parameter::draft(converter, &parameter, template)? else {
                continue;
            };
            // An operation's own takes the place of its path's.
            parameters.retain(|known| !known.is_same(&draft));
            parameters.push(draft);
        }
    }
    let body = match object.get("requestBody") {
        None => None,
        Some(_) => {
            let (body, object) = resolve(converter.documents, &at.join("requestBody"))?;
            let is_required = object.get("required") == Some(&Document::Bool(true));
            Some((
                content::draft(converter, &body, Direction::Request)?,
                is_required,
            ))
        }
    };
    let mut responses = Vec::new();
    for (status, response) in members(converter.documents, &at, "responses")? {
        if status.starts_with("x-") {
            continue;
        }
        let status =
            Status::parse(&status).ok_or_else(|| response.fault("this is not a status"))?;
        let (response, _) = resolve(converter.documents, &response)?;
        let content = content::draft(converter, &response, Direction::Response)?;
        responses.push((status, content));
    }
    Ok(Draft {
        parameters,
        body,
        responses,
    })
}

fn list(converter: &Converter<'_>, at: &At, key: &str) -> Result<Vec<At>, Fault> {
    let at = at.join(key);
    match at.value(converter.documents) {
        None => Ok(Vec::new()),
        Some(Document::Array(items)) => Ok((0..items.len()).map(|index| at.index(index)).collect()),
        Some(_) => Err(at.fault("expected a list")),
    }
}

impl Draft {
    pub(super) fn finish(
        self,
        schemas: &Schemas,
        checks: &mut Vec<BodyCheck>,
    ) -> Result<Operation, Fault> {
        let mut operation = Operation {
            parameters: Vec::with_capacity(self.parameters.len()),
            body: None,
            is_body_required: false,
            responses: Vec::with_capacity(self.responses.len()),
        };
        for parameter in self.parameters {
            operation.parameters.push(parameter.finish(schemas)?);
        }
        if let Some((content, is_required)) = self.body {
            operation.body = Some(content.finish(schemas, checks)?);
            operation.is_body_required = is_required;
        }
        for (status, content) in self.responses {
            operation
                .responses
                .push((status, content.finish(schemas, checks)?));
        }
        Ok(operation)
    }
}

impl Operation {
    pub(super) fn judge(
        &self,
        request: &Request<'_>,
        captured: &[&str],
        judgement: &mut Judgement,
    ) {
        let violations = &mut judgement.violations;
        let parts = Parts::of(request, &self.parameters);
        for parameter in &self.parameters {
            parameter.check(request, &parts, captured, violations);
        }
        violations.truncate(MOST);
        if !request.has_body {
            if self.is_body_required {
                violations.push(Violation::new(Place::Body, "is missing"));
            }
            return;
        }
        // A body that nobody described is let pass, as an unknown parameter is.
        let Some(content) = self.body.as_ref().filter(|content| !content.is_empty()) else {
            return;
        };
        match content.find(request.content_type) {
            Some(rule) => judgement.body = rule,
            // That there is no such body outweighs the rest: it decides about the status.
            None => {
                let detail = format!("must be one of {}", content.listed());
                violations.insert(0, Violation::new(Place::ContentType, detail));
            }
        }
    }

    /// The described response with this status; what is most exact decides.
    fn response(&self, status: u16) -> Option<&Content> {
        let of = |wanted| {
            let mut responses = self.responses.iter();
            responses
                .find(|(status, _)| *status == wanted)
                .map(|(_, content)| content)
        };
        of(Status::Exact(status))
            .or_else(|| of(Status::Class(status / 100)))
            .or_else(|| of(Status::Default))
    }

    /// Which check the body of a response has to pass.
    pub(super) fn judge_response(
        &self,
        response: &Response<'_>,
        checks: &[BodyCheck],
    ) -> Result<(), Vec<Violation>> {
        let wrong = |place, detail: &str| Err(vec![Violation::new(place, detail)]);
        let Some(content) = self.response(response.status) else {
            return wrong(Place::Status, "is not documented");
        };
        let Some(body) = response.body.filter(|body| !body.is_empty()) else {
            return Ok(());
        };
        if content.is_empty() {
            return Ok(());
        }
        match content.find(response.content_type) {
            None => wrong(
                Place::ContentType,
                &format!("must be one of {}", content.listed()),
            ),
            Some(None) => Ok(()),
            Some(Some(rule)) => checks[rule.0].check(body),
        }
    }
}

impl Status {
    fn parse(text: &str) -> Option<Self> {
        if text == "default" {
            return Some(Self::Default);
        }
        if let Some(class) = text.strip_suffix("XX").or_else(|| text.strip_suffix("xx")) {
            return class
                .parse()
                .ok()
                .filter(|class| (1..=5).contains(class))
                .map(Self::Class);
        }
        text.parse()
            .ok()
            .filter(|status| (100..600).contains(status))
            .map(Self::Exact)
    }
}
