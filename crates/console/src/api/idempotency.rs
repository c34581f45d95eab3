//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that is sent again, because
//! its answer was lost, takes effect once and is answered as before.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::header::{
    CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, LOCATION,
};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;
use weir_core::Id;
use weir_identity::{Identity, Remembered};
use weir_store::audit::Actor;
use weir_store::records::Once;

use super::asked::{Asked, Question};
use super::body;
use super::guard::Guard;
use super::making::may_change_any;
use super::services::Services;
use crate::problem::Problem;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MOST_KEY: usize = 255;
/// Bytes of a request that can be sent with a key; more of a batch, by who may send one.
const MOST_REQUEST: usize = 1 << 20;
const MOST_BATCH: usize = 64 << 20;
const BATCHES: &str = "/v1/revisions";
/// Bytes of an answer that is kept; a longer one is read again.
const MOST_ANSWER: usize = 256 << 10;

/// What the layer needs.
#[derive(Clone)]
pub(super) struct Idempotency {
    services: Services,
    /// The endpoints without this layer, to read again what was made.
    endpoints: Router,
    under_way: Arc<Mutex<HashSet<[u8; 32]>>>,
}

/// The answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The rights that it took.
    asked: Vec<Question>,
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    media_type: Option<String>,
    body: String,
}

impl Idempotency {
    pub(super) fn new(services: Services, endpoints: Router) -> Self {
        Self {
            services,
            endpoints,
            under_way: Arc::default(),
        }
    }

    async fn answer(&self, request: Request, next: Next) -> Result<Response, Problem> {
        let (mut parts, body) = request.into_parts();
        let Ok(guard) = Guard::from_request_parts(&mut parts, &self.services).await else {
            // Nobody's keys are looked at; the endpoint says what is wrong.
            return Ok(next.run(Request::from_parts(parts, body)).await);
        };
        let (identity, principal) = (guard.identity(), guard.principal());
        let key = key(&parts.headers)?.to_owned();
        let is_batch = parts.uri.path() == BATCHES && may_change_any(principal).is_ok();
        let most = if is_batch { MOST_BATCH } else { MOST_REQUEST };
        let body = body::read(body, most).await?;
        let key_hash = hash(&[owner(&principal.actor()).as_bytes(), key.as_bytes()]);
        let once = identity.once(key_hash, &said(&parts, &body));
        let path = parts.uri.path().to_owned();
        let again = Again {
            guard: &guard,
            headers: parts.headers.clone(),
            path: &path,
        };
        let _turn = Turn::take(&self.under_way, once.key_hash).ok_or_else(in_use)?;
        if let Some(remembered) = identity.remembered(&once).await? {
            return self.replay(remembered, &again).await;
        }
        let asked = Asked::default();
        parts.extensions.insert(once.clone());
        parts.extensions.insert(asked.clone());
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        if response.status().is_success() {
            return Ok(keep(identity, &once, asked.questions(), response).await);
        }
        // Another node may have been faster; if not, nothing took effect, and this is the answer.
        match identity.remembered(&once).await {
            Ok(Some(remembered)) => self.replay(remembered, &again).await,
            Ok(None) | Err(_) => Ok(response),
        }
    }

    /// What was answered, to whoever may still ask for it.
    async fn replay(&self, remembered: Remembered, again: &Again<'_>) -> Result<Response, Problem> {
        if !remembered.is_same {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "This Idempotency-Key was sent with another request: take a new key for each.",
            ));
        }
        let kept = remembered
            .answer
            .as_deref()
            .map(serde_json::from_slice::<Kept>);
        let mut response = match (kept, remembered.subject) {
            (Some(Ok(kept)), _) => {
                for question in &kept.asked {
                    question.ask(again.guard).await?;
                }
                restored(kept)
            }
            (_, subject) => self.read_again(subject.as_ref(), again).await?,
        };
        let replayed = HeaderValue::from_static("true");
        response.headers_mut().insert(REPLAYED, replayed);
        Ok(response)
    }

    /// The process ended between the change and its answer: what was made is shown as it is now.
    async fn read_again(&self, made: Option<&Id>, again: &Again<'_>) -> Result<Response, Problem> {
        let lost = || {
            Problem::new(
                StatusCode::CONFLICT,
                "answer_lost",
                "This request has taken effect, but its answer was lost: look at what it changed.",
            )
        };
        let location = format!("{}/{}", again.path, made.ok_or_else(lost)?);
        let mut request = Request::builder()
            .uri(&location)
            .body(Body::empty())
            .map_err(|_| lost())?;
        *request.headers_mut() = again.headers.clone();
        let Ok(mut response) = self.endpoints.clone().oneshot(request).await;
        if response.status() != StatusCode::OK {
            return Err(lost());
        }
        *response.status_mut() = StatusCode::CREATED;
        if let Ok(location) = HeaderValue::try_from(location) {
            response.headers_mut().insert(LOCATION, location);
        }
        Ok(response)
    }
}

/// What is needed to read again.
struct Again<'a> {
    guard: &'a Guard,
    headers: HeaderMap,
    path: &'a str,
}

/// The layer.
pub(super) async fn once(
    State(idempotency): State<Idempotency>,
    request: Request,
    next: Next,
) -> Response {
    let is_asked = *request.method() == Method::POST && request.headers().contains_key(KEY);
    if !is_asked {
        return next.run(request).await;
    }
    match idempotency.answer(request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// A key that is under way on this node.
struct Turn<'a> {
    under_way: &'a Mutex<HashSet<[u8; 32]>>,
    key_hash: [u8; 32],
}

impl<'a> Turn<'a> {
    fn take(under_way: &'a Mutex<HashSet<[u8; 32]>>, key_hash: [u8; 32]) -> Option<Self> {
        let mut keys = under_way.lock().unwrap_or_else(PoisonError::into_inner);
        // Lazily: one that is made gives the key back when it goes.
        keys.insert(key_hash).then(|| Self {
            under_way,
            key_hash,
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut keys = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        keys.remove(&self.key_hash);
    }
}

async fn keep(
    identity: &Identity,
    once: &Once,
    asked: Vec<Question>,
    response: Response,
) -> Response {
    let (parts, body) = response.into_parts();
    // Answers of endpoints are in memory; reading them does not fail.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let text = |name: &HeaderName| {
        let value = parts.headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    if body.len() <= MOST_ANSWER
        && let Ok(body) = String::from_utf8(body.to_vec())
    {
        let kept = Kept {
            asked,
            status: parts.status.as_u16(),
            location: text(&LOCATION),
            etag: text(&ETAG),
            media_type: text(&CONTENT_TYPE),
            body,
        };
        let kept = serde_json::to_vec(&kept).unwrap_or_default();
        if let Err(error) = identity.keep_answer(once, &kept).await {
            // It has taken effect; whoever asks again is shown what it made.
            tracing::warn!(%error, "the answer to an Idempotency-Key is not kept");
        }
    }
    Response::from_parts(parts, Body::from(body))
}

fn restored(kept: Kept) -> Response {
    let mut response = Response::new(Body::from(kept.body));
    *response.status_mut() = StatusCode::from_u16(kept.status).unwrap_or_default();
    for (name, value) in [
        (LOCATION, kept.location),
        (ETAG, kept.etag),
        (CONTENT_TYPE, kept.media_type),
    ] {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// One field; a string of structured fields (RFC 9651 §3.3.3), or the same without quotes.
fn key(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut fields = headers.get_all(KEY).iter();
    let field = fields.next().and_then(|field| field.to_str().ok());
    let key = field.map(|field| {
        let field = field.trim();
        let quoted = field
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        quoted.unwrap_or(field)
    });
    let is_key = |key: &&str| {
        (1..=MOST_KEY).contains(&key.len())
            && key
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'"')
    };
    match key.filter(is_key) {
        Some(key) if fields.next().is_none() => Ok(key),
        _ => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_idempotency_key",
            "Idempotency-Key must be one field of 1 to 255 visible characters, such as a UUID.",
        )),
    }
}

/// Keys belong to whoever made them: nobody is shown another's answer.
fn owner(actor: &Actor) -> String {
    format!("{} {}", actor.kind(), actor.id().map_or("", Id::as_str))
}

/// What makes it this request: what must be so for it to be made is part of that (RFC 9110 §13.1).
fn said<'r>(parts: &'r Parts, body: &'r [u8]) -> Vec<&'r [u8]> {
    let target = parts.uri.path_and_query().map(PathAndQuery::as_str);
    let mut of = vec![
        parts.method.as_str().as_bytes(),
        target.unwrap_or_default().as_bytes(),
        body,
    ];
    for name in [IF_MATCH, IF_NONE_MATCH] {
        let values = parts.headers.get_all(&name);
        // How many there are tells the two names apart.
        of.push(if values.iter().next().is_some() {
            b"1"
        } else {
            b"0"
        });
        of.extend(values.iter().map(HeaderValue::as_bytes));
    }
    of
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

fn in_use() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "idempotency_key_in_use",
        "A request with this Idempotency-Key is under way; ask again in a moment.",
    )
    .retry_after(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_field_of_visible_characters() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(KEY, HeaderValue::from_static(value));
            }
            key(&headers).ok().map(str::to_owned)
        };
        assert_eq!(read(&["\"8e03978e\""]).as_deref(), Some("8e03978e"));
        assert_eq!(read(&["8e03978e"]).as_deref(), Some("8e03978e"));
        for bad in [&["a", "a"][..], &[""], &["\"\""], &["a b"], &["\"a"], &[]] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn parts_of_what_is_hashed_keep_to_themselves() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
    }
}
