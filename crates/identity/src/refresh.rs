//! Refresh tokens: one family for each login, of which one token is good at a time (RFC 6749 §6, RFC 9700 §4.14).
//!
//! Each use exchanges the token for its successor, by one statement that only one of many parallel uses can win. Whoever
//! comes second within some seconds gets the same successor; whoever shows an older token ends the family, since two have
//! it. What a family may do never grows.

mod ending;
mod family;
mod text;
mod verdict;

pub(crate) use ending::{end_of_member, end_of_session, end_of_user, end_others, remove_over};
pub use family::Family;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use weir_core::{Id, Secret, TenantId};
use weir_store::records::{Scope as RecordsScope, Value};

use self::family::{Kept, Terms};
use self::text::{Hashes, Mark, Shown};
use self::verdict::Verdict;
use crate::Identity;
use crate::access_token::{self, Authentication, Said};
use crate::caller::{Caller, made, members};
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::mail::Letter;
use crate::membership::{Belonging, belongings, count};
use crate::scope::Scope;
use crate::session::Authenticated;
use crate::tables::{REFRESH_FAMILIES, USERS};
use crate::text as typed;
use crate::throttle::later;
use crate::user::user_within;

const REFUSED: Error = Error::Refused("the refresh token is wrong, was used, or has ended");
/// Families that somebody can have at once.
const MOST: i64 = 200;
/// How often a use is tried anew after another one was faster.
const ATTEMPTS: usize = 3;
const MOST_AUDIENCE: usize = 255;
const MOST_AGENT: usize = 500;

/// What a login asks for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// For whom the tokens are: `aud`.
    pub audience: String,
    /// For which organization, by its identifier.
    pub organization: Option<TenantId>,
    /// What they may do there; words of it that the login does not give are refused.
    pub scope: Scope,
    /// Which program asks.
    pub client_id: String,
    /// Whether the refresh tokens stay good when the session ends.
    pub is_offline: bool,
}

/// Tokens, told once.
#[derive(Clone, Debug)]
pub struct Issued {
    /// A JWT (RFC 9068).
    pub access_token: Secret<String>,
    /// For how long it is good.
    pub expires_in: Duration,
    /// What gets the next one.
    pub refresh_token: Secret<String>,
    /// What the access token may do.
    pub scope: Scope,
    /// The family of the refresh token.
    pub family: Id,
}

impl Identity {
    /// Issues tokens to somebody who has signed in: a new family, and its first access token.
    ///
    /// # Errors
    /// [`Error::Suspended`]; [`Error::Invalid`] for an organization that they do not belong to and for what they have no
    /// right to; [`Error::Conflict`] for too many families.
    pub async fn issue(
        &self,
        caller: &Caller,
        who: &Authenticated,
        wanted: Wanted,
    ) -> Result<Issued> {
        let audience = typed::line("audience", &wanted.audience, MOST_AUDIENCE)?;
        let client_id = typed::line("client_id", &wanted.client_id, MOST_AUDIENCE)?;
        let belonging = wanted_belonging(&who.belongings, wanted.organization.as_ref())?;
        let granted = match belonging {
            Some(belonging) => wanted.scope.within(belonging.permissions),
            None => Scope::default(),
        };
        if belonging.is_none() && granted != wanted.scope {
            let why = "needs an `organization`: scopes are what a role there gives";
            return Err(Error::invalid("scope", why));
        }
        if granted != wanted.scope {
            let why = "has words that the caller's role in the organization does not give";
            return Err(Error::invalid("scope", why));
        }
        let mark = Mark::generate()?;
        let (refresh_token, hashes) = mark.token()?;
        let mut write = self.records.write(&RecordsScope::Platform).await?;
        // What is seen of the person here stays so until this is committed.
        let user = user_within(&mut *write, &who.user.id).await?;
        if user.suspended_at.is_some() {
            return Err(REFUSED);
        }
        let now = write.now();
        let own = REFRESH_FAMILIES.rows().select();
        let alive = own.filter("user_id = ? AND revoked_at IS NULL", [&user.id]);
        if count(&mut *write, alive.count()).await? >= MOST {
            return Err(Error::Conflict(
                "there are as many refresh tokens as one can have: revoke some",
            ));
        }
        let lifetime = self.shared.options.tokens.refresh_lifetime;
        let terms = Terms {
            id: Id::new("rtf"),
            user: user.id.clone(),
            session: (!wanted.is_offline).then(|| who.session.id.clone()),
            organization: wanted.organization.clone(),
            client_id,
            audience,
            scope: granted,
            authentication: authentication(who),
            expires_at: match wanted.is_offline {
                true => later(now, lifetime)?,
                false => who.session.expires_at,
            },
        };
        let origin = &caller.origin;
        let from = [
            ("address", Value::from(origin.address.as_ref())),
            ("agent", Value::from(origin.agent.as_deref().map(shortened))),
        ];
        let values = terms.values(&hashes, now).into_iter().chain(from);
        let rows = REFRESH_FAMILIES.rows();
        write.insert(rows, &terms.id, values).await?;
        let change = made(members(json!({
            "audience": terms.audience, "client_id": terms.client_id, "scope": terms.scope,
            "organization": terms.organization.as_ref().map(TenantId::as_str),
            "is_offline": wanted.is_offline,
        })));
        let issued = self.issued(&terms, belonging, terms.scope.clone(), refresh_token, now)?;
        let entry = caller.entry("token.issue", "refresh_family", &terms.id, change);
        write.commit(&RecordsScope::Platform, &entry).await?;
        Ok(issued)
    }

    /// Exchanges a refresh token for an access token and its successor. `narrower` asks for less than the family may do,
    /// for this access token only.
    ///
    /// # Errors
    /// [`Error::Refused`], whatever was wrong; if the token was used before, the family has ended by it.
    /// [`Error::Invalid`] for a scope that the family does not have.
    pub async fn refresh(
        &self,
        caller: &Caller,
        token: &Secret<String>,
        narrower: Option<&Scope>,
    ) -> Result<Issued> {
        let shown = text::parse(token.expose()).ok_or(REFUSED)?;
        for _ in 0..ATTEMPTS {
            let Some(kept) = self.family_of(&shown).await? else {
                return Err(REFUSED);
            };
            let now = Timestamp::now();
            let verdict = verdict::judge(&kept.known(), &shown.hashes.token, now);
            // Whoever has an old token learns nothing by asking for scopes: it ends the family whatever they ask for.
            let is_good = matches!(verdict, Verdict::Rotate | Verdict::Again);
            let asks_for_more =
                narrower.is_some_and(|narrower| !kept.terms.scope.includes(narrower));
            if is_good && asks_for_more {
                let why = "has words that the refresh token does not have";
                return Err(Error::invalid("scope", why));
            }
            match verdict {
                Verdict::Over => return Err(REFUSED),
                Verdict::Reused => {
                    self.end_reused(caller, &kept).await?;
                    return Err(REFUSED);
                }
                Verdict::Again => {
                    let successor = self.next_token(&kept)?;
                    return self.go_on(&kept.terms, narrower, successor, now).await;
                }
                Verdict::Rotate => {
                    let (successor, hashes) = shown.mark.token()?;
                    let issued = self.go_on(&kept.terms, narrower, successor, now).await?;
                    if self.rotate_family(&kept, &shown, &hashes, &issued).await? {
                        return Ok(issued);
                    }
                    // Another use was faster: this one is judged by what that has made of it.
                }
            }
        }
        Err(Error::Busy("this refresh token is being used"))
    }

    async fn family_of(&self, shown: &Shown) -> Result<Option<Kept>> {
        let select = REFRESH_FAMILIES.rows().select();
        let select = select.filter("mark_hash = ?", [&shown.hashes.mark[..]]);
        let row = self.records.first(select).await?;
        row.as_ref().map(Kept::of).transpose()
    }

    /// The access token of a family, if whoever it belongs to may still have one.
    async fn go_on(
        &self,
        terms: &Terms,
        narrower: Option<&Scope>,
        refresh_token: Secret<String>,
        now: Timestamp,
    ) -> Result<Issued> {
        if let Some(session) = &terms.session {
            if !self.has_session(&terms.user, session, now).await? {
                return Err(REFUSED);
            }
            // Whoever uses what a session gave them uses the session.
            self.note_session_used(session, now);
        }
        let mut read = self.records.read().await?;
        let select = USERS.rows().select().with_id(&terms.user);
        let select = select.filter::<Value>("suspended_at IS NULL", []);
        if read.first(select).await?.is_none() {
            return Err(REFUSED);
        }
        let all = belongings(self, &mut read, &terms.user).await?;
        let belonging = wanted_belonging(&all, terms.organization.as_ref()).map_err(|_| REFUSED)?;
        let scope = narrower.unwrap_or(&terms.scope);
        let scope = match belonging {
            Some(belonging) => scope.within(belonging.permissions),
            None => Scope::default(),
        };
        self.issued(terms, belonging, scope, refresh_token, now)
    }

    fn issued(
        &self,
        terms: &Terms,
        belonging: Option<&Belonging>,
        scope: Scope,
        refresh_token: Secret<String>,
        now: Timestamp,
    ) -> Result<Issued> {
        let said = Said {
            user: &terms.user,
            family: &terms.id,
            client_id: &terms.client_id,
            audience: &terms.audience,
            scope: &scope,
            belonging: belonging.map(|one| access_token::Belonging {
                organization: &one.organization,
                slug: &one.slug,
                role: &one.role,
            }),
            authentication: &terms.authentication,
        };
        let signed = self.sign_access(&said, now)?;
        Ok(Issued {
            access_token: signed.token,
            expires_in: signed.expires_at.duration_since(now).unsigned_abs(),
            refresh_token,
            scope,
            family: terms.id.clone(),
        })
    }

    /// Puts the successor in place of a token that is still the good one; no if it is not any more.
    async fn rotate_family(
        &self,
        kept: &Kept,
        shown: &Shown,
        successor: &Hashes,
        issued: &Issued,
    ) -> Result<bool> {
        let sealed = self.shared.sealer.seal(
            &purpose(&kept.terms.id),
            issued.refresh_token.expose().as_bytes(),
        )?;
        let mut write = self.records.write_unaudited().await?;
        let now = write.now();
        let until = later(now, self.shared.options.tokens.grace)?;
        let condition = "id = ? AND generation = ? AND token_hash = ? AND revoked_at IS NULL AND expires_at > ?";
        let values = [
            Value::from(&kept.terms.id),
            Value::from(kept.generation),
            Value::from(&shown.hashes.token[..]),
            Value::from(now),
        ];
        let set = [
            ("generation", Value::from(kept.generation + 1)),
            ("token_hash", Value::from(&successor.token[..])),
            ("previous_hash", Value::from(&shown.hashes.token[..])),
            ("previous_until", Value::from(until)),
            ("sealed_successor", Value::from(sealed)),
            ("last_used_at", Value::from(now)),
        ];
        let rows = REFRESH_FAMILIES.rows();
        let won = write.update_where(rows, condition, values, set).await? == 1;
        if won {
            write.commit().await?;
        }
        Ok(won)
    }

    fn next_token(&self, kept: &Kept) -> Result<Secret<String>> {
        let sealed = kept.sealed_successor.as_deref().ok_or(REFUSED)?;
        let opened = self.shared.sealer.open(&purpose(&kept.terms.id), sealed)?;
        let text = String::from_utf8(opened.to_vec()).map_err(Error::internal)?;
        Ok(Secret::new(text))
    }

    /// Ends a family of which a token was shown that was used before, and tells its owner.
    async fn end_reused(&self, caller: &Caller, kept: &Kept) -> Result<()> {
        let mut write = self.records.write(&RecordsScope::Platform).await?;
        if !ending::end(&mut write, &kept.terms.id, "reuse").await? {
            return Ok(());
        }
        let account = user_within(&mut *write, &kept.terms.user).await?;
        if self.sends_mail() {
            let letter = Letter::TokenReused {
                at: write.now(),
                url: &self.shared.options.public_url,
            };
            self.post(&mut write, &account.email, &letter).await?;
        }
        let change = made(members(
            json!({ "user": kept.terms.user, "generation": kept.generation }),
        ));
        let entry = caller.entry("token.reuse", "refresh_family", &kept.terms.id, change);
        note_change(&mut write, CredentialKind::Family, kept.terms.id.as_str()).await?;
        write.commit(&RecordsScope::Platform, &entry).await?;
        self.refresh_revocations().await.map(drop)
    }
}

/// For what the successor of a token is sealed while its predecessor is in grace.
pub(crate) fn purpose(family: &Id) -> String {
    format!("refresh {family}")
}

fn authentication(who: &Authenticated) -> Authentication {
    let methods: &[&str] = match who.session.is_two_factor {
        true => &["pwd", "otp", "mfa"],
        false => &["pwd"],
    };
    Authentication {
        at: who.session.created_at,
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
    }
}

/// An organization that somebody does not belong to is not there for them.
fn wanted_belonging<'b>(
    belongings: &'b [Belonging],
    organization: Option<&TenantId>,
) -> Result<Option<&'b Belonging>> {
    let Some(organization) = organization else {
        return Ok(None);
    };
    let belonging = belongings
        .iter()
        .find(|belonging| belonging.organization == *organization)
        .ok_or_else(Error::no_member)?;
    match belonging.is_suspended {
        true => Err(Error::Suspended),
        false => Ok(Some(belonging)),
    }
}

/// What a client says of itself, without what no list should show.
fn shortened(agent: &str) -> String {
    let chars = agent.chars().filter(|char| !char.is_control());
    chars.take(MOST_AGENT).collect()
}
