//! `any_of` of a policy: several ways to say who is calling.

use super::IDENTIFYING;
use super::credential::REQUIRED;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::AnyOf;
use crate::node::{Node, Value};
use crate::section::check::Declared;
use crate::shape::{Record, Shape, field};
use crate::suggest::quote;
use crate::value::text::NAME;

pub(in crate::section) static ANY_OF: Record = Record {
    name: "any_of",
    about: "Several ways to say who is calling, of which one is enough.",
    fields: &[
        field(
            "policies",
            Shape::List {
                items: &Shape::Text(&NAME),
                least: 2,
            },
            "Names of policies that say who is calling, in the order in which they are tried.",
        )
        .required(),
        REQUIRED,
    ],
};

pub(in crate::section) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    declared: &mut Declared,
) -> Option<AnyOf> {
    if let Value::Sequence(items) = &cursor.node.value {
        report_bare_list(context, cursor, items, declared);
        return None;
    }
    let object = Object::open(context, cursor)?;
    let is_required = object.get("required")?.boolean(context);
    let mut policies = Vec::new();
    let mut places = Vec::new();
    for item in object.written("policies")?.items(context) {
        let Some(name) = item.text(context) else {
            continue;
        };
        let Some(index) = declared.use_policy(name) else {
            let help = context.suggest(name, declared.policy_names(), "policies");
            let message = format!("there is no policy {}", quote(name));
            context.report(item.error(codes::UNKNOWN_POLICY, message).help(help));
            continue;
        };
        match declared.policy_kinds[index] {
            Some("any_of") => {
                let message = format!("{} is an `any_of` itself", quote(name));
                let finding = item.error(codes::CONFLICT, message);
                context.report(finding.help("list its policies here"));
            }
            Some(kind) if !IDENTIFYING.contains(&kind) => {
                let message = format!(
                    "{} does not say who is calling: it is a `{kind}` policy",
                    quote(name)
                );
                let finding = item.error(codes::CONFLICT, message);
                context.report(finding.help("list such policies on the route"));
            }
            _ => {}
        }
        places.push((index, item.span()));
        policies.push(index);
    }
    context.report_repeated(places, |_, first| {
        Finding::error(codes::LISTED_TWICE, "this policy is listed twice")
            .help(format!("the first is at {first}"))
    });
    Some(AnyOf {
        policies,
        is_required: is_required?,
    })
}

/// The policies themselves in place of the mapping: those that stand there are used all the same.
fn report_bare_list(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    items: &[Node],
    declared: &mut Declared,
) {
    const SHOWN: usize = 8;
    let name = |item: &Node| match &item.value {
        Value::Scalar { text, .. } => Some(text.as_ref().to_owned()),
        Value::Sequence(_) | Value::Mapping(_) => None,
    };
    let names: Vec<String> = items.iter().filter_map(name).collect();
    for name in &names {
        declared.use_policy(name);
    }
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| bare(name)).collect();
    if names.len() > SHOWN {
        shown.push("…".to_owned());
    }
    let message = "expected a mapping, found a list";
    let help = format!("write `any_of: {{ policies: [{}] }}`", shown.join(", "));
    context.report(cursor.error(codes::WRONG_TYPE, message).help(help));
}

/// A name as it stands within a longer quotation.
fn bare(name: &str) -> String {
    quote(name).trim_matches('`').to_owned()
}
