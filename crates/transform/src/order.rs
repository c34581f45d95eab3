//! Which value is the same as another, and which comes first: null, booleans, numbers, strings,
//! arrays, objects.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::value::{Entries, Value};

impl Value {
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean(_) => 1,
            Self::Number(_) => 2,
            Self::String(_) => 3,
            Self::Array(_) => 4,
            Self::Object(_) => 5,
        }
    }
}

/// The recursion is bounded by the values' depth, the work by their weight.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(left), Self::Boolean(right)) => left.cmp(right),
            (Self::Number(left), Self::Number(right)) => left.cmp(right),
            (Self::String(left), Self::String(right)) => left.cmp(right),
            (Self::Array(left), Self::Array(right)) => left.items.cmp(&right.items),
            (Self::Object(left), Self::Object(right)) => {
                let (left, right) = (sorted(&left.entries), sorted(&right.entries));
                let keys = |entries: &[(&Bytes, &Self)]| -> Vec<Bytes> {
                    entries.iter().map(|(key, _)| (*key).clone()).collect()
                };
                keys(&left).cmp(&keys(&right)).then_with(|| {
                    let (left, right) = (left.iter(), right.iter());
                    left.map(|(_, value)| *value)
                        .cmp(right.map(|(_, value)| *value))
                })
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

fn sorted(entries: &Entries) -> Vec<(&Bytes, &Value)> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    sorted
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(left), Self::Boolean(right)) => left == right,
            (Self::Number(left), Self::Number(right)) => left == right,
            (Self::String(left), Self::String(right)) => left == right,
            (Self::Array(left), Self::Array(right)) => left.items == right.items,
            (Self::Object(left), Self::Object(right)) => left.entries == right.entries,
            _ => false,
        }
    }
}

impl Eq for Value {}
