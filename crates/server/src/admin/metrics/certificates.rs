//! Until when certificates are valid.

use weir_gateway::Snapshot;

use super::exposition::{Exposition, Kind};

pub(super) fn collect(exposition: &mut Exposition, snapshot: &Snapshot) {
    let mut family = exposition.family(
        "weir_certificate_expiry_timestamp_seconds",
        Kind::Gauge,
        "When the first certificate of a chain that listeners answer with runs out.",
    );
    for (name, end) in snapshot.certificates() {
        family.sample(&[("certificate", name)], *end);
    }
}
