//! The documents that a contract consists of: one, and the local files that it refers to.

use std::collections::HashMap;

use serde_json::Value;

/// Most files of one contract.
const MOST_FILES: usize = 256;
/// The scheme under which documents know each other; what has another one is elsewhere.
const SCHEME: &str = "weir-file:///";

/// The name of a document: its path, unless it has a URI already.
pub(crate) fn uri(path: &str) -> String {
    if has_scheme(path) {
        return path.to_owned();
    }
    format!("{SCHEME}{path}")
}

/// A mistake in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Path of the document, from the configuration's directory.
    pub document: String,
    /// Where in it (RFC 6901).
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Fault {
    pub(crate) fn new(document: &str, pointer: &str, message: impl Into<String>) -> Self {
        Self {
            document: document.to_owned(),
            pointer: pointer.to_owned(),
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            document,
            pointer,
            message,
            ..
        } = self;
        write!(formatter, "{document}#{pointer}: {message}")
    }
}

/// Reads a file whose path starts at the configuration's directory.
pub type Reading<'r> = dyn FnMut(&str) -> Result<Value, String> + 'r;

/// A document and all that it refers to, by path.
#[derive(Clone, Debug)]
pub struct Documents {
    pub(crate) main: String,
    pub(crate) all: HashMap<String, Value>,
}

impl Documents {
    /// Gathers what `document`, which stands at `path`, refers to. References to other machines are
    /// never followed, and none may leave the directory that paths start at.
    pub fn gather(path: &str, document: Value, read: &mut Reading<'_>) -> Result<Self, Fault> {
        let mut gathered = Self {
            main: path.to_owned(),
            all: HashMap::new(),
        };
        let mut waiting = vec![(path.to_owned(), document)];
        while let Some((path, document)) = waiting.pop() {
            let mut wanted = Vec::new();
            references(&document, &mut String::new(), &mut wanted);
            // What it refers to may have come with it: compiling will tell.
            let has_own_names = has_own_names(&document);
            gathered.all.insert(path.clone(), document);
            for (pointer, reference) in wanted {
                if has_own_names || is_published(&reference) {
                    continue;
                }
                let fault = |message: String| Fault::new(&path, &pointer, message);
                let Some(target) = target_file(&path, &reference).map_err(fault)? else {
                    continue;
                };
                if gathered.all.contains_key(&target)
                    || waiting.iter().any(|(path, _)| *path == target)
                {
                    continue;
                }
                if gathered.all.len() + waiting.len() == MOST_FILES {
                    return Err(fault(format!(
                        "more than {MOST_FILES} files are referred to"
                    )));
                }
                let found = read(&target).map_err(|reason| {
                    fault(format!("`{}` cannot be used: {reason}", shown(&reference)))
                })?;
                waiting.push((target, found));
            }
        }
        Ok(gathered)
    }

    pub(crate) fn main(&self) -> &Value {
        self.get(&self.main)
    }

    pub(crate) fn get(&self, path: &str) -> &Value {
        self.all.get(path).unwrap_or(&Value::Null)
    }
}

/// Whether parts of a schema have names of their own, to which references are relative
/// (JSON Schema core §8.2.1).
fn has_own_names(document: &Value) -> bool {
    match document {
        Value::Object(members) => {
            let is_name = |key: &str| members.get(key).is_some_and(Value::is_string);
            is_name("$id") || is_name("id") || members.values().any(has_own_names)
        }
        Value::Array(items) => items.iter().any(has_own_names),
        _ => false,
    }
}

/// Whether it is one of JSON Schema's own schemas, which the checker knows.
fn is_published(reference: &str) -> bool {
    let rest = reference
        .strip_prefix("https://")
        .or_else(|| reference.strip_prefix("http://"));
    rest.is_some_and(|rest| rest.starts_with("json-schema.org/"))
}

/// Every `$ref` with its place. Those in examples are found, too; they do no harm.
fn references(value: &Value, pointer: &mut String, found: &mut Vec<(String, String)>) {
    let length = pointer.len();
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                pointer.push('/');
                pointer.push_str(&escaped(name));
                match value {
                    Value::String(reference) if name == "$ref" => {
                        found.push((pointer.clone(), reference.clone()));
                    }
                    _ => references(value, pointer, found),
                }
                pointer.truncate(length);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{at}"));
                references(item, pointer, found);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

/// A member's name as part of a pointer (RFC 6901 §3).
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A name of a document's author, short enough for a message.
pub(crate) fn shown(text: &str) -> String {
    let mut short = String::new();
    for character in text.chars().take(120) {
        match character {
            // Nothing ends here with a quotation mark.
            '"' | '\'' => short.push(character),
            _ => short.extend(character.escape_debug()),
        }
    }
    short
}

/// The file that a reference leads to, `None` if that is the document itself.
pub(crate) fn target_file(from: &str, reference: &str) -> Result<Option<String>, String> {
    let (file, _) = reference.split_once('#').unwrap_or((reference, ""));
    if file.is_empty() {
        return Ok(None);
    }
    if file.starts_with("//") || has_scheme(file) {
        return Err(format!(
            "`{}` is a remote reference, and those are never followed",
            shown(reference)
        ));
    }
    if file.starts_with('/') || file.contains(['\\', '?']) {
        return Err(format!(
            "`{}` is not a path that starts at this document's directory",
            shown(reference)
        ));
    }
    let decoded = decode(file).ok_or_else(|| format!("`{}` is not a path", shown(reference)))?;
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in decoded.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Err(format!(
                        "`{}` leaves the configuration's directory",
                        shown(reference)
                    ));
                }
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    Ok((path != from).then_some(path))
}

fn has_scheme(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else {
        return false;
    };
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(is_allowed)
}

/// Percent-decoding (RFC 3986 §2.1); `None` if that gives no text.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_are_gathered_once_however_they_refer_to_each_other() {
        let mut asked = Vec::new();
        let main = json!({"a": {"$ref": "parts/one.json#/x"}, "b": [{"$ref": "#/a"}]});
        let documents = Documents::gather("api/main.json", main, &mut |path| {
            asked.push(path.to_owned());
            Ok(json!({"x": {"$ref": "../main.json#/b"}, "y": {"$ref": "./t%77o.json"}}))
        })
        .unwrap();
        assert_eq!(asked, ["api/parts/one.json", "api/parts/two.json"]);
        assert_eq!(documents.all.len(), 3);
    }

    #[test]
    fn references_that_lead_away_are_refused_with_their_place() {
        for (reference, why) in [
            ("https://example.com/a.json", "remote"),
            ("//example.com/a.json", "remote"),
            ("file:///etc/passwd", "remote"),
            ("urn:x:y#/z", "remote"),
            ("/etc/passwd", "not a path"),
            ("..\\x", "not a path"),
            ("../../x.json", "leaves"),
            ("%2e%2e/%2e%2e/x.json", "leaves"),
            ("%zz", "not a path"),
        ] {
            let main = json!({"a/b": [{"$ref": reference}]});
            let fault = Documents::gather("api/main.json", main, &mut |path| {
                panic!("{path} was read");
            })
            .unwrap_err();
            assert_eq!(fault.pointer, "/a~1b/0/$ref");
            assert!(
                fault.message.contains(why),
                "{reference}: {}",
                fault.message
            );
        }
    }
}
