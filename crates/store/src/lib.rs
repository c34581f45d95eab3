//! Where Weir keeps what must outlive it: **records** (organizations, people, revisions, audit) on
//! SQLite, embedded, or on PostgreSQL.
//!
//! This is the only crate that speaks SQL to an engine, and the only one that knows which engine it
//! is. Callers name tables ([`records::TenantTable`], [`records::PlatformTable`]) and say what they
//! want of them; a query on a tenant's table cannot be made without the tenant, and a change cannot
//! be committed without telling the [audit](mod@audit) what it was. All of it fits into one file and back
//! ([`backup`]). Secrets that must be read again are sealed before they come here ([`seal`]).
//!
//! What it does not do: it has no opinion on who may do what, and nothing of it stands on the way
//! of a request through the data plane.

pub mod audit;
pub mod backup;
mod error;
pub mod records;
pub mod seal;

pub use error::{Error, Result};
pub use records::Records;
