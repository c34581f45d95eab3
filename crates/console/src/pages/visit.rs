//! Who looks at a page, what their forms are known by, and how they are answered.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, RETRY_AFTER, X_FRAME_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use weir_identity::{Authenticated, Caller, Identity, TokenState};
use weir_store::audit::Actor;

use super::brand::Brand;
use super::view::{Form, Link, View};
use super::words;
use crate::api::{Services, caller, caller_as};
use crate::authenticate::Principal;
use crate::problem::Problem;
use crate::site::{Channel, Cookie, FromOwnPage, Jar, ReturnTo, SignedIn, Site};

/// Bytes of a form.
const MOST: usize = 16 * 1024;
const WITHIN: Duration = Duration::from_secs(10);
/// Random bytes by which a browser without a session is known.
const VISIT: usize = 32;

/// Somebody who looks at a page.
pub(super) struct Visit {
    pub(super) identity: Identity,
    pub(super) caller: Caller,
    pub(super) channel: Channel,
    pub(super) signed_in: Option<Box<Authenticated>>,
    /// What is carried from page to page, as the query of each.
    pub(super) carried: Carried,
    services: Services,
    brand: Brand,
    headers: HeaderMap,
    path: String,
    /// Whose forms are good: those made for this session, or for this browser.
    holder: String,
    /// Of a browser that had none.
    new_visit: Option<String>,
}

/// What stands in the query of pages.
#[derive(Default)]
pub(super) struct Carried {
    /// Where to go in the end.
    pub(super) return_to: Option<ReturnTo>,
    organization: Option<String>,
    /// What has been done.
    pub(super) said: Option<String>,
    /// The token of a link.
    pub(super) token: Option<String>,
    /// Whether to sign in although one is signed in.
    pub(super) again: bool,
}

/// A form that was made by us for whoever sends it.
pub(super) struct Sent<T> {
    pub(super) visit: Visit,
    pub(super) form: T,
}

impl FromRequestParts<Services> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Response> {
        let site = services.site();
        let Some(channel) = Channel::of(site, parts) else {
            return Err(insecure(site));
        };
        let found = async {
            let identity = services.people().get()?.clone();
            let signed_in = match parts.extensions.get::<SignedIn>() {
                Some(SignedIn(found)) => Some(found.clone()?),
                None => None,
            };
            let carried = Carried::of(site, parts.uri.query().unwrap_or_default());
            let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
            // Under an organization's own name no link makes the page another one's.
            let slug = host.and_then(|host| site.organization_of(host));
            let brand = match slug.or(carried.organization.as_deref()) {
                Some(slug) => Brand::of(&identity, slug).await?,
                None => Brand::default(),
            };
            Ok((identity, signed_in, carried, brand))
        };
        let (identity, signed_in, carried, brand) = found
            .await
            .map_err(|problem| alone(words::FAILED, &problem))?;
        let known = Jar::of(channel, &parts.headers)
            .get(Cookie::Visit)
            .filter(|value| value.len() == 43);
        let mut new_visit = None;
        let holder = match (&signed_in, known) {
            (Some(who), _) => format!("session {}", who.session.id),
            (None, Some(visit)) => format!("visit {visit}"),
            (None, None) => {
                let visit = random().map_err(|problem| alone(words::FAILED, &problem))?;
                let holder = format!("visit {visit}");
                new_visit = Some(visit);
                holder
            }
        };
        let caller = match &signed_in {
            Some(who) => caller(parts, &Principal::User(who.clone())),
            None => caller_as(parts, Actor::Anonymous),
        };
        Ok(Self {
            identity,
            caller: Caller {
                once: None,
                ..caller
            },
            channel,
            signed_in,
            carried,
            services: services.clone(),
            brand,
            headers: parts.headers.clone(),
            path: parts.uri.path().to_owned(),
            holder,
            new_visit,
        })
    }
}

impl<T: DeserializeOwned> FromRequest<Services> for Sent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, services: &Services) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, services).await?;
        if parts.extensions.get::<FromOwnPage>().is_none() {
            return Err(visit.failed(&Problem::of_unknown_page()));
        }
        let who = visit.signed_in.as_deref();
        if who.is_some_and(|who| who.token == TokenState::Former) {
            // A former token changes nothing: the answer brings the browser its successor.
            return Err(visit.stale());
        }
        let Ok(Ok(text)) = timeout(WITHIN, to_bytes(body, MOST)).await else {
            return Err(visit.stale());
        };
        let token = serde_urlencoded::from_bytes::<Token>(&text).unwrap_or_default();
        if !services.site().is_form_token(&visit.holder, &token.form) {
            return Err(visit.stale());
        }
        match serde_urlencoded::from_bytes(&text) {
            Ok(form) => Ok(Self { visit, form }),
            Err(_) => Err(visit.stale()),
        }
    }
}

#[derive(Default, Deserialize)]
struct Token {
    form: String,
}

impl Carried {
    fn of(site: &Site, query: &str) -> Self {
        let mut carried = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "return_to" => carried.return_to = ReturnTo::parse(site, &value),
                "organization" if value.len() <= 64 => carried.organization = Some(value.into()),
                "said" => carried.said = Some(value.into()),
                "token" => carried.token = Some(value.into()),
                "again" => carried.again = true,
                _ => {}
            }
        }
        carried
    }
}

impl Visit {
    /// A form of this page's kind, sent to a path of ours.
    pub(super) fn form(&self, id: &'static str, path: &str, button: &'static str) -> Form {
        Form {
            id,
            action: self.to(path, &[]),
            token: self.services.site().form_token(&self.holder),
            button,
            ..Form::default()
        }
    }

    /// The address of another page, with what is carried.
    pub(super) fn to(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(organization) = &self.carried.organization {
            query.append_pair("organization", organization);
        }
        if let Some(place) = &self.carried.return_to {
            query.append_pair("return_to", place.as_str());
        }
        query.extend_pairs(more);
        match query.finish() {
            query if query.is_empty() => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }

    pub(super) fn link(&self, path: &str, text: &'static str) -> Link {
        let to = self.to(path, &[]);
        Link { to, text }
    }

    /// Where to go once somebody has signed in.
    pub(super) fn destination(&self) -> String {
        let place = self.carried.return_to.as_ref();
        place.map_or("/account", ReturnTo::as_str).to_owned()
    }

    pub(super) fn cookie(&self, cookie: Cookie) -> Option<&str> {
        Jar::of(self.channel, &self.headers).get(cookie)
    }

    /// Says what the address of the page says has been done.
    pub(super) fn notice(&self) -> Option<&'static str> {
        self.carried.said.as_deref().and_then(words::notice)
    }

    /// A page, as an answer.
    pub(super) fn show(&self, status: StatusCode, view: View) -> Response {
        let mut response = page(status, view, &self.brand, self.services.site());
        if let Some(visit) = &self.new_visit {
            let (name, value) = Cookie::Visit.set(self.channel, visit);
            response.headers_mut().append(name, value);
        }
        response
    }

    /// A page that was asked for.
    pub(super) fn ok(&self, view: View) -> Response {
        self.show(StatusCode::OK, view)
    }

    /// A page that says what is to be mended.
    pub(super) fn refused(&self, said: &super::view::Said, view: View) -> Response {
        let mut response = self.show(said.status, view);
        if let Some(seconds) = said.wait {
            let seconds = HeaderValue::from(seconds);
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }

    /// Something went wrong that no form can mend.
    pub(super) fn failed(&self, problem: &Problem) -> Response {
        let view = View {
            title: words::FAILED,
            alert: Some(problem.detail().to_owned()),
            links: vec![self.link(&self.path, words::AGAIN)],
            ..View::default()
        };
        self.show(problem.status(), view)
    }

    /// The form is not one of ours, or not any more.
    pub(super) fn stale(&self) -> Response {
        let view = View {
            title: words::STALE,
            alert: Some(words::STALE_ABOUT.to_owned()),
            links: vec![self.link(&self.path, words::AGAIN)],
            ..View::default()
        };
        self.show(StatusCode::FORBIDDEN, view)
    }
}

/// Sends on, so that what was done is not done again when the page is loaded anew (RFC 9110 §15.4.4).
pub(super) fn go(
    to: &str,
    cookies: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    // Places were checked to be of characters that a field may have.
    let to = HeaderValue::try_from(to).unwrap_or_else(|_| HeaderValue::from_static("/account"));
    headers.insert(LOCATION, to);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for (name, value) in cookies {
        headers.append(name, value);
    }
    response
}

fn page(status: StatusCode, view: View, brand: &Brand, site: &Site) -> Response {
    let mut policy = String::from("default-src 'none'; style-src 'self'; img-src 'self' data:");
    if let Some(source) = brand.image_source() {
        policy.push(' ');
        policy.push_str(&source);
    }
    // Browsers hold a form to this wherever it is sent on to.
    policy.push_str("; form-action 'self'");
    for origin in site.return_origins() {
        policy.push(' ');
        policy.push_str(origin);
    }
    policy.push_str("; base-uri 'none'; frame-ancestors 'none'");
    let text = match view.write(brand) {
        Ok(text) => text,
        Err(problem) => return problem.into_response(),
    };
    let Ok(policy) = HeaderValue::try_from(policy) else {
        return Problem::internal().into_response();
    };
    let fields = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (CONTENT_SECURITY_POLICY, policy),
        // With none at all, browsers would not say from where a form comes.
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (status, fields, text).into_response()
}

/// A page for somebody of whom nothing is known yet.
fn alone(title: &'static str, problem: &Problem) -> Response {
    let view = View {
        title,
        alert: Some(problem.detail().to_owned()),
        ..View::default()
    };
    let site = Site::new(String::new(), Vec::new(), &[0; 32]);
    page(problem.status(), view, &Brand::default(), &site)
}

fn insecure(site: &Site) -> Response {
    let problem = Problem::new(StatusCode::FORBIDDEN, "insecure", words::NO_COOKIE);
    let view = View {
        title: words::INSECURE,
        alert: Some(problem.detail().to_owned()),
        intro: vec![words::open(site.public_url())],
        ..View::default()
    };
    page(problem.status(), view, &Brand::default(), site)
}

fn random() -> Result<String, Problem> {
    let mut bytes = [0; VISIT];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Problem::internal())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
