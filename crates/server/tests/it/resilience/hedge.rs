//! Attempts side by side.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::task::Poll;

use super::gate::{Gate, assert_calm, config};
use crate::harness::{PATIENCE, Weir, Wire, wait_until};

const KEYS: &str = "hedge: { after: 200ms }\nretry: { attempts: 0 }";

#[test]
fn when_one_takes_long_another_is_asked_and_the_loser_is_let_go() {
    let (silent, quick) = (Gate::silent(), Gate::answering(200));
    let weir = Weir::start(&config(&[&silent, &quick], KEYS));
    for _ in 0..8 {
        assert_eq!(weir.get("/").status(), 200);
    }
    let hedged = silent.seen();
    assert!(hedged >= 2, "round robin asks both first: {hedged}");
    wait_until("the losers are let go", || silent.dropped() == hedged);
    assert_eq!(quick.seen(), 8);
    for outcome in ["sent", "won"] {
        let hedges = weir.metric("weir_upstream_hedges_total", &[outcome]);
        assert_eq!(hedges, hedged as f64, "{outcome}");
    }
    assert_eq!(weir.metric("weir_upstream_requests_failed_total", &[]), 0.0);
    assert_calm(&weir);
    let is_logged = || weir.log().matches("\"weir.attempts\":2").count() == hedged;
    wait_until("the log counts both attempts", is_logged);
}

#[test]
fn only_what_may_be_done_twice_is_done_twice() {
    let gates = [Gate::silent(), Gate::silent()];
    let weir = Weir::start(&config(&[&gates[0], &gates[1]], KEYS));
    let seen = || gates[0].seen() + gates[1].seen();
    let mut post = Wire::connect(weir.http());
    post.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let mut put = Wire::connect(weir.http());
    put.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    wait_until("both are there", || seen() == 2);
    let mut get = Wire::connect(weir.http());
    get.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // Its hedge came well after theirs would have.
    wait_until("the GET is there twice", || seen() == 4);
    assert_eq!(weir.metric("weir_upstream_hedges_total", &["sent"]), 1.0);
    drop(get);
    wait_until("both of its attempts end", || {
        gates[0].dropped() + gates[1].dropped() == 2
    });
    gates.iter().for_each(|gate| gate.open(200));
    for wire in [&mut post, &mut put] {
        assert_eq!(wire.response("GET").status(), 200);
    }
    assert_calm(&weir);
}

#[test]
fn a_failure_does_not_win_while_another_may_still_answer() {
    let (first, second) = (Gate::silent(), Gate::silent());
    let keys = "hedge: { after: 50ms }\nretry: { attempts: 1, when: [502] }";
    let weir = Weir::start(&config(&[&first, &second], keys));
    let mut wire = super::gate::ask(&weir);
    first.wait_seen(1);
    second.wait_seen(1);
    first.open(502);
    wait_until("its failure is known", || {
        weir.metric("weir_upstream_requests_failed_total", &[]) == 1.0
    });
    second.open(200);
    assert_eq!(wire.response("GET").status(), 200);
    assert_eq!((first.seen(), second.seen()), (1, 1), "nothing is repeated");
    assert_calm(&weir);
}

#[test]
fn hedges_come_out_of_the_budget_of_repeats() {
    let (silent, other) = (Gate::silent(), Gate::silent());
    let keys = "hedge: { after: 20ms }\nretry: { attempts: 0, budget: 0% }";
    let weir = Weir::start(&format!("workers: 1\n{}", config(&[&silent, &other], keys)));
    let asked: Vec<_> = (0..30).map(|_| super::gate::ask(&weir)).collect();
    wait_until("what is allowed is sent", || {
        silent.seen() + other.seen() == 40
    });
    // One more comes after all the others would have.
    let last = super::gate::ask(&weir);
    wait_until("it is there", || silent.seen() + other.seen() == 41);
    assert_eq!(weir.metric("weir_upstream_hedges_total", &["sent"]), 10.0);
    drop((asked, last));
    assert_calm(&weir);
}

/// A server that speaks HTTP/2 and never answers.
struct Streams {
    address: SocketAddr,
    /// Reasons of the streams that were reset.
    resets: Receiver<h2::Reason>,
}

impl Streams {
    fn silent() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, resets) = channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let (stream, _) = listener.accept().await.unwrap();
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut waiting = Vec::new();
                // Whoever polls the connection learns of resets.
                std::future::poll_fn(|context| {
                    while let Poll::Ready(accepted) = connection.poll_accept(context) {
                        match accepted {
                            Some(Ok((_, respond))) => waiting.push(respond),
                            _ => return Poll::Ready(()),
                        }
                    }
                    waiting.retain_mut(|respond: &mut h2::server::SendResponse<bytes::Bytes>| {
                        match respond.poll_reset(context) {
                            Poll::Ready(Ok(reason)) => sender.send(reason).is_err(),
                            Poll::Ready(Err(_)) => false,
                            Poll::Pending => true,
                        }
                    });
                    Poll::Pending
                })
                .await;
            });
        });
        Self { address, resets }
    }
}

#[test]
fn over_http2_what_is_given_up_is_reset_and_its_connection_stays() {
    let servers = [Streams::silent(), Streams::silent()];
    let weir = Weir::start(&format!(
        "workers: 1\nupstreams:\n  up:\n    targets: [\"{}\", \"{}\"]\n    http2: true\n    \
         hedge: {{ after: 50ms }}\n    timeouts: {{ first_byte: 30s }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        servers[0].address, servers[1].address
    ));
    for round in 1..=2 {
        let asked = super::gate::ask(&weir);
        wait_until("the hedge is sent", || {
            weir.metric("weir_upstream_hedges_total", &["sent"]) == f64::from(round)
        });
        drop(asked);
        for server in &servers {
            let reset = server.resets.recv_timeout(PATIENCE);
            assert_eq!(reset, Ok(h2::Reason::CANCEL));
        }
    }
    let made = weir.metric("weir_upstream_connections_total", &["made"]);
    assert_eq!(made, 2.0);
    assert_calm(&weir);
}

/// That more is asked of a target than it answers is not its failure, whichever attempt it concerns.
#[test]
fn who_waits_in_vain_for_a_connection_beside_another_is_no_failure_of_the_target() {
    let gates = [Gate::silent(), Gate::silent()];
    let keys = "hedge: { after: 50ms }\nretry: { attempts: 0 }\n\
                pool: { max_connections: 1 }\ntimeouts: { connect: 300ms }";
    let weir = Weir::start(&format!(
        "workers: 1\n{}",
        config(&[&gates[0], &gates[1]], keys)
    ));
    let holder = super::gate::ask(&weir);
    gates.iter().for_each(|gate| gate.wait_seen(1));
    let mut waiting = super::gate::ask(&weir);
    waiting.response("GET").assert_problem(503, "queue_timeout");
    assert_eq!(weir.metric("weir_upstream_hedges_total", &["sent"]), 2.0);
    assert_eq!(weir.metric("weir_upstream_requests_failed_total", &[]), 0.0);
    drop(holder);
    assert_calm(&weir);
}

#[test]
fn each_attempt_that_a_client_gives_up_counts_as_slow() {
    let gates = [Gate::silent(), Gate::silent()];
    let keys = "hedge: { after: 20ms }\nretry: { attempts: 0 }\n\
                breaker: { slow_call: 100ms, slow_rate: 100%, min_requests: 2, open_for: 60s }";
    let weir = Weir::start(&config(&[&gates[0], &gates[1]], keys));
    let asked = super::gate::ask(&weir);
    gates.iter().for_each(|gate| gate.wait_seen(1));
    let since = std::time::Instant::now();
    wait_until("both are slow", || since.elapsed().as_millis() > 300);
    drop(asked);
    wait_until("the breaker is open", || {
        let shown = weir.ask("GET", "/v1/upstreams").json();
        shown["upstreams"][0]["breaker"]["state"] == "open"
    });
}
