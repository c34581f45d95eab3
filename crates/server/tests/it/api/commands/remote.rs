//! Admin listeners on other machines, behind TLS, and what is not said in arguments.

use std::io::Write as _;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;

use super::sign_in::enrol;
use super::{PASSWORD, World};
use crate::api::world::setup_token;
use crate::harness::{Authority, Ran, Setup, Weir, wait_until};

const OWNER: &str = "owner@weir.example";

/// A Weir that ends TLS in front of another one's admin listener.
struct Front {
    weir: Weir,
    world: World,
}

impl Front {
    async fn begin() -> Self {
        let setup = Setup::new();
        let url = format!("https://localhost:{}", setup.https.port());
        let world = World::begin_with(&format!(
            "admin: {{ address: $ADMIN, public_url: '{url}', trusted_proxies: [127.0.0.1] }}\nroutes: []\n"
        ))
        .await;
        let authority = Authority::new("test");
        authority
            .issue("weir", &["localhost"])
            .write(setup.directory.path(), "weir");
        setup.write("ca.pem", authority.pem());
        setup.write("other.pem", Authority::new("other").pem());
        setup.write("empty.pem", "nothing\n");
        let weir = setup.start(&format!(
            "listeners: [{{ address: $HTTPS, tls: {{ certificate: file:weir.crt, key: file:weir.key }} }}]\n\
             upstreams: {{ node: {{ targets: ['{}'] }} }}\n\
             routes: [{{ name: all, upstream: node }}]\n",
            world.weir.setup().admin
        ));
        Self { weir, world }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.weir.https().port())
    }

    fn authorities(&self, name: &str) -> String {
        self.weir.setup().path(name).display().to_string()
    }

    /// Runs a line there, with this on standard input.
    fn run(&self, line: &str, input: &str) -> Ran {
        let line = format!(
            "{line} --admin {} --ca {}",
            self.url(),
            self.authorities("ca.pem")
        );
        with_input(&mut command(&self.world, &line), input)
    }
}

fn command(world: &World, line: &str) -> Command {
    let words: Vec<&str> = line.split(' ').collect();
    world.weir.command(words[0], &words[1..])
}

fn with_input(command: &mut Command, input: &str) -> Ran {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may end without reading it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Ran::from(child.wait_with_output().unwrap())
}

fn done(ran: &Ran) -> &str {
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    &ran.stdout
}

#[tokio::test]
async fn an_admin_listener_behind_tls_is_asked_by_its_url() {
    let front = Front::begin().await;
    let login = format!("login --email {OWNER} --password-stdin");
    let signed_in = front.run(&login, PASSWORD);
    let told = format!("signed in as {OWNER} at {}\n", front.url());
    assert_eq!(done(&signed_in), told);
    let whoami = front.run("whoami --json", "");
    let me: serde_json::Value = serde_json::from_str(done(&whoami)).unwrap();
    assert_eq!(me["email"], OWNER);
    // The commands of the process go the same way.
    assert!(done(&front.run("reload", "")).contains("nothing changed"));
    assert_eq!(done(&front.run("bans", "")), "nobody is banned\n");
    assert!(done(&front.run("audit export --format csv", "")).starts_with("sequence,"));
    // What was kept for that place is not for the listener itself, nor is the operator's token for that place.
    let local = with_input(&mut command(&front.world, "whoami"), "");
    assert!(done(&local).starts_with("the operator"), "{}", local.stdout);
    assert!(done(&front.run("logout", "")).contains(&front.url()));
    let nobody = front.run("whoami", "");
    assert_eq!(nobody.code, Some(1));
    assert!(
        nobody.stderr.contains("this needs a credential"),
        "{}",
        nobody.stderr
    );
}

#[tokio::test]
async fn what_goes_on_is_followed_over_tls() {
    let front = Front::begin().await;
    done(&front.run(&format!("login --email {OWNER} --password-stdin"), PASSWORD));
    let line = format!(
        "requests --follow --json --admin {} --ca {}",
        front.url(),
        front.authorities("ca.pem")
    );
    let mut following = command(&front.world, &line);
    let output = front.weir.setup().path("followed");
    following.stdout(std::fs::File::create(&output).unwrap());
    let mut child = following.spawn().unwrap();
    wait_until("somebody follows", || {
        front.world.weir.metric("weir_request_onlookers", &[]) == 1.0
    });
    assert_eq!(front.world.weir.get("/seen").status(), 404);
    wait_until("it is told", || {
        std::fs::read_to_string(&output).unwrap().contains("/seen")
    });
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, Signal::INT).unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn who_cannot_prove_who_they_are_is_told_nothing() {
    let front = Front::begin().await;
    let (url, port) = (front.url(), front.weir.https().port());
    let by_address = format!("https://127.0.0.1:{port}");
    for (url, authorities, said) in [
        (&url, None, "UnknownIssuer"),
        (&url, Some("other.pem"), "UnknownIssuer"),
        (&by_address, Some("ca.pem"), "not valid for name"),
    ] {
        let mut line = format!("login --email {OWNER} --password-stdin --admin {url}");
        if let Some(name) = authorities {
            line = format!("{line} --ca {}", front.authorities(name));
        }
        let ran = with_input(&mut command(&front.world, &line), PASSWORD);
        assert_eq!(ran.code, Some(1), "{line}");
        let expected = format!("there is no TLS with {url}");
        assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    // Not one request has arrived.
    let audit = front
        .world
        .owner
        .get("/v1/audit?action=session.create")
        .json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 1, "{audit}");
    for (name, said) in [
        ("empty.pem", "has no certificate"),
        ("none.pem", "No such file"),
    ] {
        let line = format!("whoami --admin {url} --ca {}", front.authorities(name));
        let ran = with_input(&mut command(&front.world, &line), "");
        assert_eq!(ran.code, Some(1), "{name}");
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn plain_http_stays_on_this_machine() {
    let world = World::begin("sqlite").await;
    for line in [
        "bans --admin 192.0.2.1:9900",
        "whoami --admin http://weir.invalid:9900",
        "login --email a@b.example --password-stdin --admin 192.0.2.1:9900",
        "traffic show --admin [2001:db8::1]:9900",
    ] {
        let ran = with_input(&mut command(&world, line), PASSWORD);
        assert_eq!(ran.code, Some(2), "{line}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("--insecure-http"),
            "{line}: {}",
            ran.stderr
        );
    }
    let asked = "bans --admin http://weir.invalid:9900 --insecure-http";
    let ran = with_input(&mut command(&world, asked), "");
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("failed"), "{}", ran.stderr);
    // On this machine, by either way of writing it.
    let admin = world.weir.setup().admin;
    for place in [
        admin.to_string(),
        format!("http://{admin}"),
        format!("http://localhost:{}", admin.port()),
    ] {
        let ran = with_input(&mut command(&world, &format!("bans --admin {place}")), "");
        assert_eq!(done(&ran), "nobody is banned\n", "{place}");
    }
    let ran = with_input(&mut command(&world, "bans --ca any.pem"), "");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let ran = with_input(
        &mut command(&world, "bans --admin https://weir.example/path"),
        "",
    );
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("a URL without a path"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_link_need_not_be_an_argument() {
    let weir = Weir::start("routes: []\n");
    let link = format!(
        "http://{}/setup?token={}",
        weir.setup().admin,
        setup_token(&weir)
    );
    let rest = [
        "-",
        "--email",
        OWNER,
        "--name",
        "Olivia",
        "--password-stdin",
    ];
    let ran = with_input(
        &mut weir.command("accept", &rest),
        &format!("{link}\n{PASSWORD}\n"),
    );
    assert!(done(&ran).contains("owns this installation"));
    let ran = with_input(&mut weir.command("accept", &["-"]), "");
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("standard input has no link"),
        "{}",
        ran.stderr
    );
    let ran = with_input(&mut weir.command("accept", &[]), "");
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("state the link, or `-`"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn a_code_need_not_be_an_argument() {
    let world = World::begin("sqlite").await;
    let codes = enrol(&world).await;
    let login = format!("login --email {OWNER} --password-stdin --code -");
    let ran = with_input(&mut command(&world, &login), &format!("{PASSWORD}\n"));
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("standard input has no code"),
        "{}",
        ran.stderr
    );
    let input = format!("{PASSWORD}\n{}\n", codes[0]);
    let ran = with_input(&mut command(&world, &login), &input);
    done(&ran);
    let me = super::json(&world, "whoami");
    assert_eq!(me["session"]["is_two_factor"], json!(true));
}
