//! What a browser is told to keep, and how it is known that a request comes from our own pages.
//!
//! A cookie comes with requests that any page makes the browser send, so it alone is nobody's word: what
//! changes something must come [from our own pages](FromOwnPage), and a form must have what only the page
//! that we made for this browser has ([`Site::form_token`]).

mod channel;
mod cookies;
mod keep;
mod return_to;

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub(crate) use channel::Channel;
pub(crate) use cookies::{Cookie, Jar};
pub use keep::keep_session;
pub(crate) use keep::{SignedIn, TokenDue};
pub(crate) use return_to::ReturnTo;

/// Put among a request's extensions by whoever serves it, if the browser itself says that a page of this
/// very origin (or the person, by the address bar) sends it: by `Sec-Fetch-Site` or `Origin`.
#[derive(Clone, Copy, Debug)]
pub struct FromOwnPage;

/// Where the pages are, and what their forms are signed with.
#[derive(Clone, Debug)]
pub struct Site {
    public_url: String,
    return_origins: Vec<String>,
    /// With the slug of the organization that the pages show there.
    hosts: BTreeMap<String, String>,
    key: hmac::Key,
}

impl Site {
    /// Pages that people reach at `public_url` (an origin), whose forms every node knows that has `key`. Who has
    /// signed in is sent on to our own paths and to `return_origins` (`https://app.example`), and nowhere else.
    pub fn new(public_url: impl Into<String>, return_origins: Vec<String>, key: &[u8; 32]) -> Self {
        Self {
            public_url: public_url.into(),
            return_origins,
            hosts: BTreeMap::new(),
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// The same under these names as well, over https, where its pages show themselves as an organization: hosts in lower
    /// case, with its slug.
    #[must_use]
    pub fn under(self, hosts: BTreeMap<String, String>) -> Self {
        Self { hosts, ..self }
    }

    /// As which organization the pages show themselves under this name; none for a name that has none.
    pub(crate) fn organization_of(&self, host: &str) -> Option<&str> {
        let host = host.to_ascii_lowercase();
        self.hosts.get(&host).map(String::as_str)
    }

    /// Where people reach the pages.
    pub(crate) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Where else people may be sent.
    pub(crate) fn return_origins(&self) -> &[String] {
        &self.return_origins
    }

    /// What a form has that was made for `holder`: a session, or a visit without one.
    pub(crate) fn form_token(&self, holder: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, holder.as_bytes()))
    }

    /// Whether a form was made for `holder`.
    pub(crate) fn is_form_token(&self, holder: &str, token: &str) -> bool {
        let Ok(tag) = URL_SAFE_NO_PAD.decode(token) else {
            return false;
        };
        hmac::verify(&self.key, holder.as_bytes(), &tag).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_of_one_holder_and_one_installation() {
        let site = Site::new("https://weir.example", Vec::new(), &[1; 32]);
        let token = site.form_token("session ses_1");
        assert!(site.is_form_token("session ses_1", &token));
        assert!(!site.is_form_token("session ses_2", &token));
        assert!(!site.is_form_token("visit ses_1", &token));
        let other = Site::new("https://weir.example", Vec::new(), &[2; 32]);
        assert!(!other.is_form_token("session ses_1", &token));
        for bad in ["", "!", &token[1..], &format!("{token}A")] {
            assert!(!site.is_form_token("session ses_1", bad), "{bad}");
        }
    }
}
