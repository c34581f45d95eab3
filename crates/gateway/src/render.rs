//! Writes templates with the values of a request.

use std::io::Write as _;
use std::net::IpAddr;

use http::Method;
use weir_config::template::{Part, Template, Variable};
use weir_core::{Principal, RequestId};

use crate::Fields;
use crate::identify;
use crate::router::PathCaptures;

/// Everything that a template can ask of a request.
#[derive(Clone, Copy, Debug)]
pub struct RenderContext<'a> {
    /// The client's address, behind trusted proxies the one that they state.
    pub client_address: IpAddr,
    /// The request's identifier.
    pub request_id: RequestId,
    /// The method.
    pub method: &'a Method,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Lower case, without port.
    pub host: &'a str,
    /// Normalised, before a rewrite.
    pub path: &'a str,
    /// Without `?`.
    pub query: Option<&'a str>,
    /// The request's fields, also when a response's are written.
    pub fields: &'a Fields,
    /// The route's name.
    pub route_name: &'a str,
    /// Empty on a route without upstream.
    pub upstream_name: &'a str,
    /// What the path pattern captured.
    pub captures: PathCaptures<'a>,
    /// Server name of the TLS handshake.
    pub tls_server_name: Option<&'a str>,
    /// Subject of the client's certificate (RFC 4514).
    pub tls_client_subject: Option<&'a str>,
    /// SHA-256 of the client's certificate, hexadecimal.
    pub tls_client_fingerprint: Option<&'a str>,
    /// Who calls, if that is known.
    pub principal: Option<&'a Principal>,
}

impl RenderContext<'_> {
    /// Hands a variable's value to `take`; empty if there is none. The bytes are the request's: they
    /// are not checked and not escaped.
    pub fn with_value<T>(&self, variable: &Variable, take: impl FnOnce(&[u8]) -> T) -> T {
        let text = match variable {
            Variable::ClientAddress => {
                let mut address = Text::new();
                push_address(self.client_address, &mut address);
                return take(&address);
            }
            Variable::RequestId => return take(&self.request_id.to_text()),
            Variable::RequestHeader(name) => {
                let value = self.fields.get(name);
                return take(value.map_or(b"", |value| value.as_bytes()));
            }
            Variable::RequestMethod => self.method.as_str(),
            Variable::RequestScheme => self.scheme,
            Variable::RequestHost => self.host,
            Variable::RequestPath => self.path,
            Variable::RequestQuery => self.query.unwrap_or_default(),
            Variable::RouteName => self.route_name,
            Variable::UpstreamName => self.upstream_name,
            Variable::PathCapture(name) => self.captures.get(name).unwrap_or_default(),
            Variable::PathTail => self.captures.tail().unwrap_or_default(),
            Variable::TlsServerName => self.tls_server_name.unwrap_or_default(),
            Variable::TlsClientSubject => self.tls_client_subject.unwrap_or_default(),
            Variable::TlsClientFingerprint => self.tls_client_fingerprint.unwrap_or_default(),
            Variable::Principal(fact) => {
                let text = self
                    .principal
                    .and_then(|principal| identify::told(fact, principal));
                return take(text.as_deref().unwrap_or_default().as_bytes());
            }
        };
        take(text.as_bytes())
    }
}

/// Appends a template's text for a field. Nothing of the request is escaped: whoever uses the result checks it, as
/// header rules do. What is known of who calls stands there as `identity` policies tell it: others wrote it, and it may
/// have any character. Addresses are written by [`crate::rewrite`].
pub fn render(template: &Template, context: &RenderContext<'_>, out: &mut Vec<u8>) {
    for part in &template.parts {
        match part {
            Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Part::Secret(text) => out.extend_from_slice(text.expose().as_bytes()),
            Part::Variable(Variable::Principal(fact)) => {
                let told = context
                    .principal
                    .and_then(|principal| identify::told(fact, principal));
                out.extend_from_slice(
                    told.map(identify::field_text)
                        .unwrap_or_default()
                        .as_bytes(),
                );
            }
            Part::Variable(variable) => {
                context.with_value(variable, |value| out.extend_from_slice(value));
            }
        }
    }
}

/// Room for an address, or for a list of a few hops, without an allocation.
pub(crate) type Text = smallvec::SmallVec<[u8; 192]>;

/// Appends the text form of an address; an IPv4 address mapped into IPv6 in its IPv4 form.
pub(crate) fn push_address(address: IpAddr, out: &mut Text) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        // Writing into memory cannot fail.
        IpAddr::V6(address) => {
            let _ = write!(out, "{address}");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::LazyLock;

    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::router::Captures;

    static NO_CAPTURES: LazyLock<Captures> = LazyLock::new(Captures::default);

    /// A request for `https://example.com/a/b?x=1`.
    pub(crate) fn context(fields: &Fields) -> RenderContext<'_> {
        RenderContext {
            client_address: "192.0.2.7".parse().expect("an address"),
            request_id: RequestId::generate(),
            method: &Method::GET,
            scheme: "https",
            host: "example.com",
            path: "/a/b",
            query: Some("x=1"),
            fields,
            route_name: "route",
            upstream_name: "upstream",
            captures: NO_CAPTURES.named(&[], "/a/b"),
            tls_server_name: Some("sni.example.com"),
            tls_client_subject: None,
            tls_client_fingerprint: Some("ab12"),
            principal: None,
        }
    }

    fn text(address: &str) -> String {
        let mut out = Text::new();
        push_address(address.parse().expect(address), &mut out);
        String::from_utf8(out.to_vec()).expect("ASCII")
    }

    #[test]
    fn addresses_are_written_in_their_one_form() {
        for address in [
            "0.0.0.0",
            "192.0.2.1",
            "255.255.255.255",
            "::1",
            "2001:db8::1",
        ] {
            assert_eq!(text(address), address);
        }
        assert_eq!(text("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn every_variable_is_written() {
        let mut fields = Fields::new();
        fields.append(
            HeaderName::from_static("x-a"),
            HeaderValue::from_static("one"),
        );
        fields.append(
            HeaderName::from_static("x-a"),
            HeaderValue::from_static("two"),
        );
        let context = context(&fields);
        let template = "{client.address} {request.method} {request.scheme} {request.host} \
            {request.path} {request.query} {request.header.x-a} {request.header.x-b}. {route.name} \
            {upstream.name} {path.a}. {path.*}. {tls.server_name} {tls.client.subject}. \
            {tls.client.fingerprint} {request.id}";
        let template = Template::parse(template).expect("a template");
        let mut out = Vec::new();
        render(&template, &context, &mut out);
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            format!(
                "192.0.2.7 GET https example.com /a/b x=1 one . route upstream . . \
                 sni.example.com . ab12 {}",
                context.request_id
            )
        );
    }
}
