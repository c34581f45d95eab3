//! Cookies (RFC 6265bis): all of this host alone, and for no script.

use std::time::Duration;

use axum::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName};
use weir_core::session_cookie;

use super::channel::Channel;

/// The cookies that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// A session's token.
    Session,
    /// A browser without a session, by which its forms are known.
    Visit,
    /// Signing in, between its two steps.
    Step,
    /// The token of a link that was opened.
    Link,
}

impl Cookie {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => session_cookie::PLAIN,
            Self::Visit => "weir_visit",
            Self::Step => "weir_step",
            Self::Link => "weir_link",
        }
    }

    /// How long a browser keeps it; none is until it is closed.
    const fn lifetime(self) -> Option<Duration> {
        match self {
            Self::Session | Self::Visit => None,
            Self::Step => Some(Duration::from_secs(300)),
            Self::Link => Some(Duration::from_secs(600)),
        }
    }

    /// The field that has a browser keep it. `value` is of characters that need no quotes.
    pub(crate) fn set(self, channel: Channel, value: &str) -> (HeaderName, HeaderValue) {
        let age = self.lifetime();
        let age = age.map(|age| format!("; Max-Age={}", age.as_secs()));
        self.field(channel, value, &age.unwrap_or_default())
    }

    /// The field that has a browser forget it.
    pub(crate) fn clear(self, channel: Channel) -> (HeaderName, HeaderValue) {
        self.field(channel, "", "; Max-Age=0")
    }

    fn field(self, channel: Channel, value: &str, age: &str) -> (HeaderName, HeaderValue) {
        let (prefix, attributes) = (channel.prefix(), channel.attributes());
        let text = format!("{prefix}{}={value}{attributes}{age}", self.name());
        // Only what was made here, or came in a field, is set; what cannot be written is not kept.
        let field = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        (SET_COOKIE, field)
    }

    /// Whether this field sets it, or has it forgotten.
    pub(super) fn is_set_by(self, channel: Channel, field: &HeaderValue) -> bool {
        let name = format!("{}{}=", channel.prefix(), self.name());
        field.as_bytes().starts_with(name.as_bytes())
    }
}

/// What a browser sent.
pub(crate) struct Jar<'a> {
    channel: Channel,
    headers: &'a HeaderMap,
}

impl<'a> Jar<'a> {
    /// The cookies of a request that came in this way: those of the other kind are not looked at.
    pub(crate) const fn of(channel: Channel, headers: &'a HeaderMap) -> Self {
        Self { channel, headers }
    }

    /// A cookie, if it is there once: of two, one may have been put there by somebody else.
    pub(crate) fn get(&self, cookie: Cookie) -> Option<&'a str> {
        let name = format!("{}{}", self.channel.prefix(), cookie.name());
        let fields = self.headers.get_all(COOKIE).iter();
        let pairs = fields
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(found, _)| *found == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value).filter(|value| !value.is_empty()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(field: &str, channel: Channel) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::try_from(field).unwrap());
        Jar::of(channel, &headers)
            .get(Cookie::Session)
            .map(str::to_owned)
    }

    #[test]
    fn a_cookie_is_read_by_its_whole_name_and_only_once() {
        let secure = |field| get(field, Channel::Secure);
        assert_eq!(
            secure("a=b; __Host-weir_session=x; c=d").as_deref(),
            Some("x")
        );
        for bad in [
            "weir_session=x",
            "__host-weir_session=x",
            "__Host-weir_session=x; __Host-weir_session=y",
            "x__Host-weir_session=x",
            "__Host-weir_session",
            "__Host-weir_session=",
            "",
        ] {
            assert_eq!(secure(bad), None, "{bad}");
        }
        assert_eq!(
            get("weir_session=x", Channel::Loopback).as_deref(),
            Some("x")
        );
        assert_eq!(get("__Host-weir_session=x", Channel::Loopback), None);
    }

    fn field_begins(channel: Channel, name: &str) -> bool {
        let (_, field) = Cookie::Session.set(channel, "x");
        field.to_str().unwrap().starts_with(&format!("{name}=x;"))
    }

    #[test]
    fn a_cookie_is_for_this_host_and_for_no_script() {
        let (_, field) = Cookie::Session.set(Channel::Secure, "x");
        assert_eq!(
            field.to_str().unwrap(),
            "__Host-weir_session=x; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        let (_, field) = Cookie::Session.set(Channel::Loopback, "x");
        assert_eq!(
            field.to_str().unwrap(),
            "weir_session=x; Path=/; HttpOnly; SameSite=Lax"
        );
        // The gateway knows it by this name.
        assert!(field_begins(Channel::Secure, session_cookie::SECURE));
        assert!(field_begins(Channel::Loopback, session_cookie::PLAIN));
        let (_, field) = Cookie::Link.clear(Channel::Secure);
        assert!(field.to_str().unwrap().ends_with("; Max-Age=0"));
    }
}
