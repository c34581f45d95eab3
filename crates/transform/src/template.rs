//! Templates, as the crate minijinja has them, with bounds.
//!
//! A template counts its own instructions. What one instruction can do is bounded as well: filters and
//! insertions look at the budget, and there is nothing with which text could be gathered from round to
//! round of a loop (no macros, namespaces, recursive loops or blocks that keep their text: `check`). The
//! deadline is looked at whenever text is written.

use std::io;

use bytes::Bytes;
use minijinja::value::{Rest, Value as Inserted, ValueKind, ValueOrKwargs};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, filters};

use crate::json;
use crate::meter::{self, Budget, Stop};
use crate::number::Number;
use crate::program::{Escape, Facts, Fault};
use crate::value::Value;

mod check;

/// Frames of loops and blocks within each other.
const MOST_FRAMES: usize = 24;
/// Longest template.
const LONGEST: usize = 256 * 1024;
/// The one template of its environment.
const NAME: &str = "body";

/// Filters that could make text of any length, or are of no use here.
const WITHHELD: [&str; 4] = ["indent", "format", "pprint", "attr"];

/// A template that was compiled.
#[derive(Debug)]
pub(crate) struct Template {
    environment: Environment<'static>,
}

impl Template {
    pub(crate) fn compile(source: &str, escape: Escape) -> Result<Self, Fault> {
        if source.len() > LONGEST {
            let message = format!("the template is longer than {LONGEST} bytes");
            return Err(Fault { at: None, message });
        }
        let mut environment = Environment::new();
        let escape = match escape {
            Escape::Json => AutoEscape::Json,
            Escape::Html => AutoEscape::Html,
            Escape::None => AutoEscape::None,
        };
        environment.set_auto_escape_callback(move |_| escape.clone());
        environment.set_debug(true);
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_recursion_limit(MOST_FRAMES);
        for name in ["namespace", "debug"] {
            environment.remove_global(name);
        }
        environment.set_formatter(|output, state, value| {
            is_affordable(value).then_some(()).ok_or_else(over)?;
            minijinja::escape_formatter(output, state, value)
        });
        watch_filters(&mut environment);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| fault(&error))?;
        check::check(source, &environment)?;
        Ok(Self { environment })
    }

    pub(crate) fn run(
        &self,
        body: Option<&[u8]>,
        facts: Facts<'_>,
        budget: &Budget,
    ) -> Result<Bytes, Stop> {
        let read = |text: Option<&[u8]>| match text {
            None => Ok(Inserted::from(())),
            Some(text) => match json::read(text) {
                Some(value) => Ok(inserted(&value)),
                None => Err(meter::stopped().unwrap_or(Stop::NotJson)),
            },
        };
        let context = Inserted::from_pairs([
            ("body", read(body)?),
            ("request", read(facts.request)?),
            ("response", read(facts.response)?),
        ]);
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(budget.steps));
        let template = environment
            .get_template(NAME)
            .map_err(|error| failed(&error))?;
        let mut output = Output {
            text: Vec::new(),
            most: budget.output,
            is_full: false,
        };
        match template.render_captured_to(context, &mut output) {
            Ok(_) => Ok(Bytes::from(output.text)),
            Err(_) if output.is_full => Err(Stop::Output),
            Err(error) if error.kind() == ErrorKind::OutOfFuel => Err(Stop::Time),
            Err(error) => Err(meter::stopped().unwrap_or_else(|| failed(&error))),
        }
    }
}

/// Puts a look at the budget around filters. The filter itself has no name: a template can make up any,
/// since names can be texts (`map`).
macro_rules! watch {
    ($environment:ident: $($name:ident)*) => {
        $(
            let plain = Inserted::from_function(filters::$name);
            $environment.add_filter(stringify!($name), move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
                let values: Vec<Inserted> = values.0.into_iter().map(Inserted::from).collect();
                watched(stringify!($name), &plain, state, &values)
            });
        )*
    };
}

fn watch_filters(environment: &mut Environment<'static>) {
    for name in WITHHELD {
        environment.remove_filter(name);
    }
    watch!(environment: batch capitalize chain dictsort first groupby items join last lines list lower
        map max min reject rejectattr replace reverse select selectattr slice sort split string sum
        title tojson trim unique upper urlencode zip);
}

fn watched(
    name: &str,
    plain: &Inserted,
    state: &mut State<'_, '_>,
    values: &[Inserted],
) -> Result<Inserted, Error> {
    let makes_text = matches!(name, "join" | "replace" | "string" | "tojson" | "urlencode");
    let size: usize = values.iter().map(size).sum();
    if !meter::step() || !meter::work(size as u64) {
        return Err(over());
    }
    if makes_text && !values.iter().all(is_affordable) {
        return Err(over());
    }
    if name == "replace" {
        // At worst, each place gets the new text.
        let most = values.iter().map(self::size).fold(1, usize::saturating_mul);
        if !meter::take(most as u64) {
            return Err(over());
        }
    }
    let made = plain.call(state, values)?;
    if !meter::take(self::size(&made) as u64) {
        return Err(over());
    }
    Ok(made)
}

fn over() -> Error {
    Error::new(ErrorKind::OutOfFuel, "the run is over")
}

/// Bytes of a text, or about those of a list itself.
fn size(value: &Inserted) -> usize {
    match value.as_str() {
        Some(text) => text.len() + 1,
        None => value.len().unwrap_or(1).saturating_mul(16) + 1,
    }
}

/// Whether a value can be written out: it may have more in it than there is of it.
fn is_affordable(value: &Inserted) -> bool {
    if !meter::step() || !meter::take(size(value) as u64) {
        return false;
    }
    if value.as_str().is_some() || value.len().is_none() {
        return true;
    }
    let is_map = value.kind() == ValueKind::Map;
    let Ok(mut items) = value.try_iter() else {
        return true;
    };
    items.all(|item| {
        let held = is_map.then(|| value.get_item(&item));
        is_affordable(&item) && held.is_none_or(|held| held.is_ok_and(|held| is_affordable(&held)))
    })
}

/// Text that does not become longer than it may, and is written for no longer than it may be.
struct Output {
    text: Vec<u8>,
    most: usize,
    is_full: bool,
}

impl io::Write for Output {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.is_full |= part.len() > self.most - self.text.len();
        if self.is_full || !meter::step() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.text.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(error: &Error) -> Stop {
    let line = error
        .line()
        .map_or(String::new(), |line| format!(" in line {line}"));
    let message = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    Stop::failed(&format!("{message}{line}"))
}

fn fault(error: &Error) -> Fault {
    Fault {
        at: error.range().map(|range| range.start),
        message: error
            .detail()
            .map_or_else(|| error.kind().to_string(), str::to_owned),
    }
}

fn inserted(value: &Value) -> Inserted {
    match value {
        Value::Null => Inserted::from(()),
        Value::Boolean(boolean) => Inserted::from(*boolean),
        Value::Number(Number::Integer(integer)) => Inserted::from(*integer),
        Value::Number(number) => Inserted::from(number.as_f64()),
        Value::String(text) => Inserted::from(&*String::from_utf8_lossy(text)),
        Value::Array(array) => array.items.iter().map(inserted).collect(),
        Value::Object(object) => {
            let entries = object.entries.iter();
            Inserted::from_pairs(
                entries.map(|(key, value)| {
                    (String::from_utf8_lossy(key).into_owned(), inserted(value))
                }),
            )
        }
    }
}
