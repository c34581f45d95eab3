//! JSON Web Tokens (RFC 7519), checked by the advice of RFC 8725.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use weir_config::model::{self, Issuer, Keys, OwnKeys};
use weir_jose::remote::{Asked, RemoteKeys};
use weir_jose::{Expected, Kind, LONGEST_TOKEN, NotVerified, Token, TokenFacts};

use super::Bad;
use super::known::Known;
use super::token::{self, bad};
use super::vouching::{Revocable, Signed};

/// A `jwt` policy.
pub(super) struct Jwt {
    pub(super) model: model::Jwt,
    /// What is asked of the tokens of each issuer, in the model's order.
    expected: Vec<Expected>,
}

/// What is wrong with a token.
enum Fault {
    /// The issuer cannot have signed it.
    Foreign(NotVerified),
    /// It could have.
    Bad(Bad),
    /// The issuer that it names may know the key by now.
    Unknown(Asking),
}

/// An issuer that is to be asked for its keys.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    keys: RemoteKeys,
    /// The generation of the set that does not have the key; `None` if there is no set yet.
    seen: Option<u64>,
}

impl Asking {
    /// Waits for the issuer's word: whether a token with an unknown key is worth another look.
    ///
    /// # Errors
    /// If the issuer cannot be asked: what is not known is not refused then.
    pub(super) async fn wait(self) -> Result<bool, &'static str> {
        let Some(seen) = self.seen else {
            return match self.keys.first().await.keys {
                Some(_) => Ok(true),
                None => Err(UNREACHABLE),
            };
        };
        match self.keys.ask_again(seen, Instant::now()).await {
            Asked::Newer(_) => Ok(true),
            Asked::Same => Ok(false),
            Asked::Unreachable => Err(UNREACHABLE),
        }
    }
}

pub(super) const UNREACHABLE: &str = "the issuer cannot be reached";

impl Jwt {
    pub(super) fn compile(model: &model::Jwt) -> Self {
        let expected = model.issuers.iter().map(|issuer| Expected {
            issuers: vec![issuer.issuer.clone()],
            audiences: issuer.audiences.clone().unwrap_or_default(),
            kind: match model.is_strict || matches!(issuer.keys, Keys::Own(_)) {
                true => Kind::StrictAccessToken,
                false => Kind::AccessToken,
            },
            leeway: u32::try_from(model.leeway.as_secs()).unwrap_or(u32::MAX),
            max_age: None,
        });
        Self {
            expected: expected.collect(),
            model: model.clone(),
        }
    }

    /// Whose token it is, or which issuer must be asked first. `now` is in seconds since 1970.
    pub(super) fn verify(&self, token: &[u8], now: u64) -> Result<Rc<Known>, Refused> {
        thread_local! {
            // The decoded parts of a token, which are not needed longer than a check: one for each worker.
            static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let Ok(text) = std::str::from_utf8(token) else {
            return Err(Refused::Bad(bad(
                "token_encoding",
                "the token is not ASCII",
            )));
        };
        BUFFER.with_borrow_mut(|buffer| {
            let mut foreign = NotVerified::UnknownKey;
            let (mut told, mut asking) = (None, None);
            for (issuer, expected) in self.model.issuers.iter().zip(&self.expected) {
                match self.verify_of(issuer, expected, text, now, buffer) {
                    Ok(known) => return Ok(known),
                    Err(Fault::Foreign(why)) => foreign = why,
                    // Two issuers may have the same keys: the next one may be the right one.
                    Err(Fault::Bad(bad)) => told = Some(bad),
                    Err(Fault::Unknown(issuer)) => asking = Some(issuer),
                }
            }
            Err(match (asking, told) {
                // What the others say of it counts for nothing: it is not theirs.
                (Some(asking), _) => Refused::Ask(asking),
                (None, Some(told)) => Refused::Bad(told),
                (None, None) => Refused::Bad(unknown(foreign)),
            })
        })
    }

    fn verify_of(
        &self,
        issuer: &Issuer,
        expected: &Expected,
        text: &str,
        now: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<Rc<Known>, Fault> {
        let malformed = |why: weir_jose::Malformed| Fault::Bad(bad(why.word(), why));
        let token = Token::parse(text, LONGEST_TOKEN, buffer).map_err(malformed)?;
        let algorithm = token.header().algorithm;
        if !issuer.algorithms.is_empty() && !issuer.algorithms.contains(&algorithm) {
            return Err(Fault::Foreign(NotVerified::WrongAlgorithm));
        }
        let published;
        let (keys, source) = match (&issuer.keys, followed(&issuer.keys)) {
            (Keys::Set(keys), _) => (&**keys, None),
            (_, Some(followed)) => {
                match followed.keys() {
                    Some(known) => published = known,
                    None => return Err(unknown_to(issuer, &token, followed, None)),
                }
                (&published.set, Some((followed, published.generation)))
            }
            (_, None) => return Err(Fault::Foreign(NotVerified::UnknownKey)),
        };
        let verified = token.verify(keys).map_err(|why| match (why, source) {
            (NotVerified::UnknownKey, Some((followed, seen))) => {
                unknown_to(issuer, &token, followed, Some(seen))
            }
            _ => Fault::Foreign(why),
        })?;
        let signed = source.map(|(followed, generation)| Signed {
            keys: followed.clone(),
            key: verified.key(),
            generation: Cell::new(generation),
        });
        let claims = verified.claims().map_err(malformed)?;
        let judged = expected
            .judge(verified.header(), &claims, now.cast_signed())
            .map_err(|why| Fault::Bad(bad(why.word(), why)))?;
        let ends_at = judged.expires_at.cast_unsigned();
        let facts = TokenFacts::of(verified.header().kid.as_deref(), &claims);
        let organization = claims.text("organization").map(Arc::from);
        let vouching = Arc::from(issuer.issuer.as_str());
        let principal = token::principal(&self.model.claims, vouching, claims.into_map());
        let mut principal = principal.map_err(Fault::Bad)?;
        let Keys::Own(Some(own)) = &issuer.keys else {
            return Ok(Known::new(principal, ends_at, signed));
        };
        // What others say of organizations is not about ours.
        principal.organization = organization;
        let revocable = revocable(own, facts).map_err(Fault::Bad)?;
        Ok(Known::own(principal, ends_at, signed, revocable))
    }
}

/// Why there is nobody.
pub(super) enum Refused {
    Bad(Bad),
    Ask(Asking),
}

/// Keys that somebody puts in and takes out.
fn followed(keys: &Keys) -> Option<&RemoteKeys> {
    match keys {
        Keys::Set(_) => None,
        Keys::Published(place) => place.followed.as_ref(),
        Keys::Own(own) => own.as_ref().map(|own| &own.keys),
    }
}

/// A token of this installation, unless it is taken back.
fn revocable(own: &OwnKeys, facts: TokenFacts) -> Result<Revocable, Bad> {
    let revocable = Revocable {
        generation: Cell::new(own.revoked.generation()),
        revoked: own.revoked.clone(),
        facts,
    };
    match revocable.revoked.refuses(&revocable.facts) {
        true => Err(bad("token_revoked", "the token is not good any more")),
        false => Ok(revocable),
    }
}

/// An issuer is asked about tokens that name it only: it is asked once in a while, and those of others would use
/// that up.
fn unknown_to(issuer: &Issuer, token: &Token<'_>, keys: &RemoteKeys, seen: Option<u64>) -> Fault {
    if token.stated_issuer().as_deref() != Some(issuer.issuer.as_str()) {
        return Fault::Foreign(NotVerified::UnknownKey);
    }
    let keys = keys.clone();
    Fault::Unknown(Asking { keys, seen })
}

/// No issuer's key signed it, as far as is known.
pub(super) fn unknown(why: NotVerified) -> Bad {
    bad(why.word(), why)
}
