//! One attempt to have a request answered by one target.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use weir_config::model::UpstreamTimeouts;

use super::connect::{Acquired, acquire};
use super::{ForwardHead, Pool, Received};
use crate::body::Body;
use crate::failure::Failure;
use crate::http1;
use crate::http2;
use crate::message::ResponseHead;
use crate::request::Interim;
use crate::timer::Timer;

/// How long a target may take to agree to a body (RFC 9110 §10.1.1) before it is sent anyway.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// Interim responses that are passed on for one request.
const MOST_INTERIMS: u32 = 32;

/// An exchange over either protocol.
#[derive(Debug)]
pub(crate) enum Attempt {
    Http1(Box<http1::Exchange>),
    Http2(Box<http2::Exchange>),
}

/// What comes of an attempt.
pub(crate) type Outcome = Result<(ResponseHead, Attempt), Attempted>;

/// Why an attempt failed, and what another one could start from.
#[derive(Debug)]
pub(crate) struct Attempted {
    pub(crate) failure: Failure,
    /// The request's body, if nothing was taken from it.
    pub(crate) body: Option<Body>,
    /// What is known about how far the request came.
    pub(crate) fate: Fate,
}

/// How far a request came that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The target may have processed it.
    Unknown,
    /// A kept connection had ended: most likely the target never saw it.
    Stale,
    /// The target says that it did not process it (RFC 9113 §8.7), and takes no more now.
    Refused,
    /// The same, but for a reason that says nothing against the target: it ended a connection in
    /// order (§6.8), or got more at a time than it had been able to say that it takes (§5.1.2).
    Spared,
}

/// Where an attempt notes when it got how far: whoever gives it up knows, too.
#[derive(Debug)]
pub(crate) struct Timing<'a> {
    /// What a new connection took, if one was made.
    pub(crate) connecting: &'a mut Option<Duration>,
    /// When all of the body was sent, and only the answer was waited for; if that matters, since it
    /// costs a look at the clock.
    pub(crate) sent: Option<&'a Cell<Option<Instant>>>,
}

/// Deadlines of an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    pub(crate) upstream: UpstreamTimeouts,
    /// Longest silence of the client while it sends the body.
    pub(crate) body: Duration,
    /// Whether the end of it all comes too soon to say something about the connection.
    pub(crate) is_brief: bool,
}

/// Sends a request and waits for the response's head.
pub(crate) async fn attempt(
    pool: &Rc<Pool>,
    head: &ForwardHead<'_>,
    mut body: Body,
    interim: &Interim,
    timer: &Timer,
    deadlines: &Deadlines,
    timing: Timing<'_>,
) -> Outcome {
    let failed = |failure, body| Attempted {
        failure,
        body,
        fate: Fate::Unknown,
    };
    let is_upload = !body.is_all_here();
    let (acquired, upload) = match acquire(
        pool,
        timer,
        deadlines.upstream.connect,
        timing.connecting,
        head.upgrade.is_some(),
        is_upload,
    )
    .await
    {
        Ok(acquired) => acquired,
        Err(failure) => return Err(failed(failure, Some(body))),
    };
    let mut exchange = match acquired {
        Acquired::Http1(connection) => {
            let exchange = http1::Exchange::start(connection, Rc::clone(pool), head, body, upload);
            Attempt::Http1(Box::new(exchange))
        }
        // Boxed: rare.
        Acquired::Http2(share)
            if head.upgrade.is_some() && !Box::pin(share.takes_websockets()).await =>
        {
            return Err(failed(Failure::NoWebSocket, Some(body)));
        }
        Acquired::Http2(share) => match http2::Exchange::start(share, head, body) {
            Ok(exchange) => Attempt::Http2(Box::new(exchange)),
            Err((failure, body)) => return Err(failed(failure, Some(body))),
        },
    };
    match response_head(&mut exchange, interim, timer, deadlines, timing.sent).await {
        Ok(head) => Ok((head, exchange)),
        Err(failure) => {
            let fate = match failure {
                Failure::DeadlineExceeded(_) if deadlines.is_brief => Fate::Unknown,
                _ => exchange.fate(failure),
            };
            Err(Attempted {
                failure,
                body: exchange.take_untouched_body(),
                fate,
            })
        }
    }
}

async fn response_head(
    exchange: &mut Attempt,
    interim: &Interim,
    timer: &Timer,
    deadlines: &Deadlines,
    sent: Option<&Cell<Option<Instant>>>,
) -> Result<ResponseHead, Failure> {
    let mut waiting_for = None;
    let mut interims = 0;
    std::future::poll_fn(|context| {
        loop {
            let mut progress = false;
            match exchange.poll_head(context, &mut progress) {
                Poll::Ready(Ok(Received::Final(head))) => return Poll::Ready(Ok(head)),
                Poll::Ready(Ok(Received::Interim(status, fields))) => {
                    // They do not move the deadline, and there is an end to them: a target could go on
                    // for ever.
                    interims += 1;
                    if interims <= MOST_INTERIMS {
                        interim.send(status, &fields);
                    }
                    continue;
                }
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => {}
            }
            let (phase, allowed, failure) = if exchange.awaits_continue() {
                (Waiting::Continue, CONTINUE_WAIT, Failure::UpstreamTimeout)
            } else if exchange.is_held_up() {
                (
                    Waiting::Upload,
                    deadlines.upstream.idle,
                    Failure::UpstreamStalled,
                )
            } else if exchange.is_uploading() {
                (Waiting::Body, deadlines.body, Failure::BodyTimeout)
            } else {
                (
                    Waiting::Head,
                    deadlines.upstream.first_byte,
                    Failure::UpstreamTimeout,
                )
            };
            let moved_on = waiting_for != Some(phase);
            let is_moving = progress && matches!(phase, Waiting::Upload | Waiting::Body);
            if let Some(sent) = sent.filter(|_| moved_on && phase == Waiting::Head) {
                sent.set(Some(Instant::now()));
            }
            if moved_on || is_moving {
                waiting_for = Some(phase);
                timer.set(allowed);
            }
            if timer.poll(context).is_pending() {
                return Poll::Pending;
            }
            if phase != Waiting::Continue || timer.is_ended() {
                return Poll::Ready(Err(timer.blame(failure)));
            }
            exchange.stop_awaiting_continue();
        }
    })
    .await
}

/// Whether the target did not answer in the time that it had.
fn is_silence(failure: Failure) -> bool {
    let late = Failure::UpstreamTimeout;
    failure == late || failure == Failure::DeadlineExceeded(late.reason())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// For the target to agree to the body.
    Continue,
    /// For the target to take more of the body.
    Upload,
    /// For the client to send more of the body.
    Body,
    /// For the target to answer.
    Head,
}

impl Attempt {
    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        progress: &mut bool,
    ) -> Poll<Result<Received, Failure>> {
        match self {
            Self::Http1(exchange) => exchange.poll_head(context, progress),
            Self::Http2(exchange) => exchange.poll_head(context, progress),
        }
    }

    fn is_uploading(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.is_uploading(),
            Self::Http2(exchange) => exchange.is_uploading(),
        }
    }

    fn is_held_up(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.is_held_up(),
            Self::Http2(exchange) => exchange.is_held_up(),
        }
    }

    fn awaits_continue(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.awaits_continue(),
            Self::Http2(exchange) => exchange.awaits_continue(),
        }
    }

    fn stop_awaiting_continue(&mut self) {
        match self {
            Self::Http1(exchange) => exchange.stop_awaiting_continue(),
            Self::Http2(exchange) => exchange.stop_awaiting_continue(),
        }
    }

    fn fate(&self, failure: Failure) -> Fate {
        match self {
            Self::Http2(exchange) if is_silence(failure) => {
                // Silence may mean that the path to the target is gone, which nobody else would
                // notice: others should not wait for it, too.
                exchange.give_up_connection();
                Fate::Unknown
            }
            _ if !matches!(failure, Failure::UpstreamReset(_)) => Fate::Unknown,
            Self::Http1(exchange) if exchange.was_stale() => Fate::Stale,
            Self::Http1(_) => Fate::Unknown,
            Self::Http2(exchange) => exchange.fate(),
        }
    }

    /// Whether nothing was taken from the request body.
    pub(crate) fn is_untouched(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.is_untouched(),
            Self::Http2(exchange) => exchange.is_untouched(),
        }
    }

    /// The request body, if nothing was taken from it: then another attempt can send it.
    pub(crate) fn take_untouched_body(&mut self) -> Option<Body> {
        match self {
            Self::Http1(exchange) => exchange.take_untouched_body(),
            Self::Http2(exchange) => exchange.take_untouched_body(),
        }
    }

    /// Whether its connection is kept if no more than so many bytes are read of the answer.
    pub(super) fn is_worth_reading(&self, most: u64) -> bool {
        match self {
            Self::Http1(exchange) => exchange.is_worth_reading(most),
            // The stream is reset, and the connection stays.
            Self::Http2(_) => false,
        }
    }

    /// The response's body.
    pub(crate) fn into_body(self) -> Body {
        match self {
            Self::Http1(exchange) if exchange.is_switched() => exchange.into_opening(),
            Self::Http2(exchange) if exchange.is_switched() => exchange.into_opening(),
            Self::Http1(exchange) if exchange.length() == Some(0) && !exchange.is_uploading() => {
                Body::Empty
            }
            Self::Http1(exchange) => Body::Http1Response(exchange),
            Self::Http2(exchange) => Body::Http2Response(exchange),
        }
    }
}
