//! Sessions in cookies: who comes with one, and the token that takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HeaderName, HeaderValue, SET_COOKIE};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use weir_core::Secret;
use weir_identity::{Authenticated, Caller, TokenState};
use weir_store::audit::Actor;

use super::{Channel, Cookie, FromOwnPage, Jar};
use crate::api::{Services, caller_as};
use crate::problem::Problem;

/// Somebody whose browser has a session's cookie, among a request's extensions; or why that cannot be known.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn(pub(crate) Result<Box<Authenticated>, Problem>);

impl SignedIn {
    /// Who it is, for a request that changes nothing or comes from our own pages.
    ///
    /// # Errors
    /// 403 if another site may have made the browser send it; 503.
    pub(crate) fn user(&self, parts: &Parts) -> Result<Box<Authenticated>, Problem> {
        let is_safe = parts.method.is_safe();
        if !is_safe && parts.extensions.get::<FromOwnPage>().is_none() {
            return Err(Problem::of_unknown_page());
        }
        self.0.clone()
    }
}

/// Says `due` in the answer to whoever shows a token in `Authorization` that is to be replaced: they ask for
/// another one by `POST /v1/me/session/token`.
const SESSION_TOKEN: HeaderName = HeaderName::from_static("weir-session-token");

/// Noted by whoever finds out that a token in `Authorization` is to be replaced; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenDue(Arc<AtomicBool>);

impl TokenDue {
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Finds out whose session's cookie comes with a request that has no other credential, and has the
/// browser keep another token when it is time; clients with a token in `Authorization` are told that it is. Within what
/// says whether a request comes [from our own page](FromOwnPage).
pub async fn keep_session(
    State(services): State<Services>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let found = match Channel::of(services.site(), &parts) {
        Some(channel) if !parts.headers.contains_key(AUTHORIZATION) => {
            let token = Jar::of(channel, &parts.headers).get(Cookie::Session);
            token.map(|token| (channel, Secret::new(token.to_owned())))
        }
        _ => None,
    };
    let Some((channel, token)) = found else {
        let due = TokenDue::default();
        parts.extensions.insert(due.clone());
        let mut response = next.run(Request::from_parts(parts, body)).await;
        if due.is_noted() {
            let field = HeaderValue::from_static("due");
            response.headers_mut().insert(SESSION_TOKEN, field);
        }
        return response;
    };
    let caller = Caller {
        once: None,
        ..caller_as(&parts, Actor::Anonymous)
    };
    let who = match look(&services, &caller, &token).await {
        Ok(who) => who.map(|who| SignedIn(Ok(who))),
        Err(problem) => Some(SignedIn(Err(problem))),
    };
    // A token that is nobody's is left to the browser: it may have a newer one by now.
    let cookie = match &who {
        Some(SignedIn(Ok(who))) if who.token != TokenState::Current => {
            let caller = Caller {
                actor: Actor::User(who.user.id.clone()),
                ..caller
            };
            let successor = successor(&services, &caller, &token).await;
            successor.map(|token| Cookie::Session.set(channel, token.expose()))
        }
        _ => None,
    };
    if let Some(who) = who {
        parts.extensions.insert(who);
    }
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let fields = response.headers().get_all(SET_COOKIE);
    let is_set = fields
        .iter()
        .any(|field| Cookie::Session.is_set_by(channel, field));
    if let Some((name, field)) = cookie.filter(|_| !is_set) {
        response.headers_mut().append(name, field);
    }
    response
}

async fn look(
    services: &Services,
    caller: &Caller,
    token: &Secret<String>,
) -> Result<Option<Box<Authenticated>>, Problem> {
    let identity = services.people().get()?;
    if let Some(who) = identity.authenticate(token.expose()).await? {
        return Ok(Some(Box::new(who)));
    }
    identity.tell_reuse(caller, token.expose()).await?;
    Ok(None)
}

/// The request goes on with the former token if this fails: the next one asks again.
async fn successor(
    services: &Services,
    caller: &Caller,
    token: &Secret<String>,
) -> Option<Secret<String>> {
    let identity = services.people().get().ok()?;
    match identity.rotate_session(caller, token.expose()).await {
        Ok(successor) => successor,
        Err(error) => {
            let error = error.in_full();
            tracing::warn!(error, "a session's token cannot be replaced for now");
            None
        }
    }
}
