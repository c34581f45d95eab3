//! Tokens that an issuer takes back before they end, for those who check its tokens in the same process.
//!
//! Like [`RemoteKeys`](crate::remote::RemoteKeys), readers look without a lock. What was found to be good once is looked at again
//! only after the issuer said something.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::claims::Claims;

/// What an issuer takes back; clones are handles to the same.
#[derive(Clone, Debug, Default)]
pub struct Revoked(Arc<Cell>);

#[derive(Debug, Default)]
struct Cell {
    /// Grows behind the judge, so that whoever reads it finds that one or a later.
    generation: AtomicU64,
    judge: ArcSwap<Judge>,
}

/// Says which tokens are taken back.
struct Judge(Box<dyn Fn(&TokenFacts) -> bool + Send + Sync>);

impl Default for Judge {
    fn default() -> Self {
        Self(Box::new(|_| false))
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Judge")
    }
}

/// What a token says of itself by which it can be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// `kid` of the header.
    pub kid: Option<Box<str>>,
    /// `jti`.
    pub token: Option<Box<str>>,
    /// `sid`.
    pub family: Option<Box<str>>,
    /// `sub`.
    pub subject: Option<Box<str>>,
    /// `iat`, in seconds since 1970; of a token without one, as if it were the oldest of all.
    pub issued_at: i64,
}

impl TokenFacts {
    /// Those of a verified token.
    pub fn of(kid: Option<&str>, claims: &Claims) -> Self {
        let text = |name: &str| claims.text(name).map(Box::from);
        let issued_at = claims.get("iat").and_then(serde_json::Value::as_i64);
        Self {
            kid: kid.map(Box::from),
            token: text("jti"),
            family: text("sid"),
            subject: text("sub"),
            issued_at: issued_at.unwrap_or(i64::MIN),
        }
    }
}

impl Revoked {
    /// From now on, tokens are refused of which `judge` says so.
    pub fn tell(&self, judge: impl Fn(&TokenFacts) -> bool + Send + Sync + 'static) {
        self.0.judge.store(Arc::new(Judge(Box::new(judge))));
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// How often something was told. Whoever keeps what they know of a token reads it before they ask.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Whether a token is taken back.
    pub fn refuses(&self, token: &TokenFacts) -> bool {
        (self.0.judge.load().0)(token)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(claims: &serde_json::Value) -> TokenFacts {
        let claims = claims.as_object().cloned().unwrap_or_default();
        TokenFacts::of(Some("k"), &Claims::from(claims))
    }

    #[test]
    fn what_is_told_holds_for_all_who_look() {
        let revoked = Revoked::default();
        let reader = revoked.clone();
        let token = facts(&json!({"jti": "1", "sid": "f", "sub": "ada", "iat": 100}));
        let before = reader.generation();
        assert!(!reader.refuses(&token));
        revoked.tell(|token| token.family.as_deref() == Some("f") && token.issued_at <= 100);
        assert!(reader.generation() > before);
        assert!(reader.refuses(&token));
        assert!(!reader.refuses(&facts(&json!({"sid": "f", "iat": 101}))));
        // What does not say when it was issued is not later than anything.
        for iat in [json!("100"), json!(null)] {
            assert!(reader.refuses(&facts(&json!({"sid": "f", "iat": iat}))));
        }
    }
}
