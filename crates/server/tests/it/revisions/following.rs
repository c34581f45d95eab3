//! Nodes take up what is in the records, and keep what they have without them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_config::ResourceKind;
use weir_revisions::What;
use weir_testkit::Postgres;

use super::{
    Editor, config, delete, put, route, route_to, server, wait_until_available,
    wait_until_in_effect,
};
use crate::harness::{Load, Setup, Weir, wait_until};

pub fn status(weir: &Weir) -> Value {
    weir.ask("GET", "/v1/status").json()["resources"].clone()
}

/// What the node runs without: each kind and name, with the code of why.
pub fn left_out(weir: &Weir) -> Vec<[String; 3]> {
    let left_out = status(weir)["left_out"].clone();
    let left_out = left_out.as_array().into_iter().flatten();
    let one = |one: &Value| {
        assert!(one["message"].is_string(), "{one}");
        ["kind", "name", "code"].map(|part| one[part].as_str().unwrap().to_owned())
    };
    left_out.map(one).collect()
}

fn kept_revision(weir: &Weir) -> i64 {
    let text = std::fs::read_to_string(weir.setup().data().join("resources.json"));
    let kept: Value = text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
    kept["revision"].as_i64().unwrap_or(0)
}

pub fn wait_until_kept(weir: &Weir, revision: i64) {
    wait_until("the revision is kept", || kept_revision(weir) == revision);
}

#[test]
fn revisions_of_another_process_take_effect() {
    let upstream = server();
    let weir = Weir::start(&config(&upstream, ""));
    wait_until_available(&weir);
    let editor = Editor::of(&weir);
    weir.get("/a").assert_problem(404, "no_route");
    let targets = json!({"targets": [upstream.address.to_string()]});
    let one = editor.change(vec![
        put(ResourceKind::Upstream, "other", targets),
        route_to("a", "other"),
        route("b"),
    ]);
    let since = Instant::now();
    wait_until_in_effect(&weir, one);
    let took = since.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(weir.get("/a").text(), "fine");
    assert_eq!(weir.get("/b").text(), "fine");
    assert_eq!(weir.metric("weir_config_resources_revision", &[]), 1.0);
    assert_eq!(weir.metric("weir_config_resources_refused", &[]), 0.0);

    let load = Load::keep_alive(weir.http(), 2, "fine");
    let two = editor.change(vec![delete(ResourceKind::Route, "b")]);
    wait_until_in_effect(&weir, two);
    weir.get("/b").assert_problem(404, "no_route");
    wait_until_in_effect(
        &weir,
        editor.make(What::Rollback {
            to: one,
            certificates: false,
        }),
    );
    assert_eq!(weir.get("/b").text(), "fine");
    // The file goes on being read, with the resources beside it.
    let text = config(&upstream, "").replace("/of-file", "/elsewhere");
    assert_eq!(weir.reload(&text).status(), 200);
    assert_eq!(weir.get("/elsewhere").text(), "fine");
    assert_eq!(weir.get("/b").text(), "fine");
    load.finish();
}

#[test]
fn three_nodes_on_one_server_and_one_that_starts_without_it() {
    let upstream = server();
    let database = Postgres::start(&["fsync=off"]);
    let url = database.database();
    let text = config(
        &upstream,
        &format!("records: {{ url: \"{url}\", acquire_timeout: 2s }}\n"),
    );
    let data = tempfile::tempdir().unwrap();
    let start_again = || Setup::new().data_directory(data.path()).start(&text);
    let nodes = [Weir::start(&text), Weir::start(&text), start_again()];
    nodes.iter().for_each(wait_until_available);
    let editor = Editor::on_server(&url, &nodes[0]);
    let one = editor.change(vec![route("a")]);
    let since = Instant::now();
    for node in &nodes {
        wait_until_in_effect(node, one);
        assert_eq!(node.get("/a").text(), "fine");
    }
    let took = since.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    let [first, second, third] = nodes;
    wait_until_kept(&third, one);

    let load = Load::keep_alive(first.http(), 2, "fine");
    database.stop();
    wait_until("it is known that records are gone", || {
        first.metric("weir_records_available", &[]) == 0.0
    });
    assert_eq!(second.get("/a").text(), "fine");
    // It ends at once, and what it kept is what it serves.
    third.signal(rustix::process::Signal::KILL);
    drop(third);
    let third = start_again();
    assert_eq!(third.get("/a").text(), "fine");
    assert_eq!(status(&third)["revision"], one);

    database.resume();
    let two = editor.change(vec![route("b")]);
    for node in [&first, &second, &third] {
        wait_until_in_effect(node, two);
        assert_eq!(node.get("/b").text(), "fine");
    }
    load.wait_for_more(50);
    load.finish();
}

/// What a name leads to is known when it is dialled, and the route answers as for a server that is not there.
#[test]
fn no_name_leads_upstreams_of_resources_to_the_admin_listener() {
    let upstream = server();
    let weir = Weir::start(&config(&upstream, ""));
    wait_until_available(&weir);
    let port = weir.setup().admin.port();
    let targets = |host: &str, port: u16| json!({"targets": [format!("{host}:{port}")]});
    let one = Editor::of(&weir).change(vec![
        put(ResourceKind::Upstream, "admin", targets("localhost", port)),
        route_to("metrics", "admin"),
        put(
            ResourceKind::Upstream,
            "other",
            targets("localhost", upstream.address.port()),
        ),
        route_to("other", "other"),
    ]);
    wait_until_in_effect(&weir, one);
    assert_eq!(weir.get("/other").text(), "fine");
    weir.get("/metrics")
        .assert_problem(502, "upstream_connect_failed");
    // Whoever writes the file may.
    let of_file = config(&upstream, "").replace(
        "shop: {",
        &format!("own: {{ targets: [\"localhost:{port}\"] }}, shop: {{"),
    ) + "  - { name: own, match: { path: /metrics }, upstream: own, host: target }\n";
    let two = Editor::of(&weir).change(vec![delete(ResourceKind::Route, "metrics")]);
    wait_until_in_effect(&weir, two);
    assert_eq!(weir.reload(&of_file).status(), 200);
    assert_eq!(weir.get("/metrics").status(), 200);
}

/// As after a restore: the number is one that the node knows, what it stands for is something else.
#[test]
fn records_with_another_past_are_followed() {
    let upstream = server();
    let text = config(&upstream, "");
    let [known, restored] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for (directory, name) in [(&known, "a"), (&restored, "b")] {
        let weir = Setup::new().data_directory(directory.path()).start(&text);
        wait_until_available(&weir);
        let revision = Editor::of(&weir).change(vec![route(name)]);
        assert_eq!(revision, 1);
        wait_until_kept(&weir, revision);
    }
    for name in ["weir.db", "weir.db-wal", "weir.db-shm", "installation.key"] {
        let (from, to) = (restored.path().join(name), known.path().join(name));
        let _ = std::fs::remove_file(&to);
        if from.exists() {
            std::fs::copy(from, to).unwrap();
        }
    }
    let weir = Setup::new().data_directory(known.path()).start(&text);
    wait_until("the other revision is in effect", || {
        weir.get("/b").status() == 200
    });
    weir.get("/a").assert_problem(404, "no_route");
}

#[test]
fn a_revision_that_does_not_fit_the_file_is_refused_until_it_does() {
    let upstream = server();
    let weir = Weir::start(&config(&upstream, ""));
    wait_until_available(&weir);
    let editor = Editor::of(&weir);
    let one = editor.change(vec![route("a")]);
    wait_until_in_effect(&weir, one);
    // Another node's file has this upstream.
    let two = editor.change(vec![
        route_to("b", "elsewhere"),
        delete(ResourceKind::Route, "a"),
    ]);
    wait_until("the revision is refused", || {
        status(&weir)["refused"]["revision"] == two
    });
    let refused = status(&weir)["refused"].clone();
    assert_eq!(refused["diagnostics"][0]["code"], "WR0201");
    assert_eq!(
        refused["diagnostics"][0]["resource"],
        json!({"kind": "route", "name": "b"})
    );
    assert_eq!(weir.metric("weir_config_resources_refused", &[]), 1.0);
    assert_eq!(status(&weir)["revision"], one);
    assert_eq!(weir.get("/a").text(), "fine");
    // Nothing is wrong with the file itself.
    assert_eq!(weir.revision().get("rejected"), None);

    let text = config(&upstream, "").replace(
        "shop: {",
        "elsewhere: { targets: [\"127.0.0.1:1\"] }, shop: {",
    );
    assert_eq!(weir.reload(&text).status(), 200);
    wait_until_in_effect(&weir, two);
    weir.get("/a").assert_problem(404, "no_route");
    assert_eq!(status(&weir).get("refused"), None);
    assert_eq!(weir.metric("weir_config_resources_refused", &[]), 0.0);
}

#[test]
fn a_start_leaves_out_what_the_file_leaves_no_room_for() {
    let upstream = server();
    let text = config(&upstream, "");
    let data = tempfile::tempdir().unwrap();
    let start = |text: &str| Setup::new().data_directory(data.path()).start(text);
    let weir = start(&text);
    wait_until_available(&weir);
    let editor = Editor::of(&weir);
    let targets = json!({"targets": [upstream.address.to_string()]});
    let one = editor.change(vec![
        put(ResourceKind::Upstream, "other", targets),
        route("a"),
        route_to("b", "other"),
    ]);
    wait_until_in_effect(&weir, one);
    wait_until_kept(&weir, one);
    drop(weir);

    // Now the file has what `a` matches, under another name.
    let other = text.replace("/of-file", "/a");
    let weir = start(&other);
    assert_eq!(weir.get("/a").text(), "fine");
    assert_eq!(weir.get("/b").text(), "fine");
    assert_eq!(left_out(&weir), [["route", "a", "WR0208"]]);
    assert_eq!(weir.metric("weir_config_resources_left_out", &[]), 1.0);
    assert!(weir.log().contains("WR0208"), "{}", weir.log());
    assert!(weir.stderr().contains("route `a`"), "{}", weir.stderr());
    assert_eq!(weir.metric("weir_config_resources_refused", &[]), 1.0);
    // It is as wanted again as soon as there is room.
    assert_eq!(weir.reload(&text).status(), 200);
    wait_until("nothing is left out", || {
        status(&weir).get("left_out").is_none()
    });
    assert_eq!(weir.get("/a").text(), "fine");
    assert_eq!(weir.get("/of-file").text(), "fine");
}

/// As on a new machine, or after a restore: there is no former revision that it could stay with.
#[test]
fn a_node_that_has_kept_nothing_runs_what_it_can_use() {
    let upstream = server();
    let database = Postgres::start(&["fsync=off"]);
    let url = database.database();
    let text = config(
        &upstream,
        &format!("records: {{ url: \"{url}\", acquire_timeout: 2s }}\n"),
    );
    let other = Weir::start(&text);
    wait_until_available(&other);
    let editor = Editor::on_server(&url, &other);
    let change = |upstream: &str| {
        let targets = json!({"targets": [upstream]});
        put(ResourceKind::Upstream, "own", targets)
    };
    // Nobody may reach this one, as a node says that is asked; these revisions are judged by none.
    let one = editor.change(vec![
        route("a"),
        change("169.254.169.254:80"),
        route_to("b", "own"),
        route_to("c", "of-another-file"),
    ]);

    let data = tempfile::tempdir().unwrap();
    let key = "installation.key";
    std::fs::copy(other.setup().data().join(key), data.path().join(key)).unwrap();
    let start = || Setup::new().data_directory(data.path()).start(&text);
    let weir = start();
    wait_until_in_effect(&weir, one);
    wait_until("the admin API is there", || {
        weir.ask("GET", "/v1/revisions").status() == 200
    });
    assert_eq!(weir.get("/a").text(), "fine");
    assert_eq!(weir.get("/of-file").text(), "fine");
    for path in ["/b", "/c"] {
        weir.get(path).assert_problem(404, "no_route");
    }
    let expected = [
        ["route", "b", "WR0201"],
        ["route", "c", "WR0201"],
        ["upstream", "own", "WR0314"],
    ];
    assert_eq!(left_out(&weir), expected);
    assert_eq!(weir.metric("weir_config_resources_left_out", &[]), 3.0);
    assert_eq!(weir.metric("weir_config_resources_refused", &[]), 1.0);
    wait_until("the log says so", || weir.log().contains("WR0314"));
    let listed = weir.run("revision", &["list"]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    let warning = "this node runs without upstream `own` (WR0314: ";
    assert!(listed.stderr.contains(warning), "{}", listed.stderr);
    let looked_at = weir.run("doctor", &[]).stdout;
    assert!(
        looked_at.contains("resources: this node runs without route `b`"),
        "{looked_at}"
    );

    // It runs a revision now: from here on, another one is taken whole or not at all.
    let two = editor.change(vec![delete(ResourceKind::Route, "a"), route("d")]);
    wait_until("the revision is refused", || {
        status(&weir)["refused"]["revision"] == two
    });
    assert_eq!(weir.get("/a").text(), "fine");
    weir.get("/d").assert_problem(404, "no_route");
    assert_eq!(status(&weir)["revision"], one);

    // What it can use serves the next start, too.
    wait_until_kept(&weir, one);
    database.stop();
    drop(weir);
    let weir = start();
    assert_eq!(weir.get("/a").text(), "fine");
    assert_eq!(left_out(&weir), expected);
    database.resume();

    let three = editor.change(vec![
        change(&upstream.address.to_string()),
        delete(ResourceKind::Route, "c"),
    ]);
    wait_until_in_effect(&weir, three);
    for path in ["/b", "/d"] {
        assert_eq!(weir.get(path).text(), "fine");
    }
    assert_eq!(status(&weir).get("left_out"), None);
    assert_eq!(status(&weir).get("refused"), None);
}

#[test]
fn a_node_that_can_use_none_serves_its_file() {
    let upstream = server();
    let database = Postgres::start(&["fsync=off"]);
    let url = database.database();
    let text = config(&upstream, &format!("records: {{ url: \"{url}\" }}\n"));
    let other = Weir::start(&text);
    wait_until_available(&other);
    let editor = Editor::on_server(&url, &other);
    editor.change(vec![route_to("a", "nobody"), route_to("b", "nobody")]);
    let weir = Weir::start(&text);
    wait_until("they are left out", || left_out(&weir).len() == 2);
    assert_eq!(weir.get("/of-file").text(), "fine");
    assert_eq!(status(&weir)["revision"], 1);
}

#[test]
fn a_damaged_file_of_resources_hinders_no_start() {
    let upstream = server();
    let text = config(&upstream, "");
    let data = tempfile::tempdir().unwrap();
    let start = || Setup::new().data_directory(data.path()).start(&text);
    let weir = start();
    wait_until_available(&weir);
    let one = Editor::of(&weir).change(vec![route("a")]);
    wait_until_kept(&weir, one);
    drop(weir);
    std::fs::write(data.path().join("resources.json"), "{").unwrap();
    let weir = start();
    assert!(weir.stderr().contains("resources.json is damaged"));
    wait_until_in_effect(&weir, one);
    assert_eq!(weir.get("/a").text(), "fine");
}
