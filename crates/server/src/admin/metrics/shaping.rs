//! What is compressed, and what that saves.

use weir_gateway::Gateway;
use weir_gateway::metrics::{CompressionCounters, Counter};

use super::exposition::{Exposition, Kind};

const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

type Select = fn(&CompressionCounters) -> &Counter;

pub(super) fn collect(exposition: &mut Exposition, gateway: &Gateway) {
    let families: [(&str, &str, Select); 3] = [
        (
            "weir_compressed_answers",
            "Answers that were compressed.",
            |counters| &counters.answers,
        ),
        (
            "weir_compression_read_bytes",
            "Bytes of bodies before they were compressed.",
            |counters| &counters.taken,
        ),
        (
            "weir_compression_written_bytes",
            "Bytes of bodies after they were compressed.",
            |counters| &counters.written,
        ),
    ];
    for (name, help, select) in families {
        let mut family = exposition.family(name, Kind::Counter, help);
        for (at, coding) in CODINGS.iter().enumerate() {
            let counters = gateway.worker_counters();
            let sum: u64 = counters
                .map(|worker| select(&worker.compression[at]).get())
                .sum();
            family.sample(&[("coding", coding)], sum);
        }
    }
}
