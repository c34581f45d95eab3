//! What the server can be told to do, and how that is written: `NAME` or `NAME=ARGUMENT`.

use std::str::FromStr;
use std::time::Duration;

use super::malformed;

/// How requests, or whole connections, are treated. Defaults of arguments stand at the names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// `answer`, `answer=STATUS`: an answer of the usual kind.
    Answer(Answer),

    // What follows concerns connections before a request is seen.
    /// `refuse`: nobody listens.
    Refuse,
    /// `unreachable`: the listener's queue is full, so that the system answers no SYN.
    Unreachable,
    /// `slow-connect=MILLISECONDS` (500): the same for so long. A client's system asks again after
    /// a second, so that its connection stands after one second at the earliest.
    SlowConnect(Duration),
    /// `never-read`: accepts, and reads nothing.
    NeverRead,
    /// `tls-expired`: shows a certificate of 2001.
    TlsExpired,
    /// `tls-wrong-name`: shows a certificate for another name.
    TlsWrongName,
    /// `tls-alert`: refuses the handshake with an alert (`no_application_protocol`).
    TlsAlert,
    /// `tls-garbage`: answers the handshake with something that is not TLS.
    TlsGarbage,
    /// `tls-silence`: never answers the handshake.
    TlsSilence,
    /// `tls-close`: closes the connection in the handshake.
    TlsClose,

    // What follows concerns the head; the request was read.
    /// `close-before-head`: the connection ends in order (FIN).
    CloseBeforeHead,
    /// `reset-before-head`: the connection is reset (RST).
    ResetBeforeHead,
    /// `close-in-head`: the connection ends in the middle of it.
    CloseInHead,
    /// `slow-head=MILLISECONDS` (20): one byte every so often.
    SlowHead(Duration),
    /// `no-head`: silence.
    NoHead,
    /// `malformed-head=NUMBER` (0): a head that cannot be read, of a list.
    MalformedHead(usize),
    /// `endless-head`: fields without end.
    EndlessHead,
    /// `endless-interims`: `103 Early Hints` without end.
    EndlessInterims,

    // What follows concerns the body; ten bytes are stated where a length is, five are sent.
    /// `close-in-body`: the connection ends in order.
    CloseInBody,
    /// `cut-chunk`: the same in a body of chunks; over HTTP/2 in one of unknown length.
    CutChunk,
    /// `reset-in-body`: the connection, or over HTTP/2 the stream, is reset.
    ResetInBody,
    /// `malformed-body`: a chunk without a size; over HTTP/2 more than was stated.
    MalformedBody,
    /// `slow-body`: silence after the first bytes.
    SlowBody,
    /// `endless-body`: as much as the client takes.
    EndlessBody,

    // What follows is for HTTP/2 only; over HTTP/1.1 it is answered with 501.
    /// `goaway-before`: GOAWAY without an error, with a last stream before the request's.
    GoawayBefore,
    /// `goaway-error`: the same with `ENHANCE_YOUR_CALM`.
    GoawayError,
    /// `goaway-after`: GOAWAY that covers the request, which is answered.
    GoawayAfter,
    /// `goaway-close`: GOAWAY that covers the request, and the end of the connection in place of an
    /// answer.
    GoawayClose,
    /// `refused-stream`: `RST_STREAM` with `REFUSED_STREAM`.
    RefusedStream,
    /// `stream-error`: `RST_STREAM` with `INTERNAL_ERROR`.
    StreamError,
    /// `freeze`: from then on the connection is as dead as if the host had lost its power.
    Freeze,
}

/// An answer: `answer=503,body=1024,delay=50,retry-after=3153600000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Bytes of the body.
    pub body: usize,
    /// Wait before the head.
    pub delay: Duration,
    pub retry_after: Option<String>,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            body: 2,
            delay: Duration::ZERO,
            retry_after: None,
        }
    }
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

/// Every name with the behaviour it has without an argument.
pub fn all() -> Vec<(&'static str, Behaviour)> {
    vec![
        ("answer", Behaviour::Answer(Answer::default())),
        ("refuse", Behaviour::Refuse),
        ("unreachable", Behaviour::Unreachable),
        ("slow-connect", Behaviour::SlowConnect(milliseconds(500))),
        ("never-read", Behaviour::NeverRead),
        ("tls-expired", Behaviour::TlsExpired),
        ("tls-wrong-name", Behaviour::TlsWrongName),
        ("tls-alert", Behaviour::TlsAlert),
        ("tls-garbage", Behaviour::TlsGarbage),
        ("tls-silence", Behaviour::TlsSilence),
        ("tls-close", Behaviour::TlsClose),
        ("close-before-head", Behaviour::CloseBeforeHead),
        ("reset-before-head", Behaviour::ResetBeforeHead),
        ("close-in-head", Behaviour::CloseInHead),
        ("slow-head", Behaviour::SlowHead(milliseconds(20))),
        ("no-head", Behaviour::NoHead),
        ("malformed-head", Behaviour::MalformedHead(0)),
        ("endless-head", Behaviour::EndlessHead),
        ("endless-interims", Behaviour::EndlessInterims),
        ("close-in-body", Behaviour::CloseInBody),
        ("cut-chunk", Behaviour::CutChunk),
        ("reset-in-body", Behaviour::ResetInBody),
        ("malformed-body", Behaviour::MalformedBody),
        ("slow-body", Behaviour::SlowBody),
        ("endless-body", Behaviour::EndlessBody),
        ("goaway-before", Behaviour::GoawayBefore),
        ("goaway-error", Behaviour::GoawayError),
        ("goaway-after", Behaviour::GoawayAfter),
        ("goaway-close", Behaviour::GoawayClose),
        ("refused-stream", Behaviour::RefusedStream),
        ("stream-error", Behaviour::StreamError),
        ("freeze", Behaviour::Freeze),
    ]
}

const fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        let known = all().into_iter().find(|(known, _)| *known == name);
        let Some((_, behaviour)) = known else {
            return Err(format!("no such behaviour: {name}"));
        };
        let Some(argument) = argument else {
            return Ok(behaviour);
        };
        match behaviour {
            Self::Answer(_) => answer(argument).map(Self::Answer),
            Self::SlowConnect(_) => number(argument).map(milliseconds).map(Self::SlowConnect),
            Self::SlowHead(_) => number(argument).map(milliseconds).map(Self::SlowHead),
            Self::MalformedHead(_) => match number(argument)? {
                at if at < malformed::COUNT => Ok(Self::MalformedHead(at)),
                at => Err(format!(
                    "only {} malformed heads, not {at}",
                    malformed::COUNT
                )),
            },
            _ => Err(format!("{name} takes no argument")),
        }
    }
}

fn number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

fn answer(text: &str) -> Result<Answer, String> {
    let (status, settings) = text.split_once(',').unwrap_or((text, ""));
    let mut answer = Answer::status(number(status)?);
    if !(200..600).contains(&answer.status) {
        return Err(format!("not a final status: {status}"));
    }
    for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
        match setting.split_once('=') {
            Some(("body", value)) => answer.body = number(value)?,
            Some(("delay", value)) => answer.delay = milliseconds(number(value)?),
            Some(("retry-after", value)) => answer.retry_after = Some(value.to_owned()),
            _ => return Err(format!("no such setting of an answer: {setting}")),
        }
    }
    Ok(answer)
}
