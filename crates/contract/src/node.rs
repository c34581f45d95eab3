//! Our JSON as the checker sees it, with a bound on its steps.
//!
//! Schemas can make a checker look at a value exponentially often (branches of `anyOf` that refer to
//! themselves), and the message decides how deep that goes. So each look costs a step of a budget that
//! the value carries. Without budget every value looks like `null` and every list like its end: the
//! checker comes to its own end at once. Its verdict is worthless then, and whoever asked sees that the budget is
//! used up.

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;

use jsonschema::JsonType;
use jsonschema::json::{self, JsonNumber, NodeIdentity, cmp};
use serde_json::Number;

use crate::json::{Members, Value};

/// A string costs a step for so many bytes.
const BYTES_A_STEP: usize = 64;
/// Below this many members, looking at each one is faster than halving.
const FEW_MEMBERS: usize = 8;
/// Steps for the name of a member, which has no value around it.
const NAME_STEPS: u64 = 1000;

static NULL: serde_json::Value = serde_json::Value::Null;

/// The representation.
pub(crate) struct Strict;

/// A value and the budget of the whole.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) value: &'a Value<'a>,
    pub(crate) steps: &'a Cell<u64>,
}

impl<'a> Node<'a> {
    fn spend(&self, steps: u64) -> bool {
        spend(self.steps, steps)
    }

    /// The value, for one step.
    fn look(&self) -> &'a Value<'a> {
        if self.spend(1) {
            self.value
        } else {
            &Value::Null
        }
    }
}

/// Takes steps from a budget; `false` if it is used up now.
fn spend(budget: &Cell<u64>, steps: u64) -> bool {
    let left = budget.get();
    budget.set(left.saturating_sub(steps));
    left > steps
}

/// A member's name as a value.
#[derive(Default)]
pub(crate) struct Scratch {
    value: Value<'static>,
    steps: Cell<u64>,
}

impl json::Json for Strict {
    type Node<'a> = Node<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = Scratch;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>(
        buffer: &mut Scratch,
        string: &str,
        run: impl FnOnce(Node<'_>) -> T,
    ) -> T {
        buffer.value = Value::String(Cow::Owned(string.to_owned()));
        buffer
            .steps
            .set(NAME_STEPS + (string.len() / BYTES_A_STEP) as u64 * NAME_STEPS);
        run(Node {
            value: &buffer.value,
            steps: &buffer.steps,
        })
    }
}

impl<'a> json::Node<'a, Strict> for Node<'a> {
    type Object = Object<'a>;
    type Array = Array<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Object<'a>> {
        match self.look() {
            Value::Object(members) => Some(Object {
                members,
                steps: self.steps,
            }),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<Array<'a>> {
        match self.look() {
            Value::Array(items) => Some(Array {
                items,
                steps: self.steps,
            }),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self.look() {
            Value::String(text) if self.spend((text.len() / BYTES_A_STEP) as u64) => {
                Some(Cow::Borrowed(text))
            }
            _ => None,
        }
    }

    fn as_number(&self) -> Option<&'a Number> {
        match self.look() {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.look() {
            Value::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.look(), Value::Null)
    }

    fn json_type(&self) -> JsonType {
        match self.look() {
            Value::Null => JsonType::Null,
            Value::Boolean(_) => JsonType::Boolean,
            Value::Number(_) => JsonType::Number,
            Value::String(_) => JsonType::String,
            Value::Array(_) => JsonType::Array,
            Value::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &serde_json::Value) -> bool {
        equals(self.look(), expected, self)
    }

    /// Only errors and annotations ask for it, and nothing is said of values: a copy would be wasted.
    fn to_value(&self) -> Cow<'a, serde_json::Value> {
        Cow::Borrowed(&NULL)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref(self.value) as usize))
    }
}

fn equals(value: &Value<'_>, expected: &serde_json::Value, node: &Node<'_>) -> bool {
    use serde_json::Value as Expected;
    if !node.spend(1) {
        return false;
    }
    match (value, expected) {
        (Value::Null, Expected::Null) => true,
        (Value::Boolean(one), Expected::Bool(other)) => one == other,
        (Value::Number(one), Expected::Number(other)) => cmp::equal_numbers(one, other),
        (Value::String(one), Expected::String(other)) => one == other,
        (Value::Array(one), Expected::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| equals(one, other, node))
        }
        (Value::Object(one), Expected::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| {
                    let expected = other.get(name.as_ref());
                    expected.is_some_and(|expected| equals(value, expected, node))
                })
        }
        _ => false,
    }
}

pub(crate) struct Object<'a> {
    members: &'a Members<'a>,
    steps: &'a Cell<u64>,
}

impl<'a> json::Object<'a, Strict> for Object<'a> {
    type Node = Node<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.members.len()
    }

    fn get(&self, key: &Box<str>) -> Option<Node<'a>> {
        let found = if self.members.len() <= FEW_MEMBERS {
            self.members.iter().find(|(name, _)| **name == **key)
        } else {
            let at = self
                .members
                .binary_search_by(|(name, _)| (**name).cmp(key))
                .ok();
            at.map(|at| &self.members[at])
        };
        found.map(|(_, value)| Node {
            value,
            steps: self.steps,
        })
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter {
            members: self.members.iter(),
            steps: self.steps,
        }
    }
}

pub(crate) struct MembersIter<'a> {
    members: std::slice::Iter<'a, (Cow<'a, str>, Value<'a>)>,
    steps: &'a Cell<u64>,
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.members.next().filter(|_| spend(self.steps, 1))?;
        Some((
            name,
            Node {
                value,
                steps: self.steps,
            },
        ))
    }
}

pub(crate) struct Array<'a> {
    items: &'a [Value<'a>],
    steps: &'a Cell<u64>,
}

impl<'a> json::Array<'a, Strict> for Array<'a> {
    type Node = Node<'a>;
    type ElementsIter = ItemsIter<'a>;

    fn len(&self) -> usize {
        self.items.len()
    }

    fn elements(&self) -> ItemsIter<'a> {
        ItemsIter {
            items: self.items.iter(),
            steps: self.steps,
        }
    }

    fn is_unique(&self) -> bool {
        let mut sorted: Vec<&Value<'_>> = self.items.iter().collect();
        let left = &self.steps;
        sorted.sort_unstable_by(|one, other| order(one, other, left));
        sorted
            .windows(2)
            .all(|pair| order(pair[0], pair[1], left).is_ne())
    }
}

pub(crate) struct ItemsIter<'a> {
    items: std::slice::Iter<'a, Value<'a>>,
    steps: &'a Cell<u64>,
}

impl<'a> Iterator for ItemsIter<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        let value = self.items.next().filter(|_| spend(self.steps, 1))?;
        Some(Node {
            value,
            steps: self.steps,
        })
    }
}

/// Some order of values in which equal ones (JSON Schema core §4.2.2) are neighbours.
fn order(one: &Value<'_>, other: &Value<'_>, steps: &Cell<u64>) -> Ordering {
    steps.set(steps.get().saturating_sub(1));
    match (one, other) {
        (Value::Boolean(one), Value::Boolean(other)) => one.cmp(other),
        (Value::Number(one), Value::Number(other)) => order_numbers(one, other),
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Array(one), Value::Array(other)) => {
            let mut pairs = one.iter().zip(other);
            let first = pairs.find_map(|(one, other)| unequal(order(one, other, steps)));
            first.unwrap_or_else(|| one.len().cmp(&other.len()))
        }
        (Value::Object(one), Value::Object(other)) => {
            let mut pairs = one.iter().zip(other);
            let first = pairs.find_map(|((name, value), (other_name, other))| {
                unequal(name.cmp(other_name)).or_else(|| unequal(order(value, other, steps)))
            });
            first.unwrap_or_else(|| one.len().cmp(&other.len()))
        }
        _ => rank(one).cmp(&rank(other)),
    }
}

fn unequal(ordering: Ordering) -> Option<Ordering> {
    ordering.is_ne().then_some(ordering)
}

fn rank(value: &Value<'_>) -> u8 {
    match value {
        Value::Null => 0,
        Value::Boolean(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// By value: 1 and 1.0 are equal.
fn order_numbers(one: &Number, other: &Number) -> Ordering {
    let integer = |number: &Number| {
        let signed = number.as_i64().map(i128::from);
        let whole = signed.or_else(|| number.as_u64().map(i128::from));
        whole.or_else(|| {
            let float = JsonNumber::as_f64(number)?;
            // Beyond 2^100 no integer of ours can be equal to it.
            (float.fract() == 0.0 && float.abs() < 1e30).then_some(float as i128)
        })
    };
    match (integer(one), integer(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => {
            let float = |number: &Number| JsonNumber::as_f64(number).unwrap_or(f64::NAN);
            float(one).total_cmp(&float(other))
        }
    }
}
