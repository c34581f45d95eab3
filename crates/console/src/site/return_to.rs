//! Where somebody is sent who has signed in: never where only a stranger's link says.

use super::Site;

const MOST: usize = 2_048;

/// A place that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReturnTo(String);

impl ReturnTo {
    /// A path of our own, or an address of an origin that the installation states; none for anything else.
    pub(crate) fn parse(site: &Site, text: &str) -> Option<Self> {
        let is_plain = text.len() <= MOST
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if !is_plain {
            return None;
        }
        // `//host` is an address, of another host.
        let is_path = text.starts_with('/') && !text.starts_with("//");
        let is_known = || {
            site.return_origins()
                .iter()
                .any(|origin| is_of(origin, text))
        };
        (is_path || is_known()).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_of(origin: &str, text: &str) -> bool {
    let Some(rest) = text.strip_prefix(origin) else {
        return false;
    };
    // Anything else would go on with the name, or make it the part before an `@`.
    rest.is_empty() || rest.starts_with(['/', '?', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_a_place_that_is_not_stated() {
        let origins = vec!["https://app.example".to_owned()];
        let site = Site::new("https://weir.example", origins, &[0; 32]);
        let is_good = |text: &str| ReturnTo::parse(&site, text).is_some();
        for good in [
            "/",
            "/account",
            "/account?a=//x",
            "https://app.example",
            "https://app.example/a?b#c",
            "https://app.example?b",
        ] {
            assert!(is_good(good), "{good}");
        }
        for bad in [
            "",
            "account",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "/ /evil.example",
            "/\n",
            "https://evil.example",
            "https://app.example.evil.example",
            "https://app.example@evil.example",
            "https://app.example:444/",
            "http://app.example/",
            "HTTPS://app.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/é",
            &format!("/{}", "a".repeat(MOST)),
        ] {
            assert!(!is_good(bad), "{bad}");
        }
    }
}
