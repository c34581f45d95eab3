//! What a preflight would be told, for whoever wants to know without sending one.

use http::Method;
use weir_config::model;

use super::cors::{self, Cors};
use crate::failure::Failure;
use crate::fields::Fields;

/// The method that a preflight asks about; `None` if the request is no preflight.
pub fn asked_method(method: &Method, fields: &Fields) -> Option<Method> {
    cors::asked_method(method, fields)
}

/// Whether a policy allows what the preflight asks about, or why it does not.
pub fn judge(policy: &model::Cors, asked: &Method, fields: &Fields) -> Result<(), Failure> {
    let cors = Cors::compile(policy);
    let origin = cors.allowed_origin(fields);
    cors.preflight(asked, origin.as_ref(), fields).map(drop)
}
