//! A mapping with known keys.

use super::cursor::not_enforced;
use super::{Context, Cursor, Path};
use crate::codes;
use crate::diagnostic::Finding;
use crate::node::{Node, Value};
use crate::shape::{self, Presence, Record, Shape};
use crate::source::Span;
use crate::suggest::quote;

/// A mapping whose keys were checked against its table.
pub(crate) struct Object<'a> {
    pub(crate) node: &'a Node,
    pub(crate) path: Path<'a>,
    record: &'static Record,
    has_unknown: bool,
}

impl<'a> Object<'a> {
    /// Reports unknown, refused and missing keys; `None` if the value is no mapping.
    pub(crate) fn open(context: &mut Context<'_>, cursor: &Cursor<'a>) -> Option<Self> {
        let Shape::Record(record) = *cursor.shape else {
            debug_assert!(false, "not a record: {}", cursor.path);
            return None;
        };
        let Value::Mapping(entries) = &cursor.node.value else {
            cursor.report_wrong_type(context);
            return None;
        };
        let object = Self {
            node: cursor.node,
            path: cursor.path,
            record,
            has_unknown: entries
                .iter()
                .any(|entry| record.field(&entry.key).is_none()),
        };
        for entry in entries.iter() {
            let key = entry.key.as_ref();
            match record.field(key) {
                None if key.is_empty() => {} // reported where the key was read
                None => {
                    let help = context.suggest(key, record.keys(), "keys here");
                    let finding =
                        Finding::error(codes::UNKNOWN_KEY, format!("unknown key {}", quote(key)))
                            .help(help);
                    object.report(context, entry.key_span, finding);
                }
                Some(field) if field.presence == Presence::Refused => {
                    let path = object.path.key(key).to_string();
                    context.report(not_enforced(key).at(entry.key_span).path(path));
                }
                Some(_) => {}
            }
        }
        for field in record.fields {
            if field.presence == Presence::Required && object.node.entry(field.key).is_none() {
                object.report_missing(context, field.key, field.about);
            }
        }
        Some(object)
    }

    /// What the file states under a key.
    pub(crate) fn written(&self, key: &'static str) -> Option<Cursor<'_>> {
        let field = self.record.field(key);
        debug_assert!(
            field.is_some(),
            "{key} is not in the table of {}",
            self.record.name
        );
        let entry = self.node.entry(key)?;
        Some(Cursor {
            node: &entry.value,
            shape: &field?.shape,
            path: self.path.key(key),
        })
    }

    /// What the file states under a key, or else its default.
    pub(crate) fn get(&self, key: &'static str) -> Option<Cursor<'_>> {
        if let Some(cursor) = self.written(key) {
            return Some(cursor);
        }
        let node = shape::default_of(self.record, key)?;
        let field = self.record.field(key)?;
        Some(Cursor {
            node,
            shape: &field.shape,
            path: self.path.key(key),
        })
    }

    /// The table that the object was checked against.
    pub(crate) fn record(&self) -> &'static Record {
        self.record
    }

    /// Whether there are keys that mean nothing here: what seems to be missing may be one of them.
    pub(crate) fn has_unknown(&self) -> bool {
        self.has_unknown
    }

    /// Where a key stands, or the object's head.
    pub(crate) fn key_span(&self, key: &str) -> Span {
        self.node
            .entry(key)
            .map_or_else(|| self.node.head(), |entry| entry.key_span)
    }

    /// The one of these keys that is there; reports if there are several.
    pub(crate) fn one_of(
        &self,
        context: &mut Context<'_>,
        keys: &[&'static str],
    ) -> Option<&'static str> {
        let mut present = keys.iter().filter(|key| self.node.entry(key).is_some());
        let first = *present.next()?;
        for other in present {
            self.report_conflict(context, first, other);
        }
        Some(first)
    }

    /// Reports that `other` cannot stand beside `key`.
    pub(crate) fn report_conflict(&self, context: &mut Context<'_>, key: &str, other: &str) {
        let message = format!("{} cannot stand beside {}", quote(other), quote(key));
        let finding = Finding::error(codes::CONFLICT, message).help("keep one of the two");
        self.report(context, self.key_span(other), finding);
    }

    /// Reports a finding about a key or the whole.
    pub(crate) fn report(&self, context: &mut Context<'_>, span: Span, finding: Finding) {
        context.report(finding.at(span).path(self.path.to_string()));
    }

    pub(crate) fn report_missing(&self, context: &mut Context<'_>, key: &str, about: &str) {
        let mut finding = Finding::error(codes::MISSING_KEY, format!("{} is missing", quote(key)))
            .path(self.path.to_string())
            .help(format!("{key}: {about}"));
        // What the whole file lacks is missing nowhere in particular.
        if !self.path.is_root() {
            finding = finding.at(self.node.head());
        }
        context.report(finding);
    }
}
