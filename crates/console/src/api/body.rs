//! Bodies in JSON, and what is wrong with them.

use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};
use tokio::time::timeout;

use crate::problem::{FieldError, Problem};

const WITHIN: Duration = Duration::from_secs(10);

/// A body of so many MiB at most, as what it should be.
pub(crate) struct Body<T, const MOST: usize = 1>(pub(crate) T);

/// A merge patch (RFC 7396): what of a thing is to be different.
pub(crate) struct Patch(Map<String, Value>);

impl<T: DeserializeOwned, S: Sync, const MOST: usize> FromRequest<S> for Body<T, MOST> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let text = read(request.into_body(), MOST << 20).await?;
        Ok(Self(parse(&text)?))
    }
}

impl<S: Sync> FromRequest<S> for Patch {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Body::<_, 1>(patch) = Body::from_request(request, state).await?;
        Ok(Self(patch))
    }
}

impl Patch {
    /// What becomes of a thing: `current` is all of it that can be changed.
    ///
    /// # Errors
    /// 422 if that is not what such a thing can be.
    pub(crate) fn onto<T: Serialize + DeserializeOwned>(&self, current: &T) -> Result<T, Problem> {
        let mut value = serde_json::to_value(current).map_err(|error| {
            tracing::error!(%error, "a thing has no JSON form");
            Problem::internal()
        })?;
        merge(&mut value, &self.0);
        serde_path_to_error::deserialize(value)
            .map_err(|error| problem(error.path(), error.inner()))
    }
}

/// RFC 7396 §2.
fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(members) = target.as_object_mut() else {
        return;
    };
    for (name, value) in patch {
        match value {
            Value::Null => drop(members.remove(name)),
            Value::Object(inner) => merge(members.entry(name).or_insert(Value::Null), inner),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
}

/// The text of a body, as what it should be.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let mut parser = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut parser)
        .map_err(|error| problem(error.path(), error.inner()))?;
    parser.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// A body, whole, of at most so many bytes.
pub(super) async fn read(body: axum::body::Body, most: usize) -> Result<Bytes, Problem> {
    let read = timeout(WITHIN, to_bytes(body, most)).await;
    let read = read.map_err(|_| {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_timeout",
            "The request body did not arrive in time.",
        )
    })?;
    read.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("The request body is larger than {} MiB.", most >> 20),
        )
    })
}

fn problem(path: &Path, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        return not_json(error);
    }
    Problem::invalid(vec![FieldError {
        pointer: pointer(path),
        detail: detail(error),
    }])
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "bad_body",
        format!(
            "The request body is not JSON: see line {}, column {}.",
            error.line(),
            error.column()
        ),
    )
}

/// What was expected, without what was sent instead: it may be a secret in the wrong place.
fn detail(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    match text.split_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => {
            format!("must be {}", in_words(expected))
        }
        _ => text.to_owned(),
    }
}

/// What a value is to be, for who does not know the types of this program.
fn in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a map" => "an object",
        "a sequence" => "an array",
        "unit" => "null",
        expected if expected.starts_with("struct ") => "an object",
        expected if expected.starts_with("tuple ") => "an array",
        expected if expected.starts_with("variant of enum") || expected.starts_with("enum ") => {
            "a word of those that are known"
        }
        expected => expected,
    }
}

/// RFC 6901.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Seq { index } => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        name: String,
        #[serde(default)]
        inner: Inner,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        on: bool,
    }

    fn patched(patch: Value) -> Result<Thing, String> {
        let current = Thing {
            name: "a".to_owned(),
            inner: Inner {
                limit: Some(3),
                on: true,
            },
        };
        let patch = Patch(serde_json::from_value(patch).unwrap());
        patch
            .onto(&current)
            .map_err(|problem| problem.to_json()["errors"].to_string())
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let thing = patched(json!({"inner": {"limit": null}})).unwrap();
        assert_eq!(thing.name, "a");
        assert_eq!(
            thing.inner,
            Inner {
                limit: None,
                on: true
            }
        );
        let thing = patched(json!({"name": "b", "inner": null})).unwrap();
        assert_eq!((thing.name.as_str(), thing.inner), ("b", Inner::default()));
    }

    #[test]
    fn what_is_wrong_is_pointed_at_and_not_repeated() {
        let said = |patch| patched(patch).unwrap_err();
        let canary = said(json!({"inner": {"on": "canary"}}));
        assert_eq!(
            canary,
            r#"[{"pointer":"/inner/on","detail":"must be a boolean"}]"#
        );
        for limit in [json!("3"), json!(-1), json!(1.5)] {
            assert!(
                said(json!({"inner": {"limit": limit}})).contains("must be a whole number that")
            );
        }
        assert!(said(json!({"inner": 7})).contains("must be an object"));
        assert!(said(json!({"name": null})).contains("missing field `name`"));
        assert!(said(json!({"colour": 1})).contains("unknown field `colour`"));
    }
}
