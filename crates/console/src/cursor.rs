//! Cursors: where a list goes on. They are signed, so that nobody can make one up.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;
use weir_store::records::Value;

/// Bytes of a signature: half of HMAC-SHA-256's, which is enough against guessing.
const TAG: usize = 16;
/// Longer than any of ours.
const LONGEST: usize = 1024;

/// What cursors are signed with; the same on every node.
pub struct CursorKey(hmac::Key);

/// Text that is no cursor of this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor of this list: take `next` of a page of the same query")]
pub struct BadCursor;

impl CursorKey {
    /// From 32 bytes that nobody else knows.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A cursor behind the row with these values. `list` tells the list apart from every other: path,
    /// filters, order, whose it is.
    pub fn seal(&self, list: &str, values: &[Value]) -> String {
        let values: Vec<Json> = values.iter().map(to_json).collect();
        let mut bytes = Json::from(values).to_string().into_bytes();
        let tag = self.tag(list, &bytes);
        bytes.extend_from_slice(&tag.as_ref()[..TAG]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The values that a cursor of this list was made with.
    pub fn open(&self, list: &str, cursor: &str) -> Result<Vec<Value>, BadCursor> {
        if cursor.len() > LONGEST {
            return Err(BadCursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| BadCursor)?;
        let at = bytes.len().checked_sub(TAG).ok_or(BadCursor)?;
        let (values, tag) = bytes.split_at(at);
        verify_slices_are_equal(tag, &self.tag(list, values).as_ref()[..TAG])
            .map_err(|_| BadCursor)?;
        let values: Vec<Json> = serde_json::from_slice(values).map_err(|_| BadCursor)?;
        values.into_iter().map(of_json).collect()
    }

    fn tag(&self, list: &str, values: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&(list.len() as u64).to_be_bytes());
        context.update(list.as_bytes());
        context.update(values);
        context.sign()
    }
}

/// Rows are ordered by numbers, times and text.
fn to_json(value: &Value) -> Json {
    match value {
        Value::Int(number) => Json::from(*number),
        Value::Text(text) => Json::from(text.clone()),
        Value::Bool(_) | Value::Bytes(_) => Json::Null,
    }
}

fn of_json(value: Json) -> Result<Value, BadCursor> {
    match value {
        Json::Number(number) => number.as_i64().map(Value::from).ok_or(BadCursor),
        Json::String(text) => Ok(Value::from(text)),
        _ => Err(BadCursor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let key = CursorKey::new(&[7; 32]);
        let values = [Value::from(1_767_323_045_000_006_i64), Value::from("usr_ä")];
        let cursor = key.seal("/v1/users?sort=created_at", &values);
        assert_eq!(
            key.open("/v1/users?sort=created_at", &cursor),
            Ok(values.to_vec())
        );
        assert_eq!(key.open("/v1/users?sort=email", &cursor), Err(BadCursor));
        let other = CursorKey::new(&[8; 32]);
        assert_eq!(
            other.open("/v1/users?sort=created_at", &cursor),
            Err(BadCursor)
        );
    }

    #[test]
    fn no_changed_cursor_is_taken() {
        let key = CursorKey::new(&[7; 32]);
        let cursor = key.seal("list", &[Value::from(5_i64), Value::from("a")]);
        for at in 0..cursor.len() {
            for byte in [b'A', b'z', b'=', b' '] {
                let mut changed = cursor.clone().into_bytes();
                if changed[at] == byte {
                    continue;
                }
                changed[at] = byte;
                let changed = String::from_utf8(changed).unwrap_or_default();
                assert_eq!(key.open("list", &changed), Err(BadCursor), "{changed}");
            }
            assert_eq!(key.open("list", &cursor[..at]), Err(BadCursor));
        }
        assert_eq!(key.open("list", &"A".repeat(100_000)), Err(BadCursor));
    }
}
