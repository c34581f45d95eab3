//! The tree that a YAML text becomes before anything is known about its meaning.
//!
//! Containers are shared, so that an alias costs a pointer and not a copy.

use std::sync::Arc;

use crate::source::Span;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Scalar {
        text: Arc<str>,
        /// Written without quotes, so that `true`, `12` and `null` are not text.
        plain: bool,
    },
    Sequence(Arc<[Node]>),
    Mapping(Arc<[Entry]>),
}

/// One `key: value` of a mapping; no two of a mapping share a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Arc<str>,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// A scalar without quotes that stands nowhere in the file.
    pub(crate) fn plain(text: &str) -> Self {
        Self {
            span: Span::default(),
            value: Value::Scalar {
                text: text.into(),
                plain: true,
            },
        }
    }

    /// A mapping of these entries.
    pub(crate) fn mapping(span: Span, entries: Vec<Entry>) -> Self {
        Self {
            span,
            value: Value::Mapping(entries.into()),
        }
    }

    /// Whether this is YAML's null: nothing, `~` or `null` without quotes (YAML 1.2 §10.3.2).
    pub(crate) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar { text, plain } => {
                *plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL")
            }
            Value::Sequence(_) | Value::Mapping(_) => false,
        }
    }

    /// The entries of a mapping, nothing for every other value.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Mapping(entries) => entries,
            Value::Scalar { .. } | Value::Sequence(_) => &[],
        }
    }

    /// The entry under a key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()
            .iter()
            .find(|entry| entry.key.as_ref() == key)
    }

    /// The place that a person would point at: a mapping's first key, else the whole value.
    pub(crate) fn head(&self) -> Span {
        match &self.value {
            Value::Mapping(entries) => entries.first().map_or(self.span, |entry| entry.key_span),
            Value::Sequence(items) => items.first().map_or(self.span, Self::head),
            Value::Scalar { .. } => self.span,
        }
    }

    /// How the kind of value is called in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Scalar { plain: false, .. } => "quoted text",
            Value::Scalar { text, .. } if matches!(text.as_ref(), "true" | "false") => "a boolean",
            Value::Scalar { text, .. } if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                "a number"
            }
            Value::Scalar { .. } => "text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}
