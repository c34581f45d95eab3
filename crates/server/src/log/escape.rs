//! Text from outside, made harmless for a log line.
//!
//! Whatever a client sends, it must not be able to end a line, to begin another, or to steer the
//! terminal or viewer that shows it.

/// Bytes that may stand in a JSON string as they are; all of them are printable ASCII.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        plain[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};

const HEX: &[u8; 16] = b"0123456789abcdef";
/// Stands for bytes that are not UTF-8 (U+FFFD).
const REPLACEMENT: &str = "\u{fffd}";

/// Writes a JSON string with its quotes (RFC 8259 §7). Bytes that are not UTF-8 become U+FFFD.
pub(super) fn json_string(line: &mut Vec<u8>, bytes: &[u8]) {
    line.push(b'"');
    if bytes.iter().all(|byte| PLAIN[usize::from(*byte)]) {
        line.extend_from_slice(bytes);
    } else {
        for chunk in bytes.utf8_chunks() {
            chunk
                .valid()
                .chars()
                .for_each(|character| json_character(line, character));
            if !chunk.invalid().is_empty() {
                line.extend_from_slice(REPLACEMENT.as_bytes());
            }
        }
    }
    line.push(b'"');
}

fn json_character(line: &mut Vec<u8>, character: char) {
    match character {
        '"' => line.extend_from_slice(b"\\\""),
        '\\' => line.extend_from_slice(b"\\\\"),
        '\n' => line.extend_from_slice(b"\\n"),
        '\r' => line.extend_from_slice(b"\\r"),
        '\t' => line.extend_from_slice(b"\\t"),
        _ if is_unsafe(character) => {
            // All of them are below U+10000.
            line.extend_from_slice(b"\\u");
            hexadecimal(line, character as u32, 4);
        }
        _ => push(line, character),
    }
}

/// Writes text for people. What cannot be shown safely is written as `\xNN` or `\u{NNNN}`, and so
/// is a space: it separates the columns.
pub(super) fn word(line: &mut Vec<u8>, bytes: &[u8]) {
    if bytes
        .iter()
        .all(|byte| PLAIN[usize::from(*byte)] && *byte != b' ')
    {
        line.extend_from_slice(bytes);
        return;
    }
    text_chunks(line, bytes, |line, character| match character {
        ' ' | '\\' => text_escape(line, character),
        _ => text_character(line, character),
    });
}

/// Text for people, on one line. What cannot be shown safely is written as `\xNN` or `\u{NNNN}`.
pub(crate) fn printable(text: &str) -> String {
    let mut line = Vec::with_capacity(text.len());
    text_chunks(&mut line, text.as_bytes(), text_character);
    String::from_utf8_lossy(&line).into_owned()
}

/// Writes a message for people. It may have several lines; those after the first are indented so
/// that none of them can pass for a line of its own.
pub(super) fn message(line: &mut Vec<u8>, bytes: &[u8]) {
    text_chunks(
        line,
        bytes.trim_ascii_end(),
        |line, character| match character {
            '\n' => line.extend_from_slice(b"\n    "),
            _ => text_character(line, character),
        },
    );
}

fn text_chunks(line: &mut Vec<u8>, bytes: &[u8], write: impl Fn(&mut Vec<u8>, char)) {
    for chunk in bytes.utf8_chunks() {
        chunk
            .valid()
            .chars()
            .for_each(|character| write(line, character));
        for byte in chunk.invalid() {
            line.extend_from_slice(b"\\x");
            hexadecimal(line, u32::from(*byte), 2);
        }
    }
}

fn text_character(line: &mut Vec<u8>, character: char) {
    if is_unsafe(character) {
        text_escape(line, character);
    } else {
        push(line, character);
    }
}

fn text_escape(line: &mut Vec<u8>, character: char) {
    if character.is_ascii() {
        line.extend_from_slice(b"\\x");
        hexadecimal(line, character as u32, 2);
    } else {
        line.extend_from_slice(b"\\u{");
        hexadecimal(line, character as u32, 4);
        line.push(b'}');
    }
}

/// Controls (C0, DEL, C1), separators that some viewers break lines at, and marks that change the
/// direction of the text around them.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn push(line: &mut Vec<u8>, character: char) {
    line.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Two digits for each byte.
pub(super) fn hexadecimal_bytes(line: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        hexadecimal(line, u32::from(*byte), 2);
    }
}

fn hexadecimal(line: &mut Vec<u8>, number: u32, width: u32) {
    for digit in (0..width).rev() {
        line.push(HEX[(number >> (4 * digit) & 15) as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>, &[u8]), bytes: &[u8]) -> String {
        let mut line = Vec::new();
        write(&mut line, bytes);
        String::from_utf8(line).expect("output is UTF-8")
    }

    #[test]
    fn every_byte_comes_back_from_json_or_is_replaced() {
        for first in 0..=255_u8 {
            for second in [b'a', b'"', b'\\', b'\n', 0x80, 0xff] {
                let bytes = [first, second];
                let json = written(json_string, &bytes);
                assert!(
                    json.bytes()
                        .all(|byte| (0x20..0x7f).contains(&byte) || byte >= 0x80)
                );
                let back: String = serde_json::from_str(&json).expect("a JSON string");
                assert_eq!(back, String::from_utf8_lossy(&bytes));
            }
        }
    }

    #[test]
    fn every_character_that_could_mislead_is_escaped() {
        for character in (0..=0x10_ffff).filter_map(char::from_u32) {
            let text = character.to_string();
            let json = written(json_string, text.as_bytes());
            assert_eq!(
                serde_json::from_str::<String>(&json).expect("a JSON string"),
                text
            );
            for shown in [json, written(word, text.as_bytes())] {
                assert!(!shown.chars().any(is_unsafe), "{shown:?}");
            }
        }
    }

    #[test]
    fn a_word_has_no_space_and_says_what_was_there() {
        assert_eq!(
            written(word, b"/a b\n200 \x1b[2J\\\xff"),
            r"/a\x20b\x0a200\x20\x1b[2J\x5c\xff"
        );
        assert_eq!(written(word, "/\u{202e}é".as_bytes()), r"/\u{202e}é");
    }

    #[test]
    fn lines_of_a_message_cannot_pass_for_log_lines() {
        let forged = b"refused\n12:00:00.000 INFO all is well\r\n";
        assert_eq!(
            written(message, forged),
            "refused\n    12:00:00.000 INFO all is well"
        );
    }
}
