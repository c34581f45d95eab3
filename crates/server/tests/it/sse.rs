//! Event streams.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::harness::{Message, PATIENCE, Upstream, Weir, answer, curl, forward, tool, wait_until};

/// A server of events: sends what it is told when it is told so.
struct Events {
    upstream: Upstream,
    says: mpsc::Sender<&'static str>,
    asked: mpsc::Receiver<Message>,
}

impl Events {
    fn serve() -> Self {
        let (says, told) = mpsc::channel::<&'static str>();
        let (asks, asked) = mpsc::channel();
        let told = Arc::new(Mutex::new(told));
        let upstream = Upstream::new(move |mut wire| {
            let Some(request) = wire.request() else {
                return;
            };
            let _ = asks.send(request);
            wire.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\r\n");
            // It ends with the one who tells.
            while let Ok(text) = told.lock().unwrap().recv() {
                if text.is_empty() || wire.try_send(text).is_err() {
                    return;
                }
            }
        });
        Self {
            upstream,
            says,
            asked,
        }
    }

    fn say(&self, text: &'static str) {
        self.says.send(text).unwrap();
    }
}

/// `curl -N`, read as it comes.
struct Reader {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Reader {
    fn new(weir: &Weir, arguments: &[&str]) -> Self {
        let mut child = Command::new(tool("curl"))
            .args(["-q", "--noproxy", "*", "-sSN", "--max-time", "60"])
            .args(arguments)
            .arg(weir.url("/events"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        rest
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with(events: &Events, timeouts: &str, sse: &str) -> Weir {
    Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"{}\"], timeouts: {{ {timeouts} }} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up, {sse} }}]\n",
        events.upstream.address
    ))
}

#[test]
fn each_event_reaches_its_client_before_the_next_is_written() {
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let events = Events::serve();
        let weir = Weir::start(&forward(events.upstream.address));
        let arguments = [
            version,
            "-H",
            "last-event-id: 41",
            "-H",
            "accept: text/event-stream",
        ];
        let mut reader = Reader::new(&weir, &arguments);
        let request = events.asked.recv().unwrap();
        assert_eq!(request.get("last-event-id"), Some("41"));
        assert_eq!(request.get("accept"), Some("text/event-stream"));
        for (event, line) in [
            ("id: 42\n", "id: 42\n"),
            ("data: one\n", "data: one\n"),
            ("\n", "\n"),
            ("data: two\n\n", "data: two\n"),
        ] {
            events.say(event);
            assert_eq!(reader.line(), line, "{version}");
        }
        assert_eq!(reader.line(), "\n");
        events.say("");
        assert_eq!(reader.rest(), "");
    }
}

#[test]
fn a_stream_may_be_silent_for_longer_than_other_answers() {
    let events = Events::serve();
    let weir = with(&events, "idle: 200ms, stream_idle: 1s", "");
    let begun = Instant::now();
    let mut reader = Reader::new(&weir, &[]);
    events.say("data: one\n\n");
    assert_eq!(reader.line() + &reader.line(), "data: one\n\n");
    assert_eq!(reader.rest(), "", "it is cut at its own limit");
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    wait_until("it is recorded", || weir.log().contains("upstream_stalled"));
}

#[test]
fn a_heartbeat_comes_between_events_and_never_inside_one() {
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let events = Events::serve();
        let weir = with(&events, "", "sse: { heartbeat: 100ms }");
        let mut reader = Reader::new(&weir, &[version]);
        // Before the first event, too.
        assert_eq!(reader.line() + &reader.line(), ":\n\n");
        events.say("data: one\ndata: ");
        loop {
            match reader.line().as_str() {
                "data: one\n" => break,
                line => assert!([":\n", "\n"].contains(&line), "{line:?}"),
            }
        }
        // Several heartbeats' time: nothing may come before the event's end.
        let begun = Instant::now();
        wait_until("time for heartbeats has passed", || {
            begun.elapsed() > Duration::from_millis(500)
        });
        events.say("two\n\n");
        assert_eq!(reader.line() + &reader.line(), "data: two\n\n");
        assert_eq!(reader.line() + &reader.line(), ":\n\n");
        assert_eq!(reader.line() + &reader.line(), ":\n\n");
    }
}

#[test]
fn heartbeats_do_not_hide_a_server_that_is_gone() {
    let events = Events::serve();
    let weir = with(&events, "stream_idle: 700ms", "sse: { heartbeat: 200ms }");
    let mut reader = Reader::new(&weir, &[]);
    let rest = reader.rest();
    let beats = rest.matches(":\n\n").count();
    assert_eq!(rest, ":\n\n".repeat(beats));
    assert!((2..=4).contains(&beats), "{beats}");
    wait_until("it is recorded", || weir.log().contains("upstream_stalled"));
}

#[test]
fn hints_for_proxies_in_front_and_what_is_left_alone() {
    let respond = |request: &Message| {
        let (content_type, coding) = match request.target() {
            "/events" => ("text/event-stream;charset=utf-8", "x-none: 1"),
            "/coded" => ("text/event-stream", "content-encoding: br"),
            _ => ("text/plain", "x-none: 1"),
        };
        let body = "data: one\n\n";
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n{coding}\r\ncache-control: no-cache\r\n\
                 transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
            .into_bytes()
    };
    let upstream = Upstream::answering(respond);
    let config =
        forward(upstream.address).replace("upstream: up", "upstream: up, sse: { heartbeat: 1s }");
    let weir = Weir::start(&config);
    let answer = curl(&[&weir.url("/events")]).answer();
    assert_eq!(answer.get("x-accel-buffering"), Some("no"));
    assert_eq!(answer.all("cache-control"), ["no-cache", "no-transform"]);
    assert_eq!(answer.text(), "data: one\n\n");
    assert_eq!(
        curl(&[&weir.url("/coded")]).answer().text(),
        "data: one\n\n"
    );
    let answer = curl(&[&weir.url("/other")]).answer();
    assert_eq!(answer.get("x-accel-buffering"), None);
    assert_eq!(answer.all("cache-control"), ["no-cache"]);
    // What the server says itself passes without any of it.
    weir.reload(&forward(upstream.address));
    let answer = curl(&[&weir.url("/events")]).answer();
    assert_eq!(answer.get("x-accel-buffering"), None);
}

/// Counts to three over several connections, then tells what it has heard.
const PAGE: &str = "<!doctype html><script>
    const heard = [];
    const source = new EventSource('/events');
    source.onmessage = (event) => {
        heard.push(event.lastEventId + '=' + event.data);
        if (heard.length === 3) fetch('/report/' + heard.join(','));
    };
</script>";

#[test]
fn a_browser_reads_events_and_resumes_where_it_was() {
    let (tells, told) = mpsc::channel();
    let tells = Mutex::new(tells);
    let upstream = Upstream::answering(move |request| {
        let (content_type, body) = match request.target() {
            "/" => ("text/html", PAGE.to_owned()),
            "/events" => {
                let last = request.get("last-event-id").unwrap_or("0");
                let next = last.parse::<u32>().unwrap() + 1;
                let event = format!("retry: 50\nid: {next}\ndata: number {next}\n\n");
                ("text/event-stream", event)
            }
            other => {
                let _ = tells.lock().unwrap().send(other.to_owned());
                ("text/plain", String::new())
            }
        };
        answer(200, &[("content-type", content_type)], body)
    });
    let sse = "upstream: up, sse: { heartbeat: 100ms }";
    let weir = Weir::start(&forward(upstream.address).replace("upstream: up", sse));
    let directory = tempfile::tempdir().unwrap();
    let mut browser = Command::new(tool("chromium"))
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args(["--disable-background-networking", "--no-proxy-server"])
        .arg(format!("--user-data-dir={}", directory.path().display()))
        .arg(weir.url("/"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let report = loop {
        match told.recv_timeout(3 * PATIENCE) {
            Ok(report) if report.starts_with("/report/") => break Ok(report),
            // The page's icon.
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    let _ = browser.kill();
    let _ = browser.wait();
    let expected = "/report/1=number%201,2=number%202,3=number%203";
    assert_eq!(report.unwrap(), expected);
}
