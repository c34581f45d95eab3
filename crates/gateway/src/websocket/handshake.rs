//! The opening handshake (RFC 6455 §4, RFC 8441 §5), checked on both sides.

use std::rc::Rc;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderName, HeaderValue, Method};
use weir_config::origin::{Origin, Origins};

use super::counters::{Place, Settings};
use super::frames::Rules;
use crate::client::Client;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::message::{RequestHead, Version};
use crate::organization::Organization;
use crate::snapshot::Route;

/// What a server appends to the key (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The one extension whose frames can be followed (RFC 7692).
const DEFLATE: &str = "permessage-deflate";

/// Whether a request asks for another protocol.
#[derive(Debug, Default)]
pub(crate) enum Upgrade {
    /// Or it was not looked at: see [`begin`].
    #[default]
    None,
    /// An extended CONNECT for a WebSocket (RFC 8441), which stands as GET.
    Connect,
    /// For a WebSocket that the route lets through.
    WebSocket(Rc<Handshake>),
}

impl Upgrade {
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(crate) fn handshake(&self) -> Option<&Rc<Handshake>> {
        match self {
            Self::WebSocket(handshake) => Some(handshake),
            Self::None | Self::Connect => None,
        }
    }
}

/// A client's handshake, as far as the target's answer depends on it.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(super) settings: Arc<Settings>,
    /// Whose it is, if that was said.
    pub(super) organization: Option<Arc<Organization>>,
    pub(super) place: Place,
    /// What the target has to answer to the key, and the client gets.
    pub(super) accept: HeaderValue,
    /// The subprotocols that the client offers.
    protocols: Vec<HeaderValue>,
    offers_deflate: bool,
    /// Asked for by an extended CONNECT.
    pub(super) is_connect: bool,
}

/// Looks at a request on a route that lets WebSockets through. If it asks for one, its handshake is
/// checked, and what belongs to it stays with the head.
pub(crate) fn begin(
    client: &Client,
    route: &Route,
    head: &mut RequestHead,
    has_body: bool,
) -> Result<(), Failure> {
    let is_connect = matches!(head.upgrade, Upgrade::Connect);
    let Some(settings) = &route.websocket else {
        // Over HTTP/1.1 an upgrade may be ignored (RFC 9110 §7.8), but a stream for nothing else may not.
        return if is_connect {
            Err(Failure::MethodNotForwarded)
        } else {
            Ok(())
        };
    };
    if !is_connect && !asks_for_upgrade(head) {
        return Ok(());
    }
    let wrong = |rule| Err(Failure::WebSocketHandshake(rule));
    if head.method != Method::GET {
        return wrong("A WebSocket is asked for with GET.");
    }
    if has_body {
        return wrong("A request for a WebSocket has no body.");
    }
    match only(&head.fields, &SEC_WEBSOCKET_VERSION) {
        Ok(Some(version)) if version == "13" => {}
        Ok(Some(_)) => return Err(Failure::WebSocketVersion),
        _ => return wrong("The Sec-WebSocket-Version field is missing or not one number."),
    }
    check_origin(client, settings, head)?;
    if is_connect {
        // What an HTTP/2 client may say here means nothing (RFC 8441 §5); a target over HTTP/1.1 gets this.
        let mut nonce = [0; 16];
        fastrand::Rng::new().fill(&mut nonce);
        if let Ok(key) = HeaderValue::from_str(&STANDARD.encode(nonce)) {
            head.fields.set(SEC_WEBSOCKET_KEY, key);
        }
    }
    let key = match only(&head.fields, &SEC_WEBSOCKET_KEY) {
        Ok(Some(key)) if is_key(key) => key,
        _ => return wrong("The Sec-WebSocket-Key field is missing or not 16 bytes in Base64."),
    };
    let accept = accept(key.as_bytes()).ok_or(Failure::WebSocketHandshake("no key"))?;
    let offers_deflate = keep_deflate(&mut head.fields);
    let protocols = list(&head.fields, &SEC_WEBSOCKET_PROTOCOL);
    let Some(place) = settings.gate.enter(settings.model.connections) else {
        return Err(Failure::WebSocketLimit);
    };
    head.expects_continue = false;
    head.upgrade = Upgrade::WebSocket(Rc::new(Handshake {
        settings: Arc::clone(settings),
        organization: route.organization.clone(),
        place,
        accept,
        protocols,
        offers_deflate,
        is_connect,
    }));
    Ok(())
}

/// `Connection: upgrade` and `Upgrade: websocket`, which HTTP/1.0 does not have (RFC 9110 §7.8).
fn asks_for_upgrade(head: &RequestHead) -> bool {
    head.version == Version::Http11 && switches(&head.fields)
}

/// Whether fields say that the connection is to become, or becomes, a WebSocket.
pub(crate) fn switches(fields: &Fields) -> bool {
    has(fields, &UPGRADE, "websocket") && has(fields, &CONNECTION, "upgrade")
}

fn has(fields: &Fields, name: &HeaderName, token: &str) -> bool {
    fields.get_all(name).any(|value| {
        let mut tokens = value.as_bytes().split(|byte| *byte == b',');
        tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// Scripts of any page can open a WebSocket to anywhere, and the browser sends the cookies of there
/// (RFC 6455 §10.2). Who states no origin is no browser, and could state any.
fn check_origin(client: &Client, settings: &Settings, head: &RequestHead) -> Result<(), Failure> {
    let text = match only(&head.fields, &ORIGIN) {
        _ if settings.model.origins == Some(Origins::Any) => return Ok(()),
        Ok(None) => return Ok(()),
        Ok(Some(value)) => value.to_str().unwrap_or_default(),
        Err(()) => return Err(Failure::WebSocketOrigin),
    };
    let origin = Origin::parse(text).ok_or(Failure::WebSocketOrigin)?;
    let is_welcome = match &settings.model.origins {
        Some(Origins::Any) => true,
        Some(Origins::These(these)) => these.iter().any(|pattern| pattern.matches(&origin)),
        // Pages that came without TLS can be anybody's.
        None if client.tls.is_some() && !origin.scheme.eq_ignore_ascii_case("https") => false,
        None => origin.is_of(&head.authority),
    };
    if is_welcome {
        Ok(())
    } else {
        Err(Failure::WebSocketOrigin)
    }
}

/// The value of a field that may be there once.
fn only<'a>(fields: &'a Fields, name: &'a HeaderName) -> Result<Option<&'a HeaderValue>, ()> {
    let mut values = fields.get_all(name);
    let value = values.next();
    match values.next() {
        None => Ok(value),
        Some(_) => Err(()),
    }
}

fn is_key(key: &HeaderValue) -> bool {
    key.len() == 24
        && STANDARD
            .decode(key.as_bytes())
            .is_ok_and(|nonce| nonce.len() == 16)
}

fn accept(key: &[u8]) -> Option<HeaderValue> {
    // What the protocol asks for; nothing rests on its strength.
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(GUID);
    HeaderValue::from_str(&STANDARD.encode(context.finish())).ok()
}

/// Leaves only offers of permessage-deflate: what other extensions do to frames is not known here.
fn keep_deflate(fields: &mut Fields) -> bool {
    let offers = list(fields, &SEC_WEBSOCKET_EXTENSIONS);
    let known: Vec<&[u8]> = offers
        .iter()
        .map(HeaderValue::as_bytes)
        .filter(|offer| is_deflate(offer))
        .collect();
    if known.is_empty() {
        fields.remove(&SEC_WEBSOCKET_EXTENSIONS);
        return false;
    }
    if known.len() < offers.len()
        && let Ok(value) = HeaderValue::from_bytes(&known.join(&b", "[..]))
    {
        fields.set(SEC_WEBSOCKET_EXTENSIONS, value);
    }
    true
}

fn is_deflate(offer: &[u8]) -> bool {
    let name = offer.split(|byte| *byte == b';').next();
    name.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(DEFLATE.as_bytes()))
}

/// The members of a list field.
fn list(fields: &Fields, name: &HeaderName) -> Vec<HeaderValue> {
    let values = fields.get_all(name);
    let members = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    members
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
        .filter_map(|member| HeaderValue::from_bytes(member).ok())
        .collect()
}

impl Handshake {
    /// Checks a target's 101 (RFC 6455 §4.1).
    ///
    /// Tells whether messages may be compressed.
    pub(crate) fn check_switch(&self, fields: &Fields) -> Result<bool, Failure> {
        if !switches(fields) {
            return Err(Failure::UpstreamMalformed("101 to another protocol"));
        }
        match only(fields, &SEC_WEBSOCKET_ACCEPT) {
            Ok(Some(value)) if *value == self.accept => {}
            _ => return Err(Failure::UpstreamMalformed("wrong Sec-WebSocket-Accept")),
        }
        self.check_terms(fields)
    }

    /// Checks what a target that accepts chose of what was offered. Tells the same.
    pub(crate) fn check_terms(&self, fields: &Fields) -> Result<bool, Failure> {
        let extensions = list(fields, &SEC_WEBSOCKET_EXTENSIONS);
        let is_known = match &*extensions {
            [] => true,
            [one] => self.offers_deflate && is_deflate(one.as_bytes()),
            _ => false,
        };
        if !is_known {
            return Err(Failure::UpstreamMalformed(
                "a WebSocket extension that was not offered",
            ));
        }
        match only(fields, &SEC_WEBSOCKET_PROTOCOL) {
            Ok(None) => Ok(!extensions.is_empty()),
            Ok(Some(chosen)) if self.protocols.contains(chosen) => Ok(!extensions.is_empty()),
            _ => Err(Failure::UpstreamMalformed(
                "a WebSocket subprotocol that was not offered",
            )),
        }
    }

    /// What frames have to be like.
    pub(super) fn rules(&self, may_compress: bool, are_masked: bool) -> Rules {
        Rules {
            are_masked,
            may_compress,
            checks_text: self.settings.model.check_text,
            max_frame: self.settings.model.max_frame.unwrap_or(u64::MAX),
            max_message: self.settings.model.max_message.unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_value_is_that_of_the_standard() {
        // RFC 6455 §1.3.
        let accept = accept(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        let is_key = |text: &str| is_key(&HeaderValue::from_str(text).unwrap());
        assert!(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
        for text in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ= ",
            "dGhlIHNhbXBsZSBub25jZWVl",
            "dGhlIHNhbXBsZSBub25j!Q==",
            "dGhlIHNhbXBsZSBub25jZQ===",
        ] {
            assert!(!is_key(text), "{text}");
        }
    }

    #[test]
    fn only_known_extensions_are_offered_on() {
        let kept = |values: &[&'static str]| {
            let mut fields = Fields::new();
            for value in values {
                fields.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(value));
            }
            let offers = keep_deflate(&mut fields);
            let left = fields.get_all(&SEC_WEBSOCKET_EXTENSIONS);
            let left: Vec<_> = left
                .map(|value| value.to_str().unwrap().to_owned())
                .collect();
            (offers, left.join(" | "))
        };
        assert_eq!(kept(&[]), (false, String::new()));
        assert_eq!(kept(&["x-webkit-deflate-frame"]), (false, String::new()));
        let browser = "permessage-deflate; client_max_window_bits";
        assert_eq!(kept(&[browser]), (true, browser.to_owned()));
        let mixed = kept(&[
            "foo, permessage-deflate; a=1",
            "bar; permessage-deflate, permessage-deflate",
        ]);
        let expected = "permessage-deflate; a=1, permessage-deflate";
        assert_eq!(mixed, (true, expected.to_owned()));
    }

    #[test]
    fn connection_and_upgrade_are_lists_of_tokens() {
        let switches = |connection: &'static str, upgrade: &'static str| {
            let mut fields = Fields::new();
            fields.append(CONNECTION, HeaderValue::from_static(connection));
            fields.append(UPGRADE, HeaderValue::from_static(upgrade));
            switches(&fields)
        };
        assert!(switches("Upgrade", "websocket"));
        assert!(switches("keep-alive, Upgrade", "WebSocket"));
        assert!(switches("upgrade", "h2c, websocket"));
        assert!(!switches("keep-alive", "websocket"));
        assert!(!switches("upgrade", "h2c"));
        assert!(!switches("upgraded", "websockets"));
    }
}
