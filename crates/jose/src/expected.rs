//! What the claims of a token must say to let somebody in.

use thiserror::Error;

use crate::claims::Claims;
use crate::header::Header;

mod answer;
mod kind;

pub use answer::ExpectedAnswer;
pub use kind::Kind;

/// What is asked of a token whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// `iss` must be one of these, letter by letter. None are trusted if there are none.
    pub issuers: Vec<String>,
    /// `aud` must have one of these. If there are none it is not looked at, so that tokens for others are taken too.
    pub audiences: Vec<String>,
    /// What sort of token it must be.
    pub kind: Kind,
    /// By how much the issuer's clock may be off, in seconds.
    pub leeway: u32,
    /// How old a token may be, in seconds since its `iat`, which it must have then.
    pub max_age: Option<u32>,
}

/// A token that lets somebody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The first Unix second at which it must be judged anew, since it lets nobody in any more; leeway and age counted.
    pub expires_at: i64,
}

/// Why the claims of a token let nobody in. Its text is for the holder: it has nothing of what is expected in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ClaimFault {
    /// `typ`, or what the claims show, is of a sort of token that is not for this.
    #[error("the token is not of the expected type")]
    Type,
    /// No `iss`, or not a text.
    #[error("the token does not name its issuer")]
    IssuerMissing,
    /// Another `iss`.
    #[error("the issuer of the token is not accepted here")]
    Issuer,
    /// No `aud`, or one that is neither a text nor an array of texts.
    #[error("the token does not name its audience")]
    AudienceMissing,
    /// Another `aud`.
    #[error("the token is for another audience")]
    Audience,
    /// No `exp`.
    #[error("the token has no expiry")]
    ExpiryMissing,
    /// `exp`, `nbf` or `iat` is not a number, as a text never is (RFC 7519 §2, NumericDate).
    #[error("a date of the token is not a number")]
    Date,
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYet,
    /// No `iat`, where the age is limited or RFC 9068 is followed.
    #[error("the token does not say when it was issued")]
    IssuedMissing,
    /// `iat` is to come, where the age is limited.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// Older than allowed.
    #[error("the token is too old")]
    TooOld,
    /// A claim is missing that RFC 9068 §2.2 requires of access tokens.
    #[error("the token lacks the claim {0:?} of an access token")]
    Missing(&'static str),
}

impl ClaimFault {
    /// The stable word for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Type => "token_type",
            Self::IssuerMissing => "issuer_missing",
            Self::Issuer => "issuer_not_accepted",
            Self::AudienceMissing => "audience_missing",
            Self::Audience => "audience_not_accepted",
            Self::ExpiryMissing => "expiry_missing",
            Self::Date => "date_not_a_number",
            Self::Expired => "token_expired",
            Self::NotYet => "token_not_yet_valid",
            Self::IssuedMissing => "issued_missing",
            Self::IssuedInFuture => "issued_in_future",
            Self::TooOld => "token_too_old",
            Self::Missing(_) => "claim_missing",
        }
    }
}

impl Expected {
    /// An access token of one issuer for one audience: a minute of leeway, any age, and tokens taken that do not say in
    /// their header that they are access tokens.
    pub fn access_token(issuer: &str, audience: &str) -> Self {
        Self {
            issuers: vec![issuer.to_owned()],
            audiences: vec![audience.to_owned()],
            kind: Kind::AccessToken,
            leeway: 60,
            max_age: None,
        }
    }

    /// Whether a token with this header and these claims lets somebody in at `now`, in Unix seconds. `exp` is needed
    /// always; at its very second a token is over (RFC 7519 §4.1.4).
    ///
    /// # Errors
    /// The first fault, in the order of [`ClaimFault`].
    pub fn judge(
        &self,
        header: &Header<'_>,
        claims: &Claims,
        now: i64,
    ) -> Result<Judged, ClaimFault> {
        self.kind.judge(header, claims)?;
        self.judge_issuer(claims)?;
        judge_audience(&self.audiences, claims)?;
        let expires_at = self.judge_dates(claims, now)?;
        self.kind.judge_completeness(claims)?;
        Ok(Judged { expires_at })
    }

    fn judge_issuer(&self, claims: &Claims) -> Result<(), ClaimFault> {
        let issuer = claims.issuer().ok_or(ClaimFault::IssuerMissing)?;
        let is_expected = self.issuers.iter().any(|one| one == issuer);
        is_expected.then_some(()).ok_or(ClaimFault::Issuer)
    }

    fn judge_dates(&self, claims: &Claims, now: i64) -> Result<i64, ClaimFault> {
        if claims.get("exp").is_none() {
            return Err(ClaimFault::ExpiryMissing);
        }
        let issued = date(claims, "iat")?;
        let leeway = i64::from(self.leeway);
        let mut expires_at =
            judge_validity(claims, leeway, now)?.ok_or(ClaimFault::ExpiryMissing)?;
        let Some(max_age) = self.max_age else {
            return Ok(expires_at);
        };
        let issued = seconds(issued.ok_or(ClaimFault::IssuedMissing)?.floor());
        if issued > now.saturating_add(leeway) {
            return Err(ClaimFault::IssuedInFuture);
        }
        let too_old_at = issued
            .saturating_add(i64::from(max_age))
            .saturating_add(leeway);
        if now >= too_old_at {
            return Err(ClaimFault::TooOld);
        }
        expires_at = expires_at.min(too_old_at);
        Ok(expires_at)
    }
}

fn judge_audience(accepted: &[String], claims: &Claims) -> Result<(), ClaimFault> {
    if accepted.is_empty() {
        return Ok(());
    }
    let mut audiences = claims.audiences().peekable();
    if audiences.peek().is_none() {
        return Err(ClaimFault::AudienceMissing);
    }
    let is_accepted = audiences.any(|one| accepted.iter().any(|accepted| accepted == one));
    is_accepted.then_some(()).ok_or(ClaimFault::Audience)
}

/// Whether `exp` and `nbf`, as far as they are there, let somebody in at `now`: the second from which they do not, if
/// there is an `exp`.
fn judge_validity(claims: &Claims, leeway: i64, now: i64) -> Result<Option<i64>, ClaimFault> {
    let expires = date(claims, "exp")?;
    let not_before = date(claims, "nbf")?;
    // Fractions are cut off: a token ends up to a second early rather than late.
    let expires_at = expires.map(|expires| seconds(expires.floor()).saturating_add(leeway));
    if expires_at.is_some_and(|expires_at| now >= expires_at) {
        return Err(ClaimFault::Expired);
    }
    if not_before.is_some_and(|begins| now.saturating_add(leeway) < seconds(begins.ceil())) {
        return Err(ClaimFault::NotYet);
    }
    Ok(expires_at)
}

/// A date of the claims in Unix seconds, which may have a fraction; none if it is not there.
fn date(claims: &Claims, name: &str) -> Result<Option<f64>, ClaimFault> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(ClaimFault::Date),
    }
}

/// A whole number of seconds; what lies beyond is the last one.
#[allow(clippy::cast_possible_truncation)]
const fn seconds(whole: f64) -> i64 {
    whole as i64
}

#[cfg(test)]
mod tests;
