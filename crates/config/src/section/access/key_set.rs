//! Key sets of issuers.

use std::sync::Arc;

use weir_jose::{Algorithm, KeySet};

use crate::codes;
use crate::contract::to_json;
use crate::decode::{Context, Cursor};
use crate::model::Keys;
use crate::node::Value;
use crate::shape::Shape;
use crate::value::text::MATERIAL;

static REFERENCE: Shape = Shape::Text(&MATERIAL);

/// Public keys, as they are or behind a reference; `None` after a report, or if references are not
/// resolved.
pub(super) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    algorithms: &[Algorithm],
) -> Option<Keys> {
    let parsed = match &cursor.node.value {
        Value::Mapping(_) => KeySet::parse(to_json(cursor.node).to_string().as_bytes()),
        _ => KeySet::parse(
            cursor
                .with(cursor.node, &REFERENCE)
                .material(context)?
                .bytes
                .expose(),
        ),
    };
    let (set, skipped) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let finding = cursor
                .error(
                    codes::BAD_KEY_SET,
                    format!("this is not a key set that can be used: {error}"),
                )
                .help("it is what the issuer publishes at its `jwks_uri`: `{\"keys\": […]}`");
            context.report(finding);
            return None;
        }
    };
    for one in &skipped {
        let finding = cursor
            .warning(
                codes::KEY_LEFT_OUT,
                format!(
                    "the key at {} of the set is left out: {}",
                    one.index, one.fault
                ),
            )
            .help("tokens that were signed with it are refused");
        context.report(finding);
    }
    let is_usable = |algorithm: Algorithm| algorithms.is_empty() || algorithms.contains(&algorithm);
    if !set.keys().iter().any(|key| is_usable(key.algorithm())) {
        let finding = cursor
            .error(codes::BAD_KEY_SET, "no key of the set can be used here")
            .help(
                "every token would be refused: look at `algorithms`, and at the `alg` of the keys",
            );
        context.report(finding);
        return None;
    }
    Some(Keys::Set(Arc::new(set)))
}

/// The algorithms of a list, each once.
pub(super) fn algorithms(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<Algorithm> {
    let mut algorithms = Vec::new();
    for item in cursor.items(context) {
        let name = item.choice(context);
        algorithms.extend(name.and_then(Algorithm::named));
    }
    algorithms.dedup();
    algorithms
}
