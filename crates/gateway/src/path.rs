//! Request paths under the configuration's rules; the rules themselves are [`weir_core::path`]'s.

use std::borrow::Cow;

use weir_config::model::EncodedSlash;
use weir_core::path::{PathError, Rules};

/// Normalises the path of a request target (without query), once for everything that follows.
pub(crate) fn normalise(path: &str, slash: EncodedSlash) -> Result<Cow<'_, str>, PathError> {
    let rules = Rules {
        keep_encoded_slash: slash == EncodedSlash::Keep,
        refuse_dot_segments: false,
    };
    weir_core::path::normalise(path, rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_slashes_follow_the_configuration() {
        let kept = normalise("/a%2fb", EncodedSlash::Keep);
        assert_eq!(kept.as_deref(), Ok("/a%2Fb"));
        let refused = normalise("/a%2fb", EncodedSlash::Reject);
        assert_eq!(refused, Err(PathError::EncodedSlash));
    }
}
