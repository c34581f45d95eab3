//! A server that dies under load and comes back.

use super::*;
use crate::harness::{Load, Nginx, alone};

#[test]
fn a_server_that_is_killed_and_revived_costs_no_request() {
    let _alone = alone();
    let mut servers = [(); 3].map(|()| Nginx::saying("up"));
    let addresses = servers.each_ref().map(|server| server.address.to_string());
    let weir = Weir::start(&to(
        &addresses,
        "health:\n      \
           active: { path: /, interval: 200ms, timeout: 200ms }\n      \
           passive: { eject_for: 500ms }\n      \
           slow_start: 500ms",
    ));
    wait_for_states(&weir, &["healthy", "healthy", "healthy"]);
    let loads = [
        Load::keep_alive(weir.http(), 16, "up"),
        Load::http2(weir.http(), 4, "up"),
    ];
    let proceed = |requests| {
        for load in &loads {
            load.wait_for_more(requests);
        }
    };
    for round in 0..2 {
        let at = round % servers.len();
        servers[at].kill();
        wait_until("it is out", || {
            let state = &health(&weir)[at]["state"];
            state == "ejected" || state == "unhealthy"
        });
        proceed(500);
        servers[at].revive();
        wait_for_states(&weir, &["healthy", "healthy", "healthy"]);
        let served = || weir.metric("weir_upstream_requests_total{", &[&addresses[at]]);
        let before = served();
        wait_until("it serves again", || served() > before + 10.0);
        proceed(500);
    }
    for load in loads {
        load.finish();
    }
}
