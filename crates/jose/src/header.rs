//! What a token says of itself before anything of it is believed.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use smallvec::SmallVec;

use crate::algorithm::Algorithm;
use crate::token::Malformed;

/// Longest `kid`, in bytes.
const LONGEST_KID: usize = 512;
/// Most members of a header. Each is compared with all others.
const MOST_MEMBERS: usize = 32;

/// The protected header of a token (RFC 7515 §4).
///
/// Of its members these are read; those that point to keys (`jwk`, `jku`, `x5u`, `x5c`, `x5t`) are not, since a token
/// must not choose who vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// By which the token claims to be signed.
    pub algorithm: Algorithm,
    /// What the token claims to be, as it stands there.
    pub typ: Option<Cow<'a, str>>,
    /// What its key is called; any text, only ever to be compared.
    pub kid: Option<Cow<'a, str>>,
}

impl<'a> Header<'a> {
    pub(crate) fn parse(json: &'a [u8]) -> Result<Self, Malformed> {
        let members: Members<'a> = serde_json::from_slice(json).map_err(|_| Malformed::Header)?;
        if members.is_critical {
            return Err(Malformed::Critical);
        }
        if members.is_compressed {
            return Err(Malformed::Compressed);
        }
        let algorithm = members.alg.ok_or(Malformed::Algorithm)?;
        let algorithm = Algorithm::named(&algorithm).ok_or(Malformed::Algorithm)?;
        if members
            .kid
            .as_ref()
            .is_some_and(|kid| kid.len() > LONGEST_KID)
        {
            return Err(Malformed::KidTooLong);
        }
        Ok(Self {
            algorithm,
            typ: members.typ,
            kid: members.kid,
        })
    }
}

#[derive(Default)]
struct Members<'a> {
    alg: Option<Cow<'a, str>>,
    typ: Option<Cow<'a, str>>,
    kid: Option<Cow<'a, str>>,
    /// Whether there is a `crit` or a `b64`. No extension is known here (RFC 7515 §4.1.11, RFC 7797 §6).
    is_critical: bool,
    /// Whether there is a `zip`, which only encrypted tokens may have.
    is_compressed: bool,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the header of a token")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        let mut seen = SmallVec::<[Cow<'de, str>; 8]>::new();
        while let Some(Text(name)) = access.next_key()? {
            if seen.contains(&name) {
                return Err(A::Error::custom("a member stands there twice"));
            }
            if seen.len() == MOST_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
            match &*name {
                "alg" => members.alg = Some(access.next_value::<Text<'de>>()?.0),
                "typ" => members.typ = Some(access.next_value::<Text<'de>>()?.0),
                "kid" => members.kid = Some(access.next_value::<Text<'de>>()?.0),
                other => {
                    members.is_critical |= matches!(other, "crit" | "b64");
                    members.is_compressed |= other == "zip";
                    access.next_value::<IgnoredAny>()?;
                }
            }
            seen.push(name);
        }
        Ok(members)
    }
}

/// A text that borrows where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> Malformed {
        Header::parse(json.as_bytes()).unwrap_err()
    }

    #[test]
    fn three_members_are_read_and_those_that_point_to_keys_are_not() {
        let header = Header::parse(
            br#"{"typ":"at+jwt","alg":"RS256","kid":"k\u002f1","jwk":{"kty":"oct"},"jku":"https://a.test","x5u":1,"x5c":[],"x5t":null,"cty":"x"}"#,
        );
        let header = header.unwrap();
        assert_eq!(header.algorithm, Algorithm::Rs256);
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        assert_eq!(header.kid.as_deref(), Some("k/1"));
    }

    #[test]
    fn an_unknown_crit_is_refused_as_is_every_crit() {
        for crit in [r#"["exp"]"#, r#"["b64"]"#, "[]", "null"] {
            assert_eq!(
                fault(&format!(r#"{{"alg":"RS256","crit":{crit}}}"#)),
                Malformed::Critical
            );
        }
        assert_eq!(fault(r#"{"alg":"RS256","b64":true}"#), Malformed::Critical);
        assert_eq!(
            fault(r#"{"alg":"RS256","zip":"DEF"}"#),
            Malformed::Compressed
        );
    }

    #[test]
    fn a_header_has_each_member_once() {
        assert_eq!(fault(r#"{"alg":"RS256","alg":"HS256"}"#), Malformed::Header);
        assert_eq!(
            fault(r#"{"alg":"RS256","\u0061lg":"RS256"}"#),
            Malformed::Header
        );
        assert_eq!(fault(r#"{"alg":"RS256","x":1,"x":1}"#), Malformed::Header);
    }

    #[test]
    fn a_hostile_header_is_refused() {
        for bad in [
            "",
            "[]",
            "null",
            "\"RS256\"",
            r#"{"alg":1}"#,
            r#"{"alg":["RS256"]}"#,
            r#"{"alg":"RS256","kid":1}"#,
        ] {
            assert_eq!(fault(bad), Malformed::Header, "{bad}");
        }
        for bad in [
            "{}",
            r#"{"alg":"none"}"#,
            r#"{"alg":"NONE"}"#,
            r#"{"alg":""}"#,
        ] {
            assert_eq!(fault(bad), Malformed::Algorithm, "{bad}");
        }
        let long = "k".repeat(LONGEST_KID + 1);
        assert_eq!(
            fault(&format!(r#"{{"alg":"RS256","kid":"{long}"}}"#)),
            Malformed::KidTooLong
        );
        let many: String = (0..MOST_MEMBERS).map(|n| format!(r#","m{n}":1"#)).collect();
        assert_eq!(
            fault(&format!(r#"{{"alg":"RS256"{many}}}"#)),
            Malformed::Header
        );
        let hostile =
            Header::parse(br#"{"alg":"RS256","kid":"../../etc/passwd' OR 1=1 --\u0000"}"#);
        assert_eq!(
            hostile.unwrap().kid.as_deref(),
            Some("../../etc/passwd' OR 1=1 --\0")
        );
    }
}
