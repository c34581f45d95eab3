//! `+`, `-`, `*`, `/` and `%`, as jq has them.

use std::collections::BTreeSet;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use jaq_core::ops::Math;

use crate::meter;
use crate::value::{Array, Object, Value};

pub(crate) type Error = jaq_core::Error<Value>;
pub(crate) type Outcome = Result<Value, Error>;

/// What the operators return once the run is over; nobody gets to see it.
fn over() -> Error {
    Error::new(Value::Null)
}

/// An operator's step: the interpreter has loops of its own that do nothing else.
fn step() -> Result<(), Error> {
    if meter::step() { Ok(()) } else { Err(over()) }
}

impl Add for Value {
    type Output = Outcome;

    fn add(self, other: Self) -> Outcome {
        step()?;
        match (self, other) {
            (Self::Null, value) | (value, Self::Null) => Ok(value),
            (Self::Number(left), Self::Number(right)) => {
                let sum = left.combine(&right, i64::checked_add, Add::add);
                Ok(Self::Number(sum))
            }
            (Self::String(left), Self::String(right)) => concatenate(left, &right),
            (Self::Array(mut left), Self::Array(right)) => {
                Array::own(&mut left).ok_or_else(over)?.extend(&right.items);
                Ok(left.into())
            }
            (Self::Object(mut left), Self::Object(right)) => {
                let object = Object::own(&mut left).ok_or_else(over)?;
                for (key, value) in &right.entries {
                    step()?;
                    object.put(key.clone(), value.clone());
                }
                Ok(left.into())
            }
            (left, right) => Err(Error::math(left, Math::Add, right)),
        }
    }
}

/// Without a copy of the first one, if nobody else has it: strings are built so.
fn concatenate(left: Bytes, right: &Bytes) -> Outcome {
    let left = match left.try_into_mut() {
        Ok(left) => left,
        Err(shared) => {
            if !meter::take(shared.len() as u64) || !meter::work(shared.len() as u64) {
                return Err(over());
            }
            BytesMut::from(&*shared)
        }
    };
    let mut left = left;
    if !meter::take(right.len() as u64) || !meter::holds((left.len() + right.len()) as u64) {
        return Err(over());
    }
    left.extend_from_slice(right);
    Ok(Value::String(left.freeze()))
}

impl Sub for Value {
    type Output = Outcome;

    fn sub(self, other: Self) -> Outcome {
        step()?;
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => {
                let difference = left.combine(&right, i64::checked_sub, Sub::sub);
                Ok(Self::Number(difference))
            }
            (Self::Array(mut left), Self::Array(right)) => {
                let unwanted: BTreeSet<&Self> = right.items.iter().collect();
                let array = Array::own(&mut left).ok_or_else(over)?;
                array.change(|items| items.retain(|item| !unwanted.contains(item)));
                Ok(left.into())
            }
            (left, right) => Err(Error::math(left, Math::Sub, right)),
        }
    }
}

impl Mul for Value {
    type Output = Outcome;

    fn mul(self, other: Self) -> Outcome {
        step()?;
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => {
                let product = left.combine(&right, i64::checked_mul, Mul::mul);
                Ok(Self::Number(product))
            }
            (Self::String(text), Self::Number(times))
            | (Self::Number(times), Self::String(text)) => repeat(&text, times.as_f64()),
            (Self::Object(left), Self::Object(right)) => merge(left, &right),
            (left, right) => Err(Error::math(left, Math::Mul, right)),
        }
    }
}

/// Null unless it is repeated at all.
fn repeat(text: &Bytes, times: f64) -> Outcome {
    if times.is_nan() || times <= 0.0 {
        return Ok(Value::Null);
    }
    // The nearest number that there is, for what is too large in any case.
    let times = (times.ceil() as u64).max(1);
    let length = (text.len() as u64).saturating_mul(times);
    if !meter::holds(length) || !meter::take(length) || !meter::work(length) {
        return Err(over());
    }
    let times = usize::try_from(times).map_err(|_| over())?;
    Ok(Value::String(Bytes::from(
        text.repeat(if text.is_empty() { 0 } else { times }),
    )))
}

/// Objects within objects are merged as well.
fn merge(mut left: Rc<Object>, right: &Object) -> Outcome {
    let object = Object::own(&mut left).ok_or_else(over)?;
    for (key, value) in &right.entries {
        step()?;
        let merged = match (object.lift(key), value) {
            (Some(Value::Object(former)), Value::Object(value)) => merge(former, value)?,
            (_, value) => value.clone(),
        };
        object.put(key.clone(), merged);
    }
    Ok(left.into())
}

impl Div for Value {
    type Output = Outcome;

    fn div(self, other: Self) -> Outcome {
        step()?;
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => {
                let exact = |left: i64, right: i64| {
                    (right != 0 && left.checked_rem(right) == Some(0)).then(|| left / right)
                };
                Ok(Self::Number(left.combine(&right, exact, Div::div)))
            }
            (Self::String(text), Self::String(separator)) => Ok(split(&text, &separator)),
            (left, right) => Err(Error::math(left, Math::Div, right)),
        }
    }
}

/// Parts of a text; its characters, if nothing separates them.
fn split(text: &Bytes, separator: &[u8]) -> Value {
    let text_of = |part: &[u8]| Value::String(text.slice_ref(part));
    if text.is_empty() {
        return Value::array([]);
    }
    let Ok(plain) = std::str::from_utf8(text) else {
        return Value::array([Value::String(text.clone())]);
    };
    match std::str::from_utf8(separator) {
        Ok("") => {
            let ends = plain.char_indices();
            let parts = ends.map(|(at, character)| &plain[at..at + character.len_utf8()]);
            Value::array(parts.map(|part| text_of(part.as_bytes())))
        }
        Ok(separator) => Value::array(plain.split(separator).map(|part| text_of(part.as_bytes()))),
        Err(_) => Value::array([Value::String(text.clone())]),
    }
}

impl Rem for Value {
    type Output = Outcome;

    fn rem(self, other: Self) -> Outcome {
        step()?;
        match (self, other) {
            (Self::Number(left), Self::Number(right)) if right.as_f64() != 0.0 => {
                let remainder = left.combine(&right, i64::checked_rem, Rem::rem);
                Ok(Self::Number(remainder))
            }
            (left, right) => Err(Error::math(left, Math::Rem, right)),
        }
    }
}

impl Neg for Value {
    type Output = Outcome;

    fn neg(self) -> Outcome {
        match self {
            Self::Number(number) => Ok(Self::Number(number.negated())),
            other => Err(Error::typ(other, "number")),
        }
    }
}
