//! What goes into a statement.

use jiff::Timestamp;
use weir_core::{Id, TenantId};

/// A value of a column; nothing in it is a null of that kind.
///
/// Points in time are whole microseconds since 1970, on both engines alike.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A boolean.
    Bool(Option<bool>),
    /// A whole number.
    Int(Option<i64>),
    /// Text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
}

macro_rules! value_from {
    ($($kind:ident: $($from:ty => $convert:expr),+;)+) => {$($(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                let convert: fn($from) -> _ = $convert;
                Self::$kind(Some(convert(value)))
            }
        }

        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Self {
                let convert: fn($from) -> _ = $convert;
                Self::$kind(value.map(convert))
            }
        }
    )+)+};
}

value_from! {
    Bool: bool => |value| value;
    Int: i64 => |value| value, i32 => i64::from, u32 => i64::from,
        Timestamp => |time| time.as_microsecond();
    Text: String => |value| value, &str => str::to_owned, &String => Clone::clone,
        &Id => |id| id.as_str().to_owned(), Id => String::from,
        &TenantId => |tenant| tenant.as_str().to_owned();
    Bytes: Vec<u8> => |value| value, &[u8] => <[u8]>::to_vec;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_null_of_its_own() {
        assert_eq!(Value::from(None::<Timestamp>), Value::Int(None));
        assert_eq!(Value::from(None::<&str>), Value::Text(None));
        assert_eq!(Value::from(Some(true)), Value::Bool(Some(true)));
        let time: Timestamp = "2026-01-02T03:04:05.000006Z".parse().unwrap();
        assert_eq!(Value::from(time), Value::Int(Some(1_767_323_045_000_006)));
    }
}
