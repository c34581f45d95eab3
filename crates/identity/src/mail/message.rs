//! What letters say. Plain text; names in it were checked to be one line each.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A letter, and what stands in it.
pub(crate) enum Letter<'a> {
    /// To somebody who was invited.
    Invitation {
        organization: &'a str,
        link: &'a str,
    },
    /// To an address that is to be verified.
    Verify { link: &'a str },
    /// To somebody who cannot sign in any more.
    Reset { link: &'a str },
    /// To somebody whose password is another one now.
    PasswordChanged { at: Timestamp, url: &'a str },
}

impl Letter<'_> {
    /// No name of others' choice: what they write there can look like an encoded word (RFC 2047 §2),
    /// which mail programs would show as something else.
    pub(super) const fn subject(&self) -> &'static str {
        match self {
            Self::Invitation { .. } => "You are invited",
            Self::Verify { .. } => "Confirm your e-mail address",
            Self::Reset { .. } => "Set a new password",
            Self::PasswordChanged { .. } => "Your password was changed",
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Invitation { organization, link } => format!(
                "You were invited to {organization}.\n\n\
                 To accept, open this link within seven days:\n\n{link}\n\n\
                 If you do not know why you were invited, ignore this message.\n"
            ),
            Self::Verify { link } => format!(
                "To confirm that you read mail at this address, open this link within a day:\n\n\
                 {link}\n\n\
                 If you did not ask for this, ignore this message.\n"
            ),
            Self::Reset { link } => format!(
                "To set a new password, open this link within an hour:\n\n{link}\n\n\
                 It works once. If you did not ask for this, ignore this message: your password stays \
                 as it is.\n"
            ),
            Self::PasswordChanged { at, url } => {
                let at = at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC");
                format!(
                    "The password of your account at {url} was changed at {at}. All other sessions \
                     were ended.\n\n\
                     If it was not you, ask for a new password at once, and tell whoever runs this \
                     installation.\n"
                )
            }
        }
    }
}
