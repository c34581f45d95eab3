//! Media types (RFC 9110 §8.3.1).

use super::Fault;
use crate::codes;
use crate::model::{MediaRange, Subtype};
use crate::shape::Text;
use crate::suggest::quote;

pub(crate) static MEDIA_RANGE: Text = Text {
    what: "a media type such as `text/html`",
    pattern: Some("^[^/]+/[^/]+$"),
    examples: &["application/json", "text/*", "application/*+json"],
    loose: false,
};

/// `text/html`, `text/*` or `application/*+json`.
pub(crate) fn media_range(text: &str) -> Result<MediaRange, Fault> {
    let fault = || {
        let message = format!("{} is not a media type", quote(text));
        Fault::new(codes::BAD_MEDIA_TYPE, message)
    };
    if let Some(at) = text.find(';') {
        return Err(fault()
            .help("leave parameters out: all of them are meant")
            .at(at));
    }
    let lower = text.to_ascii_lowercase();
    let is_token = |part: &str| {
        !part.is_empty()
            && part.chars().all(|character| {
                character.is_ascii_alphanumeric() || "!#$&-^_.+".contains(character)
            })
    };
    let (kind, subtype) = lower.split_once('/').unwrap_or_default();
    let subtype = match subtype.strip_prefix('*') {
        Some("") => Some(Subtype::Any),
        Some(suffix) if suffix.starts_with('+') && is_token(suffix) => {
            Some(Subtype::Suffix(suffix.to_owned()))
        }
        Some(_) => None,
        None => is_token(subtype).then(|| Subtype::Exact(subtype.to_owned())),
    };
    match subtype {
        Some(subtype) if is_token(kind) => Ok(MediaRange {
            kind: kind.to_owned(),
            subtype,
        }),
        _ => Err(fault().help("write it as in `text/html`, `text/*` or `application/*+json`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_take_what_they_say() {
        let contains = |range: &str, kind: &str, subtype: &str| {
            media_range(range).unwrap().contains(kind, subtype)
        };
        assert!(contains("Text/*", "text", "html"));
        assert!(!contains("text/*", "texts", "html"));
        assert!(contains(
            "application/*+json",
            "application",
            "problem+json"
        ));
        assert!(!contains("application/*+json", "application", "json"));
        assert!(contains("image/svg+xml", "image", "svg+xml"));
        for wrong in [
            "",
            "text",
            "/",
            "*/*",
            "text/",
            "text/h tml",
            "text/html; charset=utf-8",
            "text/*x",
            "a/b/c",
        ] {
            assert!(media_range(wrong).is_err(), "{wrong}");
        }
    }
}
