//! What happens when there is more than can be served, or somebody asks for it on purpose.

mod addresses;
mod bans;
mod memory;
mod shedding;

use std::io::ErrorKind;
use std::net::SocketAddr;

use crate::harness::{Message, Weir, Wire};

/// A connection that a balancer opens for this client.
fn connect_for(address: SocketAddr, client: &str) -> Wire {
    let mut wire = Wire::connect(address);
    let (family, here) = if client.contains(':') {
        ("TCP6", "2001:db8::ffff")
    } else {
        ("TCP4", "192.0.2.255")
    };
    wire.send(format!("PROXY {family} {client} {here} 40000 443\r\n"));
    wire
}

/// Asks on a connection; `None` if it is closed in place of an answer.
fn ask(wire: &mut Wire, path: &str) -> Option<Message> {
    ask_with(wire, path, "")
}

/// The same with further lines in the head.
fn ask_with(wire: &mut Wire, path: &str, fields: &str) -> Option<Message> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: weir.test\r\n{fields}\r\n");
    wire.try_send(request).ok()?;
    wire.try_response("GET")
}

/// Whether the other side closed the connection without a word.
#[track_caller]
fn assert_closed(mut wire: Wire) {
    let mut byte = [0];
    match std::io::Read::read(&mut wire.stream, &mut byte) {
        Ok(0) => {}
        Ok(_) => panic!("the connection is served"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
}

fn refused(weir: &Weir, reason: &str) -> f64 {
    weir.metric("weir_connections_refused_total", &[reason])
}
