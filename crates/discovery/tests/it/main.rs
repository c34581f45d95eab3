//! Discovery against a real DNS server, real files, and servers that speak as Consul and Kubernetes
//! do, also when they mean harm.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends; nothing here is anybody's interface"
)]

mod consul;
mod dns;
mod file;
mod harness;
mod hostile;
mod kubernetes;
mod registration;
mod revisions;
