//! An open WebSocket: two sides that get each other's frames, and when that ends.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;

use super::counters::Direction;
use super::end::End;
use super::frames::{ABNORMAL, BAD_GATEWAY, GOING_AWAY, POLICY_VIOLATION, TOO_BIG};
use super::handshake::Handshake;
use super::opening::Opening;
use super::side::{Broken, Mark, Side, Surroundings, pass, poll_write};
use crate::failure::Failure;
use crate::identify::{self, Known, LOOK};
use crate::record::Recorder;
use crate::timer::Timer;
use crate::worker::{Phase, Worker};

/// How long a side may take to close after the other one has.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// How long it is read from after it was closed, so that it gets to read why.
const LINGER: Duration = Duration::from_secs(2);

/// Who ended a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The client.
    Client,
    /// The target.
    Upstream,
    /// Weir.
    Gateway,
}

impl By {
    /// The word for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
        }
    }
}

/// What an access record says of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebSocketRecord {
    /// The close code that the client got or sent; 1005 for a close frame without one, 1006 for an end
    /// without a close frame (RFC 6455 §7.4.1).
    pub close_code: u16,
    /// Who closed it.
    pub closed_by: By,
    /// Messages from the client.
    pub received: u64,
    /// Messages to the client.
    pub sent: u64,
}

/// How it ends.
#[derive(Clone, Copy, Debug)]
struct Ending {
    code: u16,
    by: By,
    failure: Option<Failure>,
    /// When it is over in any case.
    deadline: u64,
}

/// A WebSocket from its opening to its end.
pub(crate) struct Tunnel {
    client: Side,
    target: Side,
    handshake: Rc<Handshake>,
    worker: Rc<Worker>,
    /// Gone when it is written.
    record: Option<Box<Recorder>>,
    mark: Mark,
    ending: Option<Ending>,
    /// When it is closed because the process ends, once it is about to.
    leaves: Option<u64>,
    /// Both sides are told from here; nothing more is passed on.
    is_cut: bool,
    /// Messages and bytes of either side that are counted already.
    counted: [(u64, u64); 2],
}

/// What the clock says.
enum Due {
    /// Something was done: go on.
    Now,
    /// Nothing before then.
    At(u64),
    Over,
}

impl Tunnel {
    /// `input` is what the client has sent behind its request.
    pub(crate) fn new(
        opening: Opening,
        client: End,
        input: BytesMut,
        worker: &Rc<Worker>,
        record: Box<Recorder>,
    ) -> Self {
        let now = worker.timers.now();
        let Opening {
            target,
            input: answered,
            handshake,
            may_compress,
        } = opening;
        let from_client = handshake.rules(may_compress, true);
        let from_target = handshake.rules(may_compress, false);
        Self {
            client: Side::new(client, input, from_client, now),
            target: Side::new(target, answered, from_target, now),
            handshake,
            worker: Rc::clone(worker),
            record: Some(record),
            mark: fastrand::u64(..).to_ne_bytes(),
            ending: None,
            leaves: None,
            is_cut: false,
            counted: [(0, 0); 2],
        }
    }

    /// Runs it to its end.
    pub(crate) async fn run(mut self, timer: &Timer) {
        // What bounds a request does not bound this.
        timer.lift_end();
        poll_fn(|context| self.poll(timer, context)).await;
        let worker = Rc::clone(&self.worker);
        self.finish();
        let mut is_shut = false;
        let lingering = poll_fn(|context| {
            let around = surroundings(&worker, &self.mark);
            if !is_shut {
                let client = self.client.poll_shutdown(context);
                let target = self.target.poll_shutdown(context);
                if client.is_pending() || target.is_pending() {
                    return Poll::Pending;
                }
                is_shut = true;
            }
            // Who has closed sends nothing more, which could reset the connection before it has read all.
            if self.client.closed.is_some() {
                return Poll::Ready(());
            }
            self.client.poll_end(around, context)
        });
        let _ = timer.limit(LINGER, lingering).await;
    }

    fn poll(&mut self, timer: &Timer, context: &mut Context<'_>) -> Poll<()> {
        let worker = Rc::clone(&self.worker);
        loop {
            let mark = self.mark;
            let around = surroundings(&worker, &mark);
            if worker.phase() >= Phase::Closing && self.ending.is_none() {
                self.leave_in_time(&worker);
            }
            if self.ending.is_none()
                && let Err(failure) = self.may_go_on()
            {
                let codes = (Some(POLICY_VIOLATION), GOING_AWAY);
                self.cut(By::Gateway, failure, codes, around.now);
            }
            if !self.is_cut {
                self.exchange(around, context);
            }
            let is_over = if self.is_cut {
                self.poll_farewell(around, context).is_ready()
            } else {
                self.is_closed(around, context)
            };
            self.count();
            if is_over {
                return Poll::Ready(());
            }
            match self.due(around) {
                Due::Now => {}
                Due::Over => return Poll::Ready(()),
                Due::At(deadline) => {
                    timer.set(Duration::from_millis(deadline.saturating_sub(around.now)));
                    if timer.poll(context).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Whether its organization may have traffic, and whoever opened it is still who they showed to be.
    fn may_go_on(&self) -> Result<(), Failure> {
        if let Some(organization) = &self.handshake.organization {
            organization.admit()?;
        }
        identify::may_go_on(self.callers(), &self.worker)
    }

    fn callers(&self) -> impl Iterator<Item = &Rc<Known>> {
        self.record.iter().flat_map(|record| record.callers())
    }

    /// Passes on what there is, both ways.
    fn exchange(&mut self, around: Surroundings<'_>, context: &mut Context<'_>) {
        let (client, target) = (&mut self.client, &mut self.target);
        match pass(client, target, around, context) {
            Err(broken) => self.judge(broken, By::Client, around.now),
            Ok(()) => {
                if let Err(broken) = pass(target, client, around, context) {
                    self.judge(broken, By::Upstream, around.now);
                }
            }
        }
        let closed = match (self.client.closed, self.target.closed) {
            (Some(code), _) => Some((code, By::Client)),
            (None, Some(code)) => Some((code, By::Upstream)),
            (None, None) => None,
        };
        if let Some((code, by)) = closed.filter(|_| self.ending.is_none()) {
            self.ending = Some(Ending {
                code,
                by,
                failure: None,
                deadline: around.now + CLOSE_WAIT.as_millis() as u64,
            });
        }
    }

    /// Ends it for what happened while frames of `source` were passed on.
    fn judge(&mut self, broken: Broken, source: By, now: u64) {
        match (broken, source) {
            (Broken::Source(violation), By::Client) => {
                self.client.is_broken = true;
                let failure = match violation.code {
                    TOO_BIG => Failure::WebSocketTooBig(violation.rule),
                    _ => Failure::WebSocketProtocol(violation.rule),
                };
                let codes = (Some(violation.code), GOING_AWAY);
                self.cut(By::Gateway, failure, codes, now);
            }
            (Broken::Source(violation), _) => {
                self.target.is_broken = true;
                let failure = Failure::UpstreamMalformed(violation.rule);
                let codes = (Some(BAD_GATEWAY), violation.code);
                self.cut(By::Gateway, failure, codes, now);
            }
            // Who has closed may leave.
            (Broken::SourceGone, By::Client) | (Broken::SinkGone, By::Upstream)
                if self.client.closed.is_none() =>
            {
                let codes = (None, GOING_AWAY);
                self.cut(By::Client, Failure::ClientClosed, codes, now);
            }
            (Broken::SourceGone, By::Upstream) | (Broken::SinkGone, By::Client)
                if self.target.closed.is_none() =>
            {
                let failure = Failure::UpstreamReset("WebSocket ended without a close frame");
                let codes = (Some(BAD_GATEWAY), GOING_AWAY);
                self.cut(By::Upstream, failure, codes, now);
            }
            _ => {}
        }
    }

    /// Whether both sides have closed, and know that the other one has.
    fn is_closed(&mut self, around: Surroundings<'_>, context: &mut Context<'_>) -> bool {
        let (client, target) = (&mut self.client, &mut self.target);
        client.closed.is_some()
            && target.closed.is_some()
            && poll_write(client, target, around, context).is_ready()
            && poll_write(target, client, around, context).is_ready()
    }

    /// Ends it if its turn has come.
    fn leave_in_time(&mut self, worker: &Worker) {
        let now = worker.timers.now();
        self.leaves = self.leaves.or_else(|| worker.time_to_leave());
        let is_last_call = worker.phase() >= Phase::Leaving;
        if is_last_call || self.leaves.is_some_and(|time| time <= now) {
            self.leave(Failure::GoingAway, now);
        }
    }

    /// Ends it for nothing that a side has done.
    fn leave(&mut self, failure: Failure, now: u64) {
        let codes = (Some(GOING_AWAY), GOING_AWAY);
        self.cut(By::Gateway, failure, codes, now);
    }

    /// Ends it. The codes are for the client, if it is still there, and for the target.
    fn cut(&mut self, by: By, failure: Failure, codes: (Option<u16>, u16), now: u64) {
        let (for_client, for_target) = codes;
        self.is_cut = true;
        let code = for_client.unwrap_or(ABNORMAL);
        self.client.tell(&self.target, code);
        self.target.tell(&self.client, for_target);
        // A side that had closed already said why.
        if self.ending.is_none() {
            self.ending = Some(Ending {
                code,
                by,
                failure: Some(failure),
                deadline: now + CLOSE_WAIT.as_millis() as u64,
            });
        }
    }

    /// Sends the last frames of either side and ours, and waits for the answers to these.
    fn poll_farewell(&mut self, around: Surroundings<'_>, context: &mut Context<'_>) -> Poll<()> {
        let (client, target) = (&mut self.client, &mut self.target);
        let mut is_over = true;
        is_over &= poll_write(target, client, around, context).map(|written| {
            client.is_gone |= written.is_err();
        }) == Poll::Ready(());
        is_over &= poll_write(client, target, around, context).map(|written| {
            target.is_gone |= written.is_err();
        }) == Poll::Ready(());
        if !is_over {
            return Poll::Pending;
        }
        let client = self.client.poll_closed(around, context);
        let target = self.target.poll_closed(around, context);
        if client.is_ready() && target.is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Does what is due by now.
    fn due(&mut self, around: Surroundings<'_>) -> Due {
        let now = around.now;
        if let Some(ending) = &self.ending {
            return if now >= ending.deadline {
                Due::Over
            } else {
                Due::At(ending.deadline)
            };
        }
        let model = &self.handshake.settings.model;
        let is_of_somebody = self.callers().next().is_some();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (idle, ping) = (millis(model.idle), model.ping.map(millis));
        let (client, target) = (&mut self.client, &mut self.target);
        let heard = match ping {
            // Who is there answers.
            Some(_) => client.heard.min(target.heard),
            None => client.heard.max(target.heard),
        };
        let stuck = [client.stuck, target.stuck].into_iter().flatten();
        let quiet_since = stuck.fold(heard, u64::min);
        let mut next = quiet_since.saturating_add(idle);
        if now >= next {
            self.leave(Failure::WebSocketIdle, now);
            return Due::Now;
        }
        if let Some(time) = self.leaves {
            next = next.min(time);
        }
        if is_of_somebody {
            next = next.min(now.saturating_add(millis(LOOK)));
        }
        if let Some(ping) = ping {
            for side in [client, target] {
                let ask = |side: &Side| side.heard.max(side.asked).saturating_add(ping);
                if now >= ask(side) {
                    side.ask(around);
                    return Due::Now;
                }
                next = next.min(ask(side));
            }
        }
        Due::At(next)
    }

    /// Counts what was passed on since this was called last.
    fn count(&mut self) {
        let counters = self.handshake.place.counters(self.worker.index);
        let sides = [
            (Direction::Received, &self.client),
            (Direction::Sent, &self.target),
        ];
        for ((direction, side), counted) in sides.into_iter().zip(&mut self.counted) {
            let (messages, bytes) = *counted;
            if (messages, bytes) != (side.messages, side.bytes) {
                counters.count(direction, side.messages - messages, side.bytes - bytes);
                *counted = (side.messages, side.bytes);
            }
        }
    }

    /// Writes the record.
    fn finish(&mut self) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        // Without an ending, nobody waited for it: the connection is gone.
        let (code, by, failure) = match self.ending {
            Some(ending) => (ending.code, ending.by, ending.failure),
            None => (ABNORMAL, By::Client, Some(Failure::ClientClosed)),
        };
        let counters = self.handshake.place.counters(self.worker.index);
        counters.closed(code);
        record.upgraded(
            WebSocketRecord {
                close_code: code,
                closed_by: by,
                received: self.client.messages,
                sent: self.target.messages,
            },
            self.client.bytes,
            self.target.bytes,
        );
        match failure {
            Some(failure) => {
                // Frames that nobody sends by mistake count against the client.
                record.failure = Some(failure);
                record.fail(failure);
            }
            None => record.complete(),
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.finish();
        self.client.release(&self.worker.buffers);
        self.target.release(&self.worker.buffers);
    }
}

fn surroundings<'a>(worker: &'a Worker, mark: &'a Mark) -> Surroundings<'a> {
    Surroundings {
        buffers: &worker.buffers,
        now: worker.timers.now(),
        mark,
    }
}
