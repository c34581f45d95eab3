//! What a route asks of a request beside host and path: method, claims, header fields, query.

use std::cmp::Reverse;

use http::{HeaderName, Method};
use weir_config::model::{ClaimRule, Match, ValueMatch};
use weir_core::Principal;

use crate::Fields;
use crate::identify;

/// A set of methods in one word; all methods without a bit of their own share [`Self::EXTENSION`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MethodBits(u16);

impl MethodBits {
    const GET: Self = Self(1);
    pub(super) const HEAD: Self = Self(1 << 1);
    pub(super) const EXTENSION: Self = Self(1 << 9);
    /// No method was stated.
    const ANY: Self = Self(u16::MAX);

    /// The bit of one method.
    pub(super) fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::GET,
            Method::HEAD => Self::HEAD,
            Method::POST => Self(1 << 2),
            Method::PUT => Self(1 << 3),
            Method::DELETE => Self(1 << 4),
            Method::CONNECT => Self(1 << 5),
            Method::OPTIONS => Self(1 << 6),
            Method::TRACE => Self(1 << 7),
            Method::PATCH => Self(1 << 8),
            _ => Self::EXTENSION,
        }
    }

    /// The bits of the methods that a route states.
    pub(super) fn stated(methods: &[Method]) -> Self {
        if methods.is_empty() {
            return Self::ANY;
        }
        let bits = methods
            .iter()
            .fold(0, |bits, method| bits | Self::of(method).0);
        Self(bits)
    }

    pub(super) fn is_any(self) -> bool {
        self == Self::ANY
    }

    /// Whether this method was stated itself.
    pub(super) fn states(self, method: Self) -> bool {
        !self.is_any() && self.0 & method.0 != 0
    }

    /// Whether a request with this method is taken: `HEAD` by whoever takes `GET` (RFC 9110 §9.3.2).
    pub(super) fn takes(self, method: Self) -> bool {
        self.0 & method.0 != 0 || (method == Self::HEAD && self.0 & Self::GET.0 != 0)
    }
}

/// The conditions of one route.
#[derive(Debug)]
pub(super) struct Conditions {
    pub(super) methods: Box<[Method]>,
    pub(super) headers: Box<[(HeaderName, ValueMatch)]>,
    pub(super) query: Box<[(String, ValueMatch)]>,
    pub(super) claims: Box<[ClaimRule]>,
}

/// Sorts the candidates of one path shape: less is more specific (steps 3 to 5 of the rule).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    methods_unstated: bool,
    claims: Reverse<usize>,
    stated_claims: Reverse<usize>,
    conditions: Reverse<usize>,
    exact: Reverse<usize>,
    prefix: Reverse<usize>,
}

impl Conditions {
    pub(super) fn of(matcher: &Match) -> Self {
        Self {
            methods: matcher.methods.as_slice().into(),
            headers: matcher.headers.as_slice().into(),
            query: matcher.query.as_slice().into(),
            claims: matcher.claims.as_slice().into(),
        }
    }

    /// Whether there are header or query conditions.
    pub(super) fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty()
    }

    pub(super) fn rank(&self) -> Rank {
        let headers = self.headers.iter().map(|(_, condition)| condition);
        let query = self.query.iter().map(|(_, condition)| condition);
        let (mut conditions, mut exact, mut prefix) = (0, 0, 0);
        for condition in headers.chain(query) {
            conditions += 1;
            match condition {
                ValueMatch::Exact(_) => exact += 1,
                ValueMatch::Prefix(_) => prefix += 1,
                ValueMatch::Present | ValueMatch::Absent => {}
            }
        }
        let stated = self.claims.iter().filter(|rule| !rule.values.is_empty());
        Rank {
            methods_unstated: self.methods.is_empty(),
            claims: Reverse(self.claims.len()),
            stated_claims: Reverse(stated.count()),
            conditions: Reverse(conditions),
            exact: Reverse(exact),
            prefix: Reverse(prefix),
        }
    }

    /// Whether all claims are as they must be.
    pub(super) fn claims_hold(&self, principal: &Principal) -> bool {
        let mut claims = self.claims.iter();
        claims.all(|rule| identify::holds(rule, principal))
    }

    /// Whether the header and query conditions hold.
    pub(super) fn hold(&self, fields: &Fields, query: Option<&str>) -> bool {
        self.headers
            .iter()
            .all(|(name, condition)| header_holds(name, condition, fields))
            && self
                .query
                .iter()
                .all(|(name, condition)| query_holds(name, condition, query))
    }
}

/// Any field line of the name may fulfil the condition.
pub(super) fn header_holds(name: &HeaderName, condition: &ValueMatch, fields: &Fields) -> bool {
    match condition {
        ValueMatch::Present => fields.contains(name),
        ValueMatch::Absent => !fields.contains(name),
        ValueMatch::Exact(expected) => fields
            .get_all(name)
            .any(|value| value.as_bytes() == expected.as_bytes()),
        ValueMatch::Prefix(expected) => fields
            .get_all(name)
            .any(|value| value.as_bytes().starts_with(expected.as_bytes())),
    }
}

/// Any parameter of the name may fulfil the condition.
pub(super) fn query_holds(name: &str, condition: &ValueMatch, query: Option<&str>) -> bool {
    let mut values = parameters(query.unwrap_or_default())
        .filter(|(parameter, _)| form_decoded(parameter).eq(name.bytes()))
        .map(|(_, value)| value);
    match condition {
        ValueMatch::Present => values.next().is_some(),
        ValueMatch::Absent => values.next().is_none(),
        ValueMatch::Exact(expected) => values.any(|value| form_decoded(value).eq(expected.bytes())),
        ValueMatch::Prefix(expected) => values.any(|value| {
            let mut decoded = form_decoded(value);
            expected.bytes().all(|byte| decoded.next() == Some(byte))
        }),
    }
}

/// Names and values of a query, still encoded, by the rules of
/// `application/x-www-form-urlencoded` (URL Standard §5.1).
fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Names and values of a query, decoded.
pub(crate) fn query_parameters(query: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    parameters(query).map(|(name, value)| {
        let name: Vec<u8> = form_decoded(name).collect();
        let name = String::from_utf8_lossy(&name).into_owned();
        (name, form_decoded(value).collect())
    })
}

/// The bytes that a name or value stands for; a `%` that begins no escape stands for itself.
fn form_decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (&first, following) = rest.split_first()?;
        if first == b'%'
            && let Some(byte) = weir_core::path::decode_escape(rest)
        {
            rest = &rest[3..];
            return Some(byte);
        }
        rest = following;
        Some(if first == b'+' { b' ' } else { first })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> ValueMatch {
        ValueMatch::Exact(text.to_owned())
    }

    #[test]
    fn query_names_and_values_are_compared_decoded() {
        let query = Some("a=1&b=x+y%2bz&&c&%64=%C3%A9&a=2&bad=%zz&e=f=g");
        for (name, value) in [
            ("a", "1"),
            ("a", "2"),
            ("b", "x y+z"),
            ("c", ""),
            ("d", "é"),
            ("bad", "%zz"),
            ("e", "f=g"),
        ] {
            assert!(query_holds(name, &exact(value), query), "{name}={value}");
            assert!(query_holds(name, &ValueMatch::Present, query), "{name}");
            assert!(!query_holds(name, &ValueMatch::Absent, query), "{name}");
        }
        assert!(!query_holds("a", &exact("12"), query));
        assert!(!query_holds("", &ValueMatch::Present, query));
        assert!(query_holds(
            "b",
            &ValueMatch::Prefix("x y".to_owned()),
            query
        ));
        assert!(!query_holds(
            "b",
            &ValueMatch::Prefix("x y+z!".to_owned()),
            query
        ));
        assert!(query_holds("a", &ValueMatch::Absent, None));
        assert!(!query_holds("a", &ValueMatch::Prefix(String::new()), None));
    }

    #[test]
    fn get_takes_head_and_nothing_takes_get_for_head() {
        let get = MethodBits::stated(&[Method::GET]);
        assert!(get.takes(MethodBits::HEAD) && !get.states(MethodBits::HEAD));
        let head = MethodBits::stated(&[Method::HEAD]);
        assert!(!head.takes(MethodBits::of(&Method::GET)));
        let any = MethodBits::stated(&[]);
        assert!(any.takes(MethodBits::HEAD) && !any.states(MethodBits::HEAD));
    }
}
