//! Issuers as they are met: real servers on loopback that answer, lie, stall and die.

mod following;
mod introspection;
mod server;
