//! A link for whoever forgot their password.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::sign_in::alone;
use super::view::{Field, Said, View};
use super::visit::{Sent, Visit, go};
use super::words;
use crate::api::Services;
use crate::problem::Problem;

pub(super) const PATH: &str = "/forgot";

pub(super) fn router() -> Router<Services> {
    Router::new().route(PATH, get(show).post(ask))
}

#[derive(Deserialize)]
struct Address {
    email: String,
}

async fn show(visit: Visit) -> Response {
    let view = view(&visit, "", &Said::default());
    visit.ok(view)
}

async fn ask(sent: Sent<Address>) -> Response {
    let Sent { visit, form } = sent;
    let asked = visit.identity.request_reset(&visit.caller, &form.email);
    match asked.await {
        Ok(()) => go(&visit.to(PATH, &[("said", "sent")]), []),
        Err(error) => {
            let said = Said::of("forgot", &Problem::from(error));
            visit.refused(&said, view(&visit, &form.email, &said))
        }
    }
}

fn view(visit: &Visit, email: &str, said: &Said) -> View {
    let mut form = visit.form("forgot", PATH, words::SEND_LINK);
    form.fields = vec![Field {
        name: "email",
        label: words::EMAIL,
        kind: "email",
        autocomplete: "username",
        value: email.to_owned(),
        is_needed: true,
        ..Field::default()
    }];
    View {
        title: words::FORGOT,
        alert: said.alert.clone(),
        notice: visit.notice(),
        intro: vec![words::FORGOT_ABOUT.to_owned()],
        sections: vec![alone(form, said)],
        links: vec![visit.link("/sign-in", words::BACK)],
    }
}
