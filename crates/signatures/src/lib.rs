//! Signed HTTP requests, checked: HTTP Message Signatures (RFC 9421), Digest Fields (RFC 9530) and
//! the simple forms over a shared secret that webhooks use.
//!
//! Nothing here performs I/O or reads a clock: whoever checks hands in the request as it was
//! received, the keys and the time, in seconds since 1970. Keys are found by their caller, so is who
//! a key belongs to. Responses are not signed here.
//!
//! Beside them stands the oldest way to say who one is: names and passwords (RFC 7617), held against a
//! [`UsersFile`].
//!
//! A check of RFC 9421 begins at [`Required::verify`]; what it says of replays is kept in a
//! [`ReplayGuard`], and the body is held against its digest by a [`DigestChecker`].

mod algorithm;
mod base;
mod basic;
mod component;
mod digest;
mod fault;
mod input;
mod key;
mod message;
mod query;
mod replay;
mod required;
#[cfg(any(test, feature = "signer"))]
mod signer;
mod simple;
mod users;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use basic::{BadBasic, Basic};
pub use component::{BadComponent, RequiredComponent};
pub use digest::DigestChecker;
pub use fault::Fault;
pub use key::{KeyError, VerifyingKey};
pub use message::Message;
pub use replay::{ReplayGuard, ReplayId};
pub use required::{Required, Verified};
#[cfg(any(test, feature = "signer"))]
pub use signer::{Signed, SigningKey, content_digest};
pub use simple::{Secrets, SimpleCheck, SimpleForm, SimplyVerified};
pub use users::{BadUser, BadUsersFile, UsersFile};
