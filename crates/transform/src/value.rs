//! Values: JSON, which knows how much of it there is.
//!
//! jq shares values, so that a program can make one that takes no memory and yet would take years to
//! walk through. Each array and object therefore knows its weight as if nothing were shared, and its
//! depth; one that exceeds the budget ends the run before anything walks through it.

use std::collections::hash_map::RandomState;
use std::rc::Rc;

use bytes::Bytes;
use indexmap::IndexMap;

use crate::meter;
use crate::number::Number;

/// Bytes that a value takes in a container.
const SLOT: u64 = 16;
/// Bytes of a container itself.
const CONTAINER: u64 = 64;
/// Bytes that an entry takes beside its key's text and its value.
const ENTRY: u64 = 48;

/// A value.
#[derive(Clone, Debug, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    Boolean(bool),
    Number(Number),
    /// Meant to be UTF-8.
    String(Bytes),
    Array(Rc<Array>),
    Object(Rc<Object>),
}

/// Keyed at random: clients choose the keys.
pub(crate) type Entries = IndexMap<Bytes, Value, RandomState>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Array {
    pub(crate) items: Vec<Value>,
    weight: u64,
    /// At least as deep as it is.
    depth: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    pub(crate) entries: Entries,
    weight: u64,
    depth: u32,
}

impl Value {
    /// A string, which takes memory.
    pub(crate) fn string(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        if meter::take(SLOT + text.len() as u64) {
            Self::String(text)
        } else {
            Self::Null
        }
    }

    /// An array, which takes memory. Items behind the point where that was used up are left out: the
    /// run is over then.
    pub(crate) fn array(items: impl IntoIterator<Item = Self>) -> Self {
        let mut array = Array::default();
        if !meter::take(CONTAINER) {
            return Self::Null;
        }
        for item in items {
            if !meter::take(SLOT) {
                return Self::Null;
            }
            array.items.push(item);
        }
        array.weigh();
        Self::settle(array.weight, array.depth, || Self::Array(Rc::new(array)))
    }

    /// An object, which takes memory.
    pub(crate) fn object(entries: impl IntoIterator<Item = (Bytes, Self)>) -> Self {
        let mut object = Object::default();
        if !meter::take(CONTAINER) {
            return Self::Null;
        }
        for (key, value) in entries {
            if !meter::take(ENTRY) {
                return Self::Null;
            }
            object.entries.insert(key, value);
        }
        object.weigh();
        Self::settle(object.weight, object.depth, || {
            Self::Object(Rc::new(object))
        })
    }

    /// The value, if it is not too much.
    fn settle(weight: u64, depth: u32, make: impl FnOnce() -> Self) -> Self {
        if depth > meter::MOST_DEPTH {
            meter::too_deep();
        } else if meter::holds(weight) {
            return make();
        }
        Self::Null
    }

    /// Bytes, as if nothing were shared.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Self::Null | Self::Boolean(_) | Self::Number(_) => SLOT,
            Self::String(text) => SLOT + text.len() as u64,
            Self::Array(array) => array.weight,
            Self::Object(object) => object.weight,
        }
    }

    pub(crate) fn depth(&self) -> u32 {
        match self {
            Self::Array(array) => array.depth,
            Self::Object(object) => object.depth,
            _ => 0,
        }
    }
}

impl Array {
    fn weigh(&mut self) {
        let weights = self.items.iter().map(|item| SLOT + item.weight());
        self.weight = weights.fold(CONTAINER, u64::saturating_add);
        self.depth = 1 + self.items.iter().map(Value::depth).max().unwrap_or(0);
    }

    /// To be changed; a copy of its own if it is shared. `None` if there is no memory for that.
    pub(crate) fn own(this: &mut Rc<Self>) -> Option<&mut Self> {
        let size = CONTAINER + SLOT * this.items.len() as u64;
        let is_free = Rc::strong_count(this) == 1 || meter::take(size);
        is_free.then(|| Rc::make_mut(this))
    }

    /// Takes an item out for a moment: nobody else has it then.
    pub(crate) fn lift(&mut self, at: usize) -> Value {
        let item = std::mem::take(&mut self.items[at]);
        self.weight = self.weight.saturating_sub(item.weight());
        item
    }

    /// Puts an item where one was taken out.
    pub(crate) fn put(&mut self, at: usize, item: Value) {
        self.weight = self.weight.saturating_add(item.weight());
        self.depth = self.depth.max(item.depth() + 1);
        self.items[at] = item;
    }

    /// Drops what is left where an item was taken out.
    pub(crate) fn close(&mut self, at: usize) {
        self.items.remove(at);
        self.weight = self.weight.saturating_sub(SLOT);
    }

    /// Changes items as a whole; what was added is paid for already.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Vec<Value>)) {
        change(&mut self.items);
        self.weigh();
    }

    /// Adds items at the end.
    pub(crate) fn extend(&mut self, items: &[Value]) {
        if !meter::take(SLOT * items.len() as u64) {
            return;
        }
        for item in items {
            self.weight = self.weight.saturating_add(SLOT + item.weight());
            self.depth = self.depth.max(item.depth() + 1);
            self.items.push(item.clone());
        }
    }
}

impl Object {
    fn weigh(&mut self) {
        let weigh = |(key, value): (&Bytes, &Value)| ENTRY + key.len() as u64 + value.weight();
        let weights = self.entries.iter().map(weigh);
        self.weight = weights.fold(CONTAINER, u64::saturating_add);
        let depths = self.entries.values().map(Value::depth);
        self.depth = 1 + depths.max().unwrap_or(0);
    }

    /// To be changed; a copy of its own if it is shared. `None` if there is no memory for that.
    pub(crate) fn own(this: &mut Rc<Self>) -> Option<&mut Self> {
        let size = CONTAINER + ENTRY * this.entries.len() as u64;
        let is_free = Rc::strong_count(this) == 1 || meter::take(size);
        is_free.then(|| Rc::make_mut(this))
    }

    /// Takes a value out for a moment; `None` if there is none.
    pub(crate) fn lift(&mut self, key: &[u8]) -> Option<Value> {
        let value = std::mem::take(self.entries.get_mut(key)?);
        self.weight = self.weight.saturating_sub(value.weight());
        Some(value)
    }

    /// Puts a value where one was taken out, or where none was.
    pub(crate) fn put(&mut self, key: Bytes, value: Value) {
        let added = value.weight();
        self.depth = self.depth.max(value.depth() + 1);
        let length = key.len() as u64;
        match self.entries.insert(key, value) {
            Some(former) => self.weight = self.weight.saturating_sub(former.weight()),
            None if meter::take(ENTRY) => self.weight += ENTRY + length,
            None => {}
        }
        self.weight = self.weight.saturating_add(added);
    }

    /// Drops what is left where a value was taken out.
    pub(crate) fn close(&mut self, key: &[u8]) {
        // What is behind moves up: the order is kept.
        if meter::work(ENTRY * self.entries.len() as u64)
            && self.entries.shift_remove(key).is_some()
        {
            self.weight = self.weight.saturating_sub(ENTRY + key.len() as u64);
        }
    }
}

impl From<Rc<Array>> for Value {
    fn from(array: Rc<Array>) -> Self {
        Self::settle(array.weight, array.depth, || Self::Array(array))
    }
}

impl From<Rc<Object>> for Value {
    fn from(object: Rc<Object>) -> Self {
        Self::settle(object.weight, object.depth, || Self::Object(object))
    }
}
