//! The schema as tables: which keys there are, what they take, their defaults and what they mean.
//!
//! The decoder reads through these tables and the JSON Schema is printed from them, so that the two
//! cannot tell different stories. Each section keeps its tables beside its decoder.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::node::Node;

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Record {
    /// Unique among all records.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) fields: &'static [Field],
}

/// One key of a [`Record`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) shape: Shape,
    pub(crate) about: &'static str,
    pub(crate) presence: Presence,
}

/// What it means to leave a key out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Presence {
    Required,
    Optional,
    /// As if this YAML text had been written.
    Default(&'static str),
    /// The key belongs to the interface, but this version cannot enforce it: refused.
    Refused,
}

pub(crate) const fn field(key: &'static str, shape: Shape, about: &'static str) -> Field {
    Field {
        key,
        shape,
        about,
        presence: Presence::Optional,
    }
}

impl Field {
    pub(crate) const fn required(mut self) -> Self {
        self.presence = Presence::Required;
        self
    }

    pub(crate) const fn default(mut self, text: &'static str) -> Self {
        self.presence = Presence::Default(text);
        self
    }

    pub(crate) const fn refused(mut self) -> Self {
        self.presence = Presence::Refused;
        self
    }
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Boolean,
    Integer {
        least: u64,
        most: u64,
    },
    Duration {
        zero: bool,
    },
    Size {
        least: u64,
        most: u64,
    },
    Percentage {
        zero: bool,
    },
    Choice(&'static [Choice]),
    /// One of these numbers.
    Number(&'static [u16]),
    Text(&'static Text),
    Record(&'static Record),
    /// A mapping with names of the user's choice.
    Map {
        names: &'static Text,
        values: &'static Shape,
    },
    List {
        items: &'static Shape,
        least: usize,
    },
    /// A list, or one item without the brackets.
    OneOrMany(&'static Shape),
    /// Told apart by the kind of YAML value.
    Either(&'static [Shape]),
    /// The whole configuration again, each part optional and removable.
    Overlay,
    /// Not looked at: a refused key's value, or one that is taken as it stands.
    Anything,
}

/// One value of a [`Shape::Choice`].
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) text: &'static str,
    pub(crate) about: &'static str,
    /// Part of the interface, but this version cannot enforce it.
    pub(crate) refused: bool,
}

pub(crate) const fn choice(text: &'static str, about: &'static str) -> Choice {
    Choice {
        text,
        about,
        refused: false,
    }
}

/// A text with a grammar of its own.
#[derive(Debug)]
pub(crate) struct Text {
    /// With its article, for messages: `an address`.
    pub(crate) what: &'static str,
    /// ECMA 262 expression that every accepted text matches; the decoder may be stricter.
    pub(crate) pattern: Option<&'static str>,
    pub(crate) examples: &'static [&'static str],
    /// Whether unquoted numbers and booleans are natural values.
    pub(crate) loose: bool,
}

impl Record {
    pub(crate) fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// The keys that this version acts on.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static str> + Clone {
        let fields = self.fields.iter();
        fields
            .filter(|field| field.presence != Presence::Refused)
            .map(|field| field.key)
    }
}

impl Shape {
    /// What is expected, for messages: `a list`.
    pub(crate) fn expected(&self) -> String {
        match self {
            Self::Boolean => "`true` or `false`".into(),
            Self::Integer { .. } => "a number".into(),
            Self::Duration { .. } => "a duration such as `30s`".into(),
            Self::Size { .. } => "a size such as `32KiB`".into(),
            Self::Percentage { .. } => "a percentage such as `20%`".into(),
            Self::Choice(choices) => {
                let names: Vec<String> = choices
                    .iter()
                    .filter(|choice| !choice.refused)
                    .map(|choice| format!("`{}`", choice.text))
                    .collect();
                one_of(&names)
            }
            Self::Number(numbers) => {
                one_of(&numbers.iter().map(u16::to_string).collect::<Vec<_>>())
            }
            Self::Text(text) => text.what.into(),
            Self::Record(_) | Self::Map { .. } | Self::Overlay => "a mapping".into(),
            Self::List { .. } => "a list".into(),
            Self::OneOrMany(item) => format!("{} or a list of such", item.expected()),
            Self::Either(shapes) => one_of(&shapes.iter().map(Self::expected).collect::<Vec<_>>()),
            Self::Anything => "a value".into(),
        }
    }

    /// Calls `visit` with every record that can be reached from here, each once.
    pub(crate) fn visit_records(&self, visit: &mut dyn FnMut(&'static Record) -> bool) {
        match self {
            Self::Record(record) if visit(record) => {
                for field in record.fields {
                    field.shape.visit_records(visit);
                }
            }
            Self::Map { values: inner, .. }
            | Self::List { items: inner, .. }
            | Self::OneOrMany(inner) => inner.visit_records(visit),
            Self::Either(shapes) => {
                for shape in *shapes {
                    shape.visit_records(visit);
                }
            }
            _ => {}
        }
    }
}

/// `a, b or c`
fn one_of(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [front @ .., last] => format!("{} or {last}", front.join(", ")),
    }
}

/// Every record of the configuration, outermost first.
pub(crate) fn records() -> Vec<&'static Record> {
    let mut records: Vec<&'static Record> = Vec::new();
    Shape::Record(&crate::section::ROOT).visit_records(&mut |record| {
        let is_new = records.iter().all(|known| known.name != record.name);
        if is_new {
            records.push(record);
        }
        is_new
    });
    records
}

/// What a key has when it is left out, read from its table once.
pub(crate) fn default_of(record: &Record, key: &'static str) -> Option<&'static Node> {
    static DEFAULTS: LazyLock<HashMap<(&'static str, &'static str), Node>> =
        LazyLock::new(read_defaults);
    DEFAULTS.get(&(record.name, key))
}

fn read_defaults() -> HashMap<(&'static str, &'static str), Node> {
    let mut defaults = HashMap::new();
    for record in records() {
        for field in record.fields {
            let Presence::Default(text) = field.presence else {
                continue;
            };
            let node = crate::yaml::parse(text, &mut Vec::new());
            defaults.insert(
                (record.name, field.key),
                node.unwrap_or_else(|| Node::plain(text)),
            );
        }
    }
    defaults
}
