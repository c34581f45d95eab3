//! `validate` of a policy: what messages must look like.

use std::sync::Arc;

use weir_contract::{ApiOptions, Contract, Schema, SchemaOptions};

use crate::codes;
use crate::contract;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{RequestCheck, Validate};
use crate::shape::{Choice, Record, Shape, Text, choice, field};
use crate::value::http as grammar;

pub(super) static VALIDATE: Record = Record {
    name: "validate",
    about: "Checks messages against an OpenAPI document, or against JSON Schemas.",
    fields: &[
        field(
            "openapi",
            Shape::Text(&DOCUMENT),
            "OpenAPI document (3.0 or 3.1, YAML or JSON): `file:PATH`.",
        ),
        field(
            "prefix",
            Shape::Text(&grammar::PATH_PREFIX),
            "What is in front of the document's paths. Default: the path of its first server.",
        ),
        field(
            "undocumented",
            Shape::Choice(&UNDOCUMENTED),
            "What is done about paths and methods that the document does not have. Default: `refuse`.",
        ),
        field(
            "schema",
            Shape::Anything,
            "JSON Schema of request bodies: `file:PATH`, or the schema itself.",
        ),
        field(
            "response_schema",
            Shape::Anything,
            "JSON Schema of the bodies of responses with success.",
        ),
        field(
            "request",
            Shape::Choice(&REQUEST),
            "What is done about requests that do not match.",
        )
        .default("enforce"),
        field(
            "response",
            Shape::Choice(&RESPONSE),
            "What is done about responses that do not match.",
        )
        .default("off"),
        field(
            "body_bytes",
            Shape::Size {
                least: 1,
                most: 64 << 20,
            },
            "Longest body that is looked at. A longer request is refused, or passes unchecked under `report`.",
        )
        .default("1MiB"),
        field(
            "formats",
            Shape::Boolean,
            "Whether `format` is checked. `false`: where the schema's draft says so.",
        )
        .default("true"),
    ],
};

static DOCUMENT: Text = Text {
    what: "`file:PATH`",
    pattern: Some("^file:"),
    examples: &["file:openapi.yaml"],
    loose: false,
};

static UNDOCUMENTED: [Choice; 2] = [
    choice("refuse", "They break the contract."),
    choice("pass", "They pass unchecked."),
];

static REQUEST: [Choice; 3] = [
    choice("enforce", "They are refused."),
    choice("report", "They pass and are counted."),
    choice("off", "Nobody looks."),
];

static RESPONSE: [Choice; 2] = [
    choice("report", "They pass and are counted."),
    choice("off", "Nobody looks."),
];

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Arc<Validate>> {
    let object = Object::open(context, cursor)?;
    let request = object.get("request")?.choice(context);
    let response = object.get("response")?.choice(context);
    let body_bytes = object.get("body_bytes")?.size(context);
    let formats = object.get("formats")?.boolean(context);
    let by_document = object.written("openapi");
    if by_document.is_none()
        && ["schema", "response_schema"]
            .iter()
            .all(|key| object.written(key).is_none())
    {
        if !object.has_unknown() {
            let finding = Finding::error(codes::NOTHING_CHOSEN, "there is nothing to check by")
                .help("write `openapi`, `schema` or `response_schema`");
            object.report(context, cursor.span(), finding);
        }
        return None;
    }
    let request = match request? {
        "enforce" => RequestCheck::Enforce,
        "report" => RequestCheck::Report,
        _ => RequestCheck::Off,
    };
    let reports_responses = response? == "report";
    let options = SchemaOptions { formats: formats? };
    let contract = match by_document {
        Some(document) => by_openapi(context, &object, &document, options)?,
        None => by_schemas(context, &object, options)?,
    };
    report_useless(context, &object, &contract, reports_responses);
    Some(Arc::new(Validate {
        contract: Arc::new(contract),
        request,
        reports_responses,
        body_bytes: usize::try_from(body_bytes).unwrap_or(usize::MAX),
    }))
}

fn by_openapi(
    context: &mut Context<'_>,
    object: &Object<'_>,
    cursor: &Cursor<'_>,
    schemas: SchemaOptions,
) -> Option<Contract> {
    for key in ["schema", "response_schema"] {
        if object.written(key).is_some() {
            object.report_conflict(context, "openapi", key);
        }
    }
    let prefix = match object.written("prefix") {
        Some(cursor) => Some(cursor.parse(context, grammar::path_prefix)?),
        None => None,
    };
    let undocumented = match object.written("undocumented") {
        Some(cursor) => cursor.choice(context)?,
        None => "refuse",
    };
    let options = ApiOptions {
        prefix,
        refuses_undocumented: undocumented == "refuse",
        schemas,
    };
    let documents = contract::documents(context, cursor)?;
    let compiled = Contract::of_openapi(&documents, &options);
    compiled
        .map_err(|fault| contract::report(context, cursor, fault))
        .ok()
}

fn by_schemas(
    context: &mut Context<'_>,
    object: &Object<'_>,
    options: SchemaOptions,
) -> Option<Contract> {
    for key in ["prefix", "undocumented"] {
        if object.written(key).is_some() {
            let message = format!("`{key}` is about an OpenAPI document, and there is none");
            let finding =
                Finding::error(codes::CONFLICT, message).help("write `openapi`, or remove it");
            object.report(context, object.key_span(key), finding);
        }
    }
    let request = schema(context, object, "schema", options);
    let response = schema(context, object, "response_schema", options);
    Some(Contract::of_schemas(request?, response?))
}

/// The schema under a key; `Some(None)` if there is none, `None` after a report.
#[expect(
    clippy::option_option,
    reason = "nothing written and nothing usable are different"
)]
fn schema(
    context: &mut Context<'_>,
    object: &Object<'_>,
    key: &'static str,
    options: SchemaOptions,
) -> Option<Option<Schema>> {
    let Some(cursor) = object.written(key) else {
        return Some(None);
    };
    let documents = contract::documents(context, &cursor)?;
    match Schema::compile(&documents, options) {
        Ok(schema) => Some(Some(schema)),
        Err(fault) => {
            contract::report(context, &cursor, fault);
            None
        }
    }
}

/// Settings that do not go together.
fn report_useless(
    context: &mut Context<'_>,
    object: &Object<'_>,
    contract: &Contract,
    reports_responses: bool,
) {
    let is_by_schemas = object.written("openapi").is_none();
    if is_by_schemas && reports_responses != contract.judges_responses() {
        let (key, help) = if reports_responses {
            ("response", "write `response_schema`, or remove `response`")
        } else {
            (
                "response_schema",
                "write `response: report`, or remove `response_schema`",
            )
        };
        let message = "responses are not looked at";
        let finding = Finding::warning(codes::WITHOUT_EFFECT, message).help(help);
        object.report(context, object.key_span(key), finding);
    }
}
