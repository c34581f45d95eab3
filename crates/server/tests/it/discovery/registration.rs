//! Targets that announce themselves through the admin listener.

use rustix::process::Signal;

use super::{discovered, lost, restart, saying, send, targets, upstream, wait_for_targets};
use crate::harness::{Load, Setup, Upstream, Weir, Wire, wait_until};

fn register(weir: &Weir, id: &str, server: &Upstream) -> u16 {
    let body = format!("{{\"address\": \"{}\"}}", server.address);
    let path = format!("/v1/upstreams/up/targets/{id}");
    send(weir, "PUT", &path, None, &body).status()
}

#[test]
fn targets_come_renew_and_go() {
    let (first, second) = (saying("ok"), saying("ok"));
    let config = discovered("{ registration: { expiry: 2s } }");
    let weir = Weir::start(&config);
    assert_eq!(weir.get("/").status(), 503);
    assert_eq!(register(&weir, "a", &first), 201);
    assert_eq!(register(&weir, "a", &first), 200);
    assert_eq!(register(&weir, "b", &second), 201);
    wait_for_targets(&weir, &[first.address, second.address]);
    assert_eq!(weir.get("/").text(), "ok");
    let list = weir.ask("GET", "/v1/upstreams/up/targets").json();
    assert_eq!(list["targets"][1]["id"], "b");
    assert_eq!(list["targets"][1]["address"], second.address.to_string());
    // Only one goes on to renew, with an empty body.
    wait_until("the other has expired", || {
        let renewed = send(&weir, "PUT", "/v1/upstreams/up/targets/a", None, "");
        assert_eq!(renewed.status(), 200);
        targets(&weir) == [first.address.to_string()]
    });
    let answer = send(&weir, "PUT", "/v1/upstreams/up/targets/b", None, "");
    answer.assert_problem_word(404, "not_registered");
    // The last one falls silent, and stays.
    assert_eq!(lost(&weir), "every registration has expired");
    assert_eq!(weir.get("/").text(), "ok");
    // Who knows that it is gone for good takes it out.
    let gone = send(&weir, "DELETE", "/v1/upstreams/up/targets/a", None, "");
    assert_eq!(gone.status(), 204);
    wait_until("nobody is left", || targets(&weir).is_empty());

    assert_eq!(register(&weir, "c", &second), 201);
    wait_for_targets(&weir, &[second.address]);
    let (weir, _former) = restart(weir, &config);
    assert_eq!(weir.get("/").text(), "ok");
    let renewed = send(&weir, "PUT", "/v1/upstreams/up/targets/c", None, "");
    assert_eq!(renewed.status(), 200);
    let gone = send(&weir, "DELETE", "/v1/upstreams/up/targets/c", None, "");
    assert_eq!(gone.status(), 204);
    wait_until("nobody is left", || targets(&weir).is_empty());
    assert_eq!(weir.get("/").status(), 503);
    assert!(upstream(&weir)["discovery"]["error"].is_null());
}

#[test]
fn an_upgrade_takes_the_registered_along() {
    let (first, second) = (saying("ok"), saying("ok"));
    let weir = Weir::start(&discovered("{ registration: { expiry: 60s } }"));
    assert_eq!(register(&weir, "a", &first), 201);
    wait_for_targets(&weir, &[first.address]);
    let load = Load::keep_alive(weir.http(), 4, "ok");
    weir.signal(Signal::USR2);
    wait_until("the successor serves", || {
        weir.serving_id().is_some_and(|id| id != weir.id())
    });
    load.wait_for_more(100);
    let renewed = send(&weir, "PUT", "/v1/upstreams/up/targets/a", None, "");
    assert_eq!(renewed.status(), 200);
    assert_eq!(register(&weir, "b", &second), 201);
    wait_for_targets(&weir, &[first.address, second.address]);
    load.wait_for_more(100);
    load.finish();
}

#[test]
fn only_who_has_the_token_registers_and_only_what_is_allowed() {
    let setup = Setup::new();
    setup.write("token", "canary-7f3a\n");
    let settings = "{ registration: { token: \"file:$DIR/token\" }, networks: [10.0.0.0/8], \
                    max_targets: 1 }";
    let weir = setup.start(&discovered(settings));
    let path = "/v1/upstreams/up/targets/a";
    let good = r#"{"address": "10.0.0.1:80"}"#;
    for token in [Some("canary-7f3b"), Some("")] {
        let answer = send(&weir, "PUT", path, token, good);
        answer.assert_problem_word(401, "unauthorised");
        assert_eq!(answer.get("www-authenticate"), Some("Bearer"));
        send(&weir, "DELETE", path, token, "").assert_problem_word(401, "unauthorised");
    }
    // Without any credential nobody hears which upstreams there are.
    for upstream in ["up", "nothing"] {
        let mut wire = Wire::connect(weir.setup().admin);
        let length = good.len();
        wire.send(format!(
            "PUT /v1/upstreams/{upstream}/targets/a HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{good}"
        ));
        wire.response("PUT")
            .assert_problem_word(401, "unauthorised");
    }
    let token = Some("canary-7f3a");
    let put = |path: &str, body: &str| send(&weir, "PUT", path, token, body);
    let inside = r#"{"address": "127.0.0.1:80"}"#;
    put(path, inside).assert_problem_word(422, "outside_networks");
    put(path, r#"{"address": "10.0.0.1"}"#).assert_problem_word(422, "bad_registration");
    put(path, r#"{"address": 1}"#).assert_problem_word(400, "bad_body");
    put(path, r#"{"address": "10.0.0.1:80", "wait": 1}"#).assert_problem_word(400, "bad_body");
    put(path, &"[".repeat(10_000)).assert_problem_word(400, "bad_body");
    put(path, &" ".repeat(20_000)).assert_problem_word(413, "body_too_large");
    let escaping = "/v1/upstreams/up/targets/..%2F..%2Fa";
    put(escaping, good).assert_problem_word(422, "bad_registration");
    let other = "/v1/upstreams/other/targets/a";
    put(other, good).assert_problem_word(401, "unauthorised");
    let unknown = send(&weir, "PUT", other, None, good);
    unknown.assert_problem_word(404, "no_such_upstream");
    assert_eq!(put(path, good).status(), 201);
    put("/v1/upstreams/up/targets/b", good).assert_problem_word(409, "full");
    let shown = weir.ask("GET", path).text();
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!weir.log().contains("canary"), "{}", weir.log());
}

#[test]
fn a_hundred_changes_under_load_fail_no_request() {
    let servers = [saying("ok"), saying("ok"), saying("ok")];
    let weir = Weir::start(&discovered("{ registration: {} }"));
    assert_eq!(register(&weir, "0", &servers[0]), 201);
    wait_for_targets(&weir, &[servers[0].address]);
    let loads = [
        Load::keep_alive(weir.http(), 8, "ok"),
        Load::new_connections(weir.http(), 2, "ok"),
        Load::http2(weir.http(), 2, "ok"),
    ];
    // One server stays, the two others come and go in turn.
    for round in 0..50 {
        let at = 1 + round % 2;
        let id = at.to_string();
        assert_eq!(register(&weir, &id, &servers[at]), 201);
        wait_for_targets(&weir, &[servers[0].address, servers[at].address]);
        let path = format!("/v1/upstreams/up/targets/{id}");
        assert_eq!(send(&weir, "DELETE", &path, None, "").status(), 204);
        wait_for_targets(&weir, &[servers[0].address]);
    }
    for load in loads {
        load.wait_for_more(50);
        load.finish();
    }
    assert!(servers.iter().all(|server| server.accepted() > 0));
    let made = weir.metric("weir_upstream_connections_total", &["outcome=\"failed\""]);
    assert_eq!(made, 0.0);
}
