//! A program, whatever it is written in.

use std::fmt;

use bytes::Bytes;

use crate::jq::Jq;
use crate::json;
use crate::meter::{self, Budget, Stop};
use crate::template::Template;
use crate::value::Value;

/// Why a program does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Byte of the source, if it has a place.
    pub at: Option<usize>,
    /// What is wrong there.
    pub message: String,
}

/// What a program works on.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// JSON; `None` stands for `null`.
    pub body: Option<Bytes>,
    /// What is known of the request, as JSON.
    pub request: Option<Bytes>,
    /// What is known of the response, as JSON.
    pub response: Option<Bytes>,
}

/// The same, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) request: Option<&'a [u8]>,
    pub(crate) response: Option<&'a [u8]>,
}

/// A program that was compiled. It can be run by any thread, and by several at a time.
#[derive(Debug)]
pub struct Program {
    kind: Kind,
    uses_request: bool,
    uses_response: bool,
}

#[derive(Debug)]
enum Kind {
    Jq(Jq),
    Template(Box<Template>),
}

impl Program {
    /// A program in jq, which makes one value of one value.
    pub fn jq(source: &str) -> Result<Self, Vec<Fault>> {
        Ok(Self {
            kind: Kind::Jq(Jq::compile(source)?),
            uses_request: source.contains("$request"),
            uses_response: source.contains("$response"),
        })
    }

    /// A template, which makes text of a value. `escape` is what is done to what it inserts.
    pub fn template(source: &str, escape: Escape) -> Result<Self, Vec<Fault>> {
        let template = Template::compile(source, escape).map_err(|fault| vec![fault])?;
        Ok(Self {
            kind: Kind::Template(Box::new(template)),
            uses_request: source.contains("request"),
            uses_response: source.contains("response"),
        })
    }

    /// Whether the program may look at [`Input::request`].
    pub fn uses_request(&self) -> bool {
        self.uses_request
    }

    /// Whether the program may look at [`Input::response`].
    pub fn uses_response(&self) -> bool {
        self.uses_response
    }

    /// Runs the program on the calling thread: JSON, or the template's text.
    pub fn run(&self, input: &Input, budget: &Budget) -> Result<Bytes, Stop> {
        let facts = Facts {
            request: input.request.as_deref(),
            response: input.response.as_deref(),
        };
        meter::run(budget, || match &self.kind {
            Kind::Jq(jq) => {
                let value = jq.run(input.body.as_deref(), facts)?;
                write(&value, budget.output)
            }
            Kind::Template(template) => template.run(input.body.as_deref(), facts, budget),
        })
    }
}

/// What is done to what a template inserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Written as JSON.
    Json,
    /// Escaped for HTML and XML.
    Html,
    /// Nothing.
    None,
}

fn write(value: &Value, most: usize) -> Result<Bytes, Stop> {
    let mut text = Bounded::new(most);
    match json::write(value, &mut text) {
        Ok(()) => Ok(Bytes::from(text.text)),
        Err(fmt::Error) => Err(Stop::Output),
    }
}

/// Text that does not become longer than it may.
pub(crate) struct Bounded {
    pub(crate) text: String,
    most: usize,
}

impl Bounded {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            text: String::new(),
            most,
        }
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if part.len() > self.most - self.text.len() {
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}
