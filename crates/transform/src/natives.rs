//! Functions of jq that know what values are made of, and the choice of those that programs get.

use bytes::Bytes;
use jaq_core::box_iter::box_once;
use jaq_core::load::parse::Def;
use jaq_core::native::{Filter, Fun, bome, run, unary, v};
use jaq_core::{DataT, Exn, RunPtr};

use crate::access::places;
use crate::arithmetic::{Error, Outcome};
use crate::json;
use crate::meter;
use crate::normalize::{camel_case, snake_case};
use crate::regex;
use crate::value::Value;

/// What jq has and programs here do not: they could see the machine's environment and clock zone, end
/// the process, write to its log, or compute longer than they can be watched.
const WITHHELD: [&str; 8] = [
    "env",
    "halt",
    "debug_empty",
    "stderr_empty",
    "localtime",
    "strflocaltime",
    "jn",
    "yn",
];
/// What is asked for leave first (`guards.jq`), and the names that they have behind that.
const GUARDED: [(&str, &str); 7] = [
    ("matches", "unguarded_matches"),
    ("split_matches", "unguarded_split_matches"),
    ("split_", "unguarded_split_"),
    ("strftime", "unguarded_strftime"),
    ("gmtime", "unguarded_gmtime"),
    ("mktime", "unguarded_mktime"),
    ("todateiso8601", "unguarded_todateiso8601"),
];
const WITHHELD_DEFINITIONS: [&str; 4] = ["debug", "stderr", "halt", "halt_error"];

/// Stops a run at once; no `try` catches it.
pub(crate) const HALT: &str = "halt_run";

/// Functions written in jq.
pub(crate) fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    let standard = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    // The guards come first: what follows calls them.
    let standard = standard.filter(|definition| !WITHHELD_DEFINITIONS.contains(&definition.name));
    guards()
        .chain(standard)
        .chain(crate::normalize::definitions())
}

fn guards() -> impl Iterator<Item = Def<&'static str>> {
    let guards = jaq_core::load::parse(include_str!("guards.jq"), |parser| parser.defs());
    guards.into_iter().flatten()
}

/// Functions written in Rust.
pub(crate) fn functions<D: for<'a> DataT<V<'a> = Value>>() -> impl Iterator<Item = Fun<D>> {
    let standard = jaq_core::funs()
        .chain(jaq_std::funs())
        .filter(|(name, ..)| !WITHHELD.contains(name))
        .map(|(name, arguments, function)| {
            let guarded = GUARDED.iter().find(|(plain, _)| *plain == name);
            (guarded.map_or(name, |(_, name)| name), arguments, function)
        });
    standard.chain(own().into_iter().map(run))
}

fn own<D: for<'a> DataT<V<'a> = Value>>() -> Vec<Filter<RunPtr<D>>> {
    vec![
        (HALT, v(0), |_| box_once(Err(Exn::halt(1)))),
        ("fromjson", v(0), |cv| bome(from_json(cv.1))),
        ("tojson", v(0), |cv| {
            bome(Ok(Value::string(json::to_text(&cv.1))))
        }),
        ("tobytes", v(0), |cv| {
            bome(cv.1.into_text().map(Value::String))
        }),
        ("length", v(0), |cv| bome(length(cv.1))),
        ("contains", v(1), |cv| {
            unary(cv, |whole, part| {
                // Each item may have to be compared with each.
                meter::work(whole.weight().saturating_mul(1 + part.weight() / 64));
                Ok(Value::Boolean(
                    meter::stopped().is_none() && contains(&whole, &part),
                ))
            })
        }),
        ("has", v(1), |cv| {
            unary(cv, |value, key| {
                Ok(Value::Boolean(value.get(&key)?.is_some()))
            })
        }),
        ("indices", v(1), |cv| {
            unary(cv, |value, part| indices(value, &part))
        }),
        ("bsearch", v(1), |cv| {
            unary(cv, |value, wanted| match value {
                Value::Array(array) => Ok(match array.items.binary_search(&wanted) {
                    Ok(at) => Value::from(at),
                    Err(at) => Value::from(-1 - at as isize),
                }),
                other => Err(Error::typ(other, "array")),
            })
        }),
        ("regex_guard", v(1), |cv| {
            unary(cv, |text, pattern| regex::guard(text, &pattern))
        }),
        ("time_guard", v(0), |cv| bome(time_guard(cv.1))),
        ("snake_case", v(0), |cv| bome(rewrite(cv.1, snake_case))),
        ("camel_case", v(0), |cv| bome(rewrite(cv.1, camel_case))),
    ]
}

/// Times are counted in microseconds behind this.
fn time_guard(value: Value) -> Outcome {
    let is_small = |value: &Value, most: f64| match value {
        Value::Number(number) => number.as_f64().abs() <= most,
        _ => true,
    };
    let is_time = match &value {
        Value::Array(parts) => parts.items.iter().enumerate().all(|(at, part)| match at {
            0 => is_small(part, 9999.0),
            _ => is_small(part, 99.0) || at > 5,
        }),
        other => is_small(other, 1e12),
    };
    if is_time {
        Ok(value)
    } else {
        Err(Error::str("the time is out of range"))
    }
}

fn rewrite(value: Value, change: fn(&str) -> String) -> Outcome {
    let text = value.into_text()?;
    Ok(Value::string(change(&String::from_utf8_lossy(&text))))
}

fn from_json(value: Value) -> Outcome {
    let text: Bytes = value.into_text()?;
    json::read(&text).ok_or_else(|| Error::str("the text is not JSON"))
}

fn length(value: Value) -> Outcome {
    Ok(match value {
        Value::Null => Value::from(0_usize),
        Value::Number(number) => Value::Number(number.magnitude()),
        Value::String(text) => {
            meter::work(text.len() as u64);
            Value::from(String::from_utf8_lossy(&text).chars().count())
        }
        Value::Array(array) => Value::from(array.items.len()),
        Value::Object(object) => Value::from(object.entries.len()),
        Value::Boolean(_) => return Err(Error::str(format_args!("{value} has no length"))),
    })
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::String(whole), Value::String(part)) => {
            let (whole, part) = (
                String::from_utf8_lossy(whole),
                String::from_utf8_lossy(part),
            );
            whole.contains(&*part)
        }
        (Value::Array(whole), Value::Array(part)) => {
            let is_there = |part| whole.items.iter().any(|item| contains(item, part));
            part.items.iter().all(is_there)
        }
        (Value::Object(whole), Value::Object(part)) => part.entries.iter().all(|(key, part)| {
            let found = whole.entries.get(key);
            found.is_some_and(|value| contains(value, part))
        }),
        _ => whole == part,
    }
}

fn indices(value: Value, part: &Value) -> Outcome {
    let found = match (&value, part) {
        (Value::Null, _) => return Ok(Value::Null),
        (Value::String(text), Value::String(part)) => {
            let work = (text.len() as u64).saturating_mul(1 + part.len() as u64 / 64);
            if part.is_empty() || !meter::work(work) {
                return Ok(Value::Null);
            }
            let (text, part) = (String::from_utf8_lossy(text), String::from_utf8_lossy(part));
            let starts = text.char_indices().enumerate();
            let matching = starts.filter(|(_, (at, _))| text[*at..].starts_with(&*part));
            matching.map(|(index, _)| index).collect()
        }
        (Value::Array(array), Value::Array(part)) => places(&array.items, &part.items),
        (Value::Array(array), item) => {
            meter::work(array.items.len() as u64 * 64);
            let items = array.items.iter().enumerate();
            items
                .filter_map(|(at, other)| (other == item).then_some(at))
                .collect()
        }
        _ => return Err(Error::index(value, part.clone())),
    };
    Ok(Value::array(found.into_iter().map(Value::from)))
}
