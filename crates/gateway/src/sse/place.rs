//! Where in a stream of events we are.

/// Lines end with LF, CR or CRLF; an empty one ends an event. A comment put anywhere else could become
/// part of a line, or be followed by the rest of an event that a reader took for whole.
#[derive(Debug)]
pub(super) struct Place {
    /// Whether the line that we are in is empty so far.
    is_line_empty: bool,
    /// Whether the last byte was CR: a LF behind it belongs to it.
    was_return: bool,
    is_between: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            is_line_empty: true,
            was_return: false,
            is_between: true,
        }
    }
}

impl Place {
    pub(super) fn is_between_events(&self) -> bool {
        // A LF that may follow would end an empty line, which harms nobody; but whoever reads by CRLF
        // should not see one torn apart.
        self.is_between && !self.was_return
    }

    pub(super) fn follow(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' if self.was_return => {}
                b'\n' | b'\r' => {
                    self.is_between = self.is_line_empty;
                    self.is_line_empty = true;
                }
                _ => {
                    self.is_between = false;
                    self.is_line_empty = false;
                }
            }
            self.was_return = byte == b'\r';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_between(text: &str) -> bool {
        // The same whatever the pieces.
        let mut whole = Place::default();
        whole.follow(text.as_bytes());
        let mut pieces = Place::default();
        for byte in text.bytes() {
            pieces.follow(&[byte]);
        }
        assert_eq!(whole.is_between_events(), pieces.is_between_events());
        whole.is_between_events()
    }

    #[test]
    fn between_events_is_behind_an_empty_line_only() {
        for text in [
            "",
            "\n",
            "data: a\n\n",
            "data: a\r\n\r\n",
            ":\n\n",
            "data: a\r\n\n",
            "a\n\n\n",
        ] {
            assert!(is_between(text), "{text:?}");
        }
        for text in [
            "d",
            "data: a",
            "data: a\n",
            "data: a\r\n",
            "data: a\r",
            "data: a\r\n\r",
            "data: a\n\nd",
            "data: a\n\ndata: b\n",
            "data: a\n\n:",
            "id: 1\ndata: a\n",
            "data: a\r\r",
        ] {
            assert!(!is_between(text), "{text:?}");
        }
    }
}
