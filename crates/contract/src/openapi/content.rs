//! Bodies of an operation, by media type.

use super::convert::{Converter, Definition, Direction, Schemas};
use super::kinds::{Kinds, Properties};
use super::pointer::{At, members};
use super::styles;
use crate::body::BodyCheck;
use crate::contract::BodyRule;
use crate::documents::Fault;
use crate::json::Json;
use crate::media;
use crate::schema::Schema;
use crate::violation::{Place, Violation};

const FORM: &str = "application/x-www-form-urlencoded";

/// A form by a schema.
#[derive(Debug)]
pub(crate) struct Form {
    schema: Schema,
    properties: Properties,
}

impl Form {
    pub(crate) fn check(&self, body: &[u8]) -> Result<(), Vec<Violation>> {
        let wrong = |detail| Err(vec![Violation::new(Place::Body, detail)]);
        let Ok(text) = std::str::from_utf8(body) else {
            return wrong("is not a form");
        };
        match styles::form(text, &self.properties) {
            Ok(value) => self.schema.check(&Json::of(value), Place::Body),
            Err(detail) => wrong(detail),
        }
    }
}

/// Media types whose schemas are not compiled yet.
#[derive(Debug)]
pub(super) struct Draft(Vec<(String, Option<Wanted>)>);

/// A check that is not compiled yet.
#[derive(Debug)]
struct Wanted {
    schema: Definition,
    /// Of a form.
    properties: Option<Properties>,
}

/// Media types and what checks their bodies; nothing does for most.
#[derive(Debug, Default)]
pub(super) struct Content(Vec<(String, Option<BodyRule>)>);

/// The content of the object at a place.
pub(super) fn draft(
    converter: &mut Converter<'_>,
    at: &At,
    direction: Direction,
) -> Result<Draft, Fault> {
    let documents = converter.documents;
    let mut media = Vec::new();
    for (range, at) in members(documents, at, "content")? {
        let range = media::essence(&range).to_ascii_lowercase();
        let schema = at.join("schema");
        let is_form = range == FORM;
        let is_checked = is_form || media::is_json(&range);
        let check = (is_checked && schema.value(documents).is_some()).then(|| {
            let kinds = is_form.then(|| Kinds::of(documents, &schema));
            let properties = kinds.map(|kinds| kinds.object.unwrap_or_default());
            Wanted {
                schema: converter.define(&schema, direction),
                properties,
            }
        });
        media.push((range, check));
    }
    Ok(Draft(media))
}

impl Draft {
    pub(super) fn finish(
        self,
        schemas: &Schemas,
        checks: &mut Vec<BodyCheck>,
    ) -> Result<Content, Fault> {
        let mut content = Vec::with_capacity(self.0.len());
        for (range, check) in self.0 {
            let rule = match check {
                None => None,
                Some(Wanted { schema, properties }) => {
                    let schema = schemas.compile(&schema)?;
                    checks.push(match properties {
                        None => BodyCheck::Json(schema),
                        Some(properties) => BodyCheck::Form(Form { schema, properties }),
                    });
                    Some(BodyRule(checks.len() - 1))
                }
            };
            content.push((range, rule));
        }
        Ok(Content(content))
    }
}

impl Content {
    /// Whether no body is described.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What checks a body of this type: the most specific range decides. `None` if none takes it.
    pub(super) fn find(&self, content_type: Option<&str>) -> Option<Option<BodyRule>> {
        let stated = media::essence(content_type?).to_ascii_lowercase();
        let (kind, _) = stated.split_once('/')?;
        let of = |wanted: &str| self.0.iter().find(|(range, _)| range == wanted);
        let found = of(&stated)
            .or_else(|| of(&format!("{kind}/*")))
            .or_else(|| of("*/*"));
        found.map(|(_, rule)| *rule)
    }

    /// The media types, for a message.
    pub(super) fn listed(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|(range, _)| range.as_str()).collect();
        names.join(", ")
    }
}
