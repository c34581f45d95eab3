//! Consistent hashing, end to end.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use http::Request;

use super::{ask, named, upstream};
use crate::harness::{H2Client, Weir, block_on};

const BY_USER: &str = "balance: consistent_hash, hash: { header: x-user }";

/// Where the users are at home; each asks over several connections, so that every worker is asked.
fn homes(weir: &Weir, users: usize) -> HashMap<usize, String> {
    let mut homes = HashMap::new();
    for user in 0..users {
        for _ in 0..6 {
            let found = ask(weir, "/", &format!("X-User: {user}\r\n")).text();
            let home = homes.entry(user).or_insert_with(|| found.clone());
            assert_eq!(*home, found, "user {user} is here and there");
        }
    }
    homes
}

#[test]
fn a_key_has_one_target_on_every_worker_and_after_a_reload() {
    let all = [named("a"), named("b"), named("c"), named("d")];
    let [a, b, c, d] = &all;
    let weir = Weir::start(&upstream(BY_USER, &[a, b, c, d]));
    let before = homes(&weir, 40);
    let used: HashSet<&String> = before.values().collect();
    assert_eq!(used.len(), 4, "all have something to do");

    let other_order = upstream(BY_USER, &[d, b, a, c]);
    let outcome = weir.reload(&other_order).json()["outcome"].clone();
    assert_eq!(outcome, "applied");
    assert_eq!(homes(&weir, 40), before);

    weir.reload(&upstream(BY_USER, &[a, b, c]));
    let after = homes(&weir, 40);
    let moved = |(user, home): &(&usize, &String)| before[user] != **home;
    let movers: Vec<_> = after.iter().filter(moved).collect();
    let of_d = before.values().filter(|home| *home == "d").count();
    assert!(
        movers.len() <= of_d + 2,
        "{movers:?} moved, and {of_d} had to"
    );

    weir.reload(&other_order);
    assert_eq!(homes(&weir, 40), before, "all come home");
}

#[test]
fn a_node_beside_it_agrees() {
    let all = [named("a"), named("b"), named("c")];
    let [a, b, c] = &all;
    let config = upstream(BY_USER, &[a, b, c]);
    let (one, other) = (Weir::start(&config), Weir::start(&config));
    assert_eq!(homes(&one, 20), homes(&other, 20));
}

#[test]
fn every_kind_of_key_decides() {
    let all = [named("a"), named("b"), named("c")];
    let [a, b, c] = &all;
    let weir = Weir::start(&upstream("balance: consistent_hash", &[a, b, c]));
    let spread = |path: &dyn Fn(usize) -> String, fields: &dyn Fn(usize) -> String| {
        let answers = (0..24).map(|at| ask(&weir, &path(at), &fields(at)));
        let first = |text: String| text.lines().next().unwrap_or_default().to_owned();
        let names: HashSet<String> = answers.map(|answer| first(answer.text())).collect();
        names.len()
    };
    let same = |text: &'static str| move |_: usize| text.to_owned();
    assert_eq!(spread(&|at| format!("/{at}"), &same("")), 1, "one address");

    let reload = |hash: &str| {
        let keys = format!("balance: consistent_hash, hash: {hash}");
        let answer = weir.reload(&upstream(&keys, &[a, b, c])).json();
        assert_eq!(answer["outcome"], "applied", "{answer}");
    };
    reload("path");
    assert_eq!(spread(&|at| format!("/{at}"), &same("")), 3);
    assert_eq!(spread(&|at| format!("/same?{at}"), &same("")), 1);
    assert_eq!(spread(&same("/a/%7e"), &same("")), 1);
    let [raw, normalised] = ["/a/../%7e", "/~"].map(|path| ask(&weir, path, "").text());
    assert_eq!(raw, normalised, "one path, however it is written");

    reload("{ header: x-user }");
    assert_eq!(spread(&same("/"), &|at| format!("X-User: {at}\r\n")), 3);
    let twice = |at| format!("x-user: ada\r\nx-user: {at}\r\n");
    assert_eq!(spread(&same("/"), &twice), 1, "the first value");
    assert_eq!(spread(&same("/"), &same("")), 3, "no key, no home");
    assert_eq!(
        spread(&same("/"), &same("x-user:\r\n")),
        3,
        "nor an empty one"
    );

    reload("{ cookie: user }");
    assert_eq!(
        spread(&same("/"), &|at| format!("Cookie: user={at}\r\n")),
        3
    );
    let among = |at| format!("Cookie: a={at}; user=ada; b\r\nCookie: c={at}\r\n");
    assert_eq!(spread(&same("/"), &among), 1);
}

/// HTTP/2 clients may send each cookie in a field of its own (RFC 9113 §8.2.3).
#[test]
fn crumbs_are_the_same_key() {
    let all = [named("a"), named("b"), named("c")];
    let [a, b, c] = &all;
    let keys = "balance: consistent_hash, hash: { cookie: user }";
    let weir = Weir::start(&upstream(keys, &[a, b, c]));
    let home = |text: String| text.lines().next().unwrap_or_default().to_owned();
    for user in 0..12 {
        let plain = ask(&weir, "/", &format!("Cookie: x=1; user={user}; y=2\r\n")).text();
        let crumbs = block_on(async {
            let client = H2Client::connect(weir.http()).await;
            let request = Request::get("http://weir.test/")
                .header("cookie", "x=1")
                .header("cookie", format!("user={user}"))
                .header("cookie", "y=2");
            let request = request.body(()).unwrap();
            client.send(request, Bytes::new(), None).await.unwrap()
        });
        assert_eq!(home(crumbs.text()), home(plain));
    }
}
