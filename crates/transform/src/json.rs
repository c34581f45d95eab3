//! JSON in and out (RFC 8259), strictly: no comments, no other numbers, no rest behind the value.

use std::fmt::{self, Write};

use bytes::Bytes;
use hifijson::num::LexWrite as _;
use hifijson::str::LexAlloc as _;
use hifijson::token::{Expect, Lex};
use hifijson::{Error, SliceLexer};

use crate::meter;
use crate::number::Number;
use crate::value::Value;

/// Reads one value; `None` if it is none, or the run is over.
pub(crate) fn read(text: &[u8]) -> Option<Value> {
    // What is UTF-8 as a whole is in each of its strings.
    str::from_utf8(text).ok()?;
    let mut lexer = SliceLexer::new(text);
    lexer
        .exactly_one(Lex::ws_peek, |next, lexer| value(next, lexer, 0))
        .ok()
}

fn value(next: u8, lexer: &mut SliceLexer<'_>, depth: u32) -> Result<Value, Error> {
    if !meter::step() {
        return Err(Expect::Value.into());
    }
    if depth >= meter::MOST_DEPTH {
        meter::too_deep();
        return Err(Expect::Value.into());
    }
    Ok(match next {
        b'n' | b't' | b'f' => match lexer.null_or_bool().ok_or(Expect::Value)? {
            None => Value::Null,
            Some(boolean) => Value::Boolean(boolean),
        },
        b'0'..=b'9' | b'-' => {
            let (text, _) = lexer.num_string().validated()?;
            Value::Number(Number::parse(text).ok_or(Expect::Value)?)
        }
        b'"' => Value::string(string(lexer)?),
        b'[' => {
            let mut items = Vec::new();
            lexer
                .discarded()
                .seq(b']', Lex::ws_peek, |next, lexer| -> Result<(), Error> {
                    items.push(value(next, lexer, depth + 1)?);
                    Ok(())
                })?;
            Value::array(items)
        }
        b'{' => {
            let mut entries = Vec::new();
            lexer
                .discarded()
                .seq(b'}', Lex::ws_peek, |next, lexer| -> Result<(), Error> {
                    if next != b'"' {
                        return Err(Expect::String.into());
                    }
                    let key = string(lexer)?;
                    lexer.expect(Lex::ws_peek, b':').ok_or(Expect::Colon)?;
                    let next = lexer.ws_peek().ok_or(Expect::Value)?;
                    entries.push((key, value(next, lexer, depth + 1)?));
                    Ok(())
                })?;
            Value::object(entries)
        }
        _ => return Err(Expect::Value.into()),
    })
}

fn string(lexer: &mut SliceLexer<'_>) -> Result<Bytes, Error> {
    let text = lexer.discarded().str_string().map_err(Error::Str)?;
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

/// Whether a text is one value, as strictly as [`read`] has it.
pub fn is_json(text: &[u8]) -> bool {
    fn skip(next: u8, lexer: &mut SliceLexer<'_>, depth: u32) -> Result<(), Error> {
        if depth >= meter::MOST_DEPTH {
            return Err(Expect::Value.into());
        }
        match next {
            b'n' | b't' | b'f' => {
                lexer.null_or_bool().ok_or(Expect::Value)?;
            }
            b'0'..=b'9' | b'-' => {
                lexer.num_string().validated()?;
            }
            b'"' => {
                lexer.discarded().str_string().map_err(Error::Str)?;
            }
            b'[' => {
                let lexer = lexer.discarded();
                lexer.seq(b']', Lex::ws_peek, |next, lexer| {
                    skip(next, lexer, depth + 1)
                })?;
            }
            b'{' => {
                let entry = |next, lexer: &mut SliceLexer<'_>| -> Result<(), Error> {
                    if next != b'"' {
                        return Err(Expect::String.into());
                    }
                    lexer.discarded().str_string().map_err(Error::Str)?;
                    lexer.expect(Lex::ws_peek, b':').ok_or(Expect::Colon)?;
                    let next = lexer.ws_peek().ok_or(Expect::Value)?;
                    skip(next, lexer, depth + 1)
                };
                lexer.discarded().seq(b'}', Lex::ws_peek, entry)?;
            }
            _ => return Err(Expect::Value.into()),
        }
        Ok(())
    }
    let mut lexer = SliceLexer::new(text);
    let whole = lexer.exactly_one(Lex::ws_peek, |next, lexer| skip(next, lexer, 0));
    str::from_utf8(text).is_ok() && whole.is_ok()
}

/// As text, for a program.
pub(crate) fn to_literal(value: &Value) -> String {
    let mut text = String::new();
    // Writing into memory cannot fail.
    let _ = write(value, &mut text);
    text
}

/// As text, within what the run may still take.
pub(crate) fn to_text(value: &Value) -> String {
    let mut text = String::new();
    if meter::work(value.weight()) {
        // Writing into memory cannot fail.
        let _ = write(value, &mut text);
    }
    text
}

/// Writes a value without spaces.
pub(crate) fn write(value: &Value, out: &mut impl Write) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Boolean(true) => out.write_str("true"),
        Value::Boolean(false) => out.write_str("false"),
        Value::Number(number) => write!(out, "{number}"),
        Value::String(text) => write_string(text, out),
        Value::Array(array) => {
            let mut separator = '[';
            for item in &array.items {
                out.write_char(separator)?;
                write(item, out)?;
                separator = ',';
            }
            out.write_str(if separator == '[' { "[]" } else { "]" })
        }
        Value::Object(object) => {
            let mut separator = '{';
            for (key, value) in &object.entries {
                out.write_char(separator)?;
                write_string(key, out)?;
                out.write_char(':')?;
                write(value, out)?;
                separator = ',';
            }
            out.write_str(if separator == '{' { "{}" } else { "}" })
        }
    }
}

/// Writes text as JSON has it; what is not UTF-8 becomes replacement characters.
pub fn quote(text: &[u8], out: &mut String) {
    // Writing into memory cannot fail.
    let _ = write_string(text, out);
}

fn write_string(text: &[u8], out: &mut impl Write) -> fmt::Result {
    let text = String::from_utf8_lossy(text);
    out.write_char('"')?;
    let mut rest = &*text;
    while let Some(at) =
        rest.find(|character: char| character < ' ' || matches!(character, '"' | '\\'))
    {
        out.write_str(&rest[..at])?;
        match rest.as_bytes()[at] {
            b'"' => out.write_str("\\\"")?,
            b'\\' => out.write_str("\\\\")?,
            b'\n' => out.write_str("\\n")?,
            b'\r' => out.write_str("\\r")?,
            b'\t' => out.write_str("\\t")?,
            control => write!(out, "\\u{control:04x}")?,
        }
        rest = &rest[at + 1..];
    }
    out.write_str(rest)?;
    out.write_char('"')
}
