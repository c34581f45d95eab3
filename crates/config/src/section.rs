//! The sections of the configuration: each file holds a section's tables and its decoder.

mod check;
mod headers;
mod listener;
mod matcher;
mod policy;
mod root;
mod route;
mod settings;
mod upstream;

pub(crate) use root::{ROOT, decode};
