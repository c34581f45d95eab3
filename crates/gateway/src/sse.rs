//! Event streams (`text/event-stream`, WHATWG HTML §9.2).
//!
//! Bodies are never held back here, so events reach their client as they come. What is special is that
//! a stream may be silent for long: it has an idle limit of its own, and may be kept alive by comments.

mod place;

use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use weir_config::model::{Sse, UpstreamTimeouts};

use crate::body::{Body, Frame};
use crate::client::Client;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::message::ResponseHead;
use crate::request::Answer;
use crate::timer::{Timer, Timers};
use place::Place;

/// A comment, which clients ignore, and the end of a line so that whoever reads by events sees it.
const HEARTBEAT: &[u8] = b":\n\n";
/// Asks nginx, and others that follow it, not to buffer.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Whether a body is a stream of events, which nobody on the way may hold back: not to compress it,
/// nor for anything else.
pub(crate) fn is_event_stream(fields: &Fields) -> bool {
    const MEDIA_TYPE: &[u8] = b"text/event-stream";
    let Some(value) = fields.get(&CONTENT_TYPE) else {
        return false;
    };
    let Some((front, rest)) = value.as_bytes().split_at_checked(MEDIA_TYPE.len()) else {
        return false;
    };
    front.eq_ignore_ascii_case(MEDIA_TYPE)
        && matches!(rest.first(), None | Some(b';' | b' ' | b'\t'))
}

/// Longest silence of an answer's body.
pub(crate) fn idle(head: &ResponseHead, timeouts: &UpstreamTimeouts) -> Duration {
    // A stream has no length: most answers are not looked at any further.
    if head.content_length.is_none() && is_event_stream(&head.fields) {
        timeouts.stream_idle
    } else {
        timeouts.idle
    }
}

/// Does what a route says about event streams.
pub(crate) fn relay(rules: Sse, client: &Client, answer: &mut Answer) {
    let head = &mut answer.head;
    if head.content_length.is_some() || !is_event_stream(&head.fields) || answer.body.is_end() {
        return;
    }
    if rules.hints {
        hint(&mut head.fields);
    }
    // What is encoded cannot be written into.
    if let Some(heartbeat) = rules.heartbeat
        && !head.fields.contains(&CONTENT_ENCODING)
    {
        let timers = &client.worker.timers;
        let timer = timers.register();
        timer.set(heartbeat.min(answer.idle));
        answer.body = Body::Events(Box::new(Events {
            body: std::mem::replace(&mut answer.body, Body::Empty),
            place: Place::default(),
            heartbeat,
            idle: answer.idle,
            silent_since: timers.now(),
            timer,
            timers: Rc::clone(timers),
        }));
    }
}

/// Tells proxies in front to leave the stream as it is (RFC 9111 §5.2.2.6 for `no-transform`).
fn hint(fields: &mut Fields) {
    if !fields.contains(&ACCEL_BUFFERING) {
        fields.append(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    let name = CACHE_CONTROL;
    let is_said = fields.get_all(&name).any(|value| {
        let mut directives = value.as_bytes().split(|byte| *byte == b',');
        directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
    });
    if !is_said {
        fields.append(name, HeaderValue::from_static("no-transform"));
    }
}

/// An event stream that is kept alive.
pub(crate) struct Events {
    body: Body,
    place: Place,
    heartbeat: Duration,
    /// Longest silence of the target: heartbeats would hide it from whoever sends the answer.
    idle: Duration,
    /// In milliseconds of the worker's time.
    silent_since: u64,
    timer: Timer,
    timers: Rc<Timers>,
}

impl Events {
    pub(crate) fn take_upload_progress(&mut self) -> bool {
        self.body.take_upload_progress()
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        match self.body.poll_frame(context) {
            Poll::Ready(Some(Ok(Frame::Data(bytes)))) => {
                self.place.follow(&bytes);
                self.silent_since = self.timers.now();
                self.timer.set(self.heartbeat.min(self.idle));
                Poll::Ready(Some(Ok(Frame::Data(bytes))))
            }
            Poll::Ready(frame) => Poll::Ready(frame),
            Poll::Pending => self.poll_silence(context),
        }
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, Failure>>> {
        while self.timer.poll(context).is_ready() {
            let silent = self.timers.now().saturating_sub(self.silent_since);
            let left = self.idle.saturating_sub(Duration::from_millis(silent));
            if left.is_zero() {
                return Poll::Ready(Some(Err(Failure::UpstreamStalled)));
            }
            self.timer.set(self.heartbeat.min(left));
            if self.place.is_between_events() {
                let comment = Bytes::from_static(HEARTBEAT);
                return Poll::Ready(Some(Ok(Frame::Data(comment))));
            }
        }
        Poll::Pending
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Events({:?})", self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(name: HeaderName, value: &'static str) -> Fields {
        let mut fields = Fields::new();
        fields.append(name, HeaderValue::from_static(value));
        fields
    }

    #[test]
    fn a_stream_of_events_is_known_by_its_media_type() {
        for text in [
            "text/event-stream",
            "Text/Event-Stream;charset=utf-8",
            "text/event-stream ;a",
        ] {
            assert!(is_event_stream(&fields(CONTENT_TYPE, text)), "{text}");
        }
        for text in ["text/event-streams", "text/plain", "text/event", ""] {
            assert!(!is_event_stream(&fields(CONTENT_TYPE, text)), "{text}");
        }
        assert!(!is_event_stream(&Fields::new()));
    }

    #[test]
    fn hints_are_given_once_and_the_targets_own_stay() {
        let mut own = fields(CACHE_CONTROL, "no-cache, No-Transform");
        own.append(ACCEL_BUFFERING, HeaderValue::from_static("yes"));
        let before = own.len();
        hint(&mut own);
        assert_eq!(own.len(), before);
        let mut none = fields(CACHE_CONTROL, "no-cache");
        hint(&mut none);
        hint(&mut none);
        assert_eq!(none.get_all(&CACHE_CONTROL).count(), 2);
        assert_eq!(
            none.get(&ACCEL_BUFFERING),
            Some(&HeaderValue::from_static("no"))
        );
    }
}
