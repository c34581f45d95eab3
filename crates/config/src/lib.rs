//! Weir's one configuration schema: text in, either a resolved [`Config`] or every mistake at once.
//!
//! The same schema serves the configuration file and the resources of the admin API. This crate parses YAML
//! (and so JSON), applies an environment's overlay, resolves `env:` and `file:` references and
//! checks that names refer to something. It does not open sockets and does not know how traffic is
//! carried: the gateway compiles a [`Config`] into what it runs.
//!
//! ```text
//! text ─ yaml ─▶ nodes with places ─ overlay ─ resources ─▶ merged nodes ─ section::decode ─▶ Config
//!                                                                 ▲
//!                                   tables (shape.rs, section/*) ─┴─▶ JSON Schema
//! ```
//!
//! Each key, its type, its default and its description stand once, in a table; the decoder reads
//! through the tables and [`schema`] prints them.

mod certificate;
mod codes;
mod contract;
mod decode;
mod diagnostic;
mod load;
pub mod model;
mod node;
pub mod origin;
mod overlay;
pub mod pattern;
mod place;
mod reference;
mod render;
pub mod reserved;
mod resources;
mod schema;
mod section;
mod shape;
mod source;
mod suggest;
mod targets;
pub mod template;
mod value;
mod yaml;

pub use certificate::{CertificateFacts, distinguished_name};
pub use codes::{Explanation, explain, explanations};
pub use contract::read_contract;
pub use diagnostic::{Diagnostic, Report, Severity};
pub use load::{LoadOptions, Loaded, load, load_text, read_document};
pub use model::Config;
pub use reference::Variables;
pub use resources::{
    Document, FileResources, HIDDEN, ResourceKind, ResourceName, Resources, SEALED, secrets,
};
pub use schema::schema;
pub use section::Lending;
pub use suggest::help as suggestion;
pub use targets::{is_target_host, target_address, targets_from_text};
pub use value::quantity::parse_duration;

/// The commented default configuration: every key with its default.
pub const DEFAULT: &str = include_str!("../default.yaml");

#[cfg(test)]
mod tests;
