//! Connections of one address.

use crate::harness::{Upstream, Weir, Wire, forward, wait_until};

use super::{ask, assert_closed, connect_for, refused};

fn config(upstream: &Upstream, more: &str) -> String {
    format!(
        "listeners: [{{ address: $HTTP }}, {{ address: $HTTPS, proxy_protocol: true }}]\n\
         limits: {{ connections_per_address: 2 }}\n{more}{}",
        forward(upstream.address)
    )
}

#[test]
fn an_address_gets_its_share_of_the_connections_and_no_more() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&config(&upstream, ""));
    for client in ["192.0.2.1", "2001:db8::1"] {
        let open = || connect_for(weir.https(), client);
        let mut kept = [open(), open()];
        for wire in &mut kept {
            assert_eq!(ask(wire, "/").unwrap().status(), 200, "{client}");
        }
        let before = refused(&weir, "connections_per_address");
        assert_closed(open());
        assert_closed(open());
        wait_until("both are counted", || {
            refused(&weir, "connections_per_address") == before + 2.0
        });
        // Others are served, and so are the connections that were there before.
        let mut other = connect_for(weir.https(), "192.0.2.77");
        assert_eq!(ask(&mut other, "/").unwrap().status(), 200);
        assert_eq!(ask(&mut kept[1], "/").unwrap().status(), 200);
        drop(kept);
        wait_until("a place is free again", || {
            ask(&mut open(), "/").is_some_and(|answer| answer.status() == 200)
        });
    }
    wait_until("the refusals are in the log", || {
        let log = weir.log();
        let lines = log.lines().filter(|line| {
            line.contains(r#""event.name":"weir.connection.refused""#)
                && line.contains(r#""weir.reason":"connections_per_address""#)
        });
        lines.clone().count() >= 4 && lines.clone().any(|line| line.contains("\"192.0.2.1\""))
    });
    assert!(!weir.log().contains("status_code\":0"), "{}", weir.log());
}

#[test]
fn hosts_of_one_ipv6_network_share_their_places() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&config(&upstream, ""));
    let mut kept = ["2001:db8:1::1", "2001:db8:1:0:1::2"].map(|client| {
        let mut wire = connect_for(weir.https(), client);
        assert_eq!(ask(&mut wire, "/").unwrap().status(), 200);
        wire
    });
    assert_closed(connect_for(weir.https(), "2001:db8:1::3"));
    let mut other = connect_for(weir.https(), "2001:db8:2::3");
    assert_eq!(ask(&mut other, "/").unwrap().status(), 200);
    assert_eq!(ask(&mut kept[0], "/").unwrap().status(), 200);
}

#[test]
fn without_a_proxy_header_the_peer_counts_unless_it_is_a_trusted_proxy() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&config(&upstream, ""));
    let open = || {
        let mut wire = Wire::connect(weir.http());
        ask(&mut wire, "/").map(|answer| {
            assert_eq!(answer.status(), 200);
            wire
        })
    };
    // Readiness was asked for at another port.
    let kept: Vec<Wire> = (0..2).map(|_| open().unwrap()).collect();
    assert!(open().is_none());
    let trusting = config(&upstream, "trusted_proxies: [127.0.0.0/8]\n");
    assert_eq!(weir.reload(&trusting).status(), 200);
    wait_until("both workers have taken it up", || {
        (0..20).all(|_| open().is_some())
    });
    drop(kept);
}
