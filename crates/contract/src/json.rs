//! JSON as messages have it, read strictly.
//!
//! What parsers disagree on is refused (RFC 8259 §4, §6): names that an object has twice, numbers
//! beyond what a double holds, values nested more than 127 deep. What passes means the same to every
//! reader behind the gateway.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::de::SliceRead;

/// A value; texts without escapes are slices of the message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value<'a> {
    #[default]
    Null,
    Boolean(bool),
    Number(Number),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Members<'a>),
}

/// Members of an object, sorted by name, each name once.
pub(crate) type Members<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// A value that can be checked.
#[derive(Debug)]
pub struct Json<'a> {
    pub(crate) root: Value<'a>,
    /// How many values there are.
    pub(crate) values: u64,
    /// Steps that checking may still take: see [`crate::node`].
    pub(crate) steps: Cell<u64>,
}

/// Why a text is not JSON, for whoever sent it; nothing of the text is repeated.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotJson(serde_json::Error);

impl<'a> Json<'a> {
    /// Reads a whole text.
    pub fn parse(text: &'a [u8]) -> Result<Self, NotJson> {
        let values = Cell::new(0);
        let mut reader = serde_json::Deserializer::new(SliceRead::new(text));
        let root = Reader { values: &values }.deserialize(&mut reader);
        let root = root.and_then(|root| reader.end().map(|()| root));
        Ok(Self {
            root: root.map_err(NotJson)?,
            values: values.get(),
            steps: Cell::new(0),
        })
    }

    /// A value made of a message's parts.
    pub(crate) fn of(root: Value<'a>) -> Self {
        Self {
            values: count(&root),
            root,
            steps: Cell::new(0),
        }
    }
}

fn count(value: &Value<'_>) -> u64 {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.iter().map(|(_, value)| count(value)).sum(),
        _ => 0,
    }
}

impl Value<'_> {
    /// The same with texts of its own.
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => Value::Boolean(value),
            Self::Number(number) => Value::Number(number),
            Self::String(text) => Value::String(Cow::Owned(text.into_owned())),
            Self::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Self::Object(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned()))
                    .collect(),
            ),
        }
    }
}

/// Sorts members by name; `None` if there are two of one name.
pub(crate) fn sort(mut members: Members<'_>) -> Option<Members<'_>> {
    members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let is_unique = members.windows(2).all(|pair| pair[0].0 != pair[1].0);
    is_unique.then_some(members)
}

#[derive(Clone, Copy)]
struct Reader<'c> {
    values: &'c Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        self.values.set(self.values.get() + 1);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value<'de>, E> {
        let number = Number::from_f64(value);
        number.map_or_else(
            || Err(E::custom("number out of range")),
            |number| Ok(Value::Number(number)),
        )
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = access.next_key_seed(Name)? {
            members.push((name, access.next_value_seed(self)?));
        }
        sort(members).map_or_else(
            || Err(serde::de::Error::custom("an object has a name twice")),
            |members| Ok(Value::Object(members)),
        )
    }
}

struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &[u8]) -> String {
        Json::parse(text).expect_err("it is refused").to_string()
    }

    #[test]
    fn texts_are_borrowed_and_members_are_sorted() {
        let json = Json::parse(br#"{"b": [1, -2, 0.5, true, null], "a": "x\ny"}"#).unwrap();
        let Value::Object(members) = &json.root else {
            panic!("an object");
        };
        assert_eq!(members[0].0, "a");
        assert!(matches!(&members[1].0, Cow::Borrowed("b")));
        assert!(matches!(&members[0].1, Value::String(Cow::Owned(text)) if text == "x\ny"));
        assert_eq!(json.values, 8);
        assert_eq!(Json::of(json.root.clone()).values, 8);
    }

    #[test]
    fn what_parsers_disagree_on_is_refused() {
        assert!(refusal(br#"{"role": "user", "role": "admin"}"#).contains("a name twice"));
        // The same name in another spelling.
        assert!(refusal(br#"{"role": 1, "r\u006fle": 2}"#).contains("a name twice"));
        assert!(refusal(b"[1e400]").contains("out of range"));
        for text in [
            &b"NaN"[..],
            b"[Infinity]",
            b"[01]",
            b"[1,]",
            b"{'a': 1}",
            b"[1] 2",
            b"",
            b"\xef\xbb\xbf1",
            b"\"\xff\"",
            b"\"\\ud800\"",
            b"\"\x01\"",
            b"// comment\n1",
            b"[+1]",
            b"[.5]",
        ] {
            refusal(text);
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(Json::parse(&nested(127)).is_ok());
        assert!(refusal(&nested(128)).contains("recursion"));
        assert!(refusal(&vec![b'['; 100_000]).contains("recursion"));
        assert!(refusal(br#"{"a":"#.repeat(100_000).as_slice()).contains("recursion"));
    }

    #[test]
    fn what_is_said_repeats_nothing() {
        assert!(!refusal(br#"{"canary": 1, "canary": 2}"#).contains("canary"));
        assert!(!refusal(b"canary").contains("canary"));
    }
}
