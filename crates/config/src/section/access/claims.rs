//! `claims`: what is asked of the claims of whoever calls.

use crate::decode::{Context, Cursor};
use crate::model::ClaimRule;
use crate::shape::Shape;
use crate::value::claim::{self, CLAIM};
use crate::value::text::{self, FREE};

pub(in crate::section) static CLAIMS: Shape = Shape::Map {
    names: &CLAIM,
    values: &Shape::OneOrMany(&Shape::Text(&FREE)),
};

pub(in crate::section) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<ClaimRule> {
    let mut rules = Vec::new();
    for entry in cursor.entries(context) {
        let items = entry.value.items(context).into_iter();
        let values: Vec<String> = items
            .filter_map(|item| item.parse(context, text::free))
            .collect();
        match claim::claim(entry.name) {
            Ok(claim) => rules.push(ClaimRule {
                claim,
                values: any_or(values),
            }),
            Err(fault) => context.report(entry.fault(fault)),
        }
    }
    rules
}

fn any_or(values: Vec<String>) -> Vec<String> {
    match values.iter().any(|value| value == "*") {
        true => Vec::new(),
        false => values,
    }
}
