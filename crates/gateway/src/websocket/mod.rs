//! WebSockets (RFC 6455), opened by an HTTP/1.1 upgrade or an HTTP/2 extended CONNECT (RFC 8441).
//!
//! The handshake is a request like any other until the target agrees to it (`handshake.rs`). From then
//! on both connections belong to a tunnel (`tunnel.rs`), which follows the frames of either side
//! (`frames.rs`) while it passes them on: it puts nothing together, and it lets no byte of a frame
//! through before it knows that the frame may pass.

mod counters;
mod end;
mod frames;
mod handshake;
mod opening;
mod side;
mod tunnel;

pub use counters::{CLOSE_CODES, Direction, WebSocketCounters};
pub(crate) use counters::{Gate, Settings};
pub(crate) use end::End;
pub(crate) use handshake::{Handshake, Upgrade, begin};
pub(crate) use opening::{Opening, settle};
pub(crate) use tunnel::Tunnel;
pub use tunnel::{By, WebSocketRecord};
