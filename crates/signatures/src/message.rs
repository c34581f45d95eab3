//! The request as its signer saw it.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::fault::Fault;

/// A request as it was received, before anything is normalised, stripped or added: a signature covers
/// the bytes that were sent.
///
/// `fields` are names, in any case, with values, one for each line, in order. It is walked more than
/// once.
#[derive(Clone, Debug)]
pub struct Message<'a, F> {
    /// Method.
    pub method: &'a str,
    /// `http` or `https`: what the client spoke, not the last proxy in front.
    pub scheme: &'a str,
    /// `:authority` or `Host`.
    pub authority: &'a str,
    /// Path, not decoded; `*` for a server-wide `OPTIONS`.
    pub path: &'a str,
    /// Query without `?`.
    pub query: Option<&'a str>,
    /// Value of `content-length`, for whoever keeps it apart from the other fields.
    pub content_length: Option<u64>,
    /// Whether content follows, be it of a stated length or not.
    pub has_body: bool,
    /// All other fields.
    pub fields: F,
}

impl<'a, F: Iterator<Item = (&'a str, &'a [u8])> + Clone> Message<'a, F> {
    /// Every value of a field, in order and trimmed; `name` is lower-case.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .clone()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| trim(value))
    }

    /// What servers keep apart from the fields although clients send it as one.
    pub(crate) fn kept_apart(&self, name: &str) -> Option<Cow<'a, str>> {
        match name {
            "content-length" => Some(self.content_length?.to_string().into()),
            "host" if !self.authority.is_empty() => Some(self.authority.into()),
            _ => None,
        }
    }
}

impl<F> Message<'_, F> {
    /// Writes the value of a derived component that has no parameters (RFC 9421 §2.2).
    pub(crate) fn derive(&self, name: &str, output: &mut String) -> Result<(), Fault> {
        match name {
            "@method" => output.push_str(self.method),
            "@target-uri" => {
                self.push_scheme(output);
                output.push_str("://");
                self.push_authority(output);
                self.push_target(output);
            }
            "@authority" => self.push_authority(output),
            "@scheme" => self.push_scheme(output),
            "@request-target" => self.push_target(output),
            "@path" => output.push_str(self.path()),
            "@query" => {
                output.push('?');
                output.push_str(self.query.unwrap_or_default());
            }
            _ => return Err(Fault::UnknownComponent),
        }
        Ok(())
    }

    fn push_scheme(&self, output: &mut String) {
        output.extend(
            self.scheme
                .chars()
                .map(|letter| letter.to_ascii_lowercase()),
        );
    }

    /// In lower case, and without the port that the scheme has anyway (§2.2.3).
    fn push_authority(&self, output: &mut String) {
        let default_port = match self.scheme {
            scheme if scheme.eq_ignore_ascii_case("https") => ":443",
            scheme if scheme.eq_ignore_ascii_case("http") => ":80",
            _ => "",
        };
        let authority = self.authority;
        let authority = authority.strip_suffix(default_port).unwrap_or(authority);
        output.extend(authority.chars().map(|letter| letter.to_ascii_lowercase()));
    }

    /// The origin form (§2.2.5): the path, and the query if there is one.
    fn push_target(&self, output: &mut String) {
        output.push_str(self.path());
        if let Some(query) = self.query {
            // Writing to a string does not fail.
            let _ = write!(output, "?{query}");
        }
    }

    /// An empty path is `/` (RFC 9110 §4.2.3).
    fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { self.path }
    }
}

/// Without optional white space at both ends (RFC 9110 §5.6.3).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
