//! What a server must say of a token that it was asked about (RFC 7662 §2.2).

use serde_json::Value;

use super::kind::{could_be_access_token, is_of_any_bearer};
use super::{ClaimFault, Judged, judge_audience, judge_validity};
use crate::claims::Claims;

/// What is asked of the answer about a token that is active. The server vouches for the token; what is left to judge is
/// whether it is for whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedAnswer {
    /// What `iss` must be, letter by letter; `None` if it is not looked at.
    pub issuer: Option<String>,
    /// `aud` must have one of these. If there are none it is not looked at.
    pub audiences: Vec<String>,
    /// By how much the server's clock may be off, in seconds.
    pub leeway: u32,
}

impl ExpectedAnswer {
    /// Whether a bearer of the token is let in at `now`, in Unix seconds, and until when, if the answer says that.
    ///
    /// # Errors
    /// The first fault, in the order of [`ClaimFault`].
    pub fn judge(&self, claims: &Claims, now: i64) -> Result<Option<Judged>, ClaimFault> {
        if !is_of_bearers(claims) {
            return Err(ClaimFault::Type);
        }
        if let Some(expected) = &self.issuer {
            let issuer = claims.issuer().ok_or(ClaimFault::IssuerMissing)?;
            if issuer != expected {
                return Err(ClaimFault::Issuer);
            }
        }
        judge_audience(&self.audiences, claims)?;
        let expires_at = judge_validity(claims, i64::from(self.leeway), now)?;
        Ok(expires_at.map(|expires_at| Judged { expires_at }))
    }
}

/// Whether it is an access token that whoever has it may use. Servers also answer about refresh tokens, and tell of a key
/// to which a token is bound (RFC 8705 §3.2, RFC 9449 §6.2).
fn is_of_bearers(claims: &Claims) -> bool {
    let is_bearer = match claims.get("token_type") {
        None => true,
        Some(Value::String(kind)) => {
            let bearers = ["bearer", "access_token"];
            bearers
                .iter()
                .any(|bearer| kind.eq_ignore_ascii_case(bearer))
        }
        Some(_) => false,
    };
    is_bearer && is_of_any_bearer(claims) && could_be_access_token(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(json: &str) -> Result<Option<i64>, ClaimFault> {
        let expected = ExpectedAnswer {
            issuer: Some("https://a.test".to_owned()),
            audiences: vec!["catalog".to_owned()],
            leeway: 30,
        };
        let mut claims = Claims::parse(json.as_bytes()).unwrap().into_map();
        for (name, usual) in [("iss", "https://a.test"), ("aud", "catalog")] {
            claims.entry(name).or_insert_with(|| usual.into());
        }
        let judged = expected.judge(&claims.into(), 1_000);
        judged.map(|judged| judged.map(|judged| judged.expires_at))
    }

    #[test]
    fn an_answer_need_not_say_when_the_token_ends_but_counts_if_it_does() {
        assert_eq!(judge("{}"), Ok(None));
        assert_eq!(judge(r#"{"exp": 1100.9}"#), Ok(Some(1_130)));
        assert_eq!(judge(r#"{"exp": 970}"#), Err(ClaimFault::Expired));
        assert_eq!(judge(r#"{"exp": "1100"}"#), Err(ClaimFault::Date));
        assert_eq!(judge(r#"{"exp": null}"#), Err(ClaimFault::Date));
        assert_eq!(judge(r#"{"nbf": 1030}"#), Ok(None));
        assert_eq!(judge(r#"{"nbf": 1031}"#), Err(ClaimFault::NotYet));
        assert_eq!(judge(r#"{"nbf": [1]}"#), Err(ClaimFault::Date));
    }

    #[test]
    fn it_must_be_about_a_token_for_whoever_asks() {
        for (json, fault) in [
            (r#"{"iss": "https://b.test"}"#, ClaimFault::Issuer),
            (r#"{"iss": 7}"#, ClaimFault::IssuerMissing),
            (r#"{"aud": "orders"}"#, ClaimFault::Audience),
            (r#"{"aud": ["orders", 7]}"#, ClaimFault::AudienceMissing),
            (r#"{"aud": {}}"#, ClaimFault::AudienceMissing),
        ] {
            assert_eq!(judge(json), Err(fault), "{json}");
        }
        assert_eq!(judge(r#"{"aud": ["orders", "catalog"]}"#), Ok(None));
    }

    #[test]
    fn neither_refresh_tokens_nor_what_is_bound_to_a_key_let_a_bearer_in() {
        for json in [
            r#"{"token_use": "refresh_token"}"#,
            r#"{"typ": "Refresh"}"#,
            r#"{"token_type": "DPoP"}"#,
            r#"{"token_type": ["Bearer"]}"#,
            r#"{"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}"#,
        ] {
            assert_eq!(judge(json), Err(ClaimFault::Type), "{json}");
        }
        for json in [
            r#"{"token_type": "bearer", "token_use": "access_token"}"#,
            r#"{"typ": "Bearer"}"#,
        ] {
            assert_eq!(judge(json), Ok(None), "{json}");
        }
    }
}
