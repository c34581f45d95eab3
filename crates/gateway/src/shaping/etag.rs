//! Entity tags of compressed answers (RFC 9110 §8.8.3).
//!
//! A strong tag names bytes, which compression changes: it becomes a weak one that tells the coding,
//! `"x"` turns into `W/"x--gzip"`. When the client comes back with it in `If-None-Match` or `If-Match`,
//! the upstream gets its own `"x"` again, so that it finds its answer unchanged, and so that a change
//! with a condition works. `If-Range` is left alone: a part of other bytes must not be joined to what
//! the client has.

use http::HeaderValue;
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use weir_config::model::Coding;

use crate::fields::Fields;

const SUFFIXES: [(Coding, &[u8]); 3] = [
    (Coding::Gzip, b"--gzip"),
    (Coding::Brotli, b"--br"),
    (Coding::Zstd, b"--zstd"),
];

/// Makes the answer's tag that of its compressed form.
pub(super) fn weaken(fields: &mut Fields, coding: Coding) {
    let Some(tag) = fields.get(&ETAG) else {
        return;
    };
    let text = tag.as_bytes();
    if text.starts_with(b"W/") {
        return;
    }
    let Some(opaque) = text
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
    else {
        // No tag at all: it would name bytes that are not sent.
        fields.remove(&ETAG);
        return;
    };
    let suffix = SUFFIXES.iter().find(|(known, _)| *known == coding);
    let mut weak = Vec::with_capacity(opaque.len() + 10);
    weak.extend_from_slice(b"W/\"");
    weak.extend_from_slice(opaque);
    weak.extend(suffix.into_iter().flat_map(|(_, suffix)| *suffix));
    weak.push(b'"');
    match HeaderValue::from_bytes(&weak) {
        Ok(weak) => fields.set(ETAG, weak),
        Err(_) => drop(fields.remove(&ETAG)),
    }
}

/// Gives the upstream its own tags back; tells the coding of the first that was changed.
pub(super) fn restore(fields: &mut Fields) -> Option<Coding> {
    let mut first = None;
    fields.retain_mut(|name, value| {
        if (*name == IF_NONE_MATCH || *name == IF_MATCH)
            && let Some((restored, coding)) = restored(value.as_bytes())
            && let Ok(restored) = HeaderValue::from_bytes(&restored)
        {
            *value = restored;
            first.get_or_insert(coding);
        }
        true
    });
    first
}

/// `None` if there is nothing of ours in the list, or it is no list of tags.
fn restored(mut list: &[u8]) -> Option<(Vec<u8>, Coding)> {
    let mut result = Vec::new();
    let mut first = None;
    loop {
        let skipped = list
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b','))
            .unwrap_or(list.len());
        result.extend_from_slice(&list[..skipped]);
        list = &list[skipped..];
        if list.is_empty() {
            return first.map(|first| (result, first));
        }
        let after_weak = list.strip_prefix(b"W/");
        let quoted = after_weak.unwrap_or(list).strip_prefix(b"\"")?;
        let end = quoted.iter().position(|byte| *byte == b'"')?;
        let opaque = &quoted[..end];
        let ours = after_weak.and_then(|_| {
            let mut suffixes = SUFFIXES.iter();
            suffixes.find_map(|(coding, suffix)| Some((*coding, opaque.strip_suffix(*suffix)?)))
        });
        match ours {
            Some((coding, original)) => {
                first.get_or_insert(coding);
                result.push(b'"');
                result.extend_from_slice(original);
            }
            None => {
                let start = list.len() - quoted.len();
                result.extend_from_slice(&list[..start]);
                result.extend_from_slice(opaque);
            }
        }
        result.push(b'"');
        list = &quoted[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: http::HeaderName, value: &str) -> Fields {
        let mut fields = Fields::new();
        fields.append(name, HeaderValue::from_str(value).unwrap());
        fields
    }

    #[test]
    fn a_tag_goes_there_and_back() {
        let mut answer = with(ETAG, "\"x-1\"");
        weaken(&mut answer, Coding::Brotli);
        assert_eq!(answer, with(ETAG, "W/\"x-1--br\""));
        let mut request = with(IF_NONE_MATCH, "\"a\", W/\"x-1--br\",W/\"b\"");
        assert_eq!(restore(&mut request), Some(Coding::Brotli));
        assert_eq!(request, with(IF_NONE_MATCH, "\"a\", \"x-1\",W/\"b\""));
    }

    #[test]
    fn tags_of_others_stay() {
        let mut answer = with(ETAG, "W/\"x\"");
        weaken(&mut answer, Coding::Gzip);
        assert_eq!(answer, with(ETAG, "W/\"x\""));
        for text in [
            "*",
            "\"x--gzip\"",
            "W/\"x\"",
            "W/\"x--gzip",
            "x--gzip",
            "W/x--gzip\"",
            "\"",
            "",
        ] {
            let mut request = with(IF_MATCH, text);
            assert_eq!(restore(&mut request), None, "{text}");
            assert_eq!(request, with(IF_MATCH, text));
        }
        let mut broken = with(ETAG, "x");
        weaken(&mut broken, Coding::Gzip);
        assert!(broken.is_empty());
    }

    #[test]
    fn a_part_is_not_joined_to_other_bytes() {
        let mut request = with(http::header::IF_RANGE, "W/\"x--gzip\"");
        assert_eq!(restore(&mut request), None);
    }
}
