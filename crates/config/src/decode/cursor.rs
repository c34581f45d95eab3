//! A value that is about to be read: the node, what it should be, and where it stands.

use std::time::Duration;

use ipnet::IpNet;

use super::{Context, Path, Step};
use crate::codes;
use crate::diagnostic::Finding;
use crate::node::{Node, Value};
use crate::shape::Shape;
use crate::source::Span;
use crate::suggest::{self, quote};
use crate::value::{Fault, address, quantity, text};

#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    pub(crate) node: &'a Node,
    pub(crate) shape: &'static Shape,
    pub(crate) path: Path<'a>,
}

/// An entry of a mapping with free names.
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) name_span: Span,
    pub(crate) value: Cursor<'a>,
}

impl Named<'_> {
    /// Reports a name that is none.
    pub(crate) fn check_name(&self, context: &mut Context<'_>) {
        // An empty key was reported where it was read.
        if self.name.is_empty() {
            return;
        }
        if let Err(fault) = text::name(self.name) {
            context.report(self.fault(fault));
        }
    }

    /// A fault of the name as a finding.
    pub(crate) fn fault(&self, fault: Fault) -> Finding {
        let mut finding = Finding::error(fault.code, fault.message)
            .at(self.name_span)
            .path(self.value.path.to_string());
        finding.help = fault.help;
        finding
    }
}

impl<'a> Cursor<'a> {
    pub(crate) fn span(&self) -> Span {
        self.node.head()
    }

    /// Another value in this one's place.
    pub(crate) fn with<'b>(&self, node: &'b Node, shape: &'static Shape) -> Cursor<'b>
    where
        'a: 'b,
    {
        Cursor {
            node,
            shape,
            path: self.path,
        }
    }

    /// An error at this value.
    pub(crate) fn error(&self, code: &'static str, message: impl Into<String>) -> Finding {
        Finding::error(code, message)
            .at(self.span())
            .path(self.path.to_string())
    }

    /// A warning at this value.
    pub(crate) fn warning(&self, code: &'static str, message: impl Into<String>) -> Finding {
        Finding::warning(code, message)
            .at(self.span())
            .path(self.path.to_string())
    }

    /// The value read by a grammar; `None` after a report.
    pub(crate) fn parse<T>(
        &self,
        context: &mut Context<'_>,
        grammar: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let text = self.text(context)?;
        match grammar(text) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.report_fault(context, text, fault);
                None
            }
        }
    }

    /// A scalar's text; `None` after a report.
    pub(crate) fn text(&self, context: &mut Context<'_>) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar { text, .. } if !self.node.is_null() => Some(text),
            _ => {
                self.report_wrong_type(context);
                None
            }
        }
    }

    pub(crate) fn boolean(&self, context: &mut Context<'_>) -> Option<bool> {
        match &self.node.value {
            Value::Scalar { text, plain: true } => match text.as_ref() {
                "true" | "True" | "TRUE" => return Some(true),
                "false" | "False" | "FALSE" => return Some(false),
                _ => {}
            },
            Value::Scalar { .. } | Value::Sequence(_) | Value::Mapping(_) => {}
        }
        self.report_wrong_type(context);
        None
    }

    pub(crate) fn integer(&self, context: &mut Context<'_>) -> Option<u64> {
        let Shape::Integer { least, most } = *self.shape else {
            return self.mismatch();
        };
        if let Value::Scalar { text, plain: false } = &self.node.value {
            let finding = self
                .error(codes::WRONG_TYPE, "expected a number, found quoted text")
                .help(format!("remove the quotes around {}", quote(text)));
            context.report(finding);
            return None;
        }
        self.parse(context, |text| quantity::integer(text, least, most))
    }

    /// An integer whose table keeps it within `T`.
    pub(crate) fn number<T: TryFrom<u64> + Default>(&self, context: &mut Context<'_>) -> T {
        self.integer(context)
            .and_then(|number| T::try_from(number).ok())
            .unwrap_or_default()
    }

    pub(crate) fn duration(&self, context: &mut Context<'_>) -> Duration {
        let Shape::Duration { zero } = *self.shape else {
            return self.mismatch().unwrap_or_default();
        };
        self.parse(context, |text| quantity::duration(text, zero))
            .unwrap_or_default()
    }

    /// The networks of a list that can be read; each other one is reported.
    pub(crate) fn networks(&self, context: &mut Context<'_>) -> Vec<IpNet> {
        let items = self.items(context).into_iter();
        items
            .filter_map(|item| item.parse(context, address::network))
            .collect()
    }

    pub(crate) fn size(&self, context: &mut Context<'_>) -> u64 {
        let Shape::Size { least, most } = *self.shape else {
            return self.mismatch().unwrap_or_default();
        };
        self.parse(context, |text| quantity::size(text, least, most))
            .unwrap_or_default()
    }

    pub(crate) fn percentage(&self, context: &mut Context<'_>) -> u32 {
        let Shape::Percentage { zero } = *self.shape else {
            return self.mismatch().unwrap_or_default();
        };
        self.parse(context, |text| quantity::percentage(text, zero))
            .unwrap_or_default()
    }

    /// One of the choices of the table, as it stands there.
    pub(crate) fn choice(&self, context: &mut Context<'_>) -> Option<&'static str> {
        self.choice_but(context, |_| None)
    }

    /// The same; `why_not` says why a word is none of them, where it is no slip of one that looks like it.
    pub(crate) fn choice_but(
        &self,
        context: &mut Context<'_>,
        why_not: impl FnOnce(&str) -> Option<&'static str>,
    ) -> Option<&'static str> {
        let Shape::Choice(choices) = *self.shape else {
            return self.mismatch();
        };
        let text = self.text(context)?;
        let Some(choice) = choices.iter().find(|choice| choice.text == text) else {
            let known = choices
                .iter()
                .filter(|choice| !choice.refused)
                .map(|choice| choice.text);
            let help = match why_not(text) {
                Some(why) => suggest::all(known, why),
                None => context.suggest(text, known, "choices"),
            };
            let finding = self
                .error(
                    codes::BAD_CHOICE,
                    format!("{} is not one of the choices", quote(text)),
                )
                .help(help);
            context.report(finding);
            return None;
        };
        if choice.refused {
            context.report(
                not_enforced(text)
                    .at(self.span())
                    .path(self.path.to_string()),
            );
            return None;
        }
        Some(choice.text)
    }

    /// The items of a list, nothing after a report.
    pub(crate) fn items(&'a self, context: &mut Context<'_>) -> Vec<Cursor<'a>> {
        let (items_shape, least) = match *self.shape {
            Shape::List { items, least } => (items, least),
            Shape::OneOrMany(items) => (items, 1),
            _ => return self.mismatch().unwrap_or_default(),
        };
        let Value::Sequence(items) = &self.node.value else {
            if matches!(self.shape, Shape::OneOrMany(_)) {
                return vec![Cursor {
                    shape: items_shape,
                    ..*self
                }];
            }
            self.report_wrong_type(context);
            return Vec::new();
        };
        if items.len() < least {
            let plural = if least == 1 { "" } else { "s" };
            let message = format!("the list needs at least {least} item{plural}");
            context.report(self.error(codes::EMPTY_LIST, message));
        }
        let cursor = |(index, node)| Cursor {
            node,
            shape: items_shape,
            path: self.path.index(index),
        };
        items.iter().enumerate().map(cursor).collect()
    }

    /// The entries of a mapping with free names, nothing after a report.
    pub(crate) fn entries(&'a self, context: &mut Context<'_>) -> Vec<Named<'a>> {
        let Shape::Map { values, .. } = *self.shape else {
            return self.mismatch().unwrap_or_default();
        };
        let Value::Mapping(entries) = &self.node.value else {
            self.report_wrong_type(context);
            return Vec::new();
        };
        let named = |entry: &'a crate::node::Entry| Named {
            name: &entry.key,
            name_span: entry.key_span,
            value: Cursor {
                node: &entry.value,
                shape: values,
                path: self.path.key(&entry.key),
            },
        };
        entries.iter().map(named).collect()
    }

    /// The alternative that the kind of value selects; `None` after a report.
    pub(crate) fn alternative(&self, context: &mut Context<'_>) -> Option<Self> {
        let Shape::Either(shapes) = *self.shape else {
            return self.mismatch();
        };
        let fits = |shape: &&Shape| match &self.node.value {
            Value::Mapping(_) => matches!(shape, Shape::Record(_) | Shape::Map { .. }),
            Value::Sequence(_) => matches!(shape, Shape::List { .. }),
            Value::Scalar { .. } => {
                !self.node.is_null()
                    && !matches!(
                        shape,
                        Shape::Record(_) | Shape::Map { .. } | Shape::List { .. }
                    )
            }
        };
        match shapes.iter().find(fits) {
            Some(shape) => Some(Self { shape, ..*self }),
            None => {
                self.report_wrong_type(context);
                None
            }
        }
    }

    /// Reports a text that its grammar refused, pointing into the text where that is possible.
    pub(crate) fn report_fault(&self, context: &mut Context<'_>, text: &str, fault: Fault) {
        let mut finding = self.error(fault.code, fault.message);
        finding.help = fault.help;
        if let Some(at) = fault.at {
            finding.span = Some(self.within(context, text, at));
        }
        context.report(finding);
    }

    pub(crate) fn report_wrong_type(&self, context: &mut Context<'_>) {
        let expected = self.shape.expected();
        if self.node.is_null() {
            let what = match self.path.step() {
                Step::Key(key) => quote(key),
                Step::Index(_) => "the item".into(),
                Step::Root => "the file".into(),
            };
            let finding = self
                .error(codes::EMPTY_VALUE, format!("{what} has no value"))
                .help(format!("remove it, or write {expected}"));
            context.report(finding);
            return;
        }
        let message = format!("expected {expected}, found {}", self.node.kind());
        let mut finding = self.error(codes::WRONG_TYPE, message);
        if let Value::Scalar { text, plain } = &self.node.value {
            finding.help = boolean_help(self.shape, text, *plain);
        }
        context.report(finding);
    }

    /// The character at an offset of the scalar's text, or the whole value if quoting or escapes
    /// moved it.
    fn within(&self, context: &Context<'_>, text: &str, at: usize) -> Span {
        let span = self.node.span;
        let written = context.source.slice(span);
        let shift = if written == text {
            0
        } else if written.get(1..written.len().saturating_sub(1)) == Some(text) {
            1
        } else {
            return span;
        };
        // A fault behind the last character, something missing, is shown at the last one.
        let rest = text.get(at..).unwrap_or_default();
        match rest.chars().next() {
            Some(character) => {
                let start = span.start + shift + at;
                Span::new(start, start + character.len_utf8())
            }
            None => span,
        }
    }

    /// The decoder asked for another kind than the table states: a mistake of this crate that a
    /// test finds, because it reads every field.
    fn mismatch<T>(&self) -> Option<T> {
        debug_assert!(
            false,
            "table and decoder disagree at {}: {:?}",
            self.path, self.shape
        );
        None
    }
}

/// The refusal of what belongs to the interface but is not there yet.
pub(crate) fn not_enforced(what: &str) -> Finding {
    let message = format!("this version cannot enforce {}", quote(what));
    Finding::error(codes::NOT_ENFORCED, message)
        .help("it is refused so that nobody believes to be protected by it: remove it for now")
}

fn boolean_help(shape: &Shape, text: &str, plain: bool) -> Option<String> {
    let takes_boolean = match shape {
        Shape::Boolean => true,
        Shape::Either(shapes) => shapes.iter().any(|shape| matches!(shape, Shape::Boolean)),
        _ => false,
    };
    if !takes_boolean {
        return None;
    }
    let meant = match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => "true",
        "false" | "no" | "off" | "n" => "false",
        _ => return None,
    };
    Some(if plain {
        format!("write `{meant}`; in YAML 1.2 {} is text", quote(text))
    } else {
        format!("write `{meant}` without quotes")
    })
}
