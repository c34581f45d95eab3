//! Signing in, in one step or two, and out.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use weir_core::Secret;
use weir_identity::{Password, SignedIn, Step};

use super::view::{Field, Form, Said, Section, View};
use super::visit::{Sent, Visit, go};
use super::words;
use crate::api::Services;
use crate::problem::Problem;
use crate::site::Cookie;

const SIGN_IN: &str = "/sign-in";
const SECOND: &str = "/sign-in/second-factor";
const SIGN_OUT: &str = "/sign-out";
/// Where forms of these pages go.
pub(super) const PATHS: [&str; 3] = [SIGN_IN, SECOND, SIGN_OUT];

pub(super) fn router() -> Router<Services> {
    Router::new()
        .route(SIGN_IN, get(show).post(enter))
        .route(SECOND, get(show_second).post(enter_second))
        .route(SIGN_OUT, get(show_out).post(leave))
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: Password,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Nothing {}

async fn show(visit: Visit) -> Response {
    if visit.signed_in.is_some() && !visit.carried.again {
        return go(&visit.destination(), []);
    }
    let view = first_view(&visit, "", &Said::default());
    visit.ok(view)
}

async fn enter(sent: Sent<Credentials>) -> Response {
    let Sent { visit, form } = sent;
    let step = visit
        .identity
        .sign_in(&visit.caller, &form.email, &form.password)
        .await;
    match step {
        Ok(Step::SignedIn(signed_in)) => enter_as(&visit, &signed_in).await,
        Ok(Step::SecondFactor(token)) => {
            let step = Cookie::Step.set(visit.channel, token.expose());
            go(&visit.to(SECOND, &[]), [step])
        }
        Err(error) => {
            let said = Said::of("sign-in", &Problem::from(error));
            visit.refused(&said, first_view(&visit, &form.email, &said))
        }
    }
}

/// The session that the browser had ends: its token is not to be of use any more.
async fn enter_as(visit: &Visit, signed_in: &SignedIn) -> Response {
    if let Some(former) = &visit.signed_in {
        let (user, session) = (&former.user.id, &former.session.id);
        let ended = visit.identity.revoke_session(&visit.caller, user, session);
        if let Err(error) = ended.await {
            tracing::warn!(error = error.in_full(), "a former session goes on");
        }
    }
    let cookies = [
        Cookie::Session.set(visit.channel, signed_in.token.expose()),
        Cookie::Step.clear(visit.channel),
        Cookie::Visit.clear(visit.channel),
    ];
    go(&visit.destination(), cookies)
}

async fn show_second(visit: Visit) -> Response {
    match visit.cookie(Cookie::Step) {
        Some(_) => visit.ok(second_view(&visit, &Said::default())),
        None => go(&visit.to(SIGN_IN, &[]), []),
    }
}

async fn enter_second(sent: Sent<Code>) -> Response {
    let Sent { visit, form } = sent;
    let Some(token) = visit.cookie(Cookie::Step) else {
        return go(&visit.to(SIGN_IN, &[("said", "step-over")]), []);
    };
    let token = Secret::new(token.to_owned());
    let second = visit
        .identity
        .sign_in_second(&visit.caller, &token, &form.code);
    match second.await {
        Ok(signed_in) => enter_as(&visit, &signed_in).await,
        Err(error) => {
            let said = Said::of("second", &Problem::from(error));
            visit.refused(&said, second_view(&visit, &said))
        }
    }
}

async fn show_out(visit: Visit) -> Response {
    if visit.signed_in.is_none() {
        return go(&visit.to(SIGN_IN, &[]), []);
    }
    let form = visit.form("sign-out", SIGN_OUT, words::SIGN_OUT);
    let view = View {
        title: words::SIGN_OUT,
        intro: vec![words::SIGN_OUT_ABOUT.to_owned()],
        sections: vec![alone(form, &Said::default())],
        ..View::default()
    };
    visit.ok(view)
}

async fn leave(sent: Sent<Nothing>) -> Response {
    let visit = sent.visit;
    if let Some(who) = &visit.signed_in {
        let (user, session) = (&who.user.id, &who.session.id);
        let ended = visit.identity.revoke_session(&visit.caller, user, session);
        if let Err(error) = ended.await {
            return visit.failed(&Problem::from(error));
        }
    }
    let cookies = [Cookie::Session.clear(visit.channel)];
    go(&visit.to(SIGN_IN, &[("said", "signed-out")]), cookies)
}

fn first_view(visit: &Visit, email: &str, said: &Said) -> View {
    let mut form = visit.form("sign-in", SIGN_IN, words::SIGN_IN);
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
        password_field("password", words::PASSWORD),
    ];
    View {
        title: words::SIGN_IN,
        alert: said.alert.clone(),
        notice: visit.notice(),
        sections: vec![alone(form, said)],
        links: vec![visit.link("/forgot", words::FORGOT_LINK)],
        ..View::default()
    }
}

fn second_view(visit: &Visit, said: &Said) -> View {
    let mut form = visit.form("second", SECOND, words::CONFIRM);
    form.fields = vec![code_field(words::CODE_HINT)];
    View {
        title: words::SECOND_FACTOR,
        alert: said.alert.clone(),
        intro: vec![words::SECOND_FACTOR_ABOUT.to_owned()],
        sections: vec![alone(form, said)],
        links: vec![visit.link(SIGN_IN, words::START_AGAIN)],
        ..View::default()
    }
}

/// A form that is all of a page.
pub(super) fn alone(form: Form, said: &Said) -> Section {
    Section {
        id: form.id,
        form: form.write(said),
        ..Section::default()
    }
}

/// The password that somebody has.
pub(super) fn password_field(name: &'static str, label: &'static str) -> Field {
    Field {
        name,
        label,
        kind: "password",
        autocomplete: "current-password",
        is_needed: true,
        ..Field::default()
    }
}

/// The password that somebody will have.
pub(super) fn new_password_field(label: &'static str) -> Field {
    Field {
        hint: Some(words::PASSWORD_HINT),
        autocomplete: "new-password",
        ..password_field("password", label)
    }
}

/// A second factor.
pub(super) fn code_field(hint: &'static str) -> Field {
    Field {
        name: "code",
        label: words::CODE,
        kind: "text",
        autocomplete: "one-time-code",
        hint: Some(hint),
        is_needed: true,
        ..Field::default()
    }
}
