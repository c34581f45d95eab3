//! End-to-end tests: the real binary, with a configuration file, between real clients and servers.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends; nothing here is anybody's interface"
)]
#![allow(
    clippy::print_stdout,
    reason = "figures of a run, for whoever asks to see them"
)]

#[path = "../common/ending.rs"]
mod ending;
#[path = "../faulty/mod.rs"]
mod faulty;
mod harness;

mod api;
mod architecture;
mod balancing;
mod cli;
mod discovery;
mod docs;
mod drain;
mod grpc;
mod handover;
mod health;
mod http2;
mod http2_targets;
mod http2_uploads;
mod identify;
mod limits;
mod overload;
mod prometheus;
mod proxy;
mod records;
mod reload;
mod requests;
mod resilience;
mod revisions;
mod routing;
mod shaping;
mod sse;
mod suspension;
mod telemetry;
mod tls;
mod top;
mod traffic;
mod transform;
mod upgrade;
mod validation;
mod websocket;
