//! Measures a row: a target that fails, alone and beside one that does not.

use std::net::SocketAddr;

use crate::faulty::{Behaviour, Faulty};
use crate::harness::{Message, Setup, Weir, Wire, free_port, wait_until};

use super::page::Row;

/// What stands in `retry.when`, one at a time; nothing at first.
const CONDITIONS: [&str; 5] = ["", "connect", "reset", "timeout", "503"];

/// A method, and the rest of a request.
type Request = (&'static str, &'static str);

const GET: Request = ("GET", "\r\n");
const POST: Request = ("POST", "Content-Length: 2\r\n\r\nhi");
const EMPTY_POST: Request = ("POST", "Content-Length: 0\r\n\r\n");

/// How targets are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Http1,
    Http2,
    /// Targets are soon asked whether they are still there.
    Http2Pinged,
    Tls,
}

/// Where the failing target is, and what it does.
#[derive(Debug)]
pub enum Failing {
    Server(Behaviour),
    /// An address without a server of ours.
    Elsewhere(&'static str),
}

#[derive(Debug)]
pub struct Case {
    pub link: Link,
    pub failing: Failing,
    /// Whether it is a deadline that ends it: then these are short.
    pub is_slow: bool,
}

impl Case {
    pub fn on(link: Link, behaviour: Behaviour) -> Self {
        Self {
            link,
            failing: Failing::Server(behaviour),
            is_slow: false,
        }
    }

    pub fn elsewhere(address: &'static str) -> Self {
        Self {
            link: Link::Http1,
            failing: Failing::Elsewhere(address),
            is_slow: false,
        }
    }

    pub fn slow(self) -> Self {
        Self {
            is_slow: true,
            ..self
        }
    }
}

/// Weir before both targets.
struct Bench {
    weir: Weir,
    link: Link,
    is_slow: bool,
    /// The failing target, as Weir names it.
    target: String,
    good: Faulty,
    _bad: Option<Faulty>,
}

/// Does what the row says and tells what came of it.
pub fn measure(failure: &str, case: &Case) -> Row {
    let bench = Bench::start(case);
    let mut row = bench.alone();
    row.failure = failure.to_owned();
    row.get = bench.repeated(GET);
    row.post = bench.repeated(POST);
    // A deadline passes alike with and without a body.
    if row.post == "no" && !case.is_slow {
        let without = bench.repeated(EMPTY_POST);
        if without != "no" {
            row.post = format!("{without}, without a body");
        }
    }
    if !row.client.contains('`') && row.get == "always" {
        // It is answered in order at once.
        (row.get, row.post) = ("—".to_owned(), "—".to_owned());
    }
    row
}

/// A server for this kind of link, on a port that nobody takes while it is closed.
pub fn server(link: Link) -> Faulty {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    match link {
        Link::Tls => Faulty::tls(address),
        Link::Http1 | Link::Http2 | Link::Http2Pinged => Faulty::plain(address),
    }
    .unwrap()
}

impl Bench {
    fn start(case: &Case) -> Self {
        let setup = Setup::new();
        let good = server(case.link);
        let mut authorities = good.authority().unwrap_or_default().to_owned();
        let (target, bad) = match &case.failing {
            Failing::Elsewhere(address) => ((*address).to_owned(), None),
            Failing::Server(behaviour) => {
                let server = server(case.link);
                server.behave(behaviour.clone());
                authorities.push_str(server.authority().unwrap_or_default());
                (server.address.to_string(), Some(server))
            }
        };
        setup.write("authorities.pem", authorities);
        let weir = setup.start(&config(case.link, case.is_slow, &[&target], ""));
        Self {
            weir,
            link: case.link,
            is_slow: case.is_slow,
            target,
            good,
            _bad: bad,
        }
    }

    /// One `GET`, with nowhere else to go and no repeats.
    fn alone(&self) -> Row {
        let answer = self.send(GET, "/alone");
        let record = record(&self.weir, "/alone");
        let reason = record["weir.reason"].as_str();
        let status = answer.status();
        assert_eq!(record["http.response.status_code"], status, "{record}");
        assert_eq!(record["weir.target"], self.target, "{record}");
        let client = match reason {
            Some(reason) if answer.complete => {
                answer.assert_problem(status, reason);
                format!("{status} `{reason}`")
            }
            Some(reason) => format!("{status}, cut; `{reason}`"),
            None => {
                assert!(answer.complete, "nobody says why this was cut: {answer:?}");
                format!("{status}, as it came")
            }
        };
        if let Some(reason) = reason {
            assert_eq!(self.weir.metric("weir_answers_total", &[reason]), 1.0);
        }
        let cause = record["weir.cause"].as_str();
        Row {
            client,
            cause: cause.map_or(String::new(), |cause| format!("`{cause}`")),
            counted: self.counted(),
            ..Row::default()
        }
    }

    /// What the one request left in the metrics.
    fn counted(&self) -> String {
        let connections = |outcome: &str| {
            let words = [&*self.target, outcome];
            self.weir.metric("weir_upstream_connections_total", &words)
        };
        let counters = [
            (connections("made"), "connection made"),
            (connections("failed"), "connection failed"),
            (
                self.metric("weir_upstream_requests_failed_total"),
                "attempt failed",
            ),
        ];
        let counted = counters.iter().filter(|(count, _)| *count > 0.0);
        let words: Vec<&str> = counted.map(|(_, word)| *word).collect();
        words.join(", ")
    }

    /// When another target takes over.
    fn repeated(&self, request: Request) -> String {
        let mut conditions = Vec::new();
        for condition in CONDITIONS {
            let targets = [&*self.target, &self.good.address.to_string()];
            let config = config(self.link, self.is_slow, &targets, condition);
            let reloaded = self.weir.reload(&config);
            assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
            if !self.is_taken_over(request) {
                continue;
            }
            if condition.is_empty() {
                return "always".to_owned();
            }
            conditions.push(format!("`{condition}`"));
        }
        if conditions.is_empty() {
            return "no".to_owned();
        }
        conditions.join(", ")
    }

    /// Whether a request that went to the failing target is answered in order.
    fn is_taken_over(&self, request: Request) -> bool {
        let asked = self.metric("weir_upstream_requests_total");
        for _ in 0..10 {
            let answer = self.send(request, "/");
            if self.metric("weir_upstream_requests_total") > asked {
                return answer.status() == 200 && answer.complete;
            }
            assert_eq!(answer.text(), "oo", "the other target failed: {answer:?}");
        }
        panic!("ten requests, and none for the failing target");
    }

    fn metric(&self, name: &str) -> f64 {
        self.weir.metric(name, &[&self.target])
    }

    fn send(&self, (method, rest): Request, path: &str) -> Message {
        let mut wire = Wire::connect(self.weir.http());
        wire.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{rest}"
        ));
        wire.response(method)
    }
}

/// The access record of that path.
pub fn record(weir: &Weir, path: &str) -> serde_json::Value {
    let mut found = None;
    wait_until("the request is in the log", || {
        found = weir
            .log()
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find(|line| line["url.path"] == path);
        found.is_some()
    });
    found.unwrap()
}

/// Deadlines are as good as none where it is not a deadline that ends the exchange.
fn config(link: Link, is_slow: bool, targets: &[&str], condition: &str) -> String {
    let link = match link {
        Link::Http1 => "",
        Link::Http2 => "    http2: true\n",
        Link::Http2Pinged => {
            "    http2: true\n    pool: { ping_interval: 200ms, ping_timeout: 300ms }\n"
        }
        Link::Tls => {
            "    tls: { server_name: faulty.test, authorities: file:authorities.pem }\n    \
             http2: false\n"
        }
    };
    let retry = match condition {
        "" => "attempts: 0".to_owned(),
        _ => format!("attempts: 1, when: [{condition}], budget: 100%"),
    };
    let limit = if is_slow { "400ms" } else { "15s" };
    format!(
        // One that shares its cores with other tests may be late, which is not what is tested.
        "workers: 1\noverload: {{ delay: false }}\nupstreams:\n  up:\n    targets: {targets:?}\n{link}    \
         health: {{ passive: false }}\n    \
         retry: {{ {retry} }}\n    \
         timeouts: {{ connect: {limit}, first_byte: {limit}, idle: {limit} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n"
    )
}
