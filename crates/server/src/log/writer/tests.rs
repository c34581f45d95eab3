use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, channel, sync_channel};

use rtrb::{Producer, RingBuffer};

use super::*;
use crate::otlp::Exporter;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn lines(&self) -> usize {
        let content = self.0.lock().expect("not poisoned");
        content.iter().filter(|byte| **byte == b'\n').count()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("not poisoned")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl super::super::output::Sink for Memory {}

/// A writer that does not run yet, with the other ends of its channels.
struct Fixture {
    writer: Writer,
    commands: Sender<Command>,
    messages: SyncSender<Message>,
    ring: Producer<AccessRecord>,
    output: Memory,
}

fn fixture() -> Fixture {
    let output = Memory::default();
    let (commands, obeyed) = channel();
    let (messages, written) = sync_channel(8);
    let (ring, records) = RingBuffer::new(8);
    let writer = Writer {
        commands: obeyed,
        messages: written,
        records: vec![records],
        outlet: Outlet::start(Output::to(output.clone()), Arc::default()).expect("a thread"),
        form: Arc::new(SharedForm::new(Form::Json)),
        redactor: Arc::default(),
        exporter: Exporter::start().expect("a thread").logs(),
        journal: Arc::default(),
    };
    Fixture {
        writer,
        commands,
        messages,
        ring,
        output,
    }
}

/// Collects, and waits until that is written.
fn flush(writer: &mut Writer) {
    let (done, flushed) = channel();
    assert!(writer.obey(Command::Flush(done)).is_continue());
    flushed.recv().expect("the output's thread lives");
}

#[test]
fn what_came_before_a_change_goes_to_the_former_output() {
    let Fixture {
        mut writer,
        messages,
        mut ring,
        output,
        commands: _commands,
    } = fixture();
    ring.push(access::tests::record()).expect("room");
    messages
        .try_send(Message::Lines(b"a message\n".to_vec()))
        .expect("room");
    let second = Memory::default();
    let change = Command::Change(Form::Text, Arc::default(), Some(Output::to(second.clone())));
    assert!(writer.obey(change).is_continue());
    flush(&mut writer);
    assert_eq!((output.lines(), second.lines()), (2, 0));
    ring.push(access::tests::record()).expect("room");
    flush(&mut writer);
    assert_eq!((output.lines(), second.lines()), (2, 1));
    assert_eq!(writer.form.get(), Form::Text);
}

#[test]
fn the_end_waits_for_workers_that_still_run() {
    let Fixture {
        writer,
        commands,
        mut ring,
        output,
        messages: _messages,
    } = fixture();
    let (done, finished) = channel();
    commands
        .send(Command::Finish(done))
        .expect("the writer is there");
    let running = thread::spawn(move || writer.run());
    let early = finished.recv_timeout(3 * POLL);
    assert_eq!(early, Err(RecvTimeoutError::Timeout));
    ring.push(access::tests::record()).expect("room");
    drop(ring);
    assert_eq!(finished.recv(), Ok(()));
    running.join().expect("no panic");
    assert_eq!(output.lines(), 1);
}

#[test]
fn a_worker_that_never_ends_does_not_hold_up_the_end() {
    let Fixture {
        writer,
        commands,
        mut ring,
        output,
        messages: _messages,
    } = fixture();
    let (done, finished) = channel();
    commands
        .send(Command::Finish(done))
        .expect("the writer is there");
    ring.push(access::tests::record()).expect("room");
    writer.run();
    assert_eq!((finished.recv(), output.lines()), (Ok(()), 1));
    drop(ring);
}
