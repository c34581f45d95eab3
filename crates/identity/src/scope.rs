//! What a token lets its holder do: words of RFC 6749 §3.3.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::permission::{Permission, Permissions};

/// More than anybody has a use for.
const MOST: usize = 100;
const MOST_LENGTH: usize = 4_096;

/// Words in order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Scope(BTreeSet<String>);

impl Scope {
    /// Reads words that are separated by spaces.
    ///
    /// # Errors
    /// [`Error::Invalid`] for characters that scopes do not have, and for too much.
    pub fn parse(text: &str) -> Result<Self> {
        let words: BTreeSet<String> = text.split(' ').map(str::to_owned).collect();
        let words: BTreeSet<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        if words.len() > MOST || text.len() > MOST_LENGTH {
            let why = format!("has more than {MOST} words or {MOST_LENGTH} characters");
            return Err(Error::invalid("scope", why));
        }
        let is_allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        match words.iter().all(|word| word.bytes().all(is_allowed)) {
            true => Ok(Self(words)),
            false => Err(Error::invalid(
                "scope",
                "has characters that scopes do not have (RFC 6749 section 3.3)",
            )),
        }
    }

    /// Whether all of another's words are among these.
    pub fn includes(&self, other: &Self) -> bool {
        other.0.is_subset(&self.0)
    }

    /// Without the words that these rights do not give.
    #[must_use]
    pub fn within(&self, rights: Permissions) -> Self {
        let gives = |word: &&String| {
            let permission = word.parse::<Permission>();
            permission.is_ok_and(|permission| rights.has(permission))
        };
        Self(self.0.iter().filter(gives).cloned().collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(String::as_str).collect();
        formatter.write_str(&words.join(" "))
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_order_and_only_of_what_is_allowed() {
        let scope = Scope::parse(" route:write route:read  route:read").unwrap();
        assert_eq!(scope.to_string(), "route:read route:write");
        assert!(scope.includes(&Scope::parse("route:read").unwrap()));
        assert!(scope.includes(&Scope::default()));
        assert!(!scope.includes(&Scope::parse("route:read role:read").unwrap()));
        for bad in ["a\"b", "a\\b", "a\tb", "a\nb", "ä", "a\u{0}b"] {
            assert!(Scope::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Scope::parse(&"a ".repeat(5_000)).is_err());
        let many: Vec<String> = (0..101).map(|number| number.to_string()).collect();
        assert!(Scope::parse(&many.join(" ")).is_err());
    }

    #[test]
    fn rights_that_are_not_there_give_no_scope() {
        let scope = Scope::parse("route:read route:write orders:write").unwrap();
        let rights: Permissions = [Permission::RouteRead].into_iter().collect();
        assert_eq!(scope.within(rights).to_string(), "route:read");
        assert!(scope.within(Permissions::default()).is_empty());
    }
}
