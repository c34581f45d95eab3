//! Texts with variables: `{client.address}`, `{path.id}`.

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;
use weir_core::Secret;

use crate::model::IdentityFact;
use crate::value::claim::claim;

mod target;

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
    /// Text that a reference led to: written as it stands, never shown.
    Secret(Secret<String>),
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
    RequestHeader(HeaderName),
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
    /// `{principal.subject}` and its like, `{claims.NAME}`: what is known of who calls; empty if there is nothing to say.
    Principal(IdentityFact),
}

/// Variables without a part of their own choosing.
const FIXED: [(&str, Variable); 19] = [
    ("client.address", Variable::ClientAddress),
    ("request.id", Variable::RequestId),
    ("request.method", Variable::RequestMethod),
    ("request.scheme", Variable::RequestScheme),
    ("request.host", Variable::RequestHost),
    ("request.path", Variable::RequestPath),
    ("request.query", Variable::RequestQuery),
    ("route.name", Variable::RouteName),
    ("upstream.name", Variable::UpstreamName),
    ("path.*", Variable::PathTail),
    ("tls.server_name", Variable::TlsServerName),
    ("tls.client.subject", Variable::TlsClientSubject),
    ("tls.client.fingerprint", Variable::TlsClientFingerprint),
    (
        "principal.subject",
        Variable::Principal(IdentityFact::Subject),
    ),
    (
        "principal.issuer",
        Variable::Principal(IdentityFact::Issuer),
    ),
    (
        "principal.organization",
        Variable::Principal(IdentityFact::Organization),
    ),
    (
        "principal.scopes",
        Variable::Principal(IdentityFact::Scopes),
    ),
    ("principal.roles", Variable::Principal(IdentityFact::Roles)),
    (
        "principal.method",
        Variable::Principal(IdentityFact::Method),
    ),
];

/// What is wrong with a template, in one line with the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Byte offset of the fault in the template's text.
    pub at: usize,
    message: Cow<'static, str>,
}

impl TemplateError {
    fn new(at: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }
}

impl Template {
    /// Reads a text in which `{name}` is a variable and `{{`, `}}` are braces.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(next) = text[at..].chars().next() {
            let rest = &text[at + next.len_utf8()..];
            match next {
                '{' | '}' if rest.starts_with(next) => {
                    literal.push(next);
                    at += 2;
                }
                '{' => {
                    let Some((name, _)) = rest.split_once('}') else {
                        let message = "`{` is not closed; write `{{` for a literal brace";
                        return Err(TemplateError::new(at, message));
                    };
                    let variable = parse_variable(name, at + 1)?;
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Variable(variable));
                    at += name.len() + 2;
                }
                '}' => {
                    let message = "`}` without `{`; write `}}` for a literal brace";
                    return Err(TemplateError::new(at, message));
                }
                _ if next.is_control() && next != '\t' => {
                    return Err(TemplateError::new(at, "control character"));
                }
                _ => {
                    literal.push(next);
                    at += next.len_utf8();
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// The variables in order; one that occurs twice comes twice.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            Part::Literal(_) | Part::Secret(_) => None,
        })
    }

    /// Whether a part of it must not be shown once it is written.
    pub fn has_secret(&self) -> bool {
        let is_secret = |part: &Part| matches!(part, Part::Secret(_));
        self.parts.iter().any(is_secret)
    }

    /// The text if there is neither a variable nor a secret in it.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }
}

/// As it is read, but for secrets.
impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => {
                    formatter.write_str(&text.replace('{', "{{").replace('}', "}}"))?;
                }
                Part::Secret(secret) => write!(formatter, "{secret}")?,
                Part::Variable(variable) => write!(formatter, "{{{variable}}}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestHeader(name) => write!(formatter, "request.header.{name}"),
            Self::PathCapture(name) => write!(formatter, "path.{name}"),
            Self::Principal(IdentityFact::Claim(claim)) => {
                write!(formatter, "claims.{}", claim.text)
            }
            other => {
                let name = FIXED.iter().find(|(_, variable)| variable == other);
                formatter.write_str(name.map_or("", |(name, _)| name))
            }
        }
    }
}

fn parse_variable(name: &str, at: usize) -> Result<Variable, TemplateError> {
    if let Some((_, variable)) = FIXED.iter().find(|(fixed, _)| *fixed == name) {
        return Ok(variable.clone());
    }
    if let Some(header) = name.strip_prefix("request.header.") {
        return match HeaderName::from_bytes(header.as_bytes()) {
            Ok(header) => Ok(Variable::RequestHeader(header)),
            Err(_) => {
                let message = format!("`{header}` is not a header name");
                Err(TemplateError::new(at + "request.header.".len(), message))
            }
        };
    }
    if let Some(text) = name.strip_prefix("claims.") {
        return match claim(text) {
            Ok(claim) => Ok(Variable::Principal(IdentityFact::Claim(claim))),
            Err(_) => {
                let message = format!("`{text}` is not the name of a claim");
                Err(TemplateError::new(at + "claims.".len(), message))
            }
        };
    }
    if let Some(capture) = name.strip_prefix("path.")
        && !capture.is_empty()
        && capture
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    {
        return Ok(Variable::PathCapture(capture.to_owned()));
    }
    Err(TemplateError::new(at, unknown(name)))
}

fn unknown(name: &str) -> String {
    // The distance is quadratic in the length, and no variable is longer than this.
    const LONGEST: usize = 64;
    if name.is_empty() {
        return "a variable's name is missing; write `{{}}` for literal braces".to_owned();
    }
    if name.len() > LONGEST {
        return "unknown variable".to_owned();
    }
    let candidates = FIXED.iter().map(|(fixed, _)| *fixed).chain([
        "request.header.NAME",
        "path.NAME",
        "claims.NAME",
    ]);
    let nearest = candidates
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .min();
    match nearest {
        Some((distance, candidate)) if distance <= 2 + name.len() / 6 => {
            format!("unknown variable `{name}`, did you mean `{candidate}`?")
        }
        _ => {
            let names: Vec<_> = FIXED.iter().map(|(fixed, _)| *fixed).collect();
            let names = names.join(", ");
            format!(
                "unknown variable `{name}`; there are {names}, request.header.NAME, path.NAME and claims.NAME"
            )
        }
    }
}

#[cfg(test)]
mod tests;
