//! What nodes refuse although its time is not over. A revocation is good until the last token that it is about is over;
//! then it goes by itself, so that there are never more of them than tokens that could be shown.

mod known;

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weir_core::Id;
use weir_store::records::{Changes, Row, Value};

pub(crate) use self::known::Revoked;
use crate::error::{Error, Result};
use crate::signing_key::{LEEWAY, LONGEST_ACCESS};
use crate::tables::REVOCATIONS;
use crate::throttle::later;

/// Something that nodes refuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Its identifier: of the same kind and time, one comes behind the other.
    pub id: Id,
    /// What the subject is.
    pub kind: RevocationKind,
    /// Which one.
    pub subject: String,
    /// Of somebody, tokens that were issued (`iat`) at this second or before are refused, later ones are not. All else is
    /// refused whenever it was issued.
    pub issued_until: Timestamp,
    /// From when on no token can be shown that it is about.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $text:literal,)+) => {
        /// What a revocation is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum RevocationKind {
            $($(#[$doc])* $name,)+
        }

        impl RevocationKind {
            /// The stable word for it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            fn of_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// One access token, by its `jti`.
    Token "token",
    /// All access tokens of a family of refresh tokens, by their `sid`.
    Family "family",
    /// All access tokens of somebody, by their `sub`.
    User "user",
    /// All that was signed with a key, by its `kid`.
    Key "key",
}

/// What a token says of itself that a revocation can be about.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'t> {
    /// `kid` of the header.
    pub kid: &'t str,
    /// `jti`.
    pub token: Option<&'t str>,
    /// `sid`.
    pub family: Option<&'t str>,
    /// `sub`.
    pub user: Option<&'t str>,
    /// `iat`.
    pub issued_at: Timestamp,
}

/// All that is to be refused, as this node knows it.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    /// In the order in which they were made.
    pub all: Vec<Revocation>,
    by_subject: HashMap<(RevocationKind, String), Timestamp>,
}

impl Revocations {
    /// Those of them that are not over yet.
    pub fn of(mut all: Vec<Revocation>, now: Timestamp) -> Self {
        all.retain(|one| one.expires_at > now);
        all.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        all.dedup_by(|left, right| left.id == right.id);
        let mut by_subject = HashMap::with_capacity(all.len());
        for one in &all {
            let until = by_subject
                .entry((one.kind, one.subject.clone()))
                .or_insert(one.issued_until);
            *until = one.issued_until.max(*until);
        }
        Self { all, by_subject }
    }

    /// Whether a token is to be refused.
    pub fn refuse(&self, token: &Shown<'_>) -> bool {
        let subjects = [
            (RevocationKind::Key, Some(token.kid)),
            (RevocationKind::Token, token.token),
            (RevocationKind::Family, token.family),
            (RevocationKind::User, token.user),
        ];
        subjects.into_iter().any(|(kind, subject)| {
            let of = subject.and_then(|subject| self.by_subject.get(&(kind, subject.to_owned())));
            // Only somebody has others after it. What names a key, a token or a family is refused whatever time it has: by
            // the clock of whoever made the revocation, it may have been issued behind it.
            of.is_some_and(|until| kind != RevocationKind::User || token.issued_at <= *until)
        })
    }
}

impl Revocation {
    fn of(row: &Row) -> Result<Option<Self>> {
        // A newer program's kind is about what this one does not check.
        let Some(kind) = RevocationKind::of_name(&row.text("kind")?) else {
            return Ok(None);
        };
        let issued_until = row.int("issued_until")?;
        Ok(Some(Self {
            id: row.id("id")?,
            kind,
            subject: row.text("subject")?,
            issued_until: Timestamp::from_second(issued_until).map_err(Error::internal)?,
            expires_at: row.time("expires_at")?,
            created_at: row.time("created_at")?,
        }))
    }
}

/// Has all nodes refuse something that was issued until now, once this is committed. Nodes find it by the
/// [change](crate::credential_change::note_change) that is noted in the same transaction, at the same time.
pub(crate) async fn add(changes: &mut Changes, kind: RevocationKind, subject: &str) -> Result<()> {
    let now = changes.now();
    let values = [
        ("kind", Value::from(kind.as_str())),
        ("subject", Value::from(subject)),
        ("issued_until", Value::from(now.as_second())),
        (
            "expires_at",
            Value::from(later(now, LONGEST_ACCESS + LEEWAY)?),
        ),
    ];
    let rows = REVOCATIONS.rows();
    Ok(changes.insert(rows, &Id::new("rvk"), values).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn revocation(kind: RevocationKind, subject: &str, until: i64) -> Revocation {
        Revocation {
            id: Id::new("rvk"),
            kind,
            subject: subject.to_owned(),
            issued_until: at(until),
            expires_at: at(until + 100),
            created_at: at(until),
        }
    }

    #[test]
    fn what_was_issued_before_is_refused_and_what_comes_after_is_not() {
        let all = vec![
            revocation(RevocationKind::User, "usr_1", 10),
            revocation(RevocationKind::User, "usr_1", 30),
            revocation(RevocationKind::Family, "rtf_1", 20),
            revocation(RevocationKind::Token, "jti_1", 20),
            revocation(RevocationKind::Key, "kid_1", 20),
        ];
        let revocations = Revocations::of(all, at(50));
        let shown = Shown {
            kid: "kid_2",
            token: Some("jti_2"),
            family: Some("rtf_2"),
            user: Some("usr_2"),
            issued_at: at(20),
        };
        assert!(!revocations.refuse(&shown));
        let of_user = Shown {
            user: Some("usr_1"),
            ..shown
        };
        assert!(revocations.refuse(&of_user));
        assert!(revocations.refuse(&Shown {
            issued_at: at(30),
            ..of_user
        }));
        assert!(!revocations.refuse(&Shown {
            issued_at: at(31),
            ..of_user
        }));
        // Nodes' clocks are not one: a token may be of a time behind that of its end.
        for issued_at in [at(20), at(25)] {
            assert!(revocations.refuse(&Shown {
                family: Some("rtf_1"),
                issued_at,
                ..shown
            }));
            assert!(revocations.refuse(&Shown {
                token: Some("jti_1"),
                issued_at,
                ..shown
            }));
        }
        // Whoever has the key writes any time into what they sign.
        let forged = Shown {
            kid: "kid_1",
            issued_at: at(1_000),
            ..shown
        };
        assert!(revocations.refuse(&forged));
        // A name of one kind means nothing as another.
        assert!(!revocations.refuse(&Shown {
            token: Some("usr_1"),
            ..shown
        }));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let all = vec![
            revocation(RevocationKind::User, "usr_1", 10),
            revocation(RevocationKind::User, "usr_2", 30),
        ];
        let revocations = Revocations::of(all, at(110));
        assert_eq!(revocations.all.len(), 1);
        assert_eq!(revocations.all[0].subject, "usr_2");
    }
}
