//! What the interpreter needs of values: how they are made, and how to get at what is in them.

use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;
use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::{Exn, ValX};

use crate::arithmetic::{Error, Outcome};
use crate::json;
use crate::meter;
use crate::number::Number;
use crate::value::{Array, Object, Value};

impl jaq_core::ValT for Value {
    fn from_num(text: &str) -> Outcome {
        match Number::parse(text) {
            Some(number) => Ok(Self::Number(number)),
            None => Err(Error::str(format_args!("{text} is not a number"))),
        }
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> Outcome {
        let mut keyed = Vec::new();
        for (key, value) in entries {
            keyed.push((key.into_text()?, value));
        }
        Ok(Self::object(keyed))
    }

    fn key_values(self) -> BoxIter<'static, Result<(Self, Self), Error>> {
        match self {
            Self::Array(array) => {
                let items = Rc::unwrap_or_clone(array).items.into_iter().enumerate();
                Box::new(items.map(|(at, item)| Ok((Self::from(at), item))))
            }
            Self::Object(object) => {
                let entries = Rc::unwrap_or_clone(object).entries.into_iter();
                Box::new(entries.map(|(key, value)| Ok((Self::String(key), value))))
            }
            other => box_once(Err(Error::typ(other, ITERABLE))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = Outcome>> {
        match self {
            Self::Array(array) => Box::new(Rc::unwrap_or_clone(array).items.into_iter().map(Ok)),
            Self::Object(object) => {
                Box::new(Rc::unwrap_or_clone(object).entries.into_values().map(Ok))
            }
            other => box_once(Err(Error::typ(other, ITERABLE))),
        }
    }

    fn index(self, index: &Self) -> Outcome {
        Ok(self.get(index)?.unwrap_or_default())
    }

    fn range(self, range: Range<Option<&Self>>) -> Outcome {
        match self {
            Self::Null => Ok(Self::Null),
            Self::Array(array) => {
                let (from, to) = bounds(range, array.items.len())?;
                Ok(Self::array(array.items[from..to].iter().cloned()))
            }
            Self::String(text) => {
                let (from, to) = characters(range, &text)?;
                Ok(Self::String(text.slice(from..to)))
            }
            other => Err(Error::typ(other, "array or string")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        change: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self {
            Self::Array(array) => {
                let items = Rc::unwrap_or_clone(array).items.into_iter();
                items.flat_map(change).collect()
            }
            Self::Object(object) => {
                let mut entries = Vec::new();
                for (key, value) in Rc::unwrap_or_clone(object).entries {
                    if let Some(value) = change(value).next() {
                        entries.push((key, value?));
                    }
                }
                Ok(Self::object(entries))
            }
            other => opt.fail(other, |other| Exn::from(Error::typ(other, ITERABLE))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        change: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let over = || Exn::from(Error::new(Self::Null));
        match (self, index) {
            (value @ (Self::String(_) | Self::Array(_)), Self::Object(range)) => {
                let (from, to) = (
                    range.entries.get(&b"start"[..]),
                    range.entries.get(&b"end"[..]),
                );
                value.map_range(from..to, opt, change)
            }
            (Self::Object(mut object), Self::String(key)) => {
                let inner = Object::own(&mut object).ok_or_else(over)?;
                let former = inner.lift(key);
                let is_new = former.is_none();
                match change(former.unwrap_or_default()).next().transpose()? {
                    Some(value) => inner.put(key.clone(), value),
                    None if !is_new => inner.close(key),
                    None => {}
                }
                Ok(object.into())
            }
            (Self::Array(mut array), Self::Number(at)) => {
                let length = array.items.len();
                let Some(at) = at.as_index().and_then(|at| absolute(at, length)) else {
                    let outside =
                        || Exn::from(Error::str(format_args!("index {index} out of bounds")));
                    return opt.fail(array.into(), |_| outside());
                };
                let inner = Array::own(&mut array).ok_or_else(over)?;
                match change(inner.lift(at)).next().transpose()? {
                    Some(item) => inner.put(at, item),
                    None => inner.close(at),
                }
                Ok(array.into())
            }
            (Self::Null, Self::String(key)) => match change(Self::Null).next().transpose()? {
                Some(value) => Ok(Self::object([(key.clone(), value)])),
                None => Ok(Self::Null),
            },
            (other, index) => {
                opt.fail(other, |other| Exn::from(Error::index(other, index.clone())))
            }
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<Option<&Self>>,
        opt: Opt,
        change: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let Self::Array(mut array) = self else {
            return opt.fail(self, |other| Exn::from(Error::typ(other, "array")));
        };
        let (from, to) = match bounds(range, array.items.len()) {
            Ok(bounds) => bounds,
            Err(error) => return opt.fail(array.into(), |_| Exn::from(error)),
        };
        let part = Self::array(array.items[from..to].iter().cloned());
        let part = match change(part).next().transpose()? {
            None => Rc::default(),
            Some(Self::Array(part)) => part,
            Some(other) => return Err(Exn::from(Error::typ(other, "array"))),
        };
        let inner = Array::own(&mut array).ok_or_else(|| Exn::from(Error::new(Self::Null)))?;
        inner.change(|items| drop(items.splice(from..to, part.items.iter().cloned())));
        Ok(array.into())
    }

    fn as_bool(&self) -> bool {
        !matches!(self, Self::Null | Self::Boolean(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::String(_) => self,
            other => Self::string(json::to_text(&other)),
        }
    }
}

const ITERABLE: &str = "iterable (array or object)";

impl Value {
    /// What is there, if something is.
    pub(crate) fn get(self, index: &Self) -> Result<Option<Self>, Error> {
        Ok(match (self, index) {
            (Self::Null, Self::Null | Self::String(_) | Self::Number(_) | Self::Object(_)) => None,
            (Self::Object(object), Self::String(key)) => object.entries.get(key).cloned(),
            (Self::Array(array), Self::Number(at)) => {
                let at = at.as_index().and_then(|at| absolute(at, array.items.len()));
                at.map(|at| array.items[at].clone())
            }
            (Self::Array(array), Self::Array(part)) => {
                let places = places(&array.items, &part.items);
                Some(Self::array(places.into_iter().map(Self::from)))
            }
            (value @ (Self::String(_) | Self::Array(_)), Self::Object(range)) => {
                let (from, to) = (
                    range.entries.get(&b"start"[..]),
                    range.entries.get(&b"end"[..]),
                );
                return jaq_core::ValT::range(value, from..to).map(Some);
            }
            (value, index) => return Err(Error::index(value, index.clone())),
        })
    }

    pub(crate) fn into_text(self) -> Result<Bytes, Error> {
        match self {
            Self::String(text) => Ok(text),
            other => Err(Error::typ(other, "string")),
        }
    }
}

/// Where a part begins in the whole.
pub(crate) fn places(items: &[Value], part: &[Value]) -> Vec<usize> {
    let work = (items.len() as u64).saturating_mul(part.len() as u64);
    if part.is_empty() || !meter::work(work.saturating_mul(64)) {
        return Vec::new();
    }
    let windows = items.windows(part.len()).enumerate();
    windows
        .filter_map(|(at, window)| (window == part).then_some(at))
        .collect()
}

/// An index from the start, of one that may be from the end.
fn absolute(at: i64, length: usize) -> Option<usize> {
    let at = if at < 0 { at + length as i64 } else { at };
    usize::try_from(at).ok().filter(|at| *at < length)
}

/// Where a slice begins and ends.
fn bounds(range: Range<Option<&Value>>, length: usize) -> Result<(usize, usize), Error> {
    let place = |at: Option<&Value>, otherwise: usize| match at {
        None | Some(Value::Null) => Ok(otherwise),
        Some(Value::Number(number)) => {
            let at = number.as_index().unwrap_or(0);
            let at = if at < 0 {
                at.saturating_add(length as i64)
            } else {
                at
            };
            Ok(usize::try_from(at).unwrap_or(0).min(length))
        }
        Some(other) => Err(Error::typ(other.clone(), "integer")),
    };
    let from = place(range.start, 0)?;
    Ok((from, place(range.end, length)?.max(from)))
}

/// Where a slice of characters begins and ends, in bytes.
fn characters(range: Range<Option<&Value>>, text: &[u8]) -> Result<(usize, usize), Error> {
    let text = str::from_utf8(text).map_err(Error::str)?;
    meter::work(text.len() as u64);
    let (from, to) = bounds(range, text.chars().count())?;
    let place = |at| text.char_indices().nth(at).map_or(text.len(), |(at, _)| at);
    Ok((place(from), place(to)))
}

impl jaq_std::ValT for Value {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::Array(array) => {
                // Sorting compares each with a few dozen others at most.
                meter::work(array.items.len() as u64 * 16);
                Ok(Rc::unwrap_or_clone(array).items.into_iter().collect())
            }
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        matches!(self, Self::Number(number) if number.as_integer().is_some())
    }

    fn as_isize(&self) -> Option<isize> {
        match self {
            Self::Number(number) => isize::try_from(number.as_integer()?).ok(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number.as_f64()),
            _ => None,
        }
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::String(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::String(text) => {
                // Whoever asks reads all of it.
                meter::work(text.len() as u64);
                Some(text)
            }
            _ => None,
        }
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        match self {
            Self::String(text) => Self::String(text.slice_ref(part)),
            other => other.clone(),
        }
    }

    fn from_utf8_bytes(text: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::string(Bytes::copy_from_slice(text.as_ref()))
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<isize> for Value {
    fn from(integer: isize) -> Self {
        Self::Number(Number::Integer(integer as i64))
    }
}

impl From<usize> for Value {
    fn from(integer: usize) -> Self {
        match i64::try_from(integer) {
            Ok(integer) => Self::Number(Number::Integer(integer)),
            Err(_) => Self::Number(Number::Float(integer as f64)),
        }
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Number(Number::Float(float))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::string(text)
    }
}

impl From<Range<Option<Self>>> for Value {
    fn from(range: Range<Option<Self>>) -> Self {
        let ends = [("start", range.start), ("end", range.end)];
        let ends = ends.into_iter();
        Self::object(ends.filter_map(|(name, at)| Some((Bytes::from_static(name.as_bytes()), at?))))
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<T: IntoIterator<Item = Self>>(items: T) -> Self {
        Self::array(items)
    }
}

impl fmt::Display for Value {
    /// Its kind: the interpreter writes values into messages of errors only, and those end up in logs.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        })
    }
}
