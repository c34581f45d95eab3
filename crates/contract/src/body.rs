//! What checks a body.

use crate::json::Json;
use crate::openapi::Form;
use crate::schema::Schema;
use crate::violation::{Place, Violation};

#[derive(Debug)]
pub(crate) enum BodyCheck {
    /// JSON by a schema.
    Json(Schema),
    /// A form by a schema.
    Form(Form),
}

impl BodyCheck {
    /// What is wrong with a body.
    pub(crate) fn check(&self, body: &[u8]) -> Result<(), Vec<Violation>> {
        match self {
            Self::Json(schema) => match Json::parse(body) {
                Ok(json) => schema.check(&json, Place::Body),
                Err(error) => {
                    let detail = format!("is not JSON that has one meaning: {error}");
                    Err(vec![Violation::new(Place::Body, detail)])
                }
            },
            Self::Form(form) => form.check(body),
        }
    }
}
