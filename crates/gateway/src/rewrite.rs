//! Writes addresses from templates: the path to forward and the target of a redirect.
//!
//! A template's literal text is the operator's, its variables are the client's. Whatever a variable
//! holds, it stays in the part of the address where the operator put it: it cannot end the path or
//! the query, climb with `..`, or choose another host. What would is refused, never repaired, so
//! that there is one reading of the result.
//!
//! | place     | captures, tail, path     | query                | other variables              |
//! |-----------|--------------------------|----------------------|------------------------------|
//! | host      | a capture as one label in front of a literal domain; the path ends the host | refused | `request.host`, `tls.server_name` |
//! | path      | as they stand            | percent-encoded      | percent-encoded              |
//! | query     | reserved ones encoded    | as it stands         | percent-encoded              |

use http::HeaderValue;
use weir_config::model::Rewrite;
use weir_config::template::{Part, Template, Variable};
use weir_core::path::{self, PathError, Rules};

use crate::render::RenderContext;

/// Why an address could not be written. The request is to blame: an answer of 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// The path that came out is not acceptable.
    #[error("rewritten path: {0}")]
    Path(PathError),
    /// The query that came out is not acceptable.
    #[error("rewritten query: {0}")]
    Query(PathError),
    /// A variable cannot stand in the target's host.
    #[error("the redirect's host would not be what the template says")]
    Host,
}

impl RewriteError {
    /// The stable machine-readable word for this cause.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Path(_) => "rewrite_path",
            Self::Query(_) => "rewrite_query",
            Self::Host => "redirect_host",
        }
    }
}

/// A path that was put together is checked, not repaired: a `..` in it was smuggled in.
const ASSEMBLED: Rules = Rules {
    keep_encoded_slash: true,
    refuse_dot_segments: true,
};

/// Replaces `out` by the path and query to forward.
pub fn rewrite(
    rewrite: &Rewrite,
    context: &RenderContext<'_>,
    out: &mut String,
) -> Result<(), RewriteError> {
    let has_own_query = rewrite_alone(rewrite, context, out)?;
    if let Some(query) = context.query
        && !has_own_query
    {
        path::check_query(query).map_err(RewriteError::Query)?;
        out.push('?');
        out.push_str(query);
    }
    Ok(())
}

/// The same without the query that was asked for; tells whether the rewrite has one of its own.
pub fn rewrite_alone(
    rewrite: &Rewrite,
    context: &RenderContext<'_>,
    out: &mut String,
) -> Result<bool, RewriteError> {
    out.clear();
    let mut writer = AddressWriter::new(out, Place::Path);
    match rewrite {
        Rewrite::Prefix(prefix) => writer.replace_front(prefix, context),
        Rewrite::Path(template) => writer.render(template, context)?,
    }
    if writer.place == Place::Fragment {
        return Err(RewriteError::Path(PathError::Delimiter));
    }
    let has_own_query = writer.place == Place::Query;
    writer.finish()?;
    Ok(has_own_query)
}

/// Writes the value of `Location` (RFC 9110 §10.2.2): an absolute address of the operator's host, or
/// a path that begins with exactly one `/`.
pub fn location(
    template: &Template,
    context: &RenderContext<'_>,
) -> Result<HeaderValue, RewriteError> {
    let mut out = String::with_capacity(128);
    let mut writer = AddressWriter::new(&mut out, Place::Start);
    writer.render(template, context)?;
    writer.finish()?;
    HeaderValue::try_from(out).map_err(|_| RewriteError::Path(PathError::ControlCharacter))
}

/// Where in an address the next text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    /// Behind a scheme: `://` must follow.
    Scheme,
    Authority,
    /// Behind a client's label in the authority: the rest of a domain must follow.
    Label,
    Path,
    Query,
    Fragment,
}

struct AddressWriter<'o> {
    out: &'o mut String,
    place: Place,
    /// Where the part at hand begins in `out`.
    start: usize,
}

impl<'o> AddressWriter<'o> {
    fn new(out: &'o mut String, place: Place) -> Self {
        let start = out.len();
        Self { out, place, start }
    }

    fn render(
        &mut self,
        template: &Template,
        context: &RenderContext<'_>,
    ) -> Result<(), RewriteError> {
        for part in &template.parts {
            match part {
                Part::Literal(text) => self.push_literal(text)?,
                Part::Secret(text) => self.push_literal(text.expose())?,
                Part::Variable(variable) => {
                    context.with_value(variable, |value| self.push_value(variable, value))?;
                }
            }
        }
        Ok(())
    }

    /// See [`Rewrite::Prefix`]. A slash in front of what is kept stays: with `/api/*` and the prefix
    /// `/v2`, `/api/x` becomes `/v2/x`.
    fn replace_front(&mut self, prefix: &str, context: &RenderContext<'_>) {
        self.out.push_str(prefix);
        if let Some((front, rest)) = context.captures.split_front() {
            if front.ends_with('/') && !prefix.ends_with('/') {
                self.out.push('/');
            }
            self.out.push_str(rest);
        }
    }

    fn push_literal(&mut self, text: &str) -> Result<(), RewriteError> {
        let mut rest = self.begin(text)?;
        loop {
            let delimiters: &[char] = match self.place {
                Place::Authority => &['/', '?', '#'],
                Place::Path => &['?', '#'],
                Place::Query => &['#'],
                Place::Start | Place::Scheme | Place::Label | Place::Fragment => &[],
            };
            let Some(at) = rest.find(delimiters) else {
                self.out.push_str(rest);
                return Ok(());
            };
            let (before, delimiter) = (&rest[..at], rest.as_bytes()[at]);
            self.out.push_str(before);
            self.end_part()?;
            rest = &rest[at + 1..];
            match delimiter {
                b'/' => {
                    self.enter(Place::Path);
                    self.out.push('/');
                }
                b'?' => {
                    self.out.push('?');
                    self.enter(Place::Query);
                }
                _ => {
                    self.out.push('#');
                    self.enter(Place::Fragment);
                }
            }
        }
    }

    /// Settles where a literal begins if that hangs on its first characters; returns what is left.
    fn begin<'t>(&mut self, text: &'t str) -> Result<&'t str, RewriteError> {
        match self.place {
            Place::Start => {
                let mut schemes = ["https://", "http://"].into_iter();
                let scheme = schemes.find(|scheme| has_prefix_ignoring_case(text, scheme));
                let Some(scheme) = scheme else {
                    self.enter(Place::Path);
                    return Ok(text);
                };
                self.out.push_str(scheme);
                self.enter(Place::Authority);
                Ok(&text[scheme.len()..])
            }
            Place::Scheme => {
                let rest = text.strip_prefix("://").ok_or(RewriteError::Host)?;
                self.out.push_str("://");
                self.enter(Place::Authority);
                Ok(rest)
            }
            Place::Label if !text.starts_with('.') => Err(RewriteError::Host),
            Place::Label => {
                self.place = Place::Authority;
                Ok(text)
            }
            Place::Authority | Place::Path | Place::Query | Place::Fragment => Ok(text),
        }
    }

    fn push_value(&mut self, variable: &Variable, value: &[u8]) -> Result<(), RewriteError> {
        match self.place {
            Place::Start if *variable == Variable::RequestScheme => {
                self.push_encoded(value, path::is_unreserved);
                self.enter(Place::Scheme);
                return Ok(());
            }
            Place::Start => self.enter(Place::Path),
            Place::Scheme | Place::Label => return Err(RewriteError::Host),
            Place::Authority if *variable == Variable::RequestPath => {
                self.end_part()?;
                self.enter(Place::Path);
            }
            Place::Authority => return self.push_host(variable, value),
            Place::Path | Place::Query | Place::Fragment => {}
        }
        // Out of a normalised path: every `%` begins an escape, and nothing needs one more.
        let is_of_path = matches!(
            variable,
            Variable::RequestPath | Variable::PathCapture(_) | Variable::PathTail
        );
        let is_in_path = self.place == Place::Path;
        if is_of_path && is_in_path {
            self.push_encoded(value, |byte| byte != b'?' && byte != b'#');
        } else if is_of_path {
            // `&`, `=` and `+` would begin a parameter of their own.
            self.push_encoded(value, |byte| {
                path::is_unreserved(byte) || b"/%".contains(&byte)
            });
        } else if *variable == Variable::RequestQuery && !is_in_path {
            let query = std::str::from_utf8(value).unwrap_or("#");
            path::check_query(query).map_err(RewriteError::Query)?;
            self.out.push_str(query);
        } else {
            self.push_encoded(value, path::is_unreserved);
        }
        Ok(())
    }

    /// A client's value inside a host: the whole of it, or one label.
    fn push_host(&mut self, variable: &Variable, value: &[u8]) -> Result<(), RewriteError> {
        let is_label = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_';
        let is_sound = match variable {
            Variable::RequestHost | Variable::TlsServerName => is_host(value),
            Variable::PathCapture(_) => !value.is_empty() && value.iter().all(is_label),
            _ => false,
        };
        if !is_sound {
            return Err(RewriteError::Host);
        }
        self.push_encoded(value, |_| true);
        if let Variable::PathCapture(_) = variable {
            self.place = Place::Label;
        }
        Ok(())
    }

    /// Bytes outside of ASCII are always escaped.
    fn push_encoded(&mut self, value: &[u8], stays: impl Fn(u8) -> bool) {
        for &byte in value {
            if byte.is_ascii() && stays(byte) {
                self.out.push(char::from(byte));
            } else {
                path::push_escape(byte, self.out);
            }
        }
    }

    fn enter(&mut self, place: Place) {
        self.place = place;
        self.start = self.out.len();
    }

    /// Checks the part at hand when it ends.
    fn end_part(&mut self) -> Result<(), RewriteError> {
        match self.place {
            Place::Start | Place::Path => self.end_path(),
            Place::Scheme | Place::Label => Err(RewriteError::Host),
            Place::Authority if self.out.len() == self.start => Err(RewriteError::Host),
            Place::Authority => Ok(()),
            Place::Query | Place::Fragment => {
                path::check_query(&self.out[self.start..]).map_err(RewriteError::Query)
            }
        }
    }

    fn end_path(&mut self) -> Result<(), RewriteError> {
        if !self.out[self.start..].starts_with('/') {
            self.out.insert(self.start, '/');
        }
        let assembled = &self.out[self.start..];
        let normalised = path::normalise(assembled, ASSEMBLED).map_err(RewriteError::Path)?;
        if let std::borrow::Cow::Owned(normalised) = normalised {
            self.out.truncate(self.start);
            self.out.push_str(&normalised);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), RewriteError> {
        self.end_part()?;
        // `…?{request.query}` without a query.
        if self.place == Place::Query && self.out.len() == self.start {
            self.out.pop();
        }
        Ok(())
    }
}

fn has_prefix_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|front| front.eq_ignore_ascii_case(prefix))
}

/// A name or IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &[u8]) -> bool {
    if let [b'[', address @ .., b']'] = host {
        let text = std::str::from_utf8(address).unwrap_or_default();
        return text.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    !host.is_empty() && host.iter().all(is_allowed)
}

#[cfg(test)]
mod tests;
