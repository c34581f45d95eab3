//! A flood of made-up sessions, and those who have one.

use std::time::{Duration, Instant};

use weir_testkit::Postgres;

use crate::api::World;
use crate::harness::{Message, Upstream, Weir, Wire, wait_until};

const FLOOD: &str = "192.0.2.7";
const OTHER: &str = "192.0.2.8";

fn request(client: &str, token: &str) -> String {
    format!(
        "GET /quiet HTTP/1.1\r\nHost: weir.example\r\nX-Forwarded-For: {client}\r\n\
         Cookie: __Host-weir_session={token}\r\nConnection: close\r\n\r\n"
    )
}

fn get(weir: &Weir, client: &str, token: &str) -> Message {
    let mut wire = Wire::connect(weir.http());
    wire.send(request(client, token));
    wire.response("GET")
}

/// A token as sessions have them, of nobody.
fn made_up(number: usize) -> String {
    format!("weir_session_{number:A>43}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_made_up_sessions_keeps_nobody_else_from_being_looked_up() {
    let postgres = Postgres::shared();
    let database = postgres.database();
    let upstream = Upstream::echo();
    let text = format!(
        "admin: {{ address: $ADMIN, public_url: 'https://weir.example' }}\n\
         trusted_proxies: [127.0.0.1]\n\
         records: {{ url: \"{database}\" }}\n\
         upstreams: {{ up: {{ targets: ['{}'] }} }}\n\
         policies: {{ people: {{ session: {{ redirect: never }} }} }}\n\
         routes: [{{ name: quiet, match: {{ path: /quiet }}, policies: [people], upstream: up }}]\n",
        upstream.address
    );
    let world = World::begin_with(&text).await;
    let weir = &world.weir;
    let user = world.person("zoe@a.example").await;
    let [zoe, another] = [world.signed_in(&user).await, world.signed_in(&user).await];
    // Only what is no current token is looked for there: records answer nothing about those, and the rest at once.
    let former = "LOCK TABLE former_session_tokens IN ACCESS EXCLUSIVE MODE";
    let held = postgres.hold(&database, former);
    let flood: Vec<_> = (0..300)
        .map(|number| {
            let mut wire = Wire::connect(weir.http());
            wire.send(request(FLOOD, &made_up(number)));
            wire
        })
        .collect();
    wait_until(
        "records are asked about as many as one address may ask",
        || {
            let waiting = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let waiting: u32 = postgres.psql(&database, waiting).parse().unwrap();
            waiting >= 8
        },
    );
    wait_until("the rest of the flood waits", || {
        weir.metric("weir_credential_lookups_waiting", &["kind=\"session\""]) >= 200.0
    });
    let begun = Instant::now();
    let answer = get(weir, OTHER, zoe.token());
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    // Who stands in the flood's line waits behind it; whoever it is, they are not said to be nobody.
    drop(flood);
    drop(held);
    wait_until("the line is empty again", || {
        get(weir, FLOOD, another.token()).status() == 200
    });
}
