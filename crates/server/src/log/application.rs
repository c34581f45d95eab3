//! The application log: what the process says about itself, through `tracing`.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::SystemTime;

use anyhow::Context as _;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::{EnvFilter, Layer};
use weir_config::model::LogLevel;

use super::escape::{json_string, message};
use super::json::JsonLine;
use super::output::Counters;
use super::timestamp::Timestamp;
use super::writer::SharedForm;
use super::{Form, Message};
use crate::otlp;

/// Environment variable with a filter that wins over the configuration's level.
pub(super) const VARIABLE: &str = "WEIR_LOG";

/// The part of the program that speaks of the receiver of logs.
const EXPORTER: &str = "weir::otlp";

/// Keys that every line has; a field of that name is written with an underscore behind it.
const RESERVED: [&str; 4] = ["timestamp", "severity_text", "body", "scope.name"];

/// The filter of `WEIR_LOG`, if that is set.
pub(super) fn filter_from_environment() -> anyhow::Result<Option<EnvFilter>> {
    match std::env::var(VARIABLE) {
        Ok(text) if !text.is_empty() => {
            let filter = EnvFilter::try_new(&text);
            filter
                .map(Some)
                .with_context(|| format!("{VARIABLE} is not a filter: `{text}`"))
        }
        _ => Ok(None),
    }
}

/// Which messages the configuration wants. Libraries speak up one level later than Weir: their
/// details help only those who know them.
pub(super) fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "warn,weir=info",
        LogLevel::Debug => "info,weir=debug",
        LogLevel::Trace => "trace",
    })
}

/// Turns events into lines and hands them to the writer. It never waits: if the writer cannot keep
/// up, the line is counted as lost.
pub(super) struct Lines {
    pub(super) messages: SyncSender<Message>,
    pub(super) form: Arc<SharedForm>,
    pub(super) counters: Arc<Counters>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let form = self.form.get();
        let metadata = event.metadata();
        let mut fields = Fields {
            is_json: form == Form::Json,
            attributes: (form == Form::Otlp).then(Vec::new),
            ..Fields::default()
        };
        event.record(&mut fields);
        if let Some(attributes) = fields.attributes {
            let (level, target) = (*metadata.level(), metadata.target());
            let record = otlp::application(level, target, &fields.body, attributes);
            if target.starts_with(EXPORTER) {
                say(&fields.body, &record);
            }
            return self.send(Message::Record(Box::new(record)));
        }
        let mut line = Vec::with_capacity(256);
        let time = Timestamp::of(SystemTime::now());
        match form {
            Form::Json => {
                let mut json = JsonLine::begin(&mut line, time, severity(*metadata.level()));
                json.string("body", fields.body.as_bytes());
                json.string("scope.name", metadata.target().as_bytes());
                json.append(&fields.others);
                json.end();
            }
            Form::Text | Form::Colored | Form::Otlp => {
                write_text(
                    &mut line,
                    time,
                    *metadata.level(),
                    &fields,
                    form == Form::Colored,
                );
            }
        }
        self.send(Message::Lines(line));
    }
}

impl Lines {
    fn send(&self, message: Message) {
        if self.messages.try_send(message).is_err() {
            self.counters.lose(1);
        }
    }
}

/// That the receiver of all messages cannot be reached is said where it can be seen: on standard error.
fn say(body: &str, record: &LogRecord) {
    let mut line = Vec::with_capacity(128);
    Timestamp::of(SystemTime::now()).write_clock(&mut line);
    line.extend_from_slice(format!(" {:5} ", record.severity_text).as_bytes());
    message(&mut line, body.as_bytes());
    for attribute in &record.attributes {
        if let Some(Value::StringValue(text)) = attribute
            .value
            .as_ref()
            .and_then(|value| value.value.as_ref())
        {
            line.push(b' ');
            message(&mut line, attribute.key.as_bytes());
            line.push(b'=');
            message(&mut line, text.as_bytes());
        }
    }
    line.push(b'\n');
    // Nobody is left to tell if this fails.
    let _ = std::io::stderr().write_all(&line);
}

/// `12:00:01.123 INFO  serving admin=127.0.0.1:9900`
fn write_text(line: &mut Vec<u8>, time: Timestamp, level: Level, fields: &Fields, colored: bool) {
    let (tint, faint, end) = if colored {
        (level_tint(level), "\x1b[2m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    line.extend_from_slice(faint.as_bytes());
    time.write_clock(line);
    line.extend_from_slice(end.as_bytes());
    line.push(b' ');
    line.extend_from_slice(tint.as_bytes());
    line.extend_from_slice(format!("{:5}", severity(level)).as_bytes());
    line.extend_from_slice(end.as_bytes());
    line.push(b' ');
    message(line, fields.body.as_bytes());
    line.extend_from_slice(&fields.others);
    line.push(b'\n');
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

fn level_tint(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[2m",
    }
}

/// An event's fields: the message, and the others as they stand in the line or are exported.
#[derive(Default)]
struct Fields {
    is_json: bool,
    attributes: Option<Vec<KeyValue>>,
    body: String,
    others: Vec<u8>,
}

impl Fields {
    fn key(&mut self, name: &str) {
        if self.is_json {
            let suffix = if RESERVED.contains(&name) { "_" } else { "" };
            self.others.push(b',');
            json_string(&mut self.others, format!("{name}{suffix}").as_bytes());
            self.others.push(b':');
        } else {
            self.others.push(b' ');
            message(&mut self.others, name.as_bytes());
            self.others.push(b'=');
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        if name == "message" {
            self.body.push_str(value);
            return;
        }
        if let Some(attributes) = &mut self.attributes {
            return attributes.push(otlp::text(name, value));
        }
        self.key(name);
        if self.is_json {
            json_string(&mut self.others, value.as_bytes());
        } else {
            message(&mut self.others, value.as_bytes());
        }
    }

    /// Numbers and booleans are written alike in both forms.
    fn literal(&mut self, name: &str, value: impl fmt::Display) {
        if self.attributes.is_some() {
            return self.text(name, &value.to_string());
        }
        self.key(name);
        self.others.extend_from_slice(value.to_string().as_bytes());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        self.text(field.name(), &text);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.literal(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if let (Some(attributes), Ok(value)) = (&mut self.attributes, i64::try_from(value)) {
            return attributes.push(otlp::integer(field.name(), value));
        }
        self.literal(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Some(attributes) = &mut self.attributes {
            return attributes.push(otlp::integer(field.name(), value));
        }
        self.literal(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if let Some(attributes) = &mut self.attributes {
            return attributes.push(otlp::double(field.name(), value));
        }
        // JSON has no word for the others (RFC 8259 §6).
        if value.is_finite() {
            self.literal(field.name(), value);
        } else {
            self.text(field.name(), &value.to_string());
        }
    }
}

#[cfg(test)]
mod tests;
