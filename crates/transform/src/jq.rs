//! jq, as the crate jaq has it, with bounds.

use std::sync::OnceLock;

use jaq_core::compile::Undefined;
use jaq_core::data::HasLut;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, DataT, Filter, Lut, Vars};

use crate::json;
use crate::meter::{self, Stop};
use crate::natives::{self, HALT};
use crate::program::{Facts, Fault};
use crate::value::Value;

/// Longest program.
const LONGEST: usize = 16 * 1024;

/// Values that a program finds beside its input.
const VARIABLES: [&str; 2] = ["$request", "$response"];

/// A program that was compiled.
pub(crate) struct Jq {
    filter: Filter<Kind>,
    /// What it is when a run is over.
    end: &'static Filter<Kind>,
    uses: [bool; 2],
}

impl std::fmt::Debug for Jq {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Jq")
    }
}

/// Which values and which data programs work with.
struct Kind;

impl DataT for Kind {
    type V<'a> = Value;
    type Data<'a> = Watched<'a>;
}

/// A program whose every step is counted: the interpreter looks each of them up.
#[derive(Clone, Copy)]
struct Watched<'a> {
    program: &'a Lut<Kind>,
    end: &'a Lut<Kind>,
}

impl<'a> HasLut<'a, Kind> for Watched<'a> {
    fn lut(&self) -> &'a Lut<Kind> {
        if meter::step() {
            self.program
        } else {
            self.end
        }
    }
}

impl Jq {
    pub(crate) fn compile(source: &str) -> Result<Self, Vec<Fault>> {
        if source.len() > LONGEST {
            let message = format!("the program is longer than {LONGEST} bytes");
            return Err(vec![Fault { at: None, message }]);
        }
        let filter = compile(source)?;
        let Some(end) = end(most_terms(&filter, source)) else {
            let message = "the program is too large".to_owned();
            return Err(vec![Fault { at: None, message }]);
        };
        Ok(Self {
            filter,
            end,
            uses: VARIABLES.map(|name| source.contains(name)),
        })
    }

    /// The one value that the program makes of its input.
    pub(crate) fn run(&self, body: Option<&[u8]>, facts: Facts<'_>) -> Result<Value, Stop> {
        let read =
            |text: &[u8]| json::read(text).ok_or_else(|| meter::stopped().unwrap_or(Stop::NotJson));
        let input = body.map_or(Ok(Value::Null), read)?;
        let mut variables = Vec::with_capacity(VARIABLES.len());
        for (is_used, fact) in self.uses.into_iter().zip([facts.request, facts.response]) {
            variables.push(match fact {
                Some(text) if is_used => read(text)?,
                _ => Value::Null,
            });
        }
        let watched = Watched {
            program: &self.filter.lut,
            end: &self.end.lut,
        };
        let context = Ctx::<Kind>::new(watched, Vars::new(variables));
        let mut results = self.filter.id.run((context, input));
        let result = results.next().map(|result| {
            result.map_err(|exception| match exception.get_err() {
                Ok(error) => match error.into_val() {
                    Value::String(text) => Stop::failed(&String::from_utf8_lossy(&text)),
                    value => Stop::failed(&json::to_literal(&value)),
                },
                Err(_) => Stop::failed("it was halted"),
            })
        });
        match result {
            None => Err(Stop::failed("it made nothing")),
            Some(result) => {
                let result = result?;
                if results.next().is_some() {
                    return Err(Stop::failed("it made more than one value"));
                }
                Ok(result)
            }
        }
    }
}

/// A program that halts wherever it is entered.
///
/// The interpreter holds places in the program that it runs. Once a run is over, those places are looked
/// up here, and there are at least as many: each is either the function that halts, or asks one that
/// does. The larger the program, the larger this one.
fn end(terms: usize) -> Option<&'static Filter<Kind>> {
    static ENDS: [OnceLock<Option<Filter<Kind>>>; 18] = [const { OnceLock::new() }; 18];
    let doublings = terms.next_power_of_two().ilog2() as usize;
    let end = ENDS.get(doublings)?.get_or_init(|| {
        let mut source = HALT.to_owned();
        // With each doubling twice as many calls, and one less of what is between them.
        for _ in 0..doublings {
            source = format!("({source}|{source})");
        }
        let loader = Loader::new([]);
        let arena = Arena::default();
        let file = File {
            code: source.as_str(),
            path: (),
        };
        let modules = loader.load(&arena, file).ok()?;
        let compiler = Compiler::default().with_funs(natives::functions());
        compiler.compile(modules).ok()
    });
    end.as_ref()
}

/// More places than a program has: those of the standard library come before the one where it begins,
/// and no byte of the source becomes more than four.
fn most_terms(filter: &Filter<Kind>, source: &str) -> usize {
    let id = format!("{:?}", filter.id);
    let digits = id.trim_matches(|character: char| !character.is_ascii_digit());
    let first = digits.parse().unwrap_or(usize::MAX / 2);
    first + 6 * source.len() + 64
}

fn compile(source: &str) -> Result<Filter<Kind>, Vec<Fault>> {
    let fault = |found: &str, message: String| {
        // Where it is in the source, if it is a part of that.
        let offset = found.as_ptr().addr().checked_sub(source.as_ptr().addr());
        let at = offset.filter(|offset| *offset <= source.len());
        Fault { at, message }
    };
    let unreadable = |errors: load::Errors<&str, ()>| -> Vec<Fault> {
        let mut faults = Vec::new();
        for (_, error) in errors {
            match error {
                load::Error::Io(errors) => faults.extend(
                    errors
                        .into_iter()
                        .map(|(path, _)| fault(path, "a program cannot take in files".to_owned())),
                ),
                load::Error::Lex(errors) => {
                    let errors = errors.into_iter();
                    faults.extend(errors.map(|(expected, found)| {
                        fault(found, format!("expected {}", expected.as_str()))
                    }));
                }
                load::Error::Parse(errors) => {
                    let errors = errors.into_iter();
                    faults.extend(errors.map(|(expected, found)| {
                        fault(found, format!("expected {}", expected.as_str()))
                    }));
                }
            }
        }
        faults
    };
    let arena = Arena::default();
    let file = File {
        code: source,
        path: (),
    };
    let loader = Loader::new(natives::definitions());
    let modules = loader.load(&arena, file).map_err(unreadable)?;
    // What is imported as data would have to be handed to each run.
    load::import(&modules, |_| Err(String::new())).map_err(unreadable)?;
    let compiler = Compiler::default()
        .with_funs(natives::functions())
        .with_global_vars(VARIABLES);
    compiler.compile(modules).map_err(|errors| {
        let undefined = errors.into_iter().flat_map(|(_, errors)| errors);
        let faults = undefined.map(|(name, kind)| {
            let message = match kind {
                Undefined::Filter(0) => format!("there is no function `{name}`"),
                Undefined::Filter(1) => {
                    format!("there is no function `{name}` with 1 argument")
                }
                Undefined::Filter(arity) => {
                    format!("there is no function `{name}` with {arity} arguments")
                }
                other => format!("there is no {} `{name}`", other.as_str()),
            };
            fault(name, message)
        });
        faults.collect()
    })
}
