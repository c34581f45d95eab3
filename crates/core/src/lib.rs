//! The vocabulary that every part of Weir shares: problems, identifiers and secrets.
//!
//! Nothing here performs I/O, keeps global state or knows about a protocol engine; a type belongs
//! here only when two floors of the house need to agree on it.

pub mod api_key;
pub mod grpc;
pub mod id;
pub mod path;
pub mod principal;
pub mod problem;
pub mod request_id;
#[cfg(feature = "schema")]
mod schema;
pub mod secret;
pub mod session_cookie;

pub use api_key::ApiKeyText;
pub use grpc::GrpcStatus;
pub use id::{Id, TenantId};
pub use principal::Principal;
pub use problem::Problem;
pub use request_id::RequestId;
pub use secret::Secret;
