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

mod plans;
mod postgres;
mod tools;

pub use plans::{EXPLAINED, MEASURED, told, wasteful};
pub use postgres::{Held, Postgres};
pub use tools::installed;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// A port nobody listens on, below the range that the system hands out by itself, so that no
/// outgoing connection takes it before its server does.
pub fn free_port() -> u16 {
    const FIRST: u16 = 18_000;
    const RANGE: u16 = 14_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run at the same time begin at different places.
    let start = (std::process::id().wrapping_mul(173) % u32::from(RANGE)) as u16;
    for _ in 0..RANGE {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start.wrapping_add(step)) % RANGE;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// Runs each of these checks as one test on each engine of records, of which it is handed the name. On PostgreSQL no
/// statement of a [node](EXPLAINED) may read through a table.
#[macro_export]
macro_rules! on_both_engines {
    ($($check:ident,)+) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::$check("sqlite").await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::$check("postgres").await;
                $crate::Postgres::assert_indexes_are_used();
            })+
        }
    };
}
