//! gRPC calls.

use weir_core::GrpcStatus;
use weir_gateway::Snapshot;
use weir_gateway::metrics::RouteCounters;

use super::exposition::{Exposition, Kind};
use super::{UNROUTED, sum};

/// Errors that a route has not seen are left out: most routes carry no calls.
pub(super) fn collect(exposition: &mut Exposition, snapshot: &Snapshot) {
    let mut family = exposition.family(
        "weir_grpc_calls",
        Kind::Counter,
        "gRPC calls by their status.",
    );
    for report in snapshot.route_reports() {
        let route = report.name.unwrap_or(UNROUTED);
        for (at, status) in GrpcStatus::ALL.iter().enumerate() {
            let calls = sum(report.counters, |worker: &RouteCounters| {
                &worker.by_grpc_status[at]
            });
            if calls > 0 || *status == GrpcStatus::Ok {
                let labels = [
                    ("http_route", route),
                    ("rpc_response_status_code", status.as_str()),
                ];
                family.sample(&labels, calls);
            }
        }
    }
}
