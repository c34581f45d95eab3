//! The sections of the configuration: each file holds a section's tables and its decoder.

mod action;
mod aggregate;
mod balance;
mod breaker;
mod check;
mod clash;
mod compress;
mod cors;
mod discovery;
mod grpc;
mod headers;
mod health;
mod listener;
mod log;
mod matcher;
mod mirror;
mod normalize;
mod origins;
mod overload;
mod policy;
mod records;
mod registry;
mod respond;
mod retry;
mod root;
mod route;
mod security;
mod settings;
mod split;
pub(crate) mod target;
mod telemetry;
mod transform;
mod upstream;
mod validate;
mod websocket;

pub(crate) use root::{ROOT, decode};
