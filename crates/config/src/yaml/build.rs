//! The tree builder: a stack of open containers, no recursion.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use saphyr_parser::{Event, ScalarStyle, Tag};

use super::{DEPTH, VALUES};
use crate::codes;
use crate::diagnostic::Finding;
use crate::node::{Entry, Node, Value};
use crate::source::Span;
use crate::suggest::quote;

/// A mistake after which nothing more can be said about the file.
type Stop = Box<Finding>;

pub(super) struct Builder<'f> {
    pub(super) findings: &'f mut Vec<Finding>,
    pub(super) root: Option<Node>,
    open: Vec<Frame>,
    anchors: HashMap<usize, (Node, Extent)>,
    values: usize,
}

/// What a node adds to the tree, whether it is written there or stands for an alias.
#[derive(Clone, Copy)]
struct Extent {
    values: usize,
    /// Levels of containers, 0 for a scalar.
    height: usize,
}

/// A container that has not ended.
struct Frame {
    start: Span,
    anchor: usize,
    /// [`Builder::values`] when it began.
    values_before: usize,
    /// The highest of the children so far.
    height: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        merged: Vec<Entry>,
        seen: HashSet<Arc<str>>,
        key: Option<Key>,
    },
}

/// A key whose value has not come.
struct Key {
    text: Arc<str>,
    span: Span,
    is_merge: bool,
}

impl<'f> Builder<'f> {
    pub(super) fn new(findings: &'f mut Vec<Finding>) -> Self {
        Self {
            findings,
            root: None,
            open: Vec::new(),
            anchors: HashMap::new(),
            values: 0,
        }
    }

    pub(super) fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = self.is_plain(style, tag.as_deref(), span);
                let node = Node {
                    span,
                    value: Value::Scalar {
                        text: text.as_ref().into(),
                        plain,
                    },
                };
                let extent = Extent {
                    values: 1,
                    height: 0,
                };
                if anchor > 0 {
                    self.anchors.insert(anchor, (node.clone(), extent));
                }
                self.place(node, 1, extent.height)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((node, extent)) => {
                    let (node, extent) = (node.clone(), *extent);
                    self.place(node, extent.values, extent.height)
                }
                None => Err(Box::new(
                    Finding::error(
                        codes::SYNTAX,
                        "invalid YAML: an alias inside of its own anchor",
                    )
                    .at(span),
                )),
            },
            Event::SequenceStart(anchor, tag) => {
                self.check_container_tag(tag.as_deref(), "seq", span);
                self.push(span, anchor, Content::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_container_tag(tag.as_deref(), "map", span);
                let content = Content::Mapping {
                    entries: Vec::new(),
                    merged: Vec::new(),
                    seen: HashSet::new(),
                    key: None,
                };
                self.push(span, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.pop(span),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn push(&mut self, start: Span, anchor: usize, content: Content) -> Result<(), Stop> {
        if self.open.len() == DEPTH {
            return Err(too_deep(start));
        }
        self.open.push(Frame {
            start,
            anchor,
            values_before: self.values,
            height: 0,
            content,
        });
        Ok(())
    }

    fn pop(&mut self, end: Span) -> Result<(), Stop> {
        let Some(frame) = self.open.pop() else {
            return Ok(());
        };
        let value = match frame.content {
            Content::Sequence(items) => Value::Sequence(items.into()),
            Content::Mapping {
                mut entries,
                merged,
                mut seen,
                ..
            } => {
                // What a mapping states itself wins over what it merges, and so do earlier merges.
                entries.extend(
                    merged
                        .into_iter()
                        .filter(|entry| seen.insert(entry.key.clone())),
                );
                Value::Mapping(entries.into())
            }
        };
        let span = Span::new(frame.start.start, end.end);
        let node = Node { span, value };
        let height = frame.height + 1;
        if frame.anchor > 0 {
            let values = self.values - frame.values_before + 1;
            self.anchors
                .insert(frame.anchor, (node.clone(), Extent { values, height }));
        }
        self.place(node, 1, height)
    }

    /// Puts a finished value into the container around it. `values` is what it adds to the count.
    fn place(&mut self, mut node: Node, values: usize, height: usize) -> Result<(), Stop> {
        self.values = self.values.saturating_add(values);
        if self.values > VALUES {
            let message = format!("more than {VALUES} values, counting what aliases stand for");
            return Err(Box::new(
                Finding::error(codes::TOO_MANY_VALUES, message).at(node.span),
            ));
        }
        // Aliases of aliases reach a depth that is written nowhere.
        if self.open.len() + height > DEPTH {
            return Err(too_deep(node.span));
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.height = frame.height.max(height);
        match &mut frame.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping {
                entries,
                merged,
                seen,
                key,
            } => match key.take() {
                None => *key = Some(read_key(&node, self.findings)),
                Some(key) if key.is_merge => merge(&node, merged, &mut self.values, self.findings),
                Some(key) => {
                    if node.is_null() && node.span.start == node.span.end {
                        // Nothing stands there that could be pointed at.
                        node.span = key.span;
                    }
                    if seen.insert(key.text.clone()) {
                        let Key { text, span, .. } = key;
                        entries.push(Entry {
                            key: text,
                            key_span: span,
                            value: node,
                        });
                    } else {
                        self.findings.push(duplicate(&key));
                    }
                }
            },
        }
        Ok(())
    }

    /// Whether a scalar's text may mean something else than text (YAML 1.2 §10.3).
    fn is_plain(&mut self, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> bool {
        let Some(tag) = tag else {
            return style == ScalarStyle::Plain;
        };
        match tag.suffix.as_str() {
            "str" if tag.is_yaml_core_schema() => false,
            "int" | "float" | "bool" | "null" if tag.is_yaml_core_schema() => true,
            "!" if tag.handle.is_empty() => false,
            _ => {
                self.findings.push(bad_tag(tag, span));
                false
            }
        }
    }

    fn check_container_tag(&mut self, tag: Option<&Tag>, expected: &str, span: Span) {
        let Some(tag) = tag else { return };
        let is_expected = tag.is_yaml_core_schema() && tag.suffix == expected;
        let is_unspecific = tag.handle.is_empty() && tag.suffix == "!";
        if !is_expected && !is_unspecific {
            self.findings.push(bad_tag(tag, span));
        }
    }
}

fn too_deep(span: Span) -> Stop {
    let message = format!("nested more than {DEPTH} levels deep");
    Box::new(Finding::error(codes::TOO_DEEP, message).at(span))
}

fn read_key(node: &Node, findings: &mut Vec<Finding>) -> Key {
    if let Value::Scalar { text, plain } = &node.value
        && !node.is_null()
    {
        let is_merge = *plain && text.as_ref() == "<<";
        return Key {
            text: text.clone(),
            span: node.span,
            is_merge,
        };
    }
    let message = format!("a key must be text, this is {}", node.kind());
    findings.push(Finding::error(codes::BAD_KEY, message).at(node.head()));
    Key {
        text: "".into(),
        span: node.span,
        is_merge: false,
    }
}

/// Adds what `<<: *alias` or `<<: [*one, *two]` brings.
fn merge(node: &Node, merged: &mut Vec<Entry>, values: &mut usize, findings: &mut Vec<Finding>) {
    let sources = match &node.value {
        Value::Sequence(items) => items,
        Value::Mapping(_) | Value::Scalar { .. } => std::slice::from_ref(node),
    };
    for source in sources {
        let Value::Mapping(entries) = &source.value else {
            let message = format!("`<<` merges mappings, this is {}", source.kind());
            findings.push(Finding::error(codes::BAD_MERGE, message).at(source.head()));
            continue;
        };
        // The entries are copied, not shared: count them.
        *values = values.saturating_add(entries.len());
        merged.extend(entries.iter().cloned());
    }
}

fn duplicate(key: &Key) -> Finding {
    Finding::error(
        codes::DUPLICATE_KEY,
        format!("{} is written twice here", quote(&key.text)),
    )
    .at(key.span)
    .help("keep one of the two; YAML tools disagree on which one counts")
}

fn bad_tag(tag: &Tag, span: Span) -> Finding {
    let message = format!("the tag {} has no meaning here", quote(&tag.to_string()));
    Finding::error(codes::BAD_TAG, message)
        .at(span)
        .help("remove the tag; quotes make a value text")
}
