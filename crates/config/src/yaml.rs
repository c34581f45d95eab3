//! YAML text to a [`Node`] tree, within bounds.
//!
//! Scalars keep their text: what `on`, `1e3` or `0x10` mean is decided where the type is known, so
//! that the differences between YAML 1.1 and 1.2 cannot change a configuration. Aliases and merge
//! keys (`<<`) work; what they expand to is counted, however deep they refer to each other.

mod build;
mod offsets;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

use crate::codes;
use crate::diagnostic::Finding;
use crate::node::Node;
use crate::source::Span;
use build::Builder;
use offsets::Offsets;

/// Deepest nesting of containers.
const DEPTH: usize = 64;
/// Most values of a file, counting each alias as what it stands for.
const VALUES: usize = 2_000_000;

/// The document's root, `None` if the text is empty or not YAML. Mistakes go to `findings`.
pub(crate) fn parse(text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    let offsets = Offsets::new(text);
    let mut builder = Builder::new(findings);
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, marks) = match event {
            Ok(event) => event,
            Err(error) => {
                let finding = syntax_error(&error, text, &offsets);
                builder.findings.push(finding);
                return None;
            }
        };
        let span = Span::new(
            offsets.byte(marks.start.index()),
            offsets.byte(marks.end.index()),
        );
        let span = match &event {
            Event::Scalar(_, ScalarStyle::SingleQuoted, ..) => up_to_quote(text, span, b'\''),
            Event::Scalar(_, ScalarStyle::DoubleQuoted, ..) => up_to_quote(text, span, b'"'),
            _ => span,
        };
        match event {
            Event::DocumentStart(_) => documents += 1,
            Event::StreamEnd => break,
            _ => {}
        }
        if documents > 1 {
            let finding = Finding::error(codes::SEVERAL_DOCUMENTS, "a second document starts here")
                .at(span)
                .help("keep one document a file; `environments` holds variants");
            builder.findings.push(finding);
            return None;
        }
        if let Err(finding) = builder.take(event, span) {
            builder.findings.push(*finding);
            return None;
        }
    }
    builder.root
}

/// The parser counts white space and a comment behind a quoted scalar as part of it.
fn up_to_quote(text: &str, span: Span, quote: u8) -> Span {
    let bytes = &text.as_bytes()[span.start..span.end];
    let Some(open) = bytes.iter().position(|byte| *byte == quote) else {
        return span;
    };
    let mut index = open + 1;
    while index < bytes.len() {
        let is_doubled = quote == b'\'' && bytes.get(index + 1) == Some(&quote);
        match bytes[index] {
            b'\\' if quote == b'"' => index += 2,
            byte if byte == quote && is_doubled => index += 2,
            byte if byte == quote => return Span::new(span.start, span.start + index + 1),
            _ => index += 1,
        }
    }
    span
}

fn syntax_error(error: &ScanError, text: &str, offsets: &Offsets<'_>) -> Finding {
    let at = offsets.byte(error.marker().index());
    let width = text[at..].chars().next().map_or(0, char::len_utf8);
    let finding = Finding::error(codes::SYNTAX, format!("invalid YAML: {}", error.info()))
        .at(Span::new(at, at + width));
    let line_start = text[..at].rfind(['\n', '\r']).map_or(0, |index| index + 1);
    let indentation = text[line_start..].trim_start_matches(' ');
    if indentation.starts_with('\t') {
        return finding.help("indent with spaces; YAML does not allow tabs there");
    }
    if error.info().contains("mapping values are not allowed") {
        return finding.help("is the indentation right? a text that contains `: ` needs quotes");
    }
    if error.info().contains("flow") {
        return finding.help("is a `,`, `]` or `}` missing?");
    }
    finding
}

#[cfg(test)]
mod tests;
