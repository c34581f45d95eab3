//! Policies that say who may call.

mod any_of;
mod api_key;
mod basic;
mod cedar;
mod claims;
mod credential;
mod hmac;
mod identity;
mod internal_token;
mod introspection;
mod jwt;
mod key_set;
mod mtls;
mod require;
mod session;
mod signature;
mod token;

pub(super) use any_of::ANY_OF;
pub(super) use api_key::API_KEY;
pub(super) use basic::BASIC;
pub(super) use claims::CLAIMS;
pub(super) use hmac::HMAC;
pub(super) use identity::IDENTITY;
pub(super) use introspection::INTROSPECTION;
pub(super) use jwt::JWT;
pub(super) use key_set::{decode_published, is_url, warn_of_open_net};
pub(super) use mtls::MTLS;
pub(super) use require::REQUIRE;
pub(super) use session::SESSION;
pub(super) use signature::SIGNATURE;

pub(super) use any_of::decode as decode_any_of;
pub(super) use api_key::decode as decode_api_key;
pub(super) use basic::decode as decode_basic;
pub(super) use claims::decode as decode_claims;
pub(super) use hmac::decode as decode_hmac;
pub(super) use identity::decode as decode_identity;
pub(super) use introspection::decode as decode_introspection;
pub(super) use jwt::decode as decode_jwt;
pub(super) use mtls::decode as decode_mtls;
pub(super) use mtls::report_unasked;
pub(super) use require::decode as decode_require;
pub(super) use session::decode as decode_session;
pub(super) use session::report_lent as report_lent_sessions;
pub(super) use signature::decode as decode_signature;

/// Kinds that say who is calling.
pub(crate) const IDENTIFYING: [&str; 9] = [
    "jwt",
    "introspection",
    "api_key",
    "session",
    "basic",
    "mtls",
    "signature",
    "hmac",
    "any_of",
];
