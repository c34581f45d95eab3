//! Cedar rules of a policy.

use std::sync::Arc;

use weir_authorization::{Compiled, Schema, Source, compile};

use crate::codes;
use crate::decode::{Context, Cursor};
use crate::reference::Reference;
use crate::shape::{Shape, Text};
use crate::suggest::quote;
use crate::value::text::MATERIAL;

/// Rules, or where they are.
pub(super) static RULES: Text = Text {
    what: "Cedar rules, or `file:PATH`",
    pattern: None,
    examples: &["file:rules.cedar", "permit (principal, action, resource);"],
    loose: false,
};

static REFERENCE: Shape = Shape::Text(&MATERIAL);

/// Rules that speak of requests; `None` after a report, or if references are not resolved.
pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Arc<Compiled>> {
    let mut texts = Vec::new();
    for item in cursor.items(context) {
        let text = item.text(context)?;
        match Reference::parse(text) {
            None if is_bare_path(text) => {
                let message = format!("{} is no rule", quote(text));
                let finding = item.error(codes::BAD_CEDAR, message);
                context.report(finding.help(format!(
                    "rules of a file are written {}",
                    quote(&format!("file:{text}"))
                )));
                return None;
            }
            None => texts.push((item, "here".to_owned(), text.to_owned())),
            Some(_) => {
                let material = item.with(item.node, &REFERENCE).material(context)?;
                let rules = String::from_utf8_lossy(material.bytes.expose()).into_owned();
                let name = text.strip_prefix("file:").unwrap_or(text).to_owned();
                texts.push((item, name, rules));
            }
        }
    }
    let sources: Vec<Source<'_>> = texts
        .iter()
        .map(|(_, name, text)| Source { name, text })
        .collect();
    let compiled = Schema::requests()
        .map_err(|fault| vec![fault])
        .and_then(|schema| compile(&sources, &schema));
    match compiled {
        Ok(compiled) => Some(Arc::new(compiled)),
        Err(faults) => {
            for fault in faults {
                let item = texts.iter().find(|(_, name, _)| *name == fault.policy);
                let item = item.map_or(cursor, |(item, ..)| item);
                let place = format!("{}:{}:{}", fault.policy, fault.line, fault.column);
                let mut finding = item.error(codes::BAD_CEDAR, format!("{place}: {}", fault.text));
                finding.help = fault.help;
                context.report(finding);
            }
            None
        }
    }
}

/// Whether it can only be meant as the name of a file: no rule goes without brackets.
fn is_bare_path(text: &str) -> bool {
    !text.is_empty() && !text.starts_with("//") && !text.contains(['(', ' ', '\n'])
}
