//! What others read of this installation without a credential (RFC 8615).

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use weir_identity::{Published, SET_LIFETIME};

use crate::api::Services;
use crate::problem::Problem;

/// The keys that verify this installation's tokens.
pub fn well_known(services: Services) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(keys))
        .with_state(services)
}

/// From memory: it is asked for by many, and while records are away.
async fn keys(State(services): State<Services>, headers: HeaderMap) -> Result<Response, Problem> {
    let published = services.people().unchecked().published_keys();
    let Some(Published { document, etag, .. }) = published else {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "records_unavailable",
            "The keys are being read; ask again in a moment.",
        )
        .retry_after(1));
    };
    let etag = format!("\"{etag}\"");
    let is_known = is_known_to(&headers, &etag);
    let lifetime = format!("public, max-age={}", SET_LIFETIME.as_secs());
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => document.as_ref().to_owned().into_response(),
    };
    let fields = response.headers_mut();
    // RFC 7517 §8.5.1.
    if !is_known {
        fields.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/jwk-set+json"),
        );
    }
    for (name, value) in [(ETAG, etag), (CACHE_CONTROL, lifetime)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            fields.insert(name, value);
        }
    }
    Ok(response)
}

/// RFC 9110 §13.1.2, by weak comparison.
fn is_known_to(headers: &HeaderMap, etag: &str) -> bool {
    let fields = headers.get_all(IF_NONE_MATCH).iter();
    let texts = fields.filter_map(|field| field.to_str().ok());
    let mut tags = texts.flat_map(|text| text.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_is_known_is_not_sent_again() {
        let asks = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IF_NONE_MATCH, HeaderValue::from_static(value));
            }
            is_known_to(&headers, "\"ab\"")
        };
        assert!(asks(&["\"ab\""]) && asks(&["*"]) && asks(&["W/\"ab\""]));
        assert!(asks(&["\"x\", \"ab\""]) && asks(&["\"x\"", "\"ab\""]));
        assert!(!asks(&[]) && !asks(&["\"a\""]) && !asks(&["ab"]));
    }
}
