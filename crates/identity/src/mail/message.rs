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
    /// To the address that is to take the place of another.
    ChangeEmail { link: &'a str },
    /// To an address that somebody else wanted for their account.
    EmailTaken { url: &'a str },
    /// To the present address, while another one waits.
    EmailChangeAsked { at: Timestamp, url: &'a str },
    /// To the former address.
    EmailChanged { at: Timestamp, url: &'a str },
    /// To somebody of whom a refresh token was used twice.
    TokenReused { at: Timestamp, url: &'a str },
    /// To somebody who is asked for a password only from now on.
    SecondFactorRemoved { at: Timestamp, url: &'a str },
    /// To whose key it was, or who owns the organization.
    KeyLeaked {
        key: &'a str,
        at: Timestamp,
        url: &'a str,
    },
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
            Self::ChangeEmail { .. } => "Confirm your new e-mail address",
            Self::EmailTaken { .. } => "Your e-mail address was given for an account",
            Self::EmailChangeAsked { .. } => "Your e-mail address is to be changed",
            Self::EmailChanged { .. } => "Your e-mail address was changed",
            Self::TokenReused { .. } => "An application was signed out of your account",
            Self::SecondFactorRemoved { .. } => "Your second factor was removed",
            Self::KeyLeaked { .. } => "An API key was found where it does not belong",
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
                let at = minute(*at);
                format!(
                    "The password of your account at {url} was changed at {at}. All other sessions \
                     were ended.\n\n\
                     If it was not you, ask for a new password at once, and tell whoever runs this \
                     installation.\n"
                )
            }
            Self::ChangeEmail { link } => format!(
                "To make this the address of your account, open this link within a day:\n\n{link}\n\n\
                 Until then you sign in with your present address. All sessions end with the change. If \
                 you did not ask for this, ignore this message.\n"
            ),
            Self::EmailTaken { url } => format!(
                "Somebody with an account at {url} asked to use this address for it. It is the address of \
                 your account there already, so nothing was changed.\n\n\
                 If it was you, sign in with this address. If not, there is nothing to do.\n"
            ),
            Self::EmailChangeAsked { at, url } => {
                let at = minute(*at);
                format!(
                    "Somebody who knows your password asked at {at} to change the address of your account \
                     at {url}. It is changed once the link that was sent to the other address is opened.\n\n\
                     If it was not you, set another password at once, by that of a forgotten one if need \
                     be: that takes the change back and ends all sessions. And tell whoever runs this \
                     installation.\n"
                )
            }
            Self::EmailChanged { at, url } => {
                let at = minute(*at);
                format!(
                    "Your account at {url} has had another address since {at}: one signs in with that. \
                     All other sessions were ended.\n\n\
                     If it was not you, tell whoever runs this installation at once.\n"
                )
            }
            Self::TokenReused { at, url } => {
                let at = minute(*at);
                format!(
                    "An application that has signed in to your account at {url} used at {at} what it had \
                     used before. Somebody else may have got it, so it was signed out.\n\n\
                     Sign in there again if you use it. If this happens again, end all sessions of your \
                     account and tell whoever runs this installation.\n"
                )
            }
            Self::SecondFactorRemoved { at, url } => {
                let at = minute(*at);
                format!(
                    "The second factor of your account at {url} was removed at {at}: to sign in, the \
                     password is enough.\n\n\
                     If you did not want that, set another password and a second factor at once, and \
                     tell whoever runs this installation.\n"
                )
            }
            Self::KeyLeaked { key, at, url } => {
                let at = minute(*at);
                format!(
                    "Somebody has found the API key {key} of {url} and reported it at {at}. It was revoked at \
                     once, and opens nothing any more.\n\n\
                     Look into the audit of your organization for what was done with it and for where it was found, \
                     and make another key for the program that had it.\n"
                )
            }
        }
    }
}

fn minute(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%d %H:%M UTC")
        .to_string()
}
