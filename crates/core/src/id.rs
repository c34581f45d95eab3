//! Identifiers of records: a word that says of what, and a number that grows with time.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Crockford's alphabet in lower case: no `i`, `l`, `o`, `u`, so that nothing is misread.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 26 digits of 5 bits hold 128 bits; the first one has only 3 of them.
const DIGITS: usize = 26;
const MOST_PREFIX: usize = 16;

/// An identifier in the form of TypeID 0.3: `usr_01kc…`, a prefix and a UUID version 7 (RFC 9562
/// §5.7) in base 32.
///
/// Text order is order of creation, to a millisecond. It is no secret: knowing one opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

/// Text that is no identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an identifier is a word, an underscore and 26 digits of base 32, such as org_01kc2q8r5nf0hb6x2v9w4t7zde"
)]
pub struct NotAnId;

impl Id {
    /// A new identifier; `prefix` is up to 16 lower-case letters.
    pub fn new(prefix: &'static str) -> Self {
        Self::of(prefix, Uuid::now_v7())
    }

    /// The identifier of this number.
    pub fn of(prefix: &str, number: Uuid) -> Self {
        debug_assert!(is_prefix(prefix), "not a prefix: {prefix}");
        let mut text = String::with_capacity(prefix.len() + 1 + DIGITS);
        text.push_str(prefix);
        text.push('_');
        let number = number.as_u128();
        for place in (0..DIGITS).rev() {
            let digit = (number >> (5 * place)) as usize & 31;
            text.push(char::from(ALPHABET[digit]));
        }
        Self(text)
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The word before the number.
    pub fn prefix(&self) -> &str {
        self.0.split_once('_').map_or("", |(prefix, _)| prefix)
    }
}

fn is_prefix(text: &str) -> bool {
    (1..=MOST_PREFIX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (prefix, number) = text.split_once('_').ok_or(NotAnId)?;
        let is_number = number.len() == DIGITS
            && number.starts_with(|first| ('0'..='7').contains(&first))
            && number.bytes().all(|byte| ALPHABET.contains(&byte));
        if is_prefix(prefix) && is_number {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnId)
        }
    }
}

impl TryFrom<String> for Id {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An organization, as the owner of records.
///
/// A type of its own, so that no other identifier is taken for the tenant of a query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Id);

impl TenantId {
    /// What identifiers of organizations begin with.
    pub const PREFIX: &'static str = "org";

    /// A new organization's.
    pub fn generate() -> Self {
        Self(Id::new(Self::PREFIX))
    }

    /// The organization that is the installation itself; its members administer it. It is the same
    /// everywhere, so that nothing has to look it up.
    pub fn platform() -> Self {
        Self(Id::of(Self::PREFIX, Uuid::nil()))
    }

    /// The identifier without its role.
    pub const fn id(&self) -> &Id {
        &self.0
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for TenantId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let id: Id = text.parse()?;
        if id.prefix() == Self::PREFIX {
            Ok(Self(id))
        } else {
            Err(NotAnId)
        }
    }
}

impl TryFrom<String> for TenantId {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<TenantId> for String {
    fn from(tenant: TenantId) -> Self {
        tenant.0.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_specification_hold() {
        for (prefix, number, text) in [
            (
                "prefix",
                "00000000-0000-0000-0000-000000000001",
                "prefix_00000000000000000000000001",
            ),
            (
                "prefix",
                "00000000-0000-0000-0000-000000000020",
                "prefix_00000000000000000000000010",
            ),
            (
                "prefix",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
                "prefix_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            ),
            (
                "prefix",
                "01890a5d-ac96-774b-bcce-b302099a8057",
                "prefix_01h455vb4pex5vsknk084sn02q",
            ),
        ] {
            let id = Id::of(prefix, number.parse().unwrap());
            assert_eq!(id.as_str(), text);
            assert_eq!(text.parse(), Ok(id));
        }
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        for text in [
            "",
            "org",
            "org_",
            "_01h455vb4pex5vsknk084sn02q",
            "ORG_01h455vb4pex5vsknk084sn02q",
            "org_01H455VB4PEX5VSKNK084SN02Q",
            "org_81h455vb4pex5vsknk084sn02q",
            "org_01h455vb4pex5vsknk084sn02",
            "org_01h455vb4pex5vsknk084sn02qq",
            "org_01h455vb4pex5vsknk084sn02l",
            "org_01h455vb4pex5vsknk084sn02'",
            "o-g_01h455vb4pex5vsknk084sn02q",
            "waytoolongaprefix_01h455vb4pex5vsknk084sn02q",
        ] {
            assert_eq!(text.parse::<Id>(), Err(NotAnId), "{text}");
        }
        assert!(
            "usr_01h455vb4pex5vsknk084sn02q"
                .parse::<TenantId>()
                .is_err()
        );
    }

    #[test]
    fn later_ones_sort_behind_earlier_ones() {
        let ids: Vec<_> = (0..1_000).map(|_| Id::new("usr")).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].prefix(), "usr");
    }
}
