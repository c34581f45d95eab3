//! The text of a configuration file: places in it, and the lines that diagnostics show.

use std::cell::Cell;

use unicode_width::UnicodeWidthChar;

use crate::resources::{self, Placed, ResourceName};

/// A range of bytes of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    /// The first place that is not in the text: those of resources, which stand in no file.
    pub(crate) const BESIDE: usize = usize::MAX / 2;

    /// Whether a resource says what stands there.
    pub(crate) fn is_beside(self) -> bool {
        self.start >= Self::BESIDE
    }

    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self {
            start,
            end: end.max(start),
        }
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// A line and a column, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A line as it is shown: cut to a window around the place, without control characters and
/// without what must stay hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Excerpt {
    pub(crate) text: String,
    /// Columns of a terminal in front of the place.
    pub(crate) offset: usize,
    /// Columns of a terminal that the place takes, at least one.
    pub(crate) width: usize,
    /// Characters of the place on this line.
    pub(crate) length: usize,
}

/// Characters shown in front of the place when a line is cut.
const BEFORE: usize = 40;
/// Characters shown from the place on when a line is cut.
const AFTER: usize = 60;
const TAB: &str = "    ";

/// A named text, and the resources beside it.
pub(crate) struct Source<'a> {
    pub(crate) name: &'a str,
    text: &'a str,
    line_starts: Vec<usize>,
    resources: &'a [Placed<'a>],
    /// A place already counted (offset, column): a file may be one line of megabytes.
    counted: Cell<(usize, usize)>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(name: &'a str, text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let mut line_starts = vec![0];
        for (index, byte) in bytes.iter().enumerate() {
            // YAML 1.2 §5.4 ends lines at LF, CR LF and CR.
            let ends_line =
                *byte == b'\n' || (*byte == b'\r' && bytes.get(index + 1) != Some(&b'\n'));
            if ends_line {
                line_starts.push(index + 1);
            }
        }
        Self {
            name,
            text,
            line_starts,
            resources: &[],
            counted: Cell::new((0, 0)),
        }
    }

    /// With these resources beside the text.
    pub(crate) fn beside(self, resources: &'a [Placed<'a>]) -> Self {
        Self { resources, ..self }
    }

    /// The resource that says what stands at a place.
    pub(crate) fn resource(&self, span: Span) -> Option<&'a ResourceName> {
        match span.is_beside() {
            true => resources::owner(self.resources, span),
            false => None,
        }
    }

    /// The text of a span.
    pub(crate) fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// Where a byte offset lies.
    pub(crate) fn locate(&self, offset: usize) -> Location {
        let offset = self.boundary(offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let line_start = self.line_starts[line - 1];
        let (counted_to, counted) = self.counted.get();
        let (from, before) = if (line_start..=offset).contains(&counted_to) && counted_to > 0 {
            (counted_to, counted)
        } else {
            (line_start, 0)
        };
        let column = before + self.text[from..offset].chars().count();
        self.counted.set((offset, column));
        Location {
            line,
            column: column + 1,
        }
    }

    /// The line of a span's start. Characters within `hidden` are replaced.
    pub(crate) fn excerpt(&self, span: Span, hidden: &[Span]) -> Excerpt {
        let start = self.boundary(span.start);
        let line = self
            .line_starts
            .partition_point(|line_start| *line_start <= start);
        let line_start = self.line_starts[line - 1];
        let line_end = self
            .line_starts
            .get(line)
            .map_or(self.text.len(), |next| *next);
        let content = self.text[line_start..line_end].trim_end_matches(['\r', '\n']);
        let line_end = line_start + content.len();
        let start = start.min(line_end);
        let end = self.boundary(span.end).clamp(start, line_end);

        let fits = content.len() <= BEFORE + AFTER;
        let from = if fits {
            line_start
        } else {
            self.back(line_start, start, BEFORE)
        };
        let to = if fits {
            line_end
        } else {
            self.forward(line_end, start, AFTER)
        };

        let mut excerpt = Excerpt::default();
        let mut column = 0;
        if from > line_start {
            excerpt.text.push('…');
            column += 1;
        }
        excerpt.offset = column;
        for (index, character) in self.text[from..to].char_indices() {
            let at = from + index;
            let is_hidden = hidden
                .iter()
                .any(|span| (span.start..span.end).contains(&at));
            let width = push_shown(&mut excerpt.text, character, is_hidden);
            if at < start {
                excerpt.offset += width;
            } else if at < end {
                excerpt.width += width;
                excerpt.length += 1;
            }
        }
        if to < line_end {
            excerpt.text.push('…');
        }
        excerpt.text.truncate(excerpt.text.trim_end().len());
        excerpt.width = excerpt.width.max(1);
        excerpt.length = excerpt.length.max(1);
        excerpt
    }

    /// The nearest start of a character at or in front of an offset.
    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    fn back(&self, least: usize, from: usize, characters: usize) -> usize {
        let before = &self.text[least..from];
        before
            .char_indices()
            .rev()
            .take(characters)
            .last()
            .map_or(from, |(index, _)| least + index)
    }

    fn forward(&self, most: usize, from: usize, characters: usize) -> usize {
        let after = &self.text[from..most];
        after
            .char_indices()
            .nth(characters)
            .map_or(most, |(index, _)| from + index)
    }
}

fn push_shown(text: &mut String, character: char, is_hidden: bool) -> usize {
    if is_hidden {
        text.push('•');
        return 1;
    }
    if character == '\t' {
        text.push_str(TAB);
        return TAB.len();
    }
    let shown = printable(character);
    text.push(shown);
    shown.width().unwrap_or(1)
}

/// The character itself, or a stand-in for one that would act on a terminal or turn the reading
/// direction around it.
pub(crate) fn printable(character: char) -> char {
    let turns_direction = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if character.is_control() || turns_direction {
        '\u{fffd}'
    } else {
        character
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_every_yaml_line_break() {
        let source = Source::new("f", "a\nb\r\nc\rd");
        assert_eq!(source.locate(2), Location { line: 2, column: 1 });
        assert_eq!(source.locate(5), Location { line: 3, column: 1 });
        assert_eq!(source.locate(7), Location { line: 4, column: 1 });
        assert_eq!(source.excerpt(Span::new(2, 3), &[]).text, "b");
    }

    #[test]
    fn columns_count_characters_and_carets_count_terminal_columns() {
        let text = "é漢: x";
        let source = Source::new("f", text);
        let at = text.find('x').unwrap();
        assert_eq!(source.locate(at), Location { line: 1, column: 5 });
        assert_eq!(source.excerpt(Span::new(at, at + 1), &[]).offset, 5);
    }

    #[test]
    fn counting_on_from_an_earlier_place_gives_the_same_column() {
        let source = Source::new("f", "éé éé éé");
        assert_eq!(source.locate(5).column, 4);
        assert_eq!(source.locate(10).column, 7);
        assert_eq!(source.locate(5).column, 4);
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}HERE{}", "é".repeat(500), "b".repeat(500));
        let source = Source::new("f", &text);
        let excerpt = source.excerpt(Span::new(1000, 1004), &[]);
        assert_eq!(
            excerpt.text,
            format!("…{}HERE{}…", "é".repeat(40), "b".repeat(56))
        );
        assert_eq!((excerpt.offset, excerpt.width), (41, 4));
    }

    #[test]
    fn hidden_and_dangerous_characters_are_replaced() {
        let source = Source::new("f", "a: pass\u{1b}[31m\u{202e}");
        let excerpt = source.excerpt(Span::new(0, 1), &[Span::new(3, 7)]);
        assert_eq!(excerpt.text, "a: ••••\u{fffd}[31m\u{fffd}");
    }

    #[test]
    fn places_outside_of_the_text_are_the_end() {
        let source = Source::new("f", "aé");
        assert_eq!(source.locate(99), Location { line: 1, column: 3 });
        assert_eq!(source.excerpt(Span::new(99, 120), &[]).offset, 2);
    }
}
