//! Numbers, as JSON has them: one that is only passed on keeps every digit.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

/// A number.
#[derive(Clone, Debug)]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
    /// As it was written, because neither of the others says the same.
    Written(Rc<str>),
}

impl Number {
    /// From text that JSON's grammar takes (RFC 8259 §6), or that of `f64`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(integer) = text.parse::<i64>()
            && text != "-0"
        {
            return Some(Self::Integer(integer));
        }
        let float: f64 = text.parse().ok()?;
        let says_the_same = float.is_finite() && Self::Float(float).to_string() == text;
        Some(if says_the_same {
            Self::Float(float)
        } else {
            Self::Written(text.into())
        })
    }

    pub(crate) fn as_f64(&self) -> f64 {
        match self {
            Self::Integer(integer) => *integer as f64,
            Self::Float(float) => *float,
            Self::Written(text) => text.parse().unwrap_or(f64::NAN),
        }
    }

    /// A whole number that fits; not one that was written with a fraction.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(*integer),
            Self::Float(_) | Self::Written(_) => None,
        }
    }

    /// As an index: fractions are cut off.
    pub(crate) fn as_index(&self) -> Option<i64> {
        let float = match self {
            Self::Integer(integer) => return Some(*integer),
            _ => self.as_f64(),
        };
        // The cast is to the nearest one that there is.
        float.is_finite().then_some(float.floor() as i64)
    }

    /// Both as integers if the operation has a result there, or both as floats.
    pub(crate) fn combine(
        &self,
        other: &Self,
        exact: fn(i64, i64) -> Option<i64>,
        float: fn(f64, f64) -> f64,
    ) -> Self {
        if let (Self::Integer(left), Self::Integer(right)) = (self, other)
            && let Some(result) = exact(*left, *right)
        {
            return Self::Integer(result);
        }
        Self::Float(float(self.as_f64(), other.as_f64()))
    }

    pub(crate) fn negated(&self) -> Self {
        match self {
            Self::Integer(integer) => match integer.checked_neg() {
                Some(integer) => Self::Integer(integer),
                None => Self::Float(-(*integer as f64)),
            },
            other => Self::Float(-other.as_f64()),
        }
    }

    pub(crate) fn magnitude(&self) -> Self {
        match self {
            Self::Integer(integer) if *integer >= 0 => self.clone(),
            Self::Written(text) if !text.starts_with('-') => self.clone(),
            Self::Float(float) => Self::Float(float.abs()),
            _ => self.negated(),
        }
    }
}

impl Ord for Number {
    /// Not a number is less than every number, as jq has it.
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Self::Integer(left), Self::Integer(right)) = (self, other) {
            return left.cmp(right);
        }
        let (left, right) = (self.as_f64(), other.as_f64());
        match left.partial_cmp(&right) {
            Some(ordering) => ordering,
            None if left.is_nan() => Ordering::Less,
            None => Ordering::Greater,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let float = self.as_f64();
        // Zero has two signs, and both are equal.
        state.write_u64(if float == 0.0 { 0 } else { float.to_bits() });
    }
}

impl fmt::Display for Number {
    /// As JSON; what JSON has no number for is what jq makes of it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(integer) => integer.fmt(formatter),
            Self::Float(float) if float.is_nan() => formatter.write_str("null"),
            Self::Float(float) if float.is_infinite() => {
                Self::Float(f64::MAX.copysign(*float)).fmt(formatter)
            }
            // Like an integer, as jq writes them.
            Self::Float(float) if float.abs() < 1e17 => float.fmt(formatter),
            Self::Float(float) => write!(formatter, "{float:e}"),
            Self::Written(text) => formatter.write_str(text),
        }
    }
}
