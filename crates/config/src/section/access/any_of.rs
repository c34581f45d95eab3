//! `any_of` of a policy: several ways to say who is calling.

use super::IDENTIFYING;
use super::credential::REQUIRED;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::AnyOf;
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
