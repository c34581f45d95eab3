//! Texts with variables: `{client.address}`, `{path.id}`.

/// A text with variables, parsed once when the configuration is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Literal text and variables, in order.
    pub parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that is written as it stands.
    Literal(String),
    /// A value of the request.
    Variable(Variable),
}

/// What a template can ask of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `{client.address}`: the client's address, behind trusted proxies the one that they state.
    ClientAddress,
    /// `{request.id}`
    RequestId,
    /// `{request.method}`
    RequestMethod,
    /// `{request.scheme}`: `http` or `https`.
    RequestScheme,
    /// `{request.host}`: without port.
    RequestHost,
    /// `{request.path}`: normalised, before a rewrite.
    RequestPath,
    /// `{request.query}`: without `?`, empty if there is none.
    RequestQuery,
    /// `{request.header.NAME}`: first value, empty if there is none.
    RequestHeader(http::HeaderName),
    /// `{route.name}`
    RouteName,
    /// `{upstream.name}`: empty on a route without upstream.
    UpstreamName,
    /// `{path.NAME}`: what `{NAME}` of the path pattern captured, as it stood in the path.
    PathCapture(String),
    /// `{path.*}`: what the trailing `*` stood for.
    PathTail,
    /// `{tls.server_name}`: empty without TLS or SNI.
    TlsServerName,
    /// `{tls.client.subject}`: the client certificate's subject (RFC 4514), empty if there is none.
    TlsClientSubject,
    /// `{tls.client.fingerprint}`: SHA-256 of the client certificate, hexadecimal.
    TlsClientFingerprint,
}
