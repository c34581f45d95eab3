//! Parameters of an operation.

use std::borrow::Cow;

use serde_json::Value as Document;

use super::convert::{Converter, Definition, Direction, Schemas};
use super::kinds::Kinds;
use super::paths::Template;
use super::pointer::{At, resolve};
use super::styles::{self, Encoding, Style};
use crate::contract::Request;
use crate::documents::{Fault, shown};
use crate::json::{Json, Value};
use crate::schema::Schema;
use crate::violation::{Place, Violation};

/// Fields that are described elsewhere; parameters of these names mean nothing (OpenAPI §4.8.12.1).
const NO_PARAMETERS: [&str; 3] = ["accept", "content-type", "authorization"];

/// A parameter whose schema is not compiled yet.
#[derive(Debug)]
pub(super) struct Draft {
    place: Place,
    name: String,
    required: bool,
    /// Of a path parameter, which one of the template's.
    captured: usize,
    written: Written,
    kinds: Kinds,
    schema: Option<Definition>,
}

/// A parameter.
#[derive(Debug)]
pub(super) struct Parameter {
    place: Place,
    name: String,
    required: bool,
    captured: usize,
    written: Written,
    kinds: Kinds,
    schema: Option<Schema>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Styled {
        style: Style,
        explode: bool,
    },
    /// As a JSON text.
    Json,
    /// In a way that is not looked at.
    Otherwise,
}

/// Reads a parameter; `None` if it means nothing.
pub(super) fn draft(
    converter: &mut Converter<'_>,
    at: &At,
    template: &Template,
) -> Result<Option<Draft>, Fault> {
    let documents = converter.documents;
    let (at, object) = resolve(documents, at)?;
    let text = |key: &str| object.get(key).and_then(Document::as_str);
    let flag = |key: &str| object.get(key).and_then(Document::as_bool);
    let name = text("name").ok_or_else(|| at.fault("a parameter needs a `name`"))?;
    let place = match text("in") {
        Some("path") => Place::Path,
        Some("query") => Place::Query,
        Some("header") => Place::Header,
        Some("cookie") => Place::Cookie,
        _ => return Err(at.fault("a parameter is in `path`, `query`, `header` or `cookie`")),
    };
    if place == Place::Header
        && NO_PARAMETERS
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    {
        return Ok(None);
    }
    let captured = template.names.iter().position(|known| known == name);
    if place == Place::Path && captured.is_none() {
        let message = format!("the path has no `{{{}}}`", shown(name));
        return Err(at.fault(message));
    }
    let style = style(&at, place, text("style"))?;
    let explode = flag("explode").unwrap_or(style == Style::Form);
    let (written, schema) = match object.get("content") {
        None => (Written::Styled { style, explode }, Some(at.join("schema"))),
        Some(content) => {
            let medium = content
                .as_object()
                .and_then(|content| content.keys().next());
            let is_json = medium.is_some_and(|medium| crate::media::is_json(medium));
            let medium = medium.map(|medium| at.join("content").join(medium).join("schema"));
            (
                if is_json {
                    Written::Json
                } else {
                    Written::Otherwise
                },
                medium,
            )
        }
    };
    let schema = schema.filter(|at| at.value(documents).is_some());
    let is_checked = written != Written::Otherwise;
    Ok(Some(Draft {
        place,
        name: match place {
            Place::Header => name.to_ascii_lowercase(),
            _ => name.to_owned(),
        },
        required: flag("required").unwrap_or(false),
        captured: captured.unwrap_or(0),
        written,
        kinds: schema
            .as_ref()
            .map_or_else(Kinds::default, |at| Kinds::of(documents, at)),
        schema: schema
            .filter(|_| is_checked)
            .map(|at| converter.define(&at, Direction::Request)),
    }))
}

fn style(at: &At, place: Place, stated: Option<&str>) -> Result<Style, Fault> {
    let style = match (place, stated) {
        (Place::Path | Place::Header, None | Some("simple")) => Style::Simple,
        (Place::Path, Some("label")) => Style::Label,
        (Place::Path, Some("matrix")) => Style::Matrix,
        (Place::Query | Place::Cookie, None | Some("form")) => Style::Form,
        (Place::Query, Some("spaceDelimited")) => Style::SpaceDelimited,
        (Place::Query, Some("pipeDelimited")) => Style::PipeDelimited,
        (Place::Query, Some("deepObject")) => Style::DeepObject,
        _ => {
            return Err(at
                .join("style")
                .fault("parameters of this place have no such style"));
        }
    };
    Ok(style)
}

impl Draft {
    /// Whether it takes the place of another one of the path.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.place, &self.name) == (other.place, &other.name)
    }

    pub(super) fn finish(self, schemas: &Schemas) -> Result<Parameter, Fault> {
        let schema = self
            .schema
            .map(|schema| schemas.compile(&schema))
            .transpose()?;
        Ok(Parameter {
            place: self.place,
            name: self.name,
            required: self.required,
            captured: self.captured,
            written: self.written,
            kinds: self.kinds,
            schema,
        })
    }
}

/// What a parameter was given as.
enum Given<'r> {
    Text(&'r str),
    /// Once for each item.
    Several(Vec<&'r str>),
    /// Once for each member.
    Members(Vec<(&'r str, &'r str)>),
}

/// A request's query and cookies, divided once for all parameters.
pub(super) struct Parts<'r> {
    pub(super) query: Vec<(Cow<'r, str>, &'r str)>,
    cookies: Option<Cow<'r, str>>,
}

impl<'r> Parts<'r> {
    pub(super) fn of(request: &Request<'r>, parameters: &[Parameter]) -> Self {
        let has = |place| parameters.iter().any(|parameter| parameter.place == place);
        let query = request
            .query
            .filter(|_| has(Place::Query))
            .unwrap_or_default();
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let name = Encoding::Form.decode(name).unwrap_or(Cow::Borrowed(name));
                (name, value)
            });
        Self {
            query: pairs.collect(),
            cookies: if has(Place::Cookie) {
                (request.field)("cookie")
            } else {
                None
            },
        }
    }
}

impl Parameter {
    pub(super) fn check(
        &self,
        request: &Request<'_>,
        parts: &Parts<'_>,
        captured: &[&str],
        violations: &mut Vec<Violation>,
    ) {
        let wrong = |detail| Violation::new(self.place, detail).named(&self.name);
        let field;
        let given = match self.place {
            Place::Path => captured.get(self.captured).map(|text| Given::Text(text)),
            Place::Query => match self.of_query(parts) {
                Ok(given) => given,
                Err(detail) => return violations.push(wrong(detail)),
            },
            Place::Cookie => {
                let cookies = parts.cookies.as_deref().unwrap_or_default();
                let mut pairs = cookies
                    .split(';')
                    .filter_map(|pair| pair.trim().split_once('='));
                pairs
                    .find(|(name, _)| *name == self.name)
                    .map(|(_, value)| Given::Text(value))
            }
            _ => {
                field = (request.field)(&self.name);
                field.as_deref().map(Given::Text)
            }
        };
        let Some(given) = given else {
            if self.required {
                violations.push(wrong("is missing"));
            }
            return;
        };
        let Some(schema) = &self.schema else { return };
        let value = match self.read(&given) {
            Ok(value) => value,
            Err(detail) => return violations.push(wrong(detail)),
        };
        let text = match (&value, &given) {
            (Value::String(_), _) => None,
            (_, Given::Text(text)) if self.kinds.simple.is_also_text() => Some(*text),
            _ => None,
        };
        let Err(found) = schema.check(&Json::of(value), self.place) else {
            return;
        };
        // `12` may be a number or a text, whichever is right.
        if let Some(text) = text
            && let Ok(text) = self.encoding().decode(text)
            && schema
                .check(&Json::of(Value::String(text)), self.place)
                .is_ok()
        {
            return;
        }
        violations.extend(
            found
                .into_iter()
                .map(|violation| violation.named(&self.name)),
        );
    }

    fn encoding(&self) -> Encoding {
        match self.place {
            Place::Query => Encoding::Form,
            Place::Header => Encoding::None,
            _ => Encoding::Percent,
        }
    }

    fn of_query<'p>(&self, parts: &'p Parts<'_>) -> Result<Option<Given<'p>>, &'static str> {
        let own = || {
            let own = parts.query.iter().filter(|(name, _)| *name == self.name);
            own.map(|(_, value)| *value)
        };
        if let Written::Styled { style, explode } = self.written {
            if style == Style::DeepObject {
                let inside = parts.query.iter().filter_map(|(name, value)| {
                    let inside = name.strip_prefix(self.name.as_str())?.strip_prefix('[')?;
                    Some((inside.strip_suffix(']')?, *value))
                });
                let members: Vec<_> = inside.collect();
                return Ok((!members.is_empty()).then_some(Given::Members(members)));
            }
            if self.kinds.array.is_some() && explode {
                let items: Vec<_> = own().collect();
                return Ok((!items.is_empty()).then_some(Given::Several(items)));
            }
            if let Some(object) = self.kinds.object.as_ref().filter(|_| explode) {
                // Its members stand in the query by themselves.
                let inside = parts
                    .query
                    .iter()
                    .filter(|(name, _)| object.named.contains_key(name.as_ref()));
                let members: Vec<_> = inside
                    .map(|(name, value)| (name.as_ref(), *value))
                    .collect();
                return Ok((!members.is_empty()).then_some(Given::Members(members)));
            }
        }
        let mut own = own();
        let first = own.next();
        match own.next() {
            // Who is behind may take the other one.
            Some(_) => Err("is given twice"),
            None => Ok(first.map(Given::Text)),
        }
    }

    fn read<'g>(&self, given: &'g Given<'_>) -> Result<Value<'g>, &'static str> {
        let encoding = self.encoding();
        match given {
            Given::Text(text) => self.read_text(text, encoding),
            Given::Several(items) => {
                let simple = self.kinds.array.unwrap_or_default();
                let items = items
                    .iter()
                    .map(|item| Ok(simple.read(encoding.decode(item)?)));
                items.collect::<Result<_, _>>().map(Value::Array)
            }
            Given::Members(pairs) => {
                let object = self.kinds.object.clone().unwrap_or_default();
                styles::members(pairs.clone(), &object, encoding)
            }
        }
    }

    fn read_text<'g>(&self, text: &'g str, encoding: Encoding) -> Result<Value<'g>, &'static str> {
        match self.written {
            Written::Styled { style, explode } => {
                styles::read(text, style, explode, &self.name, &self.kinds, encoding)
            }
            Written::Json | Written::Otherwise => {
                const NOT_JSON: &str = "is not JSON that has one meaning";
                match encoding.decode(text)? {
                    Cow::Borrowed(text) => Json::parse(text.as_bytes()).map(|json| json.root),
                    Cow::Owned(text) => {
                        Json::parse(text.as_bytes()).map(|json| json.root.into_owned())
                    }
                }
                .map_err(|_| NOT_JSON)
            }
        }
    }
}
