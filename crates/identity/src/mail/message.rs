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
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Invitation { organization, .. } => format!("Invitation to {organization}"),
            Self::Verify { .. } => "Confirm your e-mail address".to_owned(),
            Self::Reset { .. } => "Set a new password".to_owned(),
            Self::PasswordChanged { .. } => "Your password was changed".to_owned(),
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
