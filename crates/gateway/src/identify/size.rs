//! About how much memory what is known of somebody takes.

use serde_json::Value;
use weir_core::Principal;

/// About how many bytes the texts take that say who it is, and those whose change makes it worthless.
pub(super) fn texts_size(principal: &Principal, about: &[Box<str>]) -> usize {
    let texts = principal.scopes.iter().chain(&principal.roles).chain(about);
    let texts: usize = texts.map(|text| text.len() + size_of::<Box<str>>()).sum();
    let claims: usize = principal
        .claims
        .iter()
        .map(|(name, value)| name.len() + size_of::<String>() + size_of_value(value))
        .sum();
    principal.subject.len() + texts + claims
}

fn size_of_value(value: &Value) -> usize {
    let inner = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size_of_value).sum(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| name.len() + size_of_value(value);
            members.iter().map(member).sum()
        }
    };
    size_of::<Value>() + inner
}
