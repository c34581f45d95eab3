//! The exporter's thread: takes items up, and sends them with patience.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use rtrb::Consumer;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, LocalSet};
use weir_gateway::TraceRecord;

use super::client::Client;
use super::lane::{Lane, Signal};
use super::{Command, Counters, FINISH, Outcomes, count, spans};
use crate::redact::Redactor;

/// How often rings and lanes are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// First pause before a repeat, and the longest; each is up to twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// How long one export is tried. The receiver has been away for so long then that what waits behind it
/// is of more interest.
const GIVE_UP: Duration = Duration::from_secs(120);

/// What the thread starts with.
pub(super) struct Exporting {
    commands: mpsc::UnboundedReceiver<Command>,
    logs: mpsc::Receiver<LogRecord>,
    counters: Arc<Counters>,
}

/// What exports under way look at: the receiver may change meanwhile.
struct Receiver {
    client: RefCell<Option<Rc<Client>>>,
    /// Whether it was away when it was tried last.
    is_away: Cell<bool>,
    /// No more repeats: the process ends.
    is_ending: Cell<bool>,
}

/// A signal's way: what waits, and what is being sent, one export at a time.
struct Way<S> {
    lane: Lane<S>,
    sending: Option<JoinHandle<()>>,
    outcomes: fn(&Counters) -> &Outcomes,
}

impl Exporting {
    pub(super) fn new(
        commands: mpsc::UnboundedReceiver<Command>,
        logs: mpsc::Receiver<LogRecord>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            commands,
            logs,
            counters,
        }
    }

    pub(super) fn run(self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => LocalSet::new().block_on(&runtime, self.export()),
            Err(error) => tracing::error!(%error, "telemetry cannot be exported"),
        }
    }

    async fn export(mut self) {
        let receiver = Rc::new(Receiver {
            client: RefCell::default(),
            is_away: Cell::new(false),
            is_ending: Cell::new(false),
        });
        let mut redactor = Arc::new(Redactor::default());
        let mut rings: Vec<Consumer<Box<TraceRecord>>> = Vec::new();
        let mut spans = Way::<Span>::new(|counters| &counters.spans);
        let mut logs = Way::<LogRecord>::new(|counters| &counters.logs);
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut finish: Option<(Sender<()>, Instant)> = None;
        loop {
            // Without a receiver there is nothing to look for.
            let is_idle = receiver.client.borrow().is_none() && finish.is_none();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Follow(more)) => rings.extend(more),
                    Some(Command::Change(client, rules)) => {
                        redactor = rules;
                        receiver.client.replace(client.map(|client| Rc::new(*client)));
                    }
                    Some(Command::Finish(done)) => {
                        finish = Some((done, Instant::now() + FINISH));
                        receiver.is_ending.set(true);
                    }
                    None => return,
                },
                _ = looks.tick(), if !is_idle => {}
            }
            let now = Instant::now();
            for ring in &mut rings {
                for _ in 0..ring.slots() {
                    let Ok(record) = ring.pop() else { break };
                    for span in spans::of(&record, &redactor) {
                        spans.take_up(span, now, &self.counters);
                    }
                }
            }
            rings.retain(|ring| !(ring.is_abandoned() && ring.is_empty()));
            while let Ok(record) = self.logs.try_recv() {
                logs.take_up(record, now, &self.counters);
            }
            let is_ending = finish.is_some();
            spans.send(&receiver, now, is_ending, &self.counters);
            logs.send(&receiver, now, is_ending, &self.counters);
            if let Some((done, end)) = &finish
                && ((spans.is_done() && logs.is_done()) || now >= *end)
            {
                // Whoever asked may have lost patience.
                let _ = done.send(());
                return;
            }
        }
    }
}

impl<S: Signal> Way<S> {
    fn new(outcomes: fn(&Counters) -> &Outcomes) -> Self {
        Self {
            lane: Lane::new(),
            sending: None,
            outcomes,
        }
    }

    fn take_up(&mut self, item: S, now: Instant, counters: &Counters) {
        if !self.lane.push(item, now) {
            count(&(self.outcomes)(counters).queue_full, 1);
        }
    }

    fn is_done(&self) -> bool {
        self.lane.is_empty() && self.sending.is_none()
    }

    fn send(
        &mut self,
        receiver: &Rc<Receiver>,
        now: Instant,
        is_ending: bool,
        counters: &Arc<Counters>,
    ) {
        let is_over = |sending: &JoinHandle<()>| sending.is_finished();
        self.sending.take_if(|sending| is_over(sending));
        if self.sending.is_some() || self.lane.is_empty() {
            return;
        }
        let Some(client) = receiver.client.borrow().clone() else {
            // Nobody wants it any more.
            count(&(self.outcomes)(counters).expired, self.lane.clear());
            return;
        };
        if !self.lane.is_due(now) && !is_ending {
            return;
        }
        let batch = self.lane.batch(now);
        let export = Export {
            receiver: Rc::clone(receiver),
            counters: Arc::clone(counters),
            outcomes: self.outcomes,
            items: batch.len() as u64,
        };
        let message = S::request(batch, client.resource.clone());
        self.sending = Some(tokio::task::spawn_local(export.run::<S>(message)));
    }
}

/// One export, until it is taken or given up.
struct Export {
    receiver: Rc<Receiver>,
    counters: Arc<Counters>,
    outcomes: fn(&Counters) -> &Outcomes,
    items: u64,
}

impl Export {
    async fn run<S: Signal>(self, message: bytes::Bytes) {
        let outcomes = (self.outcomes)(&self.counters);
        let begun = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            let Some(client) = self.receiver.client.borrow().clone() else {
                return count(&outcomes.expired, self.items);
            };
            let fault = match client.export::<S>(&message).await {
                Ok(rejected) => {
                    let rejected = rejected.min(self.items);
                    count(&outcomes.exported, self.items - rejected);
                    count(&outcomes.rejected, rejected);
                    return self.receiver.is_back();
                }
                Err(fault) => fault,
            };
            count(&outcomes.failures, 1);
            self.receiver.is_away(&fault.text);
            let Some(asked) = fault.retry else {
                return count(&outcomes.rejected, self.items);
            };
            // Spread: gateways that lost one receiver must not come back to it together.
            let wait = asked.unwrap_or_else(|| pause.mul_f64(0.5 + fastrand::f64() / 2.0));
            pause = (pause * 2).min(PAUSES.1);
            // Whatever the receiver asks for: it may be more than can be added.
            let is_too_long = begun.elapsed().saturating_add(wait) > GIVE_UP;
            if self.receiver.is_ending.get() || is_too_long {
                return count(&outcomes.expired, self.items);
            }
            tokio::time::sleep(wait).await;
        }
    }
}

impl Receiver {
    /// Told once, not with every export.
    fn is_away(&self, why: &str) {
        if !self.is_away.replace(true) {
            tracing::warn!(why, "telemetry cannot be exported");
        }
    }

    fn is_back(&self) {
        if self.is_away.replace(false) {
            tracing::info!("telemetry is exported again");
        }
    }
}
