//! What programs can ask of a request and a response, as JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use weir_core::Principal;
use weir_transform::quote;

use crate::fields::Fields;
use crate::message::{RequestHead, ResponseHead};
use crate::record::Recorder;
use crate::router;
use crate::transform::Matched;

/// Of the request as it came, before rules changed its fields.
pub(crate) fn request_facts(matched: &Matched<'_>, head: &RequestHead, record: &Recorder) -> Bytes {
    let mut out = String::with_capacity(1024);
    for (name, value) in [
        ("id", &*record.id.to_string()),
        ("method", head.method.as_str()),
        ("scheme", matched.client.scheme()),
        ("host", matched.host),
        ("path", matched.path),
        ("client", &*record.client_address.to_canonical().to_string()),
        ("route", &*matched.route.name),
    ] {
        out.push(if out.is_empty() { '{' } else { ',' });
        entry(name, value.as_bytes(), &mut out);
    }
    out.push_str(",\"captures\":");
    let captures = matched.captures.iter();
    object(
        captures.map(|(name, value)| (name, value.as_bytes())),
        &mut out,
    );
    out.push_str(",\"query\":");
    let query = router::query_parameters(head.query.as_deref().unwrap_or_default());
    let query: BTreeMap<String, Vec<u8>> = query.collect();
    object(
        query.iter().map(|(name, value)| (&**name, &**value)),
        &mut out,
    );
    out.push_str(",\"headers\":");
    headers(&head.fields, &mut out);
    out.push_str(",\"principal\":");
    let principal = record.known.as_deref().map(|known| &known.principal);
    out.push_str(&principal.map_or(Value::Null, caller).to_string());
    out.push('}');
    Bytes::from(out)
}

fn caller(principal: &Principal) -> Value {
    json!({
        "subject": &*principal.subject,
        "issuer": principal.issuer.as_deref(),
        "organization": principal.organization.as_deref(),
        "scopes": principal.scopes,
        "roles": principal.roles,
        "method": principal.method.as_str(),
        "claims": principal.claims,
    })
}

pub(crate) fn response_facts(head: &ResponseHead) -> Bytes {
    let status = head.status.as_u16();
    let mut out = format!("{{\"status\":{status},\"headers\":");
    headers(&head.fields, &mut out);
    out.push('}');
    Bytes::from(out)
}

/// Each name once: of several lines one list (RFC 9110 §5.3).
fn headers(fields: &Fields, out: &mut String) {
    let mut joined: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for (name, value) in fields.iter() {
        let list = joined.entry(name.as_str()).or_default();
        if !list.is_empty() {
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(value.as_bytes());
    }
    object(joined.iter().map(|(name, value)| (*name, &**value)), out);
}

fn object<'a>(entries: impl Iterator<Item = (&'a str, &'a [u8])>, out: &mut String) {
    out.push('{');
    for (at, (name, value)) in entries.enumerate() {
        if at > 0 {
            out.push(',');
        }
        entry(name, value, out);
    }
    out.push('}');
}

fn entry(name: &str, value: &[u8], out: &mut String) {
    quote(name.as_bytes(), out);
    out.push(':');
    quote(value, out);
}
