//! From the parser's character indices to byte offsets.

/// One remembered offset for this many characters.
const STRIDE: usize = 64;

pub(super) struct Offsets<'a> {
    text: &'a str,
    /// Byte offset of each `STRIDE`th character; empty if every character is one byte.
    marks: Vec<usize>,
}

impl<'a> Offsets<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        if text.is_ascii() {
            return Self {
                text,
                marks: Vec::new(),
            };
        }
        let marks = text
            .char_indices()
            .step_by(STRIDE)
            .map(|(offset, _)| offset)
            .collect();
        Self { text, marks }
    }

    /// The byte offset of a character, the text's length behind the last one.
    pub(super) fn byte(&self, character: usize) -> usize {
        if self.marks.is_empty() {
            return character.min(self.text.len());
        }
        let Some(mark) = self.marks.get(character / STRIDE) else {
            return self.text.len();
        };
        let rest = &self.text[*mark..];
        rest.char_indices()
            .nth(character % STRIDE)
            .map_or(self.text.len(), |(offset, _)| mark + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_counting() {
        for text in ["plain".repeat(50), "aé漢🙂".repeat(50), String::new()] {
            let offsets = Offsets::new(&text);
            for (index, (byte, _)) in text.char_indices().enumerate() {
                assert_eq!(offsets.byte(index), byte);
            }
            assert_eq!(offsets.byte(text.chars().count()), text.len());
            assert_eq!(offsets.byte(usize::MAX), text.len());
        }
    }
}
