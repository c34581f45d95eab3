//! WebSockets, of the routes that let them through.

use weir_gateway::Snapshot;
use weir_gateway::metrics::Counter;
use weir_gateway::websocket::{CLOSE_CODES, Direction, WebSocketCounters};

use super::exposition::{Exposition, Kind};
use super::sum;

const DIRECTIONS: [(&str, Direction); 2] =
    [("received", Direction::Received), ("sent", Direction::Sent)];

/// One of a direction's counters.
type Select = fn(&WebSocketCounters, Direction) -> &Counter;

pub(super) fn collect(exposition: &mut Exposition, snapshot: &Snapshot) {
    let routes: Vec<(&str, usize, &[WebSocketCounters])> = snapshot
        .route_reports()
        .filter_map(|report| {
            let (open, counters) = report.websockets?;
            Some((report.name?, open, counters))
        })
        .collect();
    if routes.is_empty() {
        return;
    }
    let mut family = exposition.family(
        "weir_websockets_open",
        Kind::Gauge,
        "WebSockets open now, and those that are being opened.",
    );
    for (route, open, _) in &routes {
        family.sample(&[("http_route", route)], *open);
    }
    let both: [(&str, &str, Select); 2] = [
        (
            "weir_websocket_messages",
            "Messages passed on over WebSockets, from clients and to them.",
            |counters, direction| &counters.messages[direction as usize],
        ),
        (
            "weir_websocket_message_bytes",
            "Bytes of these messages' payload, as they were sent.",
            |counters, direction| &counters.bytes[direction as usize],
        ),
    ];
    for (name, help, select) in both {
        let mut family = exposition.family(name, Kind::Counter, help);
        for (route, _, counters) in &routes {
            for (word, direction) in DIRECTIONS {
                let total = sum(*counters, |worker| select(worker, direction));
                family.sample(&[("http_route", route), ("direction", word)], total);
            }
        }
    }
    let mut family = exposition.family(
        "weir_websockets_closed",
        Kind::Counter,
        "WebSockets that ended, by close code; 1005 without one, 1006 without a close frame.",
    );
    for (route, _, counters) in &routes {
        for (at, code) in CLOSE_CODES.iter().enumerate() {
            let total = sum(*counters, |worker| &worker.closed[at]);
            family.sample(&[("http_route", route), ("code", code)], total);
        }
    }
}
