//! Changes of the configuration while traffic flows.

use std::net::SocketAddr;

use rustix::process::Signal;

use crate::harness::{
    H2Client, Load, Setup, Upstream, Weir, Wire, alone, answer, block_on, forward, free_port,
    wait_until, wait_within,
};

/// A server that answers with this word.
fn named(name: &'static str) -> Upstream {
    Upstream::answering(move |_| answer(200, &[], name))
}

const BROKEN: &str = "upstream:\n  up: { target: [] }\nroutes: [{ nme: all }]\n";

#[test]
fn a_change_takes_effect_by_signal_by_request_and_by_itself() {
    let (one, two) = (named("one"), named("two"));
    let weir = Weir::to(one.address);
    let mut kept = Wire::connect(weir.http());
    let mut ask = || {
        kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        kept.response("GET").text()
    };
    assert_eq!(ask(), "one");
    assert_eq!(weir.revision_number(), 1);

    weir.write_config(&forward(two.address));
    weir.signal(Signal::HUP);
    wait_until("the second server answers", || ask() == "two");

    let reloaded = weir.reload(&forward(one.address)).json();
    assert_eq!(reloaded["outcome"], "applied");
    assert_eq!(ask(), "one", "the answer came before the change");
    assert_eq!(reloaded["revision"]["number"], weir.revision_number());

    weir.write_config(&forward(two.address));
    wait_until("the file's change is noticed", || ask() == "two");
    assert!(weir.revision()["rejected"].is_null());
}

#[test]
fn a_file_that_says_the_same_changes_nothing() {
    let one = named("one");
    let weir = Weir::to(one.address);
    let digest = weir.revision()["digest"].clone();
    let answer = weir.reload(&forward(one.address));
    assert_eq!(
        (answer.status(), &answer.json()["outcome"]),
        (200, &"unchanged".into())
    );
    assert_eq!(weir.revision_number(), 1);
    assert_eq!(weir.revision()["digest"], digest);
}

#[test]
fn a_broken_file_leaves_the_running_revision_and_says_why() {
    let (one, two) = (named("one"), named("two"));
    let weir = Weir::to(one.address);
    let answer = weir.reload(BROKEN);
    assert_eq!(answer.status(), 422);
    let told = answer.json();
    assert_eq!(told["reason"], "configuration_rejected");
    // Every mistake at once, each with its code.
    assert!(
        told["diagnostics"]
            .as_array()
            .is_some_and(|all| all.len() >= 2),
        "{told}"
    );
    assert_eq!(weir.get("/").text(), "one");

    let revision = weir.revision();
    assert_eq!(revision["number"], 1);
    assert_eq!(revision["rejected"]["diagnostics"], told["diagnostics"]);
    assert!(
        revision["rejected"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("weir.yaml"))
    );

    // By itself and by signal, the outcome is the same.
    weir.write_config("routes: [");
    wait_until("the other fault is shown", || {
        weir.revision()["rejected"]["diagnostics"] != told["diagnostics"]
    });
    weir.signal(Signal::HUP);
    assert_eq!(weir.get("/").text(), "one");

    assert_eq!(
        weir.reload(&forward(two.address)).json()["outcome"],
        "applied"
    );
    assert_eq!(weir.get("/").text(), "two");
    assert!(weir.revision()["rejected"].is_null());
    assert_eq!(weir.revision_number(), 2);
}

#[test]
fn the_command_shows_a_refusal_as_check_does() {
    let one = named("one");
    let weir = Weir::to(one.address);
    weir.write_config("upstream:\n  up: { target: [] }\nroutes: [{ nme: all }]\n");
    let checked = weir.run("check", &[]);
    assert!(checked.stderr.contains("^^^^"), "{}", checked.stderr);
    let ran = weir.run("reload", &[]);
    assert_eq!(ran.code, Some(1));
    let refused = "refused: what runs stays in effect\n";
    assert_eq!(ran.stderr, format!("{}{refused}", checked.stderr));
    // For programs it is the admin listener's answer.
    let ran = weir.run("reload", &["--json"]);
    let problem: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(problem["reason"], "configuration_rejected");
}

#[test]
fn commands_find_the_running_process_after_its_admin_address_was_changed_in_the_file() {
    let one = named("one");
    let weir = Weir::to(one.address);
    let changed = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let config = |rest: &str| {
        format!(
            "admin: {{ address: \"{changed}\" }}\n{}{rest}",
            forward(one.address)
        )
    };
    weir.write_config(&config("drain_timeout: 3s\n"));
    // What takes effect does not change where the process listens.
    for word in ["revision", "nothing changed"] {
        let ran = weir.run("reload", &[]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.contains(word), "{}", ran.stdout);
        let noted = format!(
            "the admin address of the configuration is {changed}; the running Weir still listens at {}\n",
            weir.setup().admin
        );
        assert_eq!(ran.stderr, noted);
    }
    assert_eq!(weir.run("upstreams", &[]).code, Some(0));
    // Also where the file cannot be read as a whole.
    weir.write_config(&config("nothing: useful\n"));
    let ran = weir.run("reload", &[]);
    assert!(
        ran.stderr.contains("unknown key `nothing`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_change_that_cannot_be_run_changes_nothing_at_all() {
    let (one, two) = (named("one"), named("two"));
    let weir = Weir::to(one.address);
    // The address is somebody else's: the whole revision is refused, its routes, too.
    let taken = two.address;
    let config = format!(
        "listeners: [{{ address: $HTTP }}, {{ address: \"{taken}\" }}]\n{}",
        forward(two.address)
    );
    let told = weir.reload(&config);
    assert_eq!(told.status(), 422);
    assert!(told.text().contains(&taken.to_string()), "{}", told.text());
    assert_eq!(weir.get("/").text(), "one");
}

#[test]
fn listeners_come_and_go_and_their_connections_stay() {
    let one = named("one");
    let weir = Weir::to(one.address);
    let second = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let both = format!(
        "listeners: [{{ address: $HTTP }}, {{ address: \"{second}\" }}]\n{}",
        forward(one.address)
    );
    assert!(Wire::try_connect(second).is_err());
    assert_eq!(weir.reload(&both).status(), 200);
    let mut wire = Wire::connect(second);
    let mut ask = || {
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        wire.response("GET").text()
    };
    assert_eq!(ask(), "one");
    assert_eq!(weir.reload(&forward(one.address)).status(), 200);
    wait_until("the listener is gone", || {
        Wire::try_connect(second).is_err()
    });
    assert_eq!(ask(), "one");
    assert_eq!(weir.get("/").text(), "one");
    // The address can be taken again.
    assert_eq!(weir.reload(&both).status(), 200);
    assert_eq!(
        Wire::connect(second)
            .response_to("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .text(),
        "one"
    );
}

#[test]
fn a_request_under_way_ends_with_the_revision_that_it_began_with() {
    let (asked, wait_for_request) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let slow = Upstream::new(move |mut wire| {
        wire.request();
        asked.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        wire.send(answer(200, &[], "slow"));
    });
    let two = named("two");
    let weir = Weir::to(slow.address);
    let mut wire = Wire::connect(weir.http());
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for_request.recv().unwrap();
    assert_eq!(weir.reload(&forward(two.address)).status(), 200);
    assert_eq!(weir.get("/").text(), "two");
    release.send(()).unwrap();
    assert_eq!(wire.response("GET").text(), "slow");
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(wire.response("GET").text(), "two");
}

#[test]
fn a_start_with_a_broken_file_fails_unless_the_last_good_revision_will_do() {
    let one = named("one");
    let first = Weir::to(one.address);
    let (directory, config) = (
        first.directory().to_owned(),
        first.setup().complete(&forward(one.address)),
    );
    assert_eq!(first.get("/").text(), "one");

    let mut refused = Setup::new().spawn(BROKEN);
    assert_eq!(refused.wait_exit().code(), Some(1));
    assert!(
        refused.stderr().contains("weir.yaml"),
        "{}",
        refused.stderr()
    );

    // The same place, after the first process ended.
    let kept = std::fs::read(directory.join("data/last-good.json")).unwrap();
    drop(first);
    let setup = Setup::new()
        .argument("--last-good")
        .data_directory("kept".as_ref());
    std::fs::create_dir(setup.path("kept")).unwrap();
    setup.write("kept/last-good.json", kept);
    setup.write("weir.yaml", BROKEN);
    // It serves where the kept revision says.
    let addresses: Vec<SocketAddr> = config
        .split(|letter: char| !(letter.is_ascii_digit() || ".:".contains(letter)))
        .filter_map(|word| word.parse().ok())
        .collect();
    let (admin, http) = (addresses[0], addresses[1]);
    let weir = setup.at(admin, http).launch_and_wait();
    assert_eq!(weir.get("/").text(), "one");
    let revision = weir.revision();
    assert_eq!(revision["last_good"], true);
    assert!(!revision["rejected"].is_null());
    assert_eq!(weir.reload(&forward(one.address)).status(), 200);
    assert_eq!(weir.revision()["last_good"], false);
}

/// Revisions that differ in what they do to a response, and in an upstream beside the one in use.
fn variant(up: SocketAddr, number: usize) -> String {
    format!(
        "upstreams:\n  up: {{ targets: [\"{up}\"] }}\n  other: {{ targets: [\"127.0.0.1:{}\"] }}\n\
         policies:\n  mark: {{ headers: {{ response: {{ set: {{ x-number: \"{number}\" }} }} }} }}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, policies: [mark], upstream: up }}\n\
         \x20 - {{ name: other-{number}, match: {{ path: /other }}, upstream: other }}\n",
        1 + number
    )
}

#[test]
fn a_thousand_reloads_under_load_cost_no_request_and_no_memory() {
    const SETTLE: usize = 100;
    const RELOADS: usize = 1000;
    let _alone = alone();
    let one = named("one");
    let weir = Weir::start(&format!(
        "log: {{ access: false }}\n{}",
        variant(one.address, 0)
    ));
    let loads = [
        Load::keep_alive(weir.http(), 4, "one"),
        Load::http2(weir.http(), 2, "one"),
    ];
    let reload = |number: usize| {
        let config = format!("log: {{ access: false }}\n{}", variant(one.address, number));
        let answer = weir.reload(&config);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.json()["outcome"], "applied", "reload {number}");
    };
    (1..=SETTLE).for_each(reload);
    loads.iter().for_each(|load| load.wait_for_more(1000));
    let before = weir.memory();
    (SETTLE + 1..=SETTLE + RELOADS).for_each(reload);
    loads.iter().for_each(|load| load.wait_for_more(1000));
    wait_until("memory is back", || weir.memory() * 100 <= before * 105);
    eprintln!(
        "{RELOADS} reloads: {before} KiB before, {} KiB after",
        weir.memory()
    );
    assert_eq!(
        weir.get("/").get("x-number"),
        Some((SETTLE + RELOADS).to_string().as_str())
    );
    for load in loads {
        let counts = load.finish();
        assert!(counts.answered() > 1000);
        // Not one connection was ended by a reload.
        assert!(
            counts
                .connections
                .load(std::sync::atomic::Ordering::Relaxed)
                <= 4
        );
    }
}

#[test]
fn a_reload_keeps_connections_of_every_kind() {
    let one = named("one");
    let weir = Weir::start(&variant(one.address, 0));
    block_on(async {
        let client = H2Client::connect(weir.http()).await;
        for number in 1..20 {
            assert_eq!(client.get("http://a/").await.unwrap().text(), "one");
            assert_eq!(weir.reload(&variant(one.address, number)).status(), 200);
        }
    });
    // One connection per worker is all that the server ever saw.
    assert!(one.accepted() <= 2, "{} connections", one.accepted());
    wait_within(
        crate::harness::PATIENCE,
        "the last revision is in effect",
        || weir.revision_number() == 20,
    );
}
