//! Paths: one decision on every protocol, and what was routed is what is forwarded.

use std::fmt::Write;

use crate::harness::http1::talk;
use crate::harness::http2::{self, Ended};
use crate::harness::upstream::Upstream;
use crate::harness::weir::Weir;

/// What became of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Refused,
    /// Whether it went to the upstream of `/admin/*`, and the target that arrived there.
    Forwarded(bool, String),
}

struct Bench {
    public: Upstream,
    admin: Upstream,
    weir: Weir,
}

impl Bench {
    fn start(encoded_slash: &str) -> Self {
        let (public, admin) = (Upstream::start(), Upstream::start());
        let weir = Weir::start(&format!(
            "listeners: [{{ address: '@listen' }}]
upstreams:
  public: {{ targets: ['{}'] }}
  admin: {{ targets: ['{}'] }}
routes:
  - {{ name: public, match: {{ path: /* }}, upstream: public }}
  - {{ name: admin, match: {{ path: [/admin, /admin/*] }}, upstream: admin }}
paths: {{ encoded_slash: {encoded_slash} }}
",
            public.address, admin.address
        ));
        Self {
            public,
            admin,
            weir,
        }
    }

    fn outcome(&self, answer: Option<u16>, about: &str) -> Outcome {
        let public = self
            .public
            .take()
            .into_iter()
            .map(|seen| (false, seen.target));
        let admin = self
            .admin
            .take()
            .into_iter()
            .map(|seen| (true, seen.target));
        let mut forwarded: Vec<(bool, String)> = public.chain(admin).collect();
        assert!(
            forwarded.len() < 2,
            "{about}: forwarded twice: {forwarded:?}"
        );
        match forwarded.pop() {
            Some((to_admin, target)) => {
                assert_eq!(answer, Some(200), "{about}");
                Outcome::Forwarded(to_admin, target)
            }
            None => {
                assert!(
                    answer.is_none_or(|status| status == 400),
                    "{about}: {answer:?}"
                );
                Outcome::Refused
            }
        }
    }

    fn http1(&self, path: &[u8]) -> Outcome {
        let mut bytes = b"GET ".to_vec();
        bytes.extend_from_slice(path);
        bytes.extend_from_slice(b" HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        let talk = talk(self.weir.address, &bytes);
        self.outcome(talk.statuses().pop(), &String::from_utf8_lossy(path))
    }

    fn http2(&self, path: &[u8]) -> Outcome {
        let mut client = http2::Client::connect(self.weir.address);
        let mut fields = http2::get("/");
        fields[3].1 = path;
        let about = String::from_utf8_lossy(path).into_owned();
        match client.request(&fields) {
            Ended::Answered(status, _) => self.outcome(Some(status), &about),
            // The HTTP/2 layer refuses what is no path at all before Weir sees it.
            Ended::Reset(1) | Ended::GoAway(1) => self.outcome(None, &about),
            other => panic!("{about}: {other:?}"),
        }
    }
}

/// Whether any server may take this target for something under `/admin`: escapes are decoded once,
/// backslashes are slashes, dot segments and doubled slashes are resolved.
fn may_mean_admin(target: &str) -> bool {
    let path = target.split('?').next().unwrap();
    let mut decoded = Vec::new();
    let bytes = path.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let escape = path
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], escape) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    let text = String::from_utf8_lossy(&decoded).replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    segments.first() == Some(&"admin")
}

/// Spellings around `/admin/x`: each way to write a separator, a dot segment and a letter, combined.
fn spellings() -> Vec<Vec<u8>> {
    let separators = [
        "/",
        "//",
        "///",
        "/./",
        "/%2e/",
        "%2f",
        "%2F",
        "\\",
        "%5c",
        "/.;/",
        "/%2e;x/",
        "/x/../",
        "/x/%2e%2e/",
        "/x/..%2f",
        "/x/.%2e/",
        "%00/",
    ];
    let names = [
        "admin",
        "%61dmin",
        "a%64min",
        "%61%64%6d%69%6e",
        "ADMIN",
        "admin;x",
        "admin.",
        "admin%20",
        "admin%00",
        "%2561dmin",
        "./admin",
        "public/../admin",
        "public/..;/admin",
        "%c0%afadmin",
        "\u{ff41}dmin",
    ];
    let mut spellings = Vec::new();
    for first in separators {
        for name in names {
            spellings.push(format!("{first}{name}/x").into_bytes());
        }
        spellings.push(format!("/admin{first}x").into_bytes());
        spellings.push(format!("/public{first}admin/x").into_bytes());
    }
    spellings
}

/// Paths with their one right outcome: `None` is refused, else the target that arrives.
const KNOWN: [(&[u8], Option<&str>); 70] = [
    (b"/", Some("/")),
    (b"/a/./b/../c", Some("/a/c")),
    (b"/a//b", Some("/a/b")),
    (b"//a", Some("/a")),
    (b"/a/", Some("/a/")),
    (b"/a/.", Some("/a/")),
    (b"/a/..", Some("/")),
    (b"/.", Some("/")),
    (b"/..", None),
    (b"/../a", None),
    (b"/a/../../b", None),
    (b"/%2e%2e/a", None),
    (b"/a/%2e%2e/b", Some("/b")),
    (b"/a/%2E./b", Some("/b")),
    (b"/a/.%2e/b", Some("/b")),
    (b"/%7Euser", Some("/~user")),
    (b"/%41", Some("/A")),
    (b"/a%2fb", None),
    (b"/a%2Fb", None),
    (b"/a%5cb", None),
    (b"/a%5Cb", None),
    (b"/a\\b", None),
    (b"/..\\a", None),
    (b"/a%00", None),
    (b"/a%00.html", None),
    (b"/a%0d%0ab", None),
    (b"/a%0a", None),
    (b"/a%09", None),
    (b"/a%1b", None),
    (b"/a%7f", None),
    (b"/a\x7f", None),
    (b"/a\x01", None),
    (b"/a\0", None),
    (b"/a\tb", None),
    (b"/%", None),
    (b"/%4", None),
    (b"/%zz", None),
    (b"/%u0041", None),
    (b"/%-1", None),
    (b"/%%41", None),
    (b"/%c0%ae", None),
    (b"/%c0%af", None),
    (b"/%c0%ae%c0%ae/a", None),
    (b"/%e0%80%af", None),
    (b"/%f0%80%80%af", None),
    (b"/%ed%a0%80", None),
    (b"/%f8%80%80%80%af", None),
    (b"/%ff", None),
    (b"/%80", None),
    (b"/%e2%82%ac", Some("/%E2%82%AC")),
    ("/€".as_bytes(), Some("/%E2%82%AC")),
    (b"/\xff", None),
    (b"/..;x/a", None),
    (b"/a/..;/b", None),
    (b"/.;x/a", None),
    (b"/a;x=1", Some("/a;x=1")),
    (b"/a/...", Some("/a/...")),
    (b"/.well-known/x", Some("/.well-known/x")),
    (b"/a|b", Some("/a%7Cb")),
    (b"/%3F", Some("/%3F")),
    (b"/%252e%252e/a", Some("/%252e%252e/a")),
    (b"/a?x=%2f..%2f", Some("/a?x=%2f..%2f")),
    (b"/a?", Some("/a?")),
    (b"/a?x?y", Some("/a?x?y")),
    (b"/a?x=\xc3\xa9", Some("/a?x=%C3%A9")),
    (b"/a?x=\xc3", None),
    (b"/a?x=\xc0\xae", None),
    (b"/a?x=\xc2\x85", None),
    (b"/a?x=\x7f", None),
    (b"/a?x=\x01", None),
];

#[test]
fn every_known_path_has_its_one_outcome_on_both_protocols() {
    let bench = Bench::start("reject");
    let mut faults = String::new();
    for (path, expected) in KNOWN {
        let expected = match expected {
            Some(target) => Outcome::Forwarded(false, target.to_owned()),
            None => Outcome::Refused,
        };
        for (protocol, actual) in [("1", bench.http1(path)), ("2", bench.http2(path))] {
            if actual != expected {
                let path = String::from_utf8_lossy(path);
                let _ = writeln!(
                    faults,
                    "HTTP/{protocol} {path:?}: {actual:?}, not {expected:?}"
                );
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

fn check_spellings(bench: &Bench, is_excused: impl Fn(&str) -> bool) {
    let spellings = spellings();
    let (mut refused, mut to_admin, mut to_public) = (0, 0, 0);
    for path in &spellings {
        let about = String::from_utf8_lossy(path);
        let outcome = bench.http1(path);
        assert_eq!(
            outcome,
            bench.http2(path),
            "HTTP/1.1 and HTTP/2 differ on {about}"
        );
        match outcome {
            Outcome::Refused => refused += 1,
            Outcome::Forwarded(true, target) => {
                assert!(
                    target == "/admin" || target.starts_with("/admin/"),
                    "{about}: {target}"
                );
                to_admin += 1;
            }
            Outcome::Forwarded(false, target) => {
                let may = may_mean_admin(&target) && !is_excused(&target);
                assert!(!may, "{about} reached the public upstream as {target}");
                to_public += 1;
            }
        }
    }
    println!(
        "{} spellings: {refused} refused, {to_admin} to /admin, {to_public} elsewhere",
        spellings.len()
    );
    assert!(refused > 20 && to_admin > 20 && to_public > 20);
}

#[test]
fn no_spelling_of_admin_reaches_the_upstream_of_the_rest() {
    check_spellings(&Bench::start("reject"), |_| false);
}

#[test]
fn kept_encoded_slashes_are_the_only_exception_and_are_never_next_to_dots() {
    // With `encoded_slash: keep` the operator says that the back ends do not decode `%2F`.
    check_spellings(&Bench::start("keep"), |target| {
        assert!(
            !target.contains("%2F..") && !target.contains("..%2F"),
            "{target}"
        );
        target.contains("%2F")
    });
}

#[test]
fn a_fragment_never_reaches_an_upstream() {
    // HTTP/1.1 refuses it. The HTTP/2 layer cuts it off before Weir sees the path, which leaves one
    // reading, too.
    let bench = Bench::start("reject");
    for path in ["/a#x", "/a?x#y", "/public#/../admin", "/a%23#/admin"] {
        assert_eq!(bench.http1(path.as_bytes()), Outcome::Refused, "{path}");
        if let Outcome::Forwarded(to_admin, target) = bench.http2(path.as_bytes()) {
            assert!(!to_admin && !target.contains('#'), "{path}: {target}");
        }
    }
}
