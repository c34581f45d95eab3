//! Normalisation: the usual changes to JSON, written down in a few words. They become a program in jq.

use std::fmt::Write;
use std::time::Duration;

use jaq_core::load::parse::Def;

use crate::json;
use crate::meter::Budget;
use crate::program::{Input, Program};
use crate::value::Value;

/// Changes to a value. They act in this order: fields are removed, types and dates changed, defaults
/// set, fields renamed, and last of all every key is written anew. Paths therefore name fields as they
/// come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normalize {
    /// Fields that are left out.
    pub remove: Vec<Path>,
    /// Fields that become another kind of value.
    pub types: Vec<(Path, Kind)>,
    /// Dates that become RFC 3339.
    pub dates: Vec<(Path, Moment)>,
    /// Values of fields that are missing or null, as JSON.
    pub defaults: Vec<(Path, String)>,
    /// Fields that get another name.
    pub rename: Vec<(Path, String)>,
    /// How all keys are written.
    pub keys: Option<Keys>,
}

/// Where a field is: `user.addresses[].city`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Where the object is that has the field.
    parent: Vec<Step>,
    /// The field.
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Items,
}

/// A kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// Any number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// What is no array becomes one with one item.
    Array,
}

/// How a date is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// As strptime reads it; UTC unless it says otherwise.
    Format(String),
}

/// How keys are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// `user_name`
    SnakeCase,
    /// `userName`
    CamelCase,
}

impl Moment {
    /// `None` if no date can be read in this format: a directive is unknown, or they do not make up a day.
    pub fn format(format: &str) -> Option<Self> {
        let text = literal(format);
        let there_and_back =
            Program::jq(&format!("0 | strftime({text}) | date_from({text})")).ok()?;
        let budget = Budget {
            steps: 1_000,
            time: Duration::from_millis(100),
            memory: 1 << 20,
            output: 1 << 10,
            stack: 256 << 10,
        };
        there_and_back.run(&Input::default(), &budget).ok()?;
        Some(Self::Format(format.to_owned()))
    }
}

impl Path {
    /// `None` if it is none: fields with dots between them, each perhaps with `[]` behind it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        for part in text.split('.') {
            let name = part.trim_end_matches("[]");
            if !name.is_empty() {
                steps.push(Step::Field(name.to_owned()));
            } else if !steps.is_empty() || part.is_empty() {
                return None;
            }
            if name.contains(['[', ']', '"', '\\']) {
                return None;
            }
            let items = (part.len() - name.len()) / 2;
            steps.extend(std::iter::repeat_n(Step::Items, items));
        }
        match steps.pop()? {
            Step::Field(name) => Some(Self {
                parent: steps,
                name,
            }),
            Step::Items => None,
        }
    }

    fn parent(&self) -> String {
        let steps: Vec<String> = self.parent.iter().map(Step::literal).collect();
        format!("[{}]", steps.join(","))
    }

    /// The path of the field itself.
    fn whole(&self) -> String {
        let mut steps: Vec<String> = self.parent.iter().map(Step::literal).collect();
        steps.push(literal(&self.name));
        format!("[{}]", steps.join(","))
    }
}

impl Step {
    fn literal(&self) -> String {
        match self {
            Self::Field(name) => literal(name),
            Self::Items => "[]".to_owned(),
        }
    }
}

/// Text as jq writes it: as JSON, and without what would be computed.
fn literal(text: &str) -> String {
    json::to_literal(&Value::String(text.to_owned().into()))
}

impl Normalize {
    /// The program.
    pub fn to_jq(&self) -> String {
        let mut program = String::from(".");
        let mut step = |path: String, change: String| {
            // Writing into memory cannot fail.
            let _ = write!(program, "\n| at_path({path}; {change})");
        };
        for path in &self.remove {
            step(
                path.parent(),
                format!("remove_field({})", literal(&path.name)),
            );
        }
        for (path, kind) in &self.types {
            let change = match kind {
                Kind::String => "as_string",
                Kind::Number => "as_number",
                Kind::Integer => "as_integer",
                Kind::Boolean => "as_boolean",
                Kind::Array => "as_array",
            };
            step(
                path.whole(),
                format!("named({}; {change})", literal(&path.name)),
            );
        }
        for (path, moment) in &self.dates {
            let change = match moment {
                Moment::Seconds => "date_from_seconds".to_owned(),
                Moment::Milliseconds => "date_from_milliseconds".to_owned(),
                Moment::Format(format) => format!("date_from({})", literal(format)),
            };
            step(
                path.whole(),
                format!("named({}; {change})", literal(&path.name)),
            );
        }
        for (path, value) in &self.defaults {
            step(
                path.parent(),
                format!("default_field({}; {value})", literal(&path.name)),
            );
        }
        for (path, to) in &self.rename {
            step(
                path.parent(),
                format!("rename_field({}; {})", literal(&path.name), literal(to)),
            );
        }
        match self.keys {
            None => {}
            Some(Keys::SnakeCase) => program.push_str("\n| all_keys(snake_case)"),
            Some(Keys::CamelCase) => program.push_str("\n| all_keys(camel_case)"),
        }
        program
    }
}

/// `userName`, `UserName` and `user-name` become `user_name`.
pub(crate) fn snake_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    let mut characters = text.chars().peekable();
    let mut was_lower = false;
    while let Some(character) = characters.next() {
        let is_next_lower = characters.peek().is_some_and(|next| next.is_lowercase());
        if matches!(character, '-' | ' ' | '_') {
            out.push('_');
            was_lower = false;
        } else if character.is_uppercase() {
            // `userID` has one word after `user`, and `HTTPServer` two.
            let begins = was_lower || (is_next_lower && !out.is_empty() && !out.ends_with('_'));
            if begins {
                out.push('_');
            }
            out.extend(character.to_lowercase());
            was_lower = false;
        } else {
            out.push(character);
            was_lower = true;
        }
    }
    out
}

/// `user_name` and `user-name` become `userName`.
pub(crate) fn camel_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_start = false;
    for character in text.chars() {
        if matches!(character, '-' | ' ' | '_') && !out.is_empty() {
            is_start = true;
        } else if std::mem::take(&mut is_start) {
            out.extend(character.to_uppercase());
        } else {
            out.push(character);
        }
    }
    out
}

/// Functions that the programs are made of.
pub(crate) fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    let steps = jaq_core::load::parse(include_str!("normalize.jq"), |parser| parser.defs());
    steps.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_in_one_way() {
        for (text, snake, camel) in [
            ("userName", "user_name", "userName"),
            ("UserName", "user_name", "UserName"),
            ("user-name", "user_name", "userName"),
            ("userID", "user_id", "userID"),
            ("HTTPServer", "http_server", "HTTPServer"),
            ("user_name", "user_name", "userName"),
            ("_id", "_id", "_id"),
            ("address2", "address2", "address2"),
            ("", "", ""),
        ] {
            assert_eq!(snake_case(text), snake, "{text}");
            assert_eq!(camel_case(text), camel, "{text}");
        }
    }

    #[test]
    fn paths_have_fields_and_items() {
        for good in ["a", "a.b", "a[].b", "[].b", "a[][].b", "Ä ö.b"] {
            assert!(Path::parse(good).is_some(), "{good}");
        }
        for bad in [
            "", ".", "a.", ".a", "a[]", "[]", "a[0].b", "a..b", "a.[].b", "a\".b",
        ] {
            assert!(Path::parse(bad).is_none(), "{bad}");
        }
    }
}
