//! Base64url without padding, as all parts of tokens and keys are written (RFC 7515 §2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The text of bytes.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Appends the text of bytes.
pub(crate) fn encode_to(bytes: impl AsRef<[u8]>, text: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// The bytes of a text; none if it has padding, other characters, or last bits that mean nothing: each value has
/// exactly one text.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Appends the bytes of a text, as [`decode`].
pub(crate) fn decode_to(text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    URL_SAFE_NO_PAD.decode_vec(text, bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_text() {
        assert_eq!(decode("AQ"), Some(vec![1]));
        for bad in [
            "AR", "AQ==", "AQ=", "A", "A+8", "A/8", "AQ\n", " AQ", "A.Q", "AQAé",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
