//! `cors` of a policy.

use http::{HeaderName, Method};

use super::headers::report_twice;
use super::origins;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{Cors, CorsHeaders};
use crate::origin::Origins;
use crate::shape::{Record, Shape, Text, field};
use crate::value::http::{self as grammar, METHOD};

static ORIGIN: Text = Text {
    what: "`any`, or an origin such as `https://app.example.com`",
    pattern: None,
    examples: &["any", "https://app.example.com", "https://*.example.com"],
    loose: false,
};

static HEADER_OR_ANY: Text = Text {
    what: "`any`, or a header name",
    pattern: Some("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"),
    examples: &["any", "content-type", "authorization"],
    loose: false,
};

pub(super) static CORS: Record = Record {
    name: "cors",
    about: "Which sites' scripts may call, and read the answers.",
    fields: &[
        field(
            "origins",
            Shape::OneOrMany(&Shape::Text(&ORIGIN)),
            "Sites that may: origins, all subdomains of one with `*.`, or `any`.",
        )
        .required(),
        field(
            "methods",
            Shape::OneOrMany(&Shape::Text(&METHOD)),
            "Methods that they may use.",
        )
        .default("[GET, HEAD, POST]"),
        field(
            "headers",
            Shape::OneOrMany(&Shape::Text(&HEADER_OR_ANY)),
            "Request headers that they may send, or `any`.",
        )
        .default("[content-type]"),
        field(
            "expose",
            Shape::List {
                items: &Shape::Text(&grammar::HEADER_NAME),
                least: 0,
            },
            "Response headers that they may read, beside those that all may.",
        )
        .default("[]"),
        field(
            "credentials",
            Shape::Boolean,
            "Whether they may send cookies, client certificates and HTTP authentication.",
        )
        .default("false"),
        field(
            "max_age",
            Shape::Duration { zero: true },
            "How long a browser may remember what it may do.",
        )
        .default("10m"),
        field(
            "private_network",
            Shape::Boolean,
            "Whether public sites may call although this server is in a private network.",
        )
        .default("false"),
    ],
};

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Cors> {
    let object = Object::open(context, cursor)?;
    let origins = object
        .written("origins")
        .and_then(|cursor| decode_origins(context, &cursor));
    let methods = decode_methods(context, &object.get("methods")?);
    let headers = decode_headers(context, &object.get("headers")?);
    let expose = decode_names(context, &object.get("expose")?);
    let credentials = object.get("credentials")?.boolean(context);
    let max_age = object.get("max_age")?.duration(context);
    let private_network = object.get("private_network")?.boolean(context);
    if origins == Some(Origins::Any) && credentials == Some(true) {
        let message = "`credentials` cannot stand beside `origins: any`";
        let finding = Finding::error(codes::CONFLICT, message)
            .help("every site could act with the visitor's session: list the origins that may");
        object.report(context, object.key_span("credentials"), finding);
    }
    Some(Cors {
        origins: origins?,
        methods,
        headers,
        expose,
        credentials: credentials?,
        max_age,
        private_network: private_network?,
    })
}

fn decode_origins(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Origins> {
    let items = cursor.items(context);
    if takes_any(context, &items) {
        return Some(Origins::Any);
    }
    origins::listed(context, items)
}

/// Whether the word `any` stands there, alone; reports one in company.
fn takes_any(context: &mut Context<'_>, items: &[Cursor<'_>]) -> bool {
    let is_any = |item: &&Cursor<'_>| match &item.node.value {
        crate::node::Value::Scalar { text, .. } => text.as_ref() == "any",
        _ => false,
    };
    let Some(any) = items.iter().find(is_any) else {
        return false;
    };
    if items.len() > 1 {
        let finding = any
            .error(codes::CONFLICT, "`any` cannot stand beside others")
            .help("keep `any` alone, or list the ones that you mean");
        context.report(finding);
    }
    true
}

fn decode_methods(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<Method> {
    let mut methods = Vec::new();
    let mut places = Vec::new();
    for item in cursor.items(context) {
        if let Some(method) = item.parse(context, grammar::method) {
            places.push((method.clone(), item.span()));
            methods.push(method);
        }
    }
    context.report_repeated(places, |method, first| {
        Finding::error(codes::LISTED_TWICE, format!("`{method}` is listed twice"))
            .help(format!("the first is at {first}"))
    });
    methods
}

fn decode_headers(context: &mut Context<'_>, cursor: &Cursor<'_>) -> CorsHeaders {
    let items = cursor.items(context);
    if takes_any(context, &items) {
        return CorsHeaders::Any;
    }
    CorsHeaders::These(names(context, items))
}

fn decode_names(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<HeaderName> {
    let items = cursor.items(context);
    names(context, items)
}

fn names(context: &mut Context<'_>, items: Vec<Cursor<'_>>) -> Vec<HeaderName> {
    let mut names = Vec::new();
    let mut places = Vec::new();
    for item in items {
        if let Some(name) = item.parse(context, grammar::header_name) {
            places.push((name.clone(), item.span()));
            names.push(name);
        }
    }
    report_twice(context, places);
    names
}
