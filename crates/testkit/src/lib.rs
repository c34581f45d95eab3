//! Real servers for the tests of several crates. A server that is missing is a failure, and what was
//! started ends with the process that started it, however that ends.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, where it stands"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "nothing but a test's own thread waits here"
)]

mod postgres;
mod tools;

pub use postgres::Postgres;
pub use tools::installed;

use std::net::TcpListener;

/// A port of the loopback interface that nobody has at the moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
