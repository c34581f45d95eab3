//! HTTP/2 (RFC 9113) on both sides, on the `h2` crate: framing, flow control and HPACK are its,
//! deadlines, bounds and the mapping to our messages are ours.

// The library tells `tracing` of every frame; what `tracing` then offers to `log`, since a dependency asks
// for that, must cost nothing.
const _: () =
    assert!(cfg!(debug_assertions) || matches!(log::STATIC_MAX_LEVEL, log::LevelFilter::Off));

mod alive;
mod client;
mod prefixed;
mod receive;
mod resets;
mod send;
mod server;
mod switch;

use crate::fields::Fields;
use crate::http1::may_be_trailer;

pub(crate) use alive::Signs;
pub(crate) use client::{Exchange, Sender, connect};
pub(crate) use receive::RequestBody;
pub(crate) use send::InterimSender;
pub(crate) use server::serve;

/// What is left of trailers when the fields are dropped that have no place behind a body.
fn trailers(map: http::HeaderMap) -> Fields {
    let mut fields = Fields::from(map);
    fields.retain(|name, _| may_be_trailer(name));
    fields
}
