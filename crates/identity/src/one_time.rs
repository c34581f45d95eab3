//! Tokens that open one thing, once, for a while.

use std::time::Duration;

use weir_core::{Id, Secret, TenantId};
use weir_store::records::{Changes, Row, Select, Value};

use crate::Identity;
use crate::error::{Error, Result};
use crate::tables::ONE_TIME_TOKENS;
use crate::throttle::later;
use crate::token::{self, Prefix};

const REFUSED: Error = Error::Refused("the link was used, has run out, or never was");

/// What a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Setup,
    VerifyEmail,
    /// Of the address that is to take the place of another.
    ChangeEmail,
    ResetPassword,
    Invitation,
    /// The second step of signing in, behind the right password.
    SecondFactor,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::VerifyEmail => "verify_email",
            Self::ChangeEmail => "change_email",
            Self::ResetPassword => "reset_password",
            Self::Invitation => "invitation",
            Self::SecondFactor => "second_factor",
        }
    }

    pub(crate) const fn lifetime(self) -> Duration {
        Duration::from_secs(match self {
            Self::Setup | Self::VerifyEmail | Self::ChangeEmail => 86_400,
            Self::ResetPassword => 3_600,
            Self::Invitation => 7 * 86_400,
            Self::SecondFactor => 300,
        })
    }
}

/// What a token is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) user: Option<Id>,
    pub(crate) organization: Option<TenantId>,
    pub(crate) invitation: Option<Id>,
    pub(crate) email: Option<String>,
}

impl About {
    fn of(row: &Row) -> Result<Self> {
        let organization = row.optional_text("organization_id")?;
        Ok(Self {
            user: row.optional_id("user_id")?,
            organization: organization
                .map(|text| text.parse())
                .transpose()
                .map_err(Error::internal)?,
            invitation: row.optional_id("invitation_id")?,
            email: row.optional_text("email")?,
        })
    }

    pub(crate) fn user(self) -> Result<Id> {
        self.user.ok_or(REFUSED)
    }
}

/// Makes a token. What it was made for must be committed with it.
pub(crate) async fn issue(
    changes: &mut Changes,
    kind: Kind,
    about: &About,
) -> Result<Secret<String>> {
    let (token, hash) = token::generate(Prefix::Once)?;
    let expires_at = later(changes.now(), kind.lifetime())?;
    let values = [
        ("kind", Value::from(kind.name())),
        ("token_hash", Value::from(&hash[..])),
        ("user_id", Value::from(about.user.as_ref())),
        (
            "organization_id",
            Value::from(about.organization.as_ref().map(TenantId::as_str)),
        ),
        ("invitation_id", Value::from(about.invitation.as_ref())),
        ("email", Value::from(about.email.as_ref())),
        ("expires_at", Value::from(expires_at)),
    ];
    let rows = ONE_TIME_TOKENS.rows();
    changes.insert(rows, &Id::new("otk"), values).await?;
    Ok(token)
}

/// Uses a token up. Of two who try, one is refused; if the change is not committed, it is as before.
pub(crate) async fn take(changes: &mut Changes, kind: Kind, token: &str) -> Result<About> {
    let hash = token::shown(Prefix::Once, token).ok_or(REFUSED)?;
    let now = changes.now();
    let rows = ONE_TIME_TOKENS.rows();
    let taken = changes
        .update_where(
            rows,
            "token_hash = ? AND kind = ? AND used_at IS NULL AND expires_at > ?",
            [
                Value::from(&hash[..]),
                Value::from(kind.name()),
                Value::from(now),
            ],
            [("used_at", Value::from(now))],
        )
        .await?;
    if taken != 1 {
        return Err(REFUSED);
    }
    let select = rows.select().filter("token_hash = ?", [&hash[..]]);
    About::of(&changes.first(select).await?.ok_or(REFUSED)?)
}

/// Those of a kind that are about somebody open nothing any more; tells how many they were.
pub(crate) async fn forget(changes: &mut Changes, kind: Kind, user: &Id) -> Result<u64> {
    let rows = ONE_TIME_TOKENS.rows();
    let values = [Value::from(kind.name()), Value::from(user)];
    let condition = "kind = ? AND user_id = ?";
    Ok(changes.remove(rows, condition, values).await?)
}

/// All of a kind that are about nobody open nothing any more.
pub(crate) async fn forget_all(changes: &mut Changes, kind: Kind) -> Result<()> {
    let rows = ONE_TIME_TOKENS.rows();
    let condition = "kind = ? AND user_id IS NULL";
    changes.remove(rows, condition, [kind.name()]).await?;
    Ok(())
}

/// Those of an invitation open nothing any more.
pub(crate) async fn forget_invitation(changes: &mut Changes, invitation: &Id) -> Result<()> {
    let rows = ONE_TIME_TOKENS.rows();
    changes
        .remove(rows, "invitation_id = ?", [invitation])
        .await?;
    Ok(())
}

impl Identity {
    /// What the token of a kind that waits for somebody is about.
    pub(crate) async fn waiting(&self, kind: Kind, user: &Id) -> Result<Option<About>> {
        let select = ONE_TIME_TOKENS.rows().select().filter(
            "user_id = ? AND kind = ? AND used_at IS NULL AND expires_at > ?",
            [
                Value::from(user),
                Value::from(kind.name()),
                Value::from(jiff::Timestamp::now()),
            ],
        );
        let row = self.records.first(select).await?;
        row.as_ref().map(About::of).transpose()
    }

    /// What a token is about, without using it up: to be asked before work that costs.
    pub(crate) async fn look(&self, kind: Kind, token: &str) -> Result<About> {
        let hash = token::shown(Prefix::Once, token).ok_or(REFUSED)?;
        let select: Select = ONE_TIME_TOKENS.rows().select().filter(
            "token_hash = ? AND kind = ? AND used_at IS NULL AND expires_at > ?",
            [
                Value::from(&hash[..]),
                Value::from(kind.name()),
                Value::from(jiff::Timestamp::now()),
            ],
        );
        About::of(&self.records.first(select).await?.ok_or(REFUSED)?)
    }
}
