use std::sync::mpsc::{Receiver, sync_channel};

use serde_json::Value as Json;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

fn capture(form: Form, room: usize, log: impl FnOnce()) -> (Receiver<Message>, Arc<Counters>) {
    let (messages, received) = sync_channel(room);
    let counters = Arc::new(Counters::default());
    let form = Arc::new(SharedForm::new(form));
    let lines = Lines {
        messages,
        form,
        counters: Arc::clone(&counters),
    };
    let subscriber =
        tracing_subscriber::registry().with(lines.with_filter(filter(LogLevel::Debug)));
    tracing::subscriber::with_default(subscriber, log);
    (received, counters)
}

fn line(form: Form, log: impl FnOnce()) -> String {
    let (lines, _) = capture(form, 1, log);
    text(lines.recv().expect("a line"))
}

fn text(message: Message) -> String {
    let Message::Lines(line) = message else {
        panic!("no line");
    };
    String::from_utf8(line).expect("UTF-8")
}

#[test]
fn what_is_exported_has_typed_attributes() {
    let (messages, _) = capture(Form::Otlp, 1, || {
        tracing::warn!(target: "weir::serve", number = 7, is_new = true, "refused\nline 2");
    });
    let Message::Record(record) = messages.recv().expect("a record") else {
        panic!("no record");
    };
    assert_eq!(record.severity_text, "WARN");
    let body = record.body.and_then(|body| body.value);
    assert_eq!(body, Some(Value::StringValue("refused\nline 2".to_owned())));
    let expected = [
        otlp::integer("number", 7),
        otlp::text("is_new", "true"),
        otlp::text("scope.name", "weir::serve"),
    ];
    assert_eq!(record.attributes, expected);
}

#[test]
fn json_has_typed_fields_and_no_reserved_key_twice() {
    let hostile = "a\n{\"severity_text\":\"FATAL\"}";
    let text = line(Form::Json, || {
        tracing::info!(
            name = hostile,
            number = 7,
            ratio = f64::NAN,
            is_new = true,
            body = "not the body",
            listeners = ?["a", "b"],
            "serving {hostile}"
        );
    });
    assert_eq!(text.matches('\n').count(), 1);
    let parsed: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(parsed["severity_text"], "INFO");
    assert_eq!(parsed["body"], format!("serving {hostile}"));
    assert_eq!(parsed["body_"], "not the body");
    assert_eq!(parsed["name"], hostile);
    assert_eq!(parsed["number"], 7);
    assert_eq!(parsed["ratio"], "NaN");
    assert_eq!(parsed["is_new"], true);
    assert_eq!(parsed["listeners"], "[\"a\", \"b\"]");
    assert_eq!(text.matches("\"body\":").count(), 1);
}

#[test]
fn an_error_is_written_with_its_causes() {
    let error: Box<dyn Error> = anyhow::anyhow!("no such file")
        .context("cannot read")
        .into();
    let text = line(Form::Json, || tracing::error!(error = &*error, "failed"));
    let parsed: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(parsed["error"], "cannot read: no such file");
}

#[test]
fn text_keeps_a_message_of_several_lines_together() {
    let text = line(Form::Text, || {
        tracing::warn!(code = "WR0001", "refused\nline 2\x1b[2J\n");
    });
    let (clock, rest) = text.split_at(13);
    assert_eq!(clock.len(), "12:00:01.123 ".len());
    assert_eq!(rest, "WARN  refused\n    line 2\\x1b[2J code=WR0001\n");
}

#[test]
fn libraries_speak_up_one_level_later() {
    let (lines, _) = capture(Form::Text, 10, || {
        tracing::debug!(target: "weir_gateway::accept", "ours");
        tracing::debug!(target: "hyper::proto", "theirs");
        tracing::info!(target: "hyper::proto", "important");
        tracing::trace!(target: "weir::serve", "too much");
    });
    let bodies: Vec<String> = lines
        .try_iter()
        .map(|message| text(message).split_whitespace().last().map(str::to_owned))
        .map(|word| word.expect("a word"))
        .collect();
    assert_eq!(bodies, ["ours", "important"]);
}

#[test]
fn a_writer_that_cannot_keep_up_costs_lines_and_not_time() {
    let (lines, counters) = capture(Form::Json, 1, || {
        tracing::info!("first");
        tracing::info!("second");
    });
    assert_eq!(lines.try_iter().count(), 1);
    assert_eq!(counters.lost_lines(), 1);
}
