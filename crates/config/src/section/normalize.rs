//! `normalize`: the usual changes to JSON. They become a program in jq.

use std::sync::Arc;

use weir_transform::{Keys, Kind, Moment, Normalize, Path, Program};

use super::respond;
use crate::codes;
use crate::decode::{Context, Cursor, Named, Object};
use crate::diagnostic::Finding;
use crate::shape::{Choice, Record, Shape, Text, choice, field};
use crate::suggest::quote;
use crate::value::Fault;
use crate::value::text::FREE;

static FIELD_PATH: Text = Text {
    what: "the path of a field",
    pattern: Some(r"^[^.].*$"),
    examples: &["user.name", "items[].price"],
    loose: true,
};

static DATE: Text = Text {
    what: "`seconds`, `milliseconds`, or a format of strptime",
    pattern: Some("^(seconds|milliseconds|.*%.*)$"),
    examples: &["seconds", "%d.%m.%Y %H:%M"],
    loose: false,
};

pub(super) static NORMALIZE: Record = Record {
    name: "normalize",
    about: "Changes to JSON, in this order. Paths name fields as they come; fields that are not there are left alone.",
    fields: &[
        field(
            "remove",
            Shape::List {
                items: &Shape::Text(&FIELD_PATH),
                least: 0,
            },
            "Fields that are left out.",
        )
        .default("[]"),
        field(
            "types",
            Shape::Map {
                names: &FIELD_PATH,
                values: &Shape::Choice(&KINDS),
            },
            "Fields that become another kind of value.",
        )
        .default("{}"),
        field(
            "dates",
            Shape::Map {
                names: &FIELD_PATH,
                values: &Shape::Text(&DATE),
            },
            "Dates that become RFC 3339, and how they come.",
        )
        .default("{}"),
        field(
            "defaults",
            Shape::Map {
                names: &FIELD_PATH,
                values: &Shape::Anything,
            },
            "Values of fields that are missing or null.",
        )
        .default("{}"),
        field(
            "rename",
            Shape::Map {
                names: &FIELD_PATH,
                values: &Shape::Text(&FREE),
            },
            "Fields that get another name.",
        )
        .default("{}"),
        field(
            "keys",
            Shape::Choice(&KEYS),
            "How all keys are written. Default: as they come.",
        ),
    ],
};

static KINDS: [Choice; 5] = [
    choice("string", "Text; other values are written as JSON."),
    choice("number", "A number."),
    choice("integer", "A whole number."),
    choice(
        "boolean",
        "`true` or `false`; `yes`, `on`, `1` and their opposites are understood.",
    ),
    choice("array", "A list; anything else becomes a list of one."),
];

static KEYS: [Choice; 2] = [
    choice("snake_case", "As in `user_name`."),
    choice("camel_case", "As in `userName`."),
];

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Arc<Program>> {
    let object = Object::open(context, cursor)?;
    if object.node.entries().is_empty() {
        let finding = Finding::error(codes::NOTHING_CHOSEN, "nothing is normalised")
            .help("write `remove`, `types`, `dates`, `defaults`, `rename` or `keys`");
        object.report(context, cursor.span(), finding);
        return None;
    }
    let before = context.findings.len();
    let mut normalize = Normalize::default();
    for item in object.get("remove")?.items(context) {
        normalize.remove.extend(item.parse(context, path));
    }
    for entry in object.get("types")?.entries(context) {
        let kind = entry.value.choice(context);
        let kind = kind.map(|kind| match kind {
            "string" => Kind::String,
            "number" => Kind::Number,
            "integer" => Kind::Integer,
            "boolean" => Kind::Boolean,
            _ => Kind::Array,
        });
        normalize.types.extend(path_of(context, &entry).zip(kind));
    }
    for entry in object.get("dates")?.entries(context) {
        let moment = entry.value.parse(context, moment);
        normalize.dates.extend(path_of(context, &entry).zip(moment));
    }
    for entry in object.get("defaults")?.entries(context) {
        let json = respond::json(context, &entry.value);
        let json = json.and_then(|json| String::from_utf8(json.to_vec()).ok());
        normalize
            .defaults
            .extend(path_of(context, &entry).zip(json));
    }
    for entry in object.get("rename")?.entries(context) {
        let name = entry.value.text(context).map(str::to_owned);
        normalize.rename.extend(path_of(context, &entry).zip(name));
    }
    normalize.keys = object.written("keys").and_then(|cursor| {
        Some(match cursor.choice(context)? {
            "snake_case" => Keys::SnakeCase,
            _ => Keys::CamelCase,
        })
    });
    if context.findings.len() > before {
        return None;
    }
    match Program::jq(&normalize.to_jq()) {
        Ok(program) => Some(Arc::new(program)),
        Err(faults) => {
            // Only by its size: what it is made of compiles.
            let message = faults.into_iter().next().map(|fault| fault.message);
            context.report(cursor.error(codes::BAD_JQ, message.unwrap_or_default()));
            None
        }
    }
}

fn path(text: &str) -> Result<Path, Fault> {
    Path::parse(text).ok_or_else(|| {
        let message = format!("{} is not the path of a field", quote(text));
        Fault::new(codes::BAD_FIELD_PATH, message).help(
            "write names with dots between them, and `[]` behind a list, as in `items[].price`",
        )
    })
}

fn path_of(context: &mut Context<'_>, entry: &Named<'_>) -> Option<Path> {
    match path(entry.name) {
        Ok(path) => Some(path),
        Err(fault) => {
            context.report(entry.fault(fault));
            None
        }
    }
}

fn moment(text: &str) -> Result<Moment, Fault> {
    match text {
        "seconds" => Ok(Moment::Seconds),
        "milliseconds" => Ok(Moment::Milliseconds),
        format if format.contains('%') => Moment::format(format).ok_or_else(|| {
            let message = format!("no date can be read by the format {}", quote(format));
            Fault::new(codes::BAD_TEXT, message)
                .help("write directives of strptime that make up a day, such as `%d.%m.%Y %H:%M`")
        }),
        _ => Err(Fault::new(
            codes::BAD_TEXT,
            format!("{} does not say how the date is written", quote(text)),
        )
        .help("write `seconds`, `milliseconds`, or a format such as `%d.%m.%Y`")),
    }
}
