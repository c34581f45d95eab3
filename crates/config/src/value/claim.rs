//! Claims of a token.

use super::Fault;
use crate::codes;
use crate::model::ClaimPath;
use crate::shape::Text;

/// A claim by its name, or a place below one as a JSON Pointer.
pub(crate) static CLAIM: Text = Text {
    what: "the name of a claim, or a JSON Pointer such as `/realm_access/roles`",
    pattern: None,
    examples: &["sub", "/realm_access/roles", "https://example.com/plan"],
    loose: true,
};

/// A scope (RFC 6749 §3.3).
pub(crate) static SCOPE: Text = Text {
    what: "a scope: visible characters but `\"` and `\\`",
    pattern: Some("^[!#-\\[\\]-~]+$"),
    examples: &["catalog:read"],
    loose: true,
};

pub(crate) fn claim(text: &str) -> Result<ClaimPath, Fault> {
    let name = super::text::free(text)?;
    ClaimPath::of(&name).ok_or_else(|| {
        let fault = Fault::new(codes::BAD_TEXT, "the JSON Pointer has an empty step");
        fault.help("write names of members behind single slashes, as in `/realm_access/roles`")
    })
}

pub(crate) fn scope(text: &str) -> Result<String, Fault> {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    match text.bytes().position(|byte| !is_allowed(byte)) {
        None if !text.is_empty() => Ok(text.to_owned()),
        at => {
            let fault = Fault::new(codes::BAD_TEXT, "this is not a scope")
                .help("a scope has visible ASCII characters but `\"` and `\\`; list several scopes one by one");
            Err(match at {
                Some(at) => fault.at(at),
                None => fault,
            })
        }
    }
}
