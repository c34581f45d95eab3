//! Tables of JSON objects, page by page: the columns of later pages begin where those of the first do,
//! unless a text is longer.

use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::log::printable;
use crate::output::{Output, Style};

/// Between columns.
const GAP: &str = "  ";
/// Stands for nothing.
const NOTHING: &str = "-";
/// Stands for what was cut.
const CUT: char = '…';

/// A column: its title and what it shows of an object.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    cell: Cell,
}

#[derive(Clone, Copy)]
enum Cell {
    Member(&'static str),
    Moment(&'static str),
    Of(fn(&Value) -> String),
}

impl Column {
    /// What is at a JSON Pointer (RFC 6901).
    pub(crate) const fn member(title: &'static str, pointer: &'static str) -> Self {
        let cell = Cell::Member(pointer);
        Self { title, cell }
    }

    /// A moment, to the second.
    pub(crate) const fn moment(title: &'static str, pointer: &'static str) -> Self {
        let cell = Cell::Moment(pointer);
        Self { title, cell }
    }

    /// What is made of the whole.
    pub(crate) const fn of(title: &'static str, cell: fn(&Value) -> String) -> Self {
        let cell = Cell::Of(cell);
        Self { title, cell }
    }

    fn show(&self, object: &Value) -> String {
        let at = |pointer| object.pointer(pointer).unwrap_or(&Value::Null);
        let shown = match self.cell {
            Cell::Member(pointer) => text(at(pointer)),
            Cell::Moment(pointer) => moment(at(pointer)),
            Cell::Of(cell) => printable(&cell(object)),
        };
        match shown.is_empty() {
            true => NOTHING.to_owned(),
            false => shown,
        }
    }
}

/// A value on one line.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items)
            if items
                .iter()
                .all(|item| !item.is_array() && !item.is_object()) =>
        {
            let items: Vec<_> = items.iter().map(text).collect();
            items.join(", ")
        }
        value => printable(&value.to_string()),
    }
}

/// A moment (RFC 3339) to the second.
pub(crate) fn moment(value: &Value) -> String {
    let moment = text(value);
    match moment.split_once('.') {
        Some((seconds, fraction)) if fraction.ends_with('Z') => format!("{seconds}Z"),
        _ => moment,
    }
}

/// A table under way.
pub(crate) struct Table<'c> {
    columns: &'c [Column],
    widths: Vec<usize>,
    has_begun: bool,
}

impl<'c> Table<'c> {
    /// An empty one.
    pub(crate) fn new(columns: &'c [Column]) -> Self {
        let widths = columns.iter().map(|column| column.title.width()).collect();
        Self {
            columns,
            widths,
            has_begun: false,
        }
    }

    /// The next lines of it. On a terminal they end at its edge.
    pub(crate) fn page(&mut self, objects: &[Value], output: &Output) -> String {
        let rows: Vec<Vec<String>> = objects
            .iter()
            .map(|object| {
                self.columns
                    .iter()
                    .map(|column| column.show(object))
                    .collect()
            })
            .collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        let mut shown = String::new();
        if !std::mem::replace(&mut self.has_begun, true) && !rows.is_empty() {
            let titles = self.columns.iter().map(|column| column.title);
            let line = self.line(titles, output.width());
            shown = output.style(Style::Faint, &line) + "\n";
        }
        for row in &rows {
            shown += &self.line(row.iter().map(String::as_str), output.width());
            shown.push('\n');
        }
        shown
    }

    fn line<'t>(&self, cells: impl Iterator<Item = &'t str>, most: Option<usize>) -> String {
        let mut line = String::new();
        for (cell, width) in cells.zip(&self.widths) {
            line.push_str(cell);
            let padding = width - cell.width().min(*width);
            line.extend(std::iter::repeat_n(' ', padding));
            line.push_str(GAP);
        }
        line.truncate(line.trim_end().len());
        match most {
            Some(most) => cut(line, most),
            None => line,
        }
    }
}

fn cut(line: String, most: usize) -> String {
    if line.width() <= most {
        return line;
    }
    let mut left = most.saturating_sub(1);
    let mut shorter = String::new();
    for character in line.chars() {
        let width = character.width().unwrap_or(0);
        if width > left {
            break;
        }
        left -= width;
        shorter.push(character);
    }
    shorter.push(CUT);
    shorter
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::ColorChoice;

    const COLUMNS: [Column; 3] = [
        Column::member("NAME", "/name"),
        Column::moment("SINCE", "/at"),
        Column::member("ROLES", "/roles"),
    ];

    #[test]
    fn columns_are_aligned_whatever_the_script() {
        let mut table = Table::new(&COLUMNS);
        let output = Output::new(ColorChoice::Never, false);
        let page = table.page(
            &[
                json!({"name": "東京", "at": "2026-11-21T12:00:00.123Z", "roles": ["a", "b"]}),
                json!({"name": "a\u{1b}[31m", "at": null}),
            ],
            &output,
        );
        assert_eq!(
            page,
            "NAME      SINCE                 ROLES\n\
             東京      2026-11-21T12:00:00Z  a, b\n\
             a\\x1b[31m  -                     -\n"
                .replace("NAME      ", "NAME       ")
                .replace("東京      ", "東京       ")
        );
        let later = table.page(&[json!({"name": "x", "at": "", "roles": []})], &output);
        assert_eq!(later, "x          -                     -\n");
    }

    #[test]
    fn lines_end_at_the_edge() {
        assert_eq!(cut("abcdef".to_owned(), 6), "abcdef");
        assert_eq!(cut("abcdefg".to_owned(), 6), "abcde…");
        assert_eq!(cut("東京都庁".to_owned(), 6), "東京…");
    }
}
