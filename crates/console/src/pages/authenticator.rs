//! One's own second factor: set up, confirmed, removed; and its recovery codes, which are shown once.

use axum::Router;
use axum::response::Response;
use axum::routing::post;
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;
use weir_core::Secret;
use weir_identity::Password;

use super::account::{account, member, proof, renew, renewed};
use super::sign_in::{code_field, password_field};
use super::view::{Form, Hidden, Link, Said, Section, View};
use super::visit::{Sent, Visit};
use super::words;
use crate::api::Services;
use crate::problem::Problem;

const SET_UP: &str = "/account/authenticator";
const CONFIRM: &str = "/account/authenticator/confirm";
const REMOVE: &str = "/account/authenticator/remove";
const CODES: &str = "/account/recovery-codes";
/// Pixels, at least; style sheets draw it as large as they like.
const DRAWN: u32 = 208;

pub(super) fn router() -> Router<Services> {
    Router::new()
        .route(SET_UP, post(set_up))
        .route(CONFIRM, post(confirm))
        .route(REMOVE, post(remove))
        .route(CODES, post(renew_codes))
}

#[derive(Deserialize)]
struct Shown {
    password: Password,
    code: Option<String>,
}

#[derive(Deserialize)]
struct Confirmation {
    code: String,
    /// What was to be scanned, to be shown again after a wrong code. Nothing is believed of it.
    url: String,
}

/// What is in an account's page of it.
pub(super) fn sections(visit: &Visit, is_there: bool, said: &Said) -> Vec<Section> {
    if !is_there {
        let mut form = visit.form("set-up", SET_UP, words::SET_UP);
        form.fields = vec![password_field("password", words::PRESENT_PASSWORD)];
        return vec![Section {
            id: "authenticator",
            heading: Some(words::AUTHENTICATOR),
            intro: vec![words::AUTHENTICATOR_NONE.to_owned()],
            form: form.write(said),
            ..Section::default()
        }];
    }
    let asking = |heading, about: &str, form: Form| {
        let fields = vec![
            password_field("password", words::PRESENT_PASSWORD),
            code_field(words::CODE_HINT),
        ];
        Section {
            id: form.id,
            heading: Some(heading),
            intro: vec![about.to_owned()],
            form: Form { fields, ..form }.write(said),
            ..Section::default()
        }
    };
    let codes = visit.form("codes", CODES, words::NEW_CODES);
    let remove = Form {
        is_quiet: true,
        ..visit.form("remove", REMOVE, words::REMOVE_AUTHENTICATOR)
    };
    vec![
        asking(words::AUTHENTICATOR, words::AUTHENTICATOR_ON, remove),
        asking(words::CODES, words::NEW_CODES_ABOUT, codes),
    ]
}

async fn set_up(sent: Sent<Shown>) -> Response {
    let Sent { visit, form } = sent;
    let who = match member(&visit) {
        Ok(who) => who,
        Err(response) => return *response,
    };
    let proof = proof(form.password, form.code);
    let enrolled = visit
        .identity
        .enrol_totp(&visit.caller, &who.user.id, &proof);
    match enrolled.await {
        Ok(enrolment) => visit.ok(scan(&visit, enrolment.url.expose(), &Said::default())),
        Err(error) => account(&visit, who, &Said::of("set-up", &Problem::from(error))).await,
    }
}

async fn confirm(sent: Sent<Confirmation>) -> Response {
    let Sent { visit, form } = sent;
    let who = match member(&visit) {
        Ok(who) => who,
        Err(response) => return *response,
    };
    let confirmed = visit
        .identity
        .confirm_totp(&visit.caller, &who.user.id, &form.code);
    match confirmed.await {
        Ok(codes) => match renew(&visit, who).await {
            Ok(cookie) => {
                let mut response = show_codes(&visit, &codes);
                response.headers_mut().append(cookie.0, cookie.1);
                response
            }
            Err(response) => *response,
        },
        Err(error) => {
            let said = Said::of("confirm", &Problem::from(error));
            visit.refused(&said, scan(&visit, &form.url, &said))
        }
    }
}

async fn remove(sent: Sent<Shown>) -> Response {
    let Sent { visit, form } = sent;
    let who = match member(&visit) {
        Ok(who) => who,
        Err(response) => return *response,
    };
    let proof = proof(form.password, form.code);
    let removed = visit
        .identity
        .remove_totp(&visit.caller, &who.user.id, &proof);
    match removed.await {
        Ok(()) => renewed(&visit, who, "authenticator-removed").await,
        Err(error) => account(&visit, who, &Said::of("remove", &Problem::from(error))).await,
    }
}

async fn renew_codes(sent: Sent<Shown>) -> Response {
    let Sent { visit, form } = sent;
    let who = match member(&visit) {
        Ok(who) => who,
        Err(response) => return *response,
    };
    let proof = proof(form.password, form.code);
    let codes = visit
        .identity
        .renew_recovery_codes(&visit.caller, &who.user.id, &proof);
    match codes.await {
        Ok(codes) => show_codes(&visit, &codes),
        Err(error) => account(&visit, who, &Said::of("codes", &Problem::from(error))).await,
    }
}

/// What an authenticator is to learn, and a form for the code that it shows then.
fn scan(visit: &Visit, url: &str, said: &Said) -> View {
    let mut form = visit.form("confirm", CONFIRM, words::CONFIRM);
    form.hidden = vec![Hidden {
        name: "url",
        value: url.to_owned(),
    }];
    form.fields = vec![code_field(words::CODE_SHOWN)];
    let section = Section {
        id: "confirm",
        intro: vec![words::SCAN.to_owned()],
        drawing: drawing(url),
        key: key(url),
        form: form.write(said),
        ..Section::default()
    };
    View {
        title: words::SET_UP,
        alert: said.alert.clone(),
        sections: vec![section],
        ..View::default()
    }
}

fn show_codes(visit: &Visit, codes: &Secret<Vec<String>>) -> Response {
    let section = Section {
        id: "codes",
        codes: codes.expose().clone(),
        ..Section::default()
    };
    visit.ok(View {
        title: words::CODES,
        intro: vec![words::CODES_ABOUT.to_owned()],
        sections: vec![section],
        links: vec![Link {
            to: visit.to("/account", &[]),
            text: words::CODES_KEPT,
        }],
        ..View::default()
    })
}

/// As SVG, black on white in every colour scheme: scanners need it.
fn drawing(url: &str) -> Option<String> {
    let code = QrCode::new(url).ok()?;
    let drawn = code
        .render::<svg::Color<'_>>()
        .min_dimensions(DRAWN, DRAWN)
        .build();
    let (_, drawn) = drawn.split_once("<svg ")?;
    let label = words::SCAN_LABEL;
    Some(format!("<svg role=\"img\" aria-label=\"{label}\" {drawn}"))
}

/// The key of an `otpauth:` address, in groups of four.
fn key(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, key) = pairs.find(|(name, _)| name == "secret")?;
    let chars: Vec<char> = key.chars().collect();
    let groups: Vec<String> = chars
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    Some(groups.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_drawn_and_written_and_nothing_of_it_is_markup() {
        let url = "otpauth://totp/Weir:a@b.example?secret=ABCDEF&issuer=Weir";
        assert_eq!(key(url).as_deref(), Some("ABCD EF"));
        let drawn = drawing(url).unwrap();
        assert!(drawn.starts_with("<svg role=\"img\"") && drawn.ends_with("</svg>"));
        let hostile = drawing("\"><script>alert(1)</script>").unwrap();
        assert!(!hostile.contains("script"), "{hostile}");
        assert_eq!(drawing(&"a".repeat(10_000)), None);
        assert_eq!(key("no address"), None);
    }
}
