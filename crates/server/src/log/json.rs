//! One JSON object on one line, written field by field without building a tree.

use super::escape::{hexadecimal_bytes, json_string};
use super::timestamp::Timestamp;

/// An object under construction at the end of a buffer.
pub(super) struct JsonLine<'a> {
    line: &'a mut Vec<u8>,
}

impl<'a> JsonLine<'a> {
    /// Begins with the fields that every line has.
    pub(super) fn begin(line: &'a mut Vec<u8>, time: Timestamp, severity: &'static str) -> Self {
        line.extend_from_slice(b"{\"timestamp\":\"");
        time.write_rfc3339(line);
        line.extend_from_slice(b"\",\"severity_text\":\"");
        line.extend_from_slice(severity.as_bytes());
        line.push(b'"');
        Self { line }
    }

    /// A field whose value may come from outside.
    pub(super) fn string(&mut self, key: &'static str, value: &[u8]) {
        self.key(key);
        json_string(self.line, value);
    }

    /// A list of words of this crate's, which need no escapes.
    pub(super) fn strings(&mut self, key: &'static str, words: impl Iterator<Item = &'static str>) {
        self.key(key);
        let mut before = b'[';
        for word in words {
            self.line.push(before);
            self.line.push(b'"');
            self.line.extend_from_slice(word.as_bytes());
            self.line.push(b'"');
            before = b',';
        }
        self.line.push(b']');
    }

    /// A field whose name ends in a header's.
    pub(super) fn named(&mut self, prefix: &'static str, name: &str, value: &[u8]) {
        self.line.push(b',');
        json_string(self.line, format!("{prefix}{name}").as_bytes());
        self.line.push(b':');
        json_string(self.line, value);
    }

    /// An id, in hexadecimal digits.
    pub(super) fn hex(&mut self, key: &'static str, bytes: &[u8]) {
        self.key(key);
        self.line.push(b'"');
        hexadecimal_bytes(self.line, bytes);
        self.line.push(b'"');
    }

    pub(super) fn number(&mut self, key: &'static str, value: impl itoa::Integer) {
        self.key(key);
        self.line
            .extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A duration in milliseconds with microseconds behind the point.
    pub(super) fn milliseconds(&mut self, key: &'static str, duration: std::time::Duration) {
        self.key(key);
        let micros = duration.as_micros();
        self.line
            .extend_from_slice(itoa::Buffer::new().format(micros / 1_000).as_bytes());
        let rest = (micros % 1_000) as u16;
        let digits = [
            b'.',
            digit(rest / 100),
            digit(rest / 10 % 10),
            digit(rest % 10),
        ];
        self.line.extend_from_slice(&digits);
    }

    /// Fields that are written already, each with a comma in front.
    pub(super) fn append(&mut self, fields: &[u8]) {
        self.line.extend_from_slice(fields);
    }

    /// Keys of this crate need no escapes.
    fn key(&mut self, key: &'static str) {
        self.line.extend_from_slice(b",\"");
        self.line.extend_from_slice(key.as_bytes());
        self.line.extend_from_slice(b"\":");
    }

    pub(super) fn end(self) {
        self.line.extend_from_slice(b"}\n");
    }
}

fn digit(number: u16) -> u8 {
    b'0' + number as u8
}
