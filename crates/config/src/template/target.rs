//! Checks of templates that become addresses. The data plane makes any template safe; these checks
//! tell the operator beforehand what it would refuse.

use weir_core::path::{self, Rules};

use super::{Part, Template, TemplateError, Variable};

impl Template {
    /// Checks a template for the path of a rewrite: it begins with a literal `/`.
    pub fn check_path(&self) -> Result<(), TemplateError> {
        match self.parts.first() {
            Some(Part::Literal(first)) if first.starts_with('/') => {}
            _ => {
                return Err(TemplateError::new(
                    0,
                    "the path does not begin with a literal `/`",
                ));
            }
        }
        self.check_characters()?;
        self.check_literal_path()
    }

    /// Checks a template for `Location`: whatever the request holds, it leads to the host that the
    /// operator chose.
    ///
    /// It begins with `/`, `http://`, `https://`, `{request.scheme}://` or `{request.path}`; the host
    /// is literal, `{request.host}`, or has captures as labels in front of a literal domain.
    pub fn check_location(&self) -> Result<(), TemplateError> {
        self.check_characters()?;
        let (authority, parts) = match self.parts.as_slice() {
            [Part::Literal(first), ..] if first.starts_with("//") || first.starts_with("/\\") => {
                let message = "`//` leads to another host; write `https://`";
                return Err(TemplateError::new(0, message));
            }
            [Part::Literal(first), ..] if first.starts_with('/') => {
                return self.check_literal_path();
            }
            [Part::Variable(Variable::RequestPath), ..] => return Ok(()),
            [Part::Literal(first), rest @ ..] => {
                (behind_scheme(first).ok_or_else(bad_beginning)?, rest)
            }
            [
                Part::Variable(Variable::RequestScheme),
                Part::Literal(second),
                rest @ ..,
            ] => (second.strip_prefix("://").ok_or_else(bad_beginning)?, rest),
            _ => return Err(bad_beginning()),
        };
        check_authority(authority, parts)
    }

    /// Checks the path that comes out if every variable is a plain word.
    fn check_literal_path(&self) -> Result<(), TemplateError> {
        let words = self.parts.iter().map(|part| match part {
            Part::Literal(text) => text.as_str(),
            Part::Variable(_) | Part::Secret(_) => "x",
        });
        let address: String = words.collect();
        let path = address.split('?').next().unwrap_or_default();
        let rules = Rules {
            keep_encoded_slash: true,
            refuse_dot_segments: true,
        };
        match path::normalise(path, rules) {
            Ok(_) => Ok(()),
            Err(error) => Err(TemplateError::new(0, format!("not a path: {error}"))),
        }
    }

    fn check_characters(&self) -> Result<(), TemplateError> {
        if self.has_secret() {
            return Err(secret());
        }
        for part in &self.parts {
            if let Part::Literal(text) = part
                && let Some(wrong) = text.chars().find(|character| !character.is_ascii_graphic())
            {
                let message = format!("{wrong:?} cannot stand in an address; percent-encode it");
                return Err(TemplateError::new(0, message));
            }
        }
        Ok(())
    }
}

/// `authority` is the literal text behind `://`, `parts` what follows it.
fn check_authority(authority: &str, parts: &[Part]) -> Result<(), TemplateError> {
    let ends_authority = |text: &str| text.contains(['/', '?', '#']);
    let mut has_host = !authority.is_empty() && !authority.starts_with(['/', '?', '#']);
    let mut is_ended = ends_authority(authority);
    for (index, part) in parts.iter().enumerate() {
        if is_ended {
            break;
        }
        match part {
            Part::Literal(text) => is_ended = ends_authority(text),
            Part::Secret(_) => return Err(secret()),
            Part::Variable(Variable::RequestPath) if has_host => is_ended = true,
            Part::Variable(Variable::RequestHost | Variable::TlsServerName) if !has_host => {
                has_host = true;
            }
            Part::Variable(Variable::PathCapture(_)) if is_domain(parts.get(index + 1)) => {
                has_host = true;
            }
            Part::Variable(variable) => {
                let message = format!("`{{{variable}}}` could change the host of the target");
                return Err(TemplateError::new(0, message));
            }
        }
    }
    if !has_host {
        return Err(TemplateError::new(0, "the target has no host"));
    }
    Ok(())
}

fn behind_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    is_web.then_some(rest)
}

fn bad_beginning() -> TemplateError {
    let message = "the target begins with `/`, `https://`, `http://`, `{request.scheme}://` or `{request.path}`";
    TemplateError::new(0, message)
}

/// Addresses are logged, and `Location` goes to the client.
fn secret() -> TemplateError {
    TemplateError::new(0, "a secret cannot stand in an address")
}

/// `.example.com/…`: a capture in front of it can only choose a subdomain.
fn is_domain(part: Option<&Part>) -> bool {
    let Some(Part::Literal(text)) = part else {
        return false;
    };
    text.starts_with('.') && text[1..].starts_with(|first: char| first.is_ascii_alphanumeric())
}
