//! One value within a frame: whether there is one, then what its column's kind says.

use crate::records::{Kind, Value};

pub(super) fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Bool(value) => encode_fixed(value.map(|value| [u8::from(value)]), out),
        Value::Int(value) => encode_fixed(value.map(i64::to_be_bytes), out),
        Value::Text(value) => encode_bytes(value.as_deref().map(str::as_bytes), out),
        Value::Bytes(value) => encode_bytes(value.as_deref(), out),
    }
}

fn encode_fixed<const N: usize>(value: Option<[u8; N]>, out: &mut Vec<u8>) {
    out.push(u8::from(value.is_some()));
    out.extend_from_slice(value.as_ref().map_or(&[], |bytes| bytes));
}

fn encode_bytes(value: Option<&[u8]>, out: &mut Vec<u8>) {
    out.push(u8::from(value.is_some()));
    if let Some(bytes) = value {
        out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        out.extend_from_slice(bytes);
    }
}

/// Takes a value off the front; nothing if there is none of this kind.
pub(super) fn decode(kind: Kind, bytes: &mut &[u8]) -> Option<Value> {
    let is_there = match take::<1>(bytes)? {
        [0] => false,
        [1] => true,
        _ => return None,
    };
    if !is_there {
        return Some(match kind {
            Kind::Bool => Value::Bool(None),
            Kind::Int => Value::Int(None),
            Kind::Text => Value::Text(None),
            Kind::Bytes => Value::Bytes(None),
        });
    }
    Some(match kind {
        Kind::Bool => Value::from(take::<1>(bytes)? != [0]),
        Kind::Int => Value::from(i64::from_be_bytes(take(bytes)?)),
        Kind::Text => Value::from(std::str::from_utf8(take_bytes(bytes)?).ok()?),
        Kind::Bytes => Value::from(take_bytes(bytes)?),
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u64::from_be_bytes(take(bytes)?)).ok()?;
    let (first, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back() {
        for (kind, value) in [
            (Kind::Bool, Value::from(true)),
            (Kind::Bool, Value::from(false)),
            (Kind::Bool, Value::Bool(None)),
            (Kind::Int, Value::from(i64::MIN)),
            (Kind::Int, Value::from(i64::MAX)),
            (Kind::Int, Value::Int(None)),
            (Kind::Text, Value::from("")),
            (Kind::Text, Value::from("Zoë \u{1f980}")),
            (Kind::Text, Value::Text(None)),
            (Kind::Bytes, Value::from(vec![0, 255])),
            (Kind::Bytes, Value::from(Vec::new())),
            (Kind::Bytes, Value::Bytes(None)),
        ] {
            let mut bytes = Vec::new();
            encode(&value, &mut bytes);
            let mut rest = &bytes[..];
            assert_eq!(decode(kind, &mut rest), Some(value.clone()));
            assert!(rest.is_empty());
            // Cut off anywhere, it is no value.
            for end in 0..bytes.len() {
                assert_eq!(decode(kind, &mut &bytes[..end]), None, "{value:?}");
            }
        }
        assert_eq!(
            decode(Kind::Text, &mut &[1, 0, 0, 0, 0, 0, 0, 0, 1, 255][..]),
            None
        );
        assert_eq!(decode(Kind::Int, &mut &[2][..]), None);
    }
}
