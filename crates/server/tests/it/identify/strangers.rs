//! Bodies that are read before anybody knows whose they are.

use super::now;
use super::signatures::mac;
use crate::harness::{Setup, Weir, Wire, wait_until};

const SECRET: &str = "canary-0123456789-secret";
const MIB: usize = 1 << 20;

/// A webhook of this client, whose body has so many bytes, of which the first `sent` are sent.
fn hook(weir: &Weir, client: &str, length: usize, sent: usize) -> Wire {
    let (body, time) = ("x".repeat(length), now());
    let mac = mac(SECRET, &format!("{time}.{body}"));
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "POST /hooks HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: {client}\r\n\
         X-Signature: t={time},v1={mac}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{}",
        &body[..sent]
    ));
    wire
}

#[test]
fn unfinished_bodies_of_one_address_leave_room_for_other_senders() {
    let setup = Setup::new().environment("HOOK_SECRET", SECRET);
    let weir = setup.start(
        "workers: 1\n\
         trusted_proxies: [127.0.0.1]\n\
         policies: { shop: { hmac: { header: x-signature, secrets: env:HOOK_SECRET, body_bytes: 31MiB } } }\n\
         routes: [{ name: hooks, policies: [shop], respond: { status: 200, body: thanks } }]\n",
    );
    let (flood, other) = ("192.0.2.7", "192.0.2.8");
    let status = |client| {
        let mut wire = hook(&weir, client, 20 * MIB, 20 * MIB);
        wire.response("POST").status()
    };
    // All but what is on its way is held.
    let unfinished = hook(&weir, flood, 31 * MIB, 30 * MIB);
    assert_eq!(status(flood), 503);
    assert_eq!(status(other), 200);
    drop(unfinished);
    wait_until("its room is there again", || status(flood) == 200);
}
