//! Lists: which page of what, in which order.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{KnownFormat, ObjectBuilder, Required, SchemaFormat, Type};
use weir_core::Id;
use weir_identity::{Key, Listing, Page as Found, Position};
use weir_store::records::Value;

use super::parameters::in_words;
use super::services::Services;
use crate::page::Page;
use crate::problem::{FieldError, Problem};

const USUAL: u32 = 50;
const MOST: u32 = 200;

/// What a list can be asked for: the members are its filters.
pub(crate) trait Listed: DeserializeOwned + IntoParams {
    /// By what it is sorted.
    type Order: Copy + 'static;

    /// By what it can be sorted, the usual first. `-` before a name turns it round.
    const ORDERS: &'static [(&'static str, Self::Order)];

    /// Whether it usually begins with the greatest.
    const GREATEST_FIRST: bool = false;
}

/// A list without filters, by the time at which things were made.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByTime {}

impl Listed for ByTime {
    type Order = ();

    const ORDERS: &'static [(&'static str, Self::Order)] = &[("created_at", ())];
}

/// A list of what has an address, by the time at which things were made.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ByEmail {
    /// Those whose address begins with this.
    pub(crate) email: Option<String>,
}

impl Listed for ByEmail {
    type Order = ();

    const ORDERS: &'static [(&'static str, Self::Order)] = &[("created_at", ())];
}

/// A page of a list, as it is asked for.
pub(crate) struct List<F: Listed> {
    /// What is to be on it.
    pub(crate) filter: F,
    /// By what it is sorted.
    pub(crate) order: F::Order,
    /// Greatest first.
    pub(crate) descending: bool,
    /// How many at most.
    pub(crate) limit: u32,
    /// Behind the row with these values; nothing for the first page.
    pub(crate) after: Vec<Value>,
    /// The path with the query but for the place in the list: what the cursor belongs to.
    name: String,
    services: Services,
}

impl<F: Listed> FromRequestParts<Services> for List<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let (mut limit, mut cursor, mut sort) = (None, None, None);
        let mut filters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "limit" => limit = Some(value),
                "cursor" => cursor = Some(value),
                "sort" => sort = Some(value),
                // Of the listener, for every answer.
                "pretty" => {}
                _ => filters.push((name.into_owned(), value.into_owned())),
            }
        }
        let (order, descending) = order::<F>(sort.as_deref())?;
        filters.sort_unstable();
        let filters = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(filters)
            .finish();
        let name = name(parts.uri.path(), sort.as_deref(), &filters);
        let after = match cursor {
            None => Vec::new(),
            Some(cursor) => services
                .cursors()
                .open(&name, &cursor)
                .map_err(|bad| invalid("cursor", bad.to_string()))?,
        };
        Ok(Self {
            limit: limit.as_deref().map_or(Ok(USUAL), read_limit)?,
            filter: serde_urlencoded::from_str(&filters)
                .map_err(|error| invalid("query", in_words(&error.to_string())))?,
            order,
            descending,
            after,
            name,
            services: services.clone(),
        })
    }
}

impl<F: Listed> List<F> {
    /// For lists of people and organizations.
    ///
    /// # Errors
    /// Does not happen with cursors of ours.
    pub(crate) fn listing(&self) -> Result<Listing, Problem> {
        let after = match self.after.as_slice() {
            [] => None,
            [key, Value::Text(Some(id))] => Some(Position {
                key: match key {
                    Value::Int(Some(time)) => Key::Time(*time),
                    Value::Text(Some(text)) => Key::Text(text.clone()),
                    _ => return Err(of_another()),
                },
                id: id.parse::<Id>().map_err(|_| of_another())?,
            }),
            _ => return Err(of_another()),
        };
        Ok(Listing {
            limit: self.limit,
            descending: self.descending,
            after,
        })
    }

    /// The answer with a page of people or organizations.
    pub(crate) fn page<T: Serialize>(&self, found: Found<T>) -> Response {
        let next = found.next.map(|position| {
            let key = match position.key {
                Key::Time(time) => Value::from(time),
                Key::Text(text) => Value::from(text),
            };
            vec![key, Value::from(&position.id)]
        });
        self.answer(found.items, next)
    }

    /// The answer with these items; `next` is where the next page begins.
    pub(crate) fn answer<T: Serialize>(&self, items: Vec<T>, next: Option<Vec<Value>>) -> Response {
        let next = next.map(|values| self.services.cursors().seal(&self.name, &values));
        Page { items, next }.into_answer(&self.name, self.limit)
    }
}

/// What the parameters are; those of the filter come first.
impl<F: Listed> IntoParams for List<F> {
    fn into_params(provider: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameters = F::into_params(|| provider().or(Some(ParameterIn::Query)));
        let orders = F::ORDERS
            .iter()
            .flat_map(|(name, _)| [(*name).to_owned(), format!("-{name}")]);
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .minimum(Some(1))
            .maximum(Some(MOST))
            .default(Some(USUAL.into()));
        let query = |name: &str, about: &str, schema: ObjectBuilder| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(about))
                .schema(Some(schema))
                .build()
        };
        parameters.extend([
            query("limit", "At most so many items.", limit),
            query("cursor", "`next` of the page before.", text()),
            query(
                "sort",
                "By what it is sorted; with `-`, the greatest first.",
                text()
                    .enum_values(Some(orders))
                    .default(Some(usual::<F>().into())),
            ),
        ]);
        parameters
    }
}

fn order<F: Listed>(sort: Option<&str>) -> Result<(F::Order, bool), Problem> {
    let usual = usual::<F>();
    let sort = sort.unwrap_or(&usual);
    let (name, descending) = match sort.strip_prefix('-') {
        Some(name) => (name, true),
        None => (sort, false),
    };
    match F::ORDERS.iter().find(|(known, _)| *known == name) {
        Some((_, order)) => Ok((*order, descending)),
        None => {
            let known: Vec<_> = F::ORDERS.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            Err(invalid(
                "sort",
                format!("must be one of {known}, or one of them with `-` before it"),
            ))
        }
    }
}

/// The order in which a list is sorted unless another one is asked for.
fn usual<F: Listed>() -> String {
    let name = F::ORDERS.first().map(|(name, _)| *name).unwrap_or_default();
    match F::GREATEST_FIRST {
        true => format!("-{name}"),
        false => name.to_owned(),
    }
}

fn read_limit(text: &str) -> Result<u32, Problem> {
    match text.parse() {
        Ok(limit) if (1..=MOST).contains(&limit) => Ok(limit),
        _ => Err(invalid("limit", format!("must be from 1 to {MOST}"))),
    }
}

fn name(path: &str, sort: Option<&str>, filters: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(filters.to_owned());
    if let Some(sort) = sort {
        query.append_pair("sort", sort);
    }
    let query = query.finish();
    match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{query}"),
    }
}

fn of_another() -> Problem {
    invalid("cursor", "is of another list".to_owned())
}

fn invalid(parameter: &str, detail: String) -> Problem {
    Problem::invalid(vec![FieldError {
        pointer: parameter.to_owned(),
        detail,
    }])
}
