//! One's own account: where one is signed in, and the password.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::Deserialize;
use weir_core::Id;
use weir_identity::{Authenticated, Password, Proof, Session};

use super::authenticator;
use super::sign_in::{code_field, new_password_field, password_field};
use super::view::{Hidden, Item, Link, Said, Section, View};
use super::visit::{Sent, Visit, go};
use super::words;
use crate::api::{RECENT, Services};
use crate::problem::Problem;
use crate::site::Cookie;

pub(super) const PATH: &str = "/account";
const END: &str = "/account/sessions/end";
const END_OTHERS: &str = "/account/sessions/end-others";
const PASSWORD: &str = "/account/password";

pub(super) fn router() -> Router<Services> {
    Router::new()
        .route(PATH, get(show))
        .route(END, post(end))
        .route(END_OTHERS, post(end_others))
        .route(PASSWORD, post(change_password))
}

#[derive(Deserialize)]
struct OfSession {
    session: Id,
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct NewPassword {
    present: Password,
    password: Password,
    code: Option<String>,
}

async fn show(visit: Visit) -> Response {
    match member(&visit) {
        Ok(who) => account(&visit, who, &Said::default()).await,
        Err(response) => *response,
    }
}

async fn end(sent: Sent<OfSession>) -> Response {
    let Sent { visit, form } = sent;
    let who = match recent(&visit) {
        Ok(who) => who,
        Err(response) => return *response,
    };
    let (user, session) = (&who.user.id, &form.session);
    let ended = visit.identity.revoke_session(&visit.caller, user, session);
    match ended.await {
        Ok(()) => go(&visit.to(PATH, &[("said", "session-ended")]), []),
        Err(error) => account(&visit, who, &Said::of("end", &Problem::from(error))).await,
    }
}

async fn end_others(sent: Sent<Nothing>) -> Response {
    let visit = sent.visit;
    let who = match recent(&visit) {
        Ok(who) => who,
        Err(response) => return *response,
    };
    let (user, kept) = (&who.user.id, Some(&who.session.id));
    let ended = visit.identity.revoke_sessions(&visit.caller, user, kept);
    match ended.await {
        Ok(_) => renewed(&visit, who, "sessions-ended").await,
        Err(error) => account(&visit, who, &Said::of("end-others", &Problem::from(error))).await,
    }
}

async fn change_password(sent: Sent<NewPassword>) -> Response {
    let Sent { visit, form } = sent;
    let who = match member(&visit) {
        Ok(who) => who,
        Err(response) => return *response,
    };
    let proof = proof(form.present, form.code);
    let (user, session) = (&who.user.id, Some(&who.session.id));
    let changed =
        visit
            .identity
            .change_password(&visit.caller, user, session, &proof, &form.password);
    match changed.await {
        Ok(()) => renewed(&visit, who, "password-changed").await,
        Err(error) => account(&visit, who, &Said::of("password", &Problem::from(error))).await,
    }
}

/// Whose account it is.
///
/// # Errors
/// Sends to sign-in, and back from there.
pub(super) fn member(visit: &Visit) -> Result<&Authenticated, Box<Response>> {
    visit
        .signed_in
        .as_deref()
        .ok_or_else(|| Box::new(go(&visit.to("/sign-in", &[("return_to", PATH)]), [])))
}

/// The same for what a stolen session must not do.
fn recent(visit: &Visit) -> Result<&Authenticated, Box<Response>> {
    let who = member(visit)?;
    let since = Timestamp::now().duration_since(who.session.created_at);
    if since.unsigned_abs() < RECENT {
        return Ok(who);
    }
    let query = [("return_to", PATH), ("again", "1"), ("said", "recent")];
    Err(Box::new(go(&visit.to("/sign-in", &query), [])))
}

/// What somebody shows; an empty code is none.
pub(super) fn proof(password: Password, code: Option<String>) -> Proof {
    Proof {
        password,
        code: code.filter(|code| !code.trim().is_empty()),
    }
}

/// The session has another token from here on: whoever had the former one has nothing.
pub(super) async fn renew(
    visit: &Visit,
    who: &Authenticated,
) -> Result<(HeaderName, HeaderValue), Box<Response>> {
    match visit.identity.renew_session(&visit.caller, who).await {
        Ok(token) => Ok(Cookie::Session.set(visit.channel, token.expose())),
        Err(error) => Err(Box::new(visit.failed(&Problem::from(error)))),
    }
}

/// The same, back on the account's page.
pub(super) async fn renewed(visit: &Visit, who: &Authenticated, said: &str) -> Response {
    match renew(visit, who).await {
        Ok(cookie) => go(&visit.to(PATH, &[("said", said)]), [cookie]),
        Err(response) => *response,
    }
}

/// The page, with what is said of one of its forms.
pub(super) async fn account(visit: &Visit, who: &Authenticated, said: &Said) -> Response {
    let user = &who.user.id;
    let known = async {
        let sessions = visit.identity.sessions(user).await?;
        Ok::<_, weir_identity::Error>((sessions, visit.identity.has_second_factor(user).await?))
    };
    let (sessions, has_second_factor) = match known.await {
        Ok(known) => known,
        Err(error) => return visit.failed(&Problem::from(error)),
    };
    let mut sections = vec![
        where_signed_in(visit, who, sessions, said),
        password(visit, has_second_factor, said),
    ];
    sections.extend(authenticator::sections(visit, has_second_factor, said));
    let view = View {
        title: words::ACCOUNT,
        alert: said.alert.clone(),
        notice: visit.notice(),
        intro: vec![words::signed_in_as(&who.user.email)],
        sections,
        links: vec![Link {
            to: visit.to("/sign-out", &[]),
            text: words::SIGN_OUT,
        }],
    };
    match said.status {
        StatusCode::OK => visit.ok(view),
        _ => visit.refused(said, view),
    }
}

fn where_signed_in(
    visit: &Visit,
    who: &Authenticated,
    sessions: Vec<Session>,
    said: &Said,
) -> Section {
    let has_others = sessions.len() > 1;
    let items = sessions.into_iter().map(|session| {
        let is_this = session.id == who.session.id;
        let device = session.device.to_string();
        let mut form = visit.form("end", END, words::END);
        form.label = Some(words::end_of(&device, session.created_at));
        form.is_quiet = true;
        form.hidden = vec![Hidden {
            name: "session",
            value: session.id.to_string(),
        }];
        let address = session.address.as_deref().map(words::from);
        let mut lines: Vec<_> = address.into_iter().collect();
        lines.push(words::began(session.created_at));
        lines.push(words::last_seen(session.last_seen_at));
        Item {
            title: device,
            mark: is_this.then_some(words::THIS_ONE),
            lines,
            form: match is_this {
                true => Default::default(),
                false => form.write(said),
            },
        }
    });
    let others = visit.form("end-others", END_OTHERS, words::END_OTHERS);
    Section {
        id: "sessions",
        heading: Some(words::SESSIONS),
        items: items.collect(),
        form: match has_others {
            true => others.write(said),
            false => Default::default(),
        },
        ..Section::default()
    }
}

fn password(visit: &Visit, has_second_factor: bool, said: &Said) -> Section {
    let mut form = visit.form("password", PASSWORD, words::CHANGE_PASSWORD);
    form.fields = vec![
        password_field("present", words::PRESENT_PASSWORD),
        new_password_field(words::NEW_PASSWORD),
    ];
    if has_second_factor {
        form.fields.push(code_field(words::CODE_HINT));
    }
    Section {
        id: "password",
        heading: Some(words::PASSWORD),
        intro: vec![words::CHANGE_PASSWORD_ABOUT.to_owned()],
        form: form.write(said),
        ..Section::default()
    }
}
