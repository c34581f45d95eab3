//! What messages must look like: OpenAPI documents and JSON Schemas, compiled once to what judges
//! requests and responses.
//!
//! Nothing here reads a file or a socket: whoever compiles a contract hands the documents over, and
//! whoever checks a message hands over its parts. Messages come from anybody, so that checking is
//! bounded in depth and in steps whatever the schema, and what is said of a violation is bounded in
//! length.

mod body;
mod contract;
mod documents;
mod json;
mod media;
mod node;
pub mod openapi;
mod schema;
mod violation;

pub use contract::{BodyRule, Contract, Judgement, Request, Response};
pub use documents::{Documents, Fault, Reading};
pub use json::{Json, NotJson};
pub use openapi::ApiOptions;
pub use schema::{Schema, SchemaOptions};
pub use violation::{Place, Violation};
