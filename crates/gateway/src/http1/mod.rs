//! HTTP/1.0 and HTTP/1.1 (RFC 9112), both towards clients and towards targets.
//!
//! Written here rather than taken from hyper because a gateway needs what hyper's interface does
//! not offer: refusing every head that two parsers could read differently, with a problem answer;
//! forwarding interim responses; a deadline per phase; and an exchange that runs in the client
//! connection's own task, without channels between two. See `docs/decisions/0002-own-http1.md`.

mod client;
mod decoder;
mod encode;
mod head;
mod io;
mod respond;
mod server;
mod switch;

pub(crate) use client::{Connection, Exchange};
pub(crate) use decoder::may_be_trailer;
pub(crate) use head::{HeadScanner, content_length, is_authority, parse_response, split_authority};
pub(crate) use io::{InterimSender, RequestBody};
pub(crate) use server::serve;

/// For [`crate::fuzzing`].
#[cfg(feature = "fuzzing")]
pub(crate) mod reading {
    pub(crate) use super::decoder::{Decoded, Decoder};
    pub(crate) use super::head::{HeadLimits, HeadScanner, parse_request, parse_response};
}

#[cfg(test)]
mod tests;
