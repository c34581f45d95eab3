//! What the process costs. The bounds here are generous, since debug builds run beside other tests;
//! the figures of the release build are the benchmarks'.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::{Setup, Upstream, Weir, Wire, alone, anonymous_memory, forward, wait_until};

/// Whether the binary under test is optimised: the tests are built as it is.
const IS_RELEASE: bool = !cfg!(debug_assertions);

#[test]
fn it_starts_quickly() {
    let _alone = alone();
    let upstream = Upstream::echo();
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let setup = Setup::new();
            let begun = Instant::now();
            let weir = setup.start(&forward(upstream.address));
            let took = begun.elapsed();
            drop(weir);
            took
        })
        .collect();
    times.sort();
    eprintln!("from start to ready: median {:?} of {times:?}", times[2]);
    let allowed = if IS_RELEASE { 300 } else { 2000 };
    assert!(times[2] <= Duration::from_millis(allowed), "{times:?}");
}

#[test]
fn it_is_small_when_idle_and_small_per_connection() {
    const CONNECTIONS: u64 = 1000;
    let _alone = alone();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .unwrap();
    let upstream = Upstream::echo();
    let weir = Weir::to(upstream.address);
    assert_eq!(weir.get("/").status(), 200);
    let idle = weir.memory();
    let own = anonymous_memory(weir.id());
    eprintln!("idle: {idle} KiB, {own} KiB without the program");
    // How large an unoptimised program is, is nobody's concern.
    let counted = if IS_RELEASE { idle } else { own };
    assert!(counted <= 30 * 1024, "{counted} KiB when idle");

    let connections: Vec<Wire> = (0..CONNECTIONS)
        .map(|_| {
            let mut wire = Wire::connect(weir.http());
            wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(wire.response("GET").status(), 200);
            wire
        })
        .collect();
    let used = weir.memory().saturating_sub(idle);
    eprintln!(
        "{CONNECTIONS} idle connections: {:.1} KiB each",
        used as f64 / CONNECTIONS as f64
    );
    let allowed = if IS_RELEASE { 20 } else { 40 };
    assert!(
        used <= allowed * CONNECTIONS,
        "{used} KiB for {CONNECTIONS} connections"
    );
    let open = || weir.metric("weir_connections_open", &[]);
    assert!(open() >= CONNECTIONS as f64, "{} open", open());
    drop(connections);
    wait_until("nobody is counted any more", || open() < 3.0);
}
