use std::fs;
use std::path::{Path, PathBuf};

use rtrb::{Producer, RingBuffer};
use serde_json::Value;
use weir_config::model::{LogLevel, Redaction, Share};

pub(crate) use super::access::tests::record;
use super::*;
use crate::otlp::Exporter;

/// A directory of its own for a test, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("weir-log-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn settings(format: LogFormat, file: &Path) -> Log {
    let output = LogOutput::File(file.to_owned());
    Log {
        format,
        level: LogLevel::Info,
        output,
        access: true,
        sample: Share::ALL,
        rotate: None,
        query: false,
        headers: Vec::new(),
        redact: Redaction::default(),
    }
}

fn start(settings: &Log) -> (LogHandle, Producer<AccessRecord>) {
    let exporter = Exporter::start().expect("a thread").logs();
    let log = LogHandle::write_to(settings, exporter).expect("a log");
    let (producer, consumer) = RingBuffer::new(1_024);
    log.follow(vec![consumer]);
    (log, producer)
}

fn push(ring: &mut Producer<AccessRecord>, status: u16) {
    let record = AccessRecord { status, ..record() };
    ring.push(record).expect("room");
}

fn statuses(file: &Path) -> Vec<u64> {
    let content = fs::read_to_string(file).expect("a log file");
    let parse = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
    content
        .lines()
        .filter_map(|line| parse(line)["http.response.status_code"].as_u64())
        .collect()
}

#[test]
fn everything_pending_is_written_at_the_end() {
    let directory = Directory::new("end");
    let file = directory.file("access.log");
    let (log, mut ring) = start(&settings(LogFormat::Json, &file));
    for _ in 0..1_000 {
        push(&mut ring, 200);
    }
    let worker = thread::spawn(move || {
        push(&mut ring, 204);
        drop(ring);
    });
    log.finish();
    worker.join().expect("no panic");
    let statuses = statuses(&file);
    assert_eq!(statuses.len(), 1_001);
    assert_eq!(statuses.last(), Some(&204));
}

#[test]
fn a_rotated_file_is_opened_anew_and_loses_nothing() {
    let directory = Directory::new("rotation");
    let file = directory.file("access.log");
    let moved = directory.file("access.log.1");
    let (log, mut ring) = start(&settings(LogFormat::Json, &file));
    push(&mut ring, 200);
    log.flush();
    fs::rename(&file, &moved).expect("renamed");
    push(&mut ring, 201);
    log.reopen();
    log.flush();
    push(&mut ring, 202);
    log.flush();
    assert_eq!(statuses(&moved), [200, 201]);
    assert_eq!(statuses(&file), [202]);
    assert_eq!(log.counters().lost_lines(), 0);
}

fn reconfigure(log: &LogHandle, settings: &Log) -> anyhow::Result<()> {
    log.commit(log.prepare(settings)?);
    Ok(())
}

#[test]
fn a_reload_changes_form_and_output() {
    let directory = Directory::new("reload");
    let (first, second) = (directory.file("first.log"), directory.file("second.log"));
    let (log, mut ring) = start(&settings(LogFormat::Json, &first));
    push(&mut ring, 200);
    reconfigure(&log, &settings(LogFormat::Text, &second)).unwrap();
    log.flush();
    push(&mut ring, 201);
    log.flush();
    assert_eq!(statuses(&first), [200]);
    let text = fs::read_to_string(&second).expect("a log file");
    assert!(text.contains(" 201 GET "), "{text}");
}

#[test]
fn an_output_that_cannot_be_opened_leaves_the_former_one() {
    let directory = Directory::new("missing");
    let file = directory.file("access.log");
    let (log, mut ring) = start(&settings(LogFormat::Json, &file));
    let missing = settings(LogFormat::Json, &directory.file("no/such/directory.log"));
    let error = reconfigure(&log, &missing).expect_err("refused");
    push(&mut ring, 200);
    log.flush();
    assert_eq!(statuses(&file), [200]);
    assert!(
        error.to_string().starts_with("cannot open the log file "),
        "{error}"
    );
}

#[test]
fn lines_of_all_threads_stay_whole() {
    let directory = Directory::new("threads");
    let file = directory.file("both.log");
    let (log, mut ring) = start(&settings(LogFormat::Json, &file));
    let speaking: Vec<_> = (0..4)
        .map(|_| {
            let subscriber = tracing_subscriber::registry().with(log.lines());
            thread::spawn(move || {
                tracing::subscriber::with_default(subscriber, || {
                    for number in 0..200 {
                        tracing::info!(number, "a message\nof two lines");
                    }
                });
            })
        })
        .collect();
    for _ in 0..500 {
        push(&mut ring, 200);
    }
    for thread in speaking {
        thread.join().expect("no panic");
    }
    log.flush();
    assert_eq!(statuses(&file).len(), 500);
    let content = fs::read_to_string(&file).expect("a log file");
    assert_eq!(content.lines().count(), 500 + 4 * 200);
}

#[test]
fn a_full_disk_is_counted_and_the_end_is_not_held_up() {
    let (log, mut ring) = start(&settings(LogFormat::Json, Path::new("/dev/full")));
    push(&mut ring, 200);
    push(&mut ring, 200);
    drop(ring);
    log.finish();
    assert_eq!(log.counters().lost_lines(), 2);
}

#[test]
fn colours_are_for_terminals_only() {
    let of = |format, is_terminal| Form::of(format, &LogOutput::Stdout, is_terminal);
    assert_eq!(of(LogFormat::Text, false), Form::Text);
    assert_eq!(of(LogFormat::Json, true), Form::Json);
    let exported = Form::of(LogFormat::Text, &LogOutput::Otlp, false);
    assert_eq!(exported, Form::Otlp);
}
