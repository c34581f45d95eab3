//! A WebSocket is one request and one span, however long it lasts.

use super::{Frame, Server, TEXT, code, config, open};
use crate::harness::{Receiver, Weir};

fn start(sample: &str) -> (Receiver, Server, Weir) {
    let (receiver, server) = (Receiver::start("grpc"), Server::start());
    let weir = Weir::start(&format!(
        "{}tracing: {{ sample: {sample}, slow: 5s }}\notlp: {{ endpoint: 'http://{}' }}\n",
        config(server.upstream.address, "true"),
        receiver.address
    ));
    (receiver, server, weir)
}

#[test]
fn its_span_tells_how_it_ended() {
    let (receiver, server, weir) = start("100%");
    let (mut client, _) = open(weir.http(), "");
    let (mut target, asked) = server.next();
    let message = Frame::last(TEXT, "hello");
    client.send(message.masked());
    assert_eq!(Frame::read(&mut target), Some(message));
    client.send(Frame::close(1000).masked());
    assert_eq!(code(Frame::read(&mut target)), 1000);
    target.send(Frame::close(1000).plain());
    assert_eq!(code(Frame::read(&mut client)), 1000);

    let span = &receiver.wait_for("span", 1, |span| span["kind"] == 2)[0];
    let attributes = &span["attributes"];
    assert_eq!(span["status"], 0);
    assert_eq!(attributes["http.response.status_code"], 101);
    assert_eq!(attributes["weir.websocket.close_code"], 1000);
    assert_eq!(attributes["weir.websocket.closed_by"], "client");
    assert_eq!(attributes["weir.websocket.messages_received"], 1);
    let attempt = &receiver.wait_for("span", 1, |span| span["kind"] == 3)[0];
    assert_eq!(attempt["status"], 0);
    let told = asked.get("traceparent").unwrap();
    assert!(
        told.contains(attempt["span_id"].as_str().unwrap()),
        "{told}"
    );
}

#[test]
fn one_that_the_target_leaves_is_an_error() {
    let (receiver, server, weir) = start("0%");
    let (mut client, _) = open(weir.http(), "");
    drop(server.next());
    assert_eq!(code(Frame::read(&mut client)), 1014);
    client.send(Frame::close(1014).masked());
    assert!(client.is_at_end());
    for kind in [2, 3] {
        let span = &receiver.wait_for("span", 1, |span| span["kind"] == kind)[0];
        assert_eq!(span["status"], 2);
        assert_eq!(span["attributes"]["http.response.status_code"], 101);
        assert_eq!(span["attributes"]["error.type"], "upstream_reset");
    }
}
