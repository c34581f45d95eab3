//! What the links of letters lead to, and the one of the first start.
//!
//! A link has its token in the query, which works without a script. Whoever opens it is sent on at once,
//! with the token in a cookie for ten minutes: so it stands in no history, no log of a later request and
//! no `Referer`. It is used up only by the form, since mail programs open links by themselves.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use weir_core::Secret;
use weir_identity::{FirstOwner, NewMember, Offer, Password};

use super::sign_in::{alone, new_password_field};
use super::view::{Field, Form, Link, Said, View};
use super::visit::{Sent, Visit, go};
use super::words;
use crate::api::Services;
use crate::problem::Problem;
use crate::site::Cookie;

/// Where forms of these pages go.
pub(super) const PATHS: [&str; 4] = ["/reset", "/verify", "/accept", "/setup"];

pub(super) fn router() -> Router<Services> {
    Router::new()
        .route("/reset", get(show_reset).post(reset))
        .route("/verify", get(show_verify).post(verify))
        .route("/accept", get(show_accept).post(accept))
        .route("/setup", get(show_setup).post(set_up))
}

#[derive(Deserialize)]
struct NewPassword {
    password: Password,
}

#[derive(Deserialize)]
struct Nothing {}

/// Empty where an account is there.
#[derive(Deserialize)]
struct Member {
    name: Option<String>,
    password: Option<Password>,
}

#[derive(Deserialize)]
struct Owner {
    email: String,
    name: String,
    password: Password,
}

/// The token of the link that was opened for this page.
///
/// # Errors
/// Sends on if it is in the address still; says what to do if there is none.
fn opened(visit: &Visit, page: &'static str) -> Result<Secret<String>, Box<Response>> {
    if let Some(token) = &visit.carried.token {
        let is_form = token.len() <= 100
            && token
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        let token = if is_form { token } else { "" };
        let kept = Cookie::Link.set(visit.channel, &format!("{page}.{token}"));
        let to = visit.to(&format!("/{page}"), &[]);
        return Err(Box::new(go(&to, [kept])));
    }
    let kept = visit.cookie(Cookie::Link);
    let token = kept
        .and_then(|kept| kept.strip_prefix(page))
        .and_then(|kept| kept.strip_prefix('.'))
        .filter(|token| !token.is_empty());
    match token {
        Some(token) => Ok(Secret::new(token.to_owned())),
        None => {
            let problem =
                Problem::new(axum::http::StatusCode::NOT_FOUND, "no_link", words::NO_LINK);
            let said = Said::of(page, &problem);
            let view = View {
                title: words::FAILED,
                alert: said.alert.clone(),
                links: vec![visit.link("/sign-in", words::BACK)],
                ..View::default()
            };
            Err(Box::new(visit.refused(&said, view)))
        }
    }
}

/// The link is used up.
fn done(visit: &Visit, to: &str, said: &str) -> Response {
    let forget = Cookie::Link.clear(visit.channel);
    go(&visit.to(to, &[("said", said)]), [forget])
}

async fn show_reset(visit: Visit) -> Response {
    match opened(&visit, "reset") {
        Ok(_) => visit.ok(reset_view(&visit, &Said::default())),
        Err(response) => *response,
    }
}

async fn reset(sent: Sent<NewPassword>) -> Response {
    let Sent { visit, form } = sent;
    let token = match opened(&visit, "reset") {
        Ok(token) => token,
        Err(response) => return *response,
    };
    let reset = visit
        .identity
        .reset_password(&visit.caller, &token, &form.password);
    match reset.await {
        Ok(_) => done(&visit, "/sign-in", "password-set"),
        Err(error) => {
            let said = Said::of("reset", &Problem::from(error));
            visit.refused(&said, reset_view(&visit, &said))
        }
    }
}

fn reset_view(visit: &Visit, said: &Said) -> View {
    let mut form = visit.form("reset", "/reset", words::SET_PASSWORD);
    form.fields = vec![new_password_field(words::NEW_PASSWORD)];
    View {
        links: vec![visit.link("/forgot", words::SEND_LINK)],
        ..of(words::RESET, words::RESET_ABOUT.to_owned(), form, said)
    }
}

async fn show_verify(visit: Visit) -> Response {
    match opened(&visit, "verify") {
        Ok(_) => visit.ok(verify_view(&visit, &Said::default())),
        Err(response) => *response,
    }
}

async fn verify(sent: Sent<Nothing>) -> Response {
    let visit = sent.visit;
    let token = match opened(&visit, "verify") {
        Ok(token) => token,
        Err(response) => return *response,
    };
    let session = visit.signed_in.as_ref().map(|who| &who.session.id);
    let verified = visit.identity.verify_email(&visit.caller, &token, session);
    match verified.await {
        Ok(_) if visit.signed_in.is_some() => done(&visit, "/account", "verified"),
        Ok(_) => done(&visit, "/sign-in", "verified"),
        Err(error) => {
            let said = Said::of("verify", &Problem::from(error));
            visit.refused(&said, verify_view(&visit, &said))
        }
    }
}

fn verify_view(visit: &Visit, said: &Said) -> View {
    let form = visit.form("verify", "/verify", words::VERIFY_BUTTON);
    of(words::VERIFY, words::VERIFY_ABOUT.to_owned(), form, said)
}

async fn show_accept(visit: Visit) -> Response {
    let token = match opened(&visit, "accept") {
        Ok(token) => token,
        Err(response) => return *response,
    };
    match visit.identity.offer(&token).await {
        Ok(offer) => visit.ok(accept_view(&visit, &offer, &Member::NONE, &Said::default())),
        Err(error) => visit.failed(&Problem::from(error)),
    }
}

async fn accept(sent: Sent<Member>) -> Response {
    let Sent { visit, form } = sent;
    let token = match opened(&visit, "accept") {
        Ok(token) => token,
        Err(response) => return *response,
    };
    let offer = match visit.identity.offer(&token).await {
        Ok(offer) => offer,
        Err(error) => return visit.failed(&Problem::from(error)),
    };
    let new = match (&form.name, &form.password) {
        (Some(name), Some(password)) => Some(NewMember {
            name: name.clone(),
            password: password.clone(),
        }),
        _ => None,
    };
    let accepted = visit.identity.accept_invitation(&visit.caller, &token, new);
    match accepted.await {
        Ok(_) if visit.signed_in.is_some() => done(&visit, "/account", "joined"),
        Ok(_) => done(&visit, "/sign-in", "joined"),
        Err(error) => {
            let said = Said::of("accept", &Problem::from(error));
            visit.refused(&said, accept_view(&visit, &offer, &form, &said))
        }
    }
}

impl Member {
    const NONE: Self = Self {
        name: None,
        password: None,
    };
}

fn accept_view(visit: &Visit, offer: &Offer, typed: &Member, said: &Said) -> View {
    let invited = words::invited(&offer.email, &offer.organization);
    let mut form = visit.form("accept", "/accept", words::ACCEPT_BUTTON);
    let who = visit.signed_in.as_ref();
    match who {
        Some(who) if who.user.email == offer.email => of(words::ACCEPT, invited, form, said),
        Some(_) => View {
            title: words::ACCEPT,
            intro: vec![invited, words::ACCEPT_OTHER.to_owned()],
            links: vec![visit.link("/sign-out", words::SIGN_OUT)],
            ..View::default()
        },
        None if offer.has_account => View {
            title: words::ACCEPT,
            intro: vec![invited, words::ACCEPT_SIGN_IN.to_owned()],
            links: vec![Link {
                to: visit.to("/sign-in", &[("return_to", "/accept")]),
                text: words::SIGN_IN,
            }],
            ..View::default()
        },
        None => {
            form.fields = vec![
                name_field(typed.name.as_deref().unwrap_or_default()),
                new_password_field(words::PASSWORD),
            ];
            of(words::ACCEPT, invited, form, said)
        }
    }
}

async fn show_setup(visit: Visit) -> Response {
    match opened(&visit, "setup") {
        Ok(_) => visit.ok(setup_view(&visit, "", "", &Said::default())),
        Err(response) => *response,
    }
}

async fn set_up(sent: Sent<Owner>) -> Response {
    let Sent { visit, form } = sent;
    let token = match opened(&visit, "setup") {
        Ok(token) => token,
        Err(response) => return *response,
    };
    let (email, name) = (form.email.clone(), form.name.clone());
    let owner = FirstOwner {
        email: form.email,
        name: form.name,
        password: form.password,
    };
    match visit.identity.set_up(&visit.caller, &token, owner).await {
        Ok(_) => done(&visit, "/sign-in", "set-up"),
        Err(error) => {
            let said = Said::of("setup", &Problem::from(error));
            visit.refused(&said, setup_view(&visit, &email, &name, &said))
        }
    }
}

fn setup_view(visit: &Visit, email: &str, name: &str, said: &Said) -> View {
    let mut form = visit.form("setup", "/setup", words::SETUP_BUTTON);
    form.fields = vec![
        Field {
            name: "email",
            label: words::EMAIL,
            kind: "email",
            autocomplete: "username",
            value: email.to_owned(),
            is_needed: true,
            ..Field::default()
        },
        name_field(name),
        new_password_field(words::PASSWORD),
    ];
    of(words::SETUP, words::SETUP_ABOUT.to_owned(), form, said)
}

fn name_field(name: &str) -> Field {
    Field {
        name: "name",
        label: words::NAME,
        kind: "text",
        autocomplete: "name",
        value: name.to_owned(),
        is_needed: true,
        ..Field::default()
    }
}

/// A page of one form.
fn of(title: &'static str, about: String, form: Form, said: &Said) -> View {
    View {
        title,
        alert: said.alert.clone(),
        intro: vec![about],
        sections: vec![alone(form, said)],
        ..View::default()
    }
}
