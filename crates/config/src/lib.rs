//! Weir's one configuration schema: text in, either a resolved [`Config`] or every mistake at once.
//!
//! The same schema serves the configuration file and, later, the admin API. This crate parses YAML
//! (and so JSON), applies an environment's overlay, resolves `env:` and `file:` references and
//! checks that names refer to something. It does not open sockets and does not know how traffic is
//! carried: the gateway compiles a [`Config`] into what it runs.

pub mod model;
pub mod pattern;
pub mod template;

pub use model::Config;
