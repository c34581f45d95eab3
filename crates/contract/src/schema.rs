//! A JSON Schema, compiled.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, Retrieve, Uri, ValidationError, Validator};
use serde_json::Value;

use crate::documents::{Documents, Fault, shown, uri};
use crate::json::Json;
use crate::node::{Node, Strict};
use crate::violation::{MOST, Place, Violation};

/// Steps that each check may take, whatever the size of the value.
const STEPS: u64 = 1_000_000;
/// And for each value in it.
const STEPS_A_VALUE: u64 = 64;
/// Steps for finding out what exactly is wrong.
const EXPLAINING_STEPS: u64 = 50_000;

/// How a schema is read.
#[derive(Clone, Copy, Debug)]
pub struct SchemaOptions {
    /// Whether `format` is checked. Without it, each draft's own rule holds.
    pub formats: bool,
}

/// A compiled schema.
pub struct Schema(Validator<Strict>);

impl std::fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Schema")
    }
}

impl From<Validator<Strict>> for Schema {
    fn from(validator: Validator<Strict>) -> Self {
        Self(validator)
    }
}

impl Schema {
    /// Compiles the main one of the documents, which is in the draft that `$schema` names, or 2020-12.
    pub fn compile(documents: &Documents, options: SchemaOptions) -> Result<Self, Fault> {
        let known = documents
            .all
            .iter()
            .map(|(path, document)| (uri(path), document.clone()))
            .collect();
        let base = uri(&documents.main);
        let settings = settings(options)
            .with_base_uri(base)
            .with_retriever(Known(Arc::new(known)));
        let compiled = settings.build(documents.main());
        compiled
            .map(Self::from)
            .map_err(|error| fault_of(&documents.main, &place(&error), &error))
    }

    /// What is wrong with a value, nothing if it is right.
    pub(crate) fn check(&self, json: &Json<'_>, place: Place) -> Result<(), Vec<Violation>> {
        let node = Node {
            value: &json.root,
            steps: &json.steps,
        };
        json.steps.set(STEPS + STEPS_A_VALUE * json.values);
        let is_valid = self.0.is_valid(node);
        if json.steps.get() == 0 {
            let detail = "checking it takes too many steps";
            return Err(vec![Violation::new(place, detail)]);
        }
        if is_valid {
            Ok(())
        } else {
            Err(self.explain(node, place))
        }
    }

    /// Checking that it is wrong is cheap; saying what is wrong looks into every branch, so that it
    /// may come to less: the first mistake, or the bare fact.
    fn explain(&self, node: Node<'_>, place: Place) -> Vec<Violation> {
        let left: &Cell<u64> = node.steps;
        left.set(EXPLAINING_STEPS);
        let mut all: Vec<Violation> = self
            .0
            .iter_errors(node)
            .take(MOST)
            .map(|error| violation(place, &error))
            .collect();
        if left.get() > 0 && !all.is_empty() {
            all.sort_by(|one, other| one.pointer.cmp(&other.pointer));
            return all;
        }
        left.set(EXPLAINING_STEPS);
        let first = self.0.validate(node).err();
        let first = first.map(|error| violation(place, &error));
        let first = first.filter(|_| left.get() > 0);
        vec![first.unwrap_or_else(|| Violation::new(place, "it does not match the schema"))]
    }
}

const PATTERN_HELP: &str = "patterns run in linear time here, which look-around and back-references \
     cannot, and repetitions of repetitions become too large; write the pattern without them, or split it with `allOf`";

/// What every schema is compiled with: nothing is fetched, and no pattern can take long.
pub(crate) fn settings<'i>(
    options: SchemaOptions,
) -> jsonschema::ValidationOptions<'i, Arc<dyn Retrieve>, Strict> {
    let settings = jsonschema::options_for::<Strict>()
        .offline()
        .with_pattern_options(PatternOptions::regex());
    if options.formats {
        settings.should_validate_formats(true)
    } else {
        settings
    }
}

/// Why a schema cannot be compiled.
pub(crate) fn fault_of(document: &str, pointer: &str, error: &ValidationError<'_>) -> Fault {
    let fault = Fault::new(document, pointer, reason(error));
    match error.kind() {
        ValidationErrorKind::Format { format } if format == "regex" => fault.help(PATTERN_HELP),
        _ => fault,
    }
}

/// The documents at hand.
struct Known(Arc<HashMap<String, Value>>);

impl Retrieve for Known {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let known = self.0.get(uri.as_str()).cloned();
        known.ok_or_else(|| "it is not here, and nothing is fetched".into())
    }
}

/// Where a schema has a mistake.
fn place(error: &ValidationError<'_>) -> String {
    error.instance_path().as_str().to_owned()
}

/// Why a schema cannot be compiled.
fn reason(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Format { format } if format == "regex" => {
            "the pattern cannot be used".to_owned()
        }
        _ => shown(&error.to_string()),
    }
}

fn violation(place: Place, error: &ValidationError<'_>) -> Violation {
    Violation::at(place, error.instance_path().as_str(), detail(error.kind()))
}

/// What is wrong, without the value that is wrong.
fn detail(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Type {
            kind: TypeKind::Single(one),
        } => format!("must be of type {one}"),
        Kind::Type {
            kind: TypeKind::Multiple(several),
        } => {
            let names: Vec<String> = several.iter().map(|one| one.to_string()).collect();
            format!("must be of one of the types {}", names.join(", "))
        }
        Kind::Required { property } => format!("lacks the member {property}"),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("must not have the member {}", listed(unexpected))
        }
        Kind::AdditionalItems { limit } => format!("must not have more than {limit} items"),
        Kind::UnevaluatedItems { .. } => "has an item that is not described".into(),
        Kind::AnyOf { .. } => "matches none of the alternatives".into(),
        Kind::OneOfNotValid { .. } => "matches none of the alternatives, of which one must".into(),
        Kind::OneOfMultipleValid { .. } => {
            "matches several of the alternatives, and must match one".into()
        }
        Kind::Constant { expected_value } => format!("must be {expected_value}"),
        Kind::Enum { options } => format!("must be one of {options}"),
        Kind::Contains => "has too few or too many items of the kind that it must contain".into(),
        Kind::ContentEncoding { content_encoding } => {
            format!("must be encoded as {content_encoding}")
        }
        Kind::ContentMediaType { content_media_type } => format!("must be {content_media_type}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be greater than {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::FalseSchema => "must not be there".into(),
        Kind::Format { format } => format!("must be in the format {format}"),
        Kind::FromUtf8 { .. } => "must be UTF-8".into(),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} members"),
        Kind::MinProperties { limit } => format!("must have at least {limit} members"),
        Kind::Not { .. } => "must not match the schema that is excluded".into(),
        Kind::Pattern { pattern } => format!("must match the pattern {pattern}"),
        Kind::PropertyNames { .. } => "has a member whose name is not allowed".into(),
        Kind::UniqueItems => "must not have an item twice".into(),
        Kind::Custom { message, .. } => message.clone(),
        Kind::BacktrackLimitExceeded { .. }
        | Kind::RegexEngineFailure { .. }
        | Kind::Referencing(_) => "cannot be checked".into(),
    }
}

fn listed(names: &[String]) -> String {
    let most = 5;
    let mut quoted: Vec<String> = names
        .iter()
        .take(most)
        .map(|name| format!("{name:?}"))
        .collect();
    if names.len() > most {
        quoted.push("…".into());
    }
    quoted.join(", ")
}

#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
