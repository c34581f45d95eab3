//! Resources and revisions by command line.

use serde_json::{Value, json};

use super::{config, server};
use crate::harness::{Ran, Weir, wait_until};

fn start(weir: &Weir) {
    wait_until("the admin API is there", || {
        weir.run("revision", &["list"]).code == Some(0)
    });
}

fn done(ran: &Ran) -> &str {
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    &ran.stdout
}

fn parsed(ran: &Ran) -> Value {
    serde_json::from_str(done(ran)).unwrap()
}

#[test]
fn a_route_lives_by_command_line() {
    let upstream = server();
    let weir = Weir::start(&config(&upstream, ""));
    start(&weir);
    let file = weir.setup().path("items.yaml");
    let file = file.to_str().unwrap();
    weir.setup().write(
        "items.yaml",
        "name: items\nmatch: { path: /items/* }\nupstream: shop\n",
    );
    let tried = weir.run("route", &["put", "-f", file, "--dry-run"]);
    assert!(
        done(&tried).contains("+++ b/route/items\n"),
        "{}",
        tried.stdout
    );
    weir.get("/items/1").assert_problem(404, "no_route");
    let put = weir.run("route", &["put", "-f", file, "--comment", "items"]);
    assert_eq!(done(&put), "revision 1: 1 change, in effect\n");
    assert_eq!(weir.get("/items/1").text(), "fine");
    let again = weir.run("route", &["put", "-f", file]);
    assert_eq!(done(&again), "nothing is different: revision 1 stays\n");
    let list = weir.run("route", &["list"]);
    assert_eq!(
        done(&list),
        "NAME     OWNER  REVISION  IN EFFECT  DOES\n\
         items    api    1         yes        /items/* to shop\n\
         of-file  file   -         yes        /of-file to shop\n\
         rest     file   -         yes        /load to shop\n"
    );
    let shown = weir.run("route", &["show", "items", "--json"]);
    assert_eq!(parsed(&shown)["document"]["upstream"], "shop");

    // The file knows nothing of it; what runs does.
    let url = "http://shop.example/items/1";
    let of_file = weir.run("match", &["GET", url]);
    assert_eq!(of_file.code, Some(1), "{}", of_file.stdout);
    let running = weir.run("match", &["--running", "GET", url]);
    let told = done(&running);
    assert!(
        told.starts_with("GET http://shop.example/items/1\n"),
        "{told}"
    );
    assert!(
        told.contains("route       items (beside the file)\n"),
        "{told}"
    );
    assert!(told.contains("upstream    shop: "), "{told}");
    let other = weir.run("match", &["GET", "/of-file", "--running", "--json"]);
    assert_eq!(parsed(&other)["owner"], "file");
    let nothing = weir.run("match", &["--running", "GET", "/nothing"]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.stdout.contains("answers 404"), "{}", nothing.stdout);
    let refused = weir.run("match", &["--running", "GET", "/a/..%2fb"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stdout.starts_with("refused with 400"),
        "{}",
        refused.stdout
    );

    // Nobody can be asked.
    let asked = weir.run("route", &["delete", "items"]);
    assert_ne!(asked.code, Some(0));
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    assert_eq!(
        done(&weir.run("route", &["delete", "items", "--yes"])),
        "revision 2: 1 change, in effect\n"
    );
    weir.get("/items/1").assert_problem(404, "no_route");
    let deleted = weir.run("route", &["list", "--deleted"]);
    assert!(done(&deleted).contains("items"), "{}", deleted.stdout);
    done(&weir.run("route", &["restore", "items"]));
    assert_eq!(weir.get("/items/1").text(), "fine");

    weir.setup().write("items.yaml", "upstream: nobody\n");
    let refused = weir.run("route", &["put", "items", "-f", file]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("WR0201") && refused.stderr.contains("route `items`"),
        "{}",
        refused.stderr
    );
    let nameless = weir.run("route", &["put", "-f", file]);
    assert!(
        nameless.stderr.contains("say which route"),
        "{}",
        nameless.stderr
    );
    let comment = "so ".repeat(10_000);
    let long = weir.run(
        "route",
        &["put", "items", "-f", file, "--comment", &comment],
    );
    assert_eq!(long.code, Some(2));
    assert!(
        long.stderr.contains("at most 500 characters"),
        "{}",
        long.stderr
    );
    let unknown = weir.run("route", &["show", "nothing"]);
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("There is no route `nothing`"),
        "{}",
        unknown.stderr
    );
    let trash = weir.run("trash", &["list"]);
    assert!(!done(&trash).contains("items"), "{}", trash.stdout);
    done(&weir.run("route", &["delete", "items", "--yes"]));
    let trash = weir.run("trash", &["list"]);
    let line = done(&trash)
        .lines()
        .find(|line| line.starts_with("route  items"));
    let id = line.unwrap().split_whitespace().last().unwrap();
    done(&weir.run("trash", &["restore", id]));
    assert_eq!(weir.get("/items/1").text(), "fine");
    let of_file = weir.run("route", &["delete", "of-file", "--yes"]);
    assert_eq!(of_file.code, Some(1));
    assert!(
        of_file.stderr.contains("change it there"),
        "{}",
        of_file.stderr
    );
}

#[test]
fn a_file_is_applied_and_gone_back_from() {
    let upstream = server();
    let weir = Weir::start(&config(&upstream, ""));
    start(&weir);
    let file = weir.setup().path("gateway.yaml");
    let file = file.to_str().unwrap();
    let text = "\
upstreams:
  catalog: { targets: ['127.0.0.1:9'] }
policies:
  stamp: { headers: { response: { set: { x-stamp: yes } } } }
routes:
  - { name: a, match: { path: /a }, upstream: shop, policies: [stamp] }
  - { name: b, match: { path: /b }, upstream: catalog }
";
    weir.setup().write("gateway.yaml", text);
    let tried = weir.run("revision", &["apply", "-f", file, "--dry-run", "--json"]);
    assert_eq!(parsed(&tried)["changes"].as_array().unwrap().len(), 4);
    let applied = weir.run(
        "revision",
        &["apply", "-f", file, "--comment", "as in the repository"],
    );
    assert_eq!(done(&applied), "revision 1: 4 changes, in effect\n");
    assert_eq!(weir.get("/a").get("x-stamp"), Some("yes"));

    let (rest, _) = text.split_once("  - { name: b").unwrap();
    weir.setup().write("gateway.yaml", rest);
    let same = weir.run("revision", &["apply", "-f", file]);
    assert_eq!(done(&same), "nothing is different: revision 1 stays\n");
    let pruned = weir.run("revision", &["apply", "-f", file, "--prune"]);
    assert!(pruned.stderr.contains("--yes"), "{}", pruned.stderr);
    let pruned = weir.run("revision", &["apply", "-f", file, "--prune", "--yes"]);
    assert_eq!(done(&pruned), "revision 2: 1 change, in effect\n");
    weir.get("/b").assert_problem(404, "no_route");

    let diff = weir.run("revision", &["diff", "2"]);
    assert!(
        done(&diff).starts_with("--- a/route/b\n+++ /dev/null\n"),
        "{}",
        diff.stdout
    );
    let diff = weir.run("revision", &["diff", "0", "--from", "2", "--json"]);
    assert_eq!(parsed(&diff)["changes"].as_array().unwrap().len(), 3);
    let back = weir.run(
        "revision",
        &["rollback", "1", "--yes", "--comment", "too soon"],
    );
    assert_eq!(done(&back), "revision 3: 1 change, in effect\n");
    assert_ne!(weir.get("/b").status(), 404);
    let list = parsed(&weir.run("revision", &["list", "--json"]));
    let comments: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["comment"].clone())
        .collect();
    assert_eq!(
        comments,
        [json!("too soon"), json!(""), json!("as in the repository")]
    );
    let shown = weir.run("revision", &["show", "3"]);
    assert!(
        done(&shown).contains("rolled_back_to  1"),
        "{}",
        shown.stdout
    );

    weir.setup().write("gateway.yaml", "listeners: []\n");
    let refused = weir.run("revision", &["apply", "-f", file]);
    assert!(
        refused
            .stderr
            .contains("`listeners` stays in the configuration file"),
        "{}",
        refused.stderr
    );
    weir.setup().write("gateway.yaml", "routes: [\n");
    let refused = weir.run("revision", &["apply", "-f", file]);
    assert!(refused.stderr.contains("WR0004"), "{}", refused.stderr);
}
