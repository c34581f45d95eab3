//! Single values: text in, a value or a [`Fault`] out. Pure functions; each grammar's description
//! for messages and the JSON Schema stands beside its parser.

pub(crate) mod address;
pub(crate) mod claim;
pub(crate) mod http;
pub(crate) mod media;
pub(crate) mod quantity;
pub(crate) mod text;

/// Why a text is not the value that it should be.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    /// Lowercase, one line.
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// Byte offset into the text, if a part of it is at fault.
    pub(crate) at: Option<usize>,
}

impl Fault {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            at: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn at(mut self, offset: usize) -> Self {
        self.at = Some(offset);
        self
    }
}

#[cfg(test)]
mod tests;
