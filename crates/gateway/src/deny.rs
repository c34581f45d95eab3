//! Answers that say no.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, SEC_WEBSOCKET_VERSION,
    WWW_AUTHENTICATE,
};
use http::{HeaderValue, Method, StatusCode};
use weir_contract::Violation;
use weir_core::Problem;

use crate::body::Body;
use crate::client::Client;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::message::{ResponseHead, Version};
use crate::record::Recorder;
use crate::request::Response;
use crate::router::Missed;
use crate::shaping;
use crate::transform::{REQUEST_ID, add_hsts};

/// Why a request gets no answer from a target.
pub(crate) struct Denial {
    failure: Failure,
    /// For 405: the methods that the path allows.
    allow: Option<HeaderValue>,
    /// What exactly is wrong with the request.
    violations: Box<[Violation]>,
    /// What is told of who is calling; boxed, for most denials are about something else.
    identity: Option<Box<AboutIdentity>>,
}

/// What somebody hears who is not let in.
#[derive(Default)]
struct AboutIdentity {
    /// In place of the failure's sentence.
    detail: String,
    /// How to say who one is.
    challenges: Vec<HeaderValue>,
    /// Where a browser goes to do that.
    sign_in: Option<HeaderValue>,
}

impl Denial {
    /// The same, told exactly.
    pub(crate) fn with(self, violations: Vec<Violation>, allowed: &[String]) -> Self {
        let allow = match self.failure {
            Failure::UndocumentedMethod => HeaderValue::from_str(&allowed.join(", ")).ok(),
            _ => None,
        };
        Self {
            allow,
            violations: violations.into(),
            ..self
        }
    }

    /// Whether somebody showed a credential that is not good.
    pub(crate) const fn is_about_a_bad_credential(&self) -> bool {
        matches!(self.failure, Failure::CredentialRefused(_))
    }

    /// Whether that may be an attempt to get in. What ran out was good once, and clients show it until they notice.
    pub(crate) fn is_about_an_attempt(&self) -> bool {
        const OVER: [&str; 2] = ["token_expired", "certificate_expired"];
        matches!(self.failure, Failure::CredentialRefused(word) if !OVER.contains(&word))
    }

    /// Whether it is nobody knows whom.
    pub(crate) const fn is_about_nobody(&self) -> bool {
        matches!(self.failure, Failure::CredentialMissing)
    }

    /// The same for somebody who opens a page: they are sent where people sign in.
    pub(crate) fn sends_to(mut self, sign_in: Option<HeaderValue>) -> Self {
        self.identity.get_or_insert_default().sign_in = sign_in;
        self
    }

    /// The same in words of its own.
    pub(crate) fn saying(mut self, detail: String) -> Self {
        self.identity.get_or_insert_default().detail = detail;
        self
    }

    /// The same with a way to say who one is (RFC 9110 §11.6.1).
    pub(crate) fn challenge(mut self, challenge: Option<HeaderValue>) -> Self {
        let identity = self.identity.get_or_insert_default();
        identity.challenges.extend(challenge);
        self
    }
}

impl From<Failure> for Denial {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            allow: None,
            violations: Box::default(),
            identity: None,
        }
    }
}

impl From<Missed> for Denial {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::NoRoute => Failure::NoRoute.into(),
            Missed::NoCredential => Failure::CredentialMissing.into(),
            Missed::Method(methods) => Self {
                failure: Failure::MethodNotAllowed,
                allow: allow(&methods),
                violations: Box::default(),
                identity: None,
            },
        }
    }
}

/// The value of an `Allow` field (RFC 9110 §10.2.1).
fn allow(methods: &[Method]) -> Option<HeaderValue> {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).ok()
}

/// Answers what could not be read as a request.
pub(crate) fn refuse(client: &Rc<Client>, failure: Failure) -> Response {
    let snapshot = client.worker.snapshot();
    let nothing = ByteString::new;
    let record = Recorder::start(
        client,
        &snapshot,
        Version::Http11,
        nothing(),
        None,
        nothing(),
    );
    deny(client, record, failure.into())
}

/// Answers with problem details (RFC 9457), a gRPC call with its status.
pub(crate) fn deny(client: &Rc<Client>, mut record: Box<Recorder>, denial: Denial) -> Response {
    let Denial {
        failure,
        allow,
        violations,
        identity,
    } = denial;
    let AboutIdentity {
        detail,
        challenges,
        sign_in,
    } = identity.map(|about| *about).unwrap_or_default();
    let is_sent_on = sign_in.is_some();
    let id = record.id.to_string();
    tracing::debug!(
        weir.request_id = id,
        trace_id = record.trace.as_ref().map(|trace| trace.ids().to_string()),
        reason = failure.reason(),
        cause = failure.cause(),
        "request answered by the gateway"
    );
    let mut fields = Fields::with_capacity(8);
    let (status, body) = match (&record.call, sign_in) {
        (Some(call), _) => {
            call.refuse(failure, &mut fields);
            (StatusCode::OK, Bytes::new())
        }
        (None, Some(sign_in)) => {
            fields.append(LOCATION, sign_in);
            fields.append(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            (StatusCode::SEE_OTHER, Bytes::new())
        }
        (None, None) => {
            let body = problem(failure, detail, &id, &violations, &mut fields);
            (failure.status(), body)
        }
    };
    record.decided(failure.reason(), failure.cause());
    record.failure = Some(failure);
    record.answered(status.as_u16());
    if let Ok(id) = HeaderValue::from_str(&id) {
        fields.append(REQUEST_ID, id);
    }
    if let Some(allow) = allow {
        fields.append(ALLOW, allow);
    }
    for challenge in challenges.into_iter().filter(|_| !is_sent_on) {
        fields.append(WWW_AUTHENTICATE, challenge);
    }
    shaping::mark_denial(&record, &mut fields);
    if failure == Failure::WebSocketVersion {
        fields.append(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    add_hsts(client, &record.snapshot, &mut fields);
    let head = ResponseHead {
        status,
        content_length: Some(body.len() as u64).filter(|length| *length > 0),
        fields,
    };
    Response {
        head,
        body: if body.is_empty() {
            Body::Empty
        } else {
            Body::Full(body)
        },
        record,
        idle: Duration::ZERO,
    }
}

/// The body that says why, and the fields that go with it.
fn problem(
    failure: Failure,
    detail: String,
    id: &str,
    violations: &[Violation],
    fields: &mut Fields,
) -> Bytes {
    let detail = match detail.is_empty() {
        true => Cow::Borrowed(failure.detail()),
        false => Cow::Owned(detail),
    };
    let problem = Problem::new(failure.status(), failure.reason(), detail, id);
    fields.append(CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
    fields.append(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = failure.retry_after() {
        fields.append(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Bytes::from(match violations {
        [] => problem.to_json(),
        _ => problem.with_errors(violations).to_json(),
    })
}
