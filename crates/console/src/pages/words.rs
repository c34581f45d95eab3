//! All that the pages say, in English. What is wrong with a field is said by whoever judges it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(super) const LANGUAGE: &str = "en";
pub(super) const PRODUCT: &str = "Weir";
pub(super) const ERROR: &str = "Error";
pub(super) const SUPPORT: &str = "Get help";
pub(super) const CHECK: &str = "Check what is marked below, and send it again.";

pub(super) const EMAIL: &str = "E-mail address";
pub(super) const NAME: &str = "Name";
pub(super) const PASSWORD: &str = "Password";
pub(super) const PRESENT_PASSWORD: &str = "Present password";
pub(super) const NEW_PASSWORD: &str = "New password";
pub(super) const PASSWORD_HINT: &str =
    "At least 12 characters; a few words that do not belong together are best.";
pub(super) const CODE: &str = "Code";
pub(super) const CODE_HINT: &str =
    "The six digits that your authenticator shows, or a recovery code.";
pub(super) const CODE_SHOWN: &str = "The six digits that your authenticator shows now.";

pub(super) const SIGN_IN: &str = "Sign in";
pub(super) const FORGOT_LINK: &str = "Forgot your password?";
pub(super) const SECOND_FACTOR: &str = "Second step";
pub(super) const SECOND_FACTOR_ABOUT: &str = "Your password is right. Now show your second factor.";
pub(super) const CONFIRM: &str = "Confirm";
pub(super) const START_AGAIN: &str = "Start again";
pub(super) const SIGN_OUT: &str = "Sign out";
pub(super) const SIGN_OUT_ABOUT: &str = "This ends the session of this browser.";

pub(super) const FORGOT: &str = "Forgot your password?";
pub(super) const FORGOT_ABOUT: &str =
    "Say your e-mail address. If it has an account, a letter with a link comes to it.";
pub(super) const SEND_LINK: &str = "Send the link";
pub(super) const BACK: &str = "Back to sign-in";

pub(super) const RESET: &str = "Set a new password";
pub(super) const RESET_ABOUT: &str = "All your sessions end. A second factor stays.";
pub(super) const SET_PASSWORD: &str = "Set the password";
pub(super) const VERIFY: &str = "Confirm your e-mail address";
pub(super) const VERIFY_ABOUT: &str =
    "By this you say that you read mail at the address that the link was sent to.";
pub(super) const VERIFY_BUTTON: &str = "It is mine";
pub(super) const ACCEPT: &str = "An invitation";
pub(super) const ACCEPT_SIGN_IN: &str =
    "This address has an account. Sign in with it first; then you come back here.";
pub(super) const ACCEPT_OTHER: &str =
    "You are signed in as somebody else. Sign out first, and open the link again.";
pub(super) const ACCEPT_BUTTON: &str = "Accept";
pub(super) const SETUP: &str = "Set up this installation";
pub(super) const SETUP_ABOUT: &str = "The first account owns the installation.";
pub(super) const SETUP_BUTTON: &str = "Make the account";
pub(super) const NO_LINK: &str = "Open the link of the letter once more: it is not complete, or was opened in another browser or too long ago.";

pub(super) const ACCOUNT: &str = "Your account";
pub(super) const SESSIONS: &str = "Where you are signed in";
pub(super) const THIS_ONE: &str = "this one";
pub(super) const END: &str = "End it";
pub(super) const END_OTHERS: &str = "End all others";
pub(super) const CHANGE_PASSWORD: &str = "Change the password";
pub(super) const CHANGE_PASSWORD_ABOUT: &str = "All your other sessions end.";
pub(super) const AUTHENTICATOR: &str = "Second factor";
pub(super) const AUTHENTICATOR_NONE: &str =
    "None. An authenticator on your telephone keeps out whoever learns your password.";
pub(super) const AUTHENTICATOR_ON: &str = "An authenticator is asked for when you sign in.";
pub(super) const SET_UP: &str = "Set up an authenticator";
pub(super) const SCAN: &str =
    "Scan this with your authenticator, or type the key into it. Then say the code that it shows.";
pub(super) const SCAN_LABEL: &str = "The key as a QR code; it stands below in letters.";
pub(super) const REMOVE_AUTHENTICATOR: &str = "Remove the authenticator";
pub(super) const NEW_CODES: &str = "Make new recovery codes";
pub(super) const NEW_CODES_ABOUT: &str = "The ones that there are sign nobody in any more then.";
pub(super) const CODES: &str = "Recovery codes";
pub(super) const CODES_ABOUT: &str = "Each of these signs you in once when your authenticator is lost. They are shown only now: print them, or keep them where your passwords are.";
pub(super) const CODES_KEPT: &str = "I have kept them";

pub(super) const STALE: &str = "This page was out of date";
pub(super) const STALE_ABOUT: &str = "It was open for too long, or something changed meanwhile. Nothing was done. Load it anew and send it again.";
pub(super) const AGAIN: &str = "Load it anew";
pub(super) const FAILED: &str = "This did not work";
pub(super) const INSECURE: &str = "This address is not safe to sign in at";
pub(super) const NO_COOKIE: &str = "What you typed here could be read on its way.";

/// What has been done, by the word that stands in the address of the page that says it.
pub(super) fn notice(word: &str) -> Option<&'static str> {
    Some(match word {
        "signed-out" => "You are signed out.",
        "password-set" => "The password is set. Sign in with it.",
        "password-changed" => "The password is changed, and all other sessions have ended.",
        "verified" => "The address is confirmed.",
        "joined" => "You are a member now.",
        "set-up" => "The account is made. Sign in with it.",
        "sent" => {
            "If the address has an account, a letter is on its way. Its link works for an hour."
        }
        "session-ended" => "The session has ended.",
        "sessions-ended" => "All other sessions have ended.",
        "authenticator-removed" => "The authenticator and its recovery codes are removed.",
        "step-over" => "This took too long. Start again with your password.",
        "recent" => "For this, sign in again: your session is older than 15 minutes.",
        _ => return None,
    })
}

pub(super) fn invited(email: &str, organization: &str) -> String {
    format!("{email} is invited to {organization}.")
}

pub(super) fn signed_in_as(email: &str) -> String {
    format!("Signed in as {email}.")
}

pub(super) fn began(at: Timestamp) -> String {
    format!("Began {}", minute(at))
}

pub(super) fn last_seen(at: Timestamp) -> String {
    format!("Last seen {}", minute(at))
}

pub(super) fn from(address: &str) -> String {
    format!("From {address}")
}

pub(super) fn end_of(device: &str, began: Timestamp) -> String {
    format!("{END}: {device}, began {}", minute(began))
}

pub(super) fn open(url: &str) -> String {
    format!(
        "Open {url} instead. Whoever runs this installation states its address as `admin.public_url`, with https."
    )
}

/// A whole sentence of what is wrong with a field.
pub(super) fn it(detail: &str) -> String {
    format!("It {}.", detail.trim_end_matches('.'))
}

/// When to try again.
pub(super) fn wait(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..=119 => (seconds.max(1), "second"),
        _ => (seconds.div_ceil(60), "minute"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("Too many attempts. Try again in {number} {unit}{plural}.")
}

fn minute(at: Timestamp) -> String {
    let at = at.to_zoned(TimeZone::UTC);
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_said_in_what_people_count_in() {
        assert_eq!(wait(1), "Too many attempts. Try again in 1 second.");
        assert_eq!(wait(90), "Too many attempts. Try again in 90 seconds.");
        assert_eq!(wait(601), "Too many attempts. Try again in 11 minutes.");
    }
}
