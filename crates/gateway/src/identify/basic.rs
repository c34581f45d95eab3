//! Names and passwords (RFC 7617), which a users file has.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use weir_signatures::{Basic, UsersFile};

use super::lookup::Question;
use super::{Bad, Verdict, Wanted, presented};
use crate::fields::Fields;

pub(super) const SCHEME: &str = "Basic";

/// The whole field, if it is of this scheme.
///
/// # Errors
/// For two fields: the rule that the request broke.
pub(super) fn presented(fields: &Fields) -> Result<Option<&[u8]>, &'static str> {
    if presented::authorization(fields, SCHEME)?.is_none() {
        return Ok(None);
    }
    let mut values = fields.get_all(&AUTHORIZATION);
    Ok(values.next().map(|value| value.as_bytes().trim_ascii()))
}

/// Takes it out; another scheme's stays.
pub(super) fn remove(fields: &mut Fields) {
    if let Ok(Some(_)) = presented::authorization(fields, SCHEME) {
        fields.remove(&AUTHORIZATION);
    }
}

/// Whose password it is must be asked: that takes longer than a worker has.
pub(super) fn verify(users: &Arc<UsersFile>, credential: &[u8]) -> Verdict {
    match Basic::parse(credential) {
        Ok(Some(shown)) => Verdict::Ask(Wanted::Lookup(Question::Password {
            users: Arc::clone(users),
            shown: Arc::new(shown),
        })),
        Ok(None) => Verdict::Bad(malformed("there is no name and password behind the scheme")),
        Err(why) => Verdict::Bad(malformed(&why.to_string())),
    }
}

/// The same for every reason: whether there is such a user is nobody's to know.
pub(super) fn bad(word: &'static str) -> Bad {
    Bad {
        word,
        sentence: "Name and password are not good.".to_owned(),
    }
}

fn malformed(why: &str) -> Bad {
    Bad {
        word: "basic_malformed",
        sentence: format!("Name and password cannot be read: {why}."),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn fields(values: &[&'static str]) -> Fields {
        let mut fields = Fields::new();
        for value in values {
            fields.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        fields
    }

    #[test]
    fn only_what_is_of_the_scheme_is_looked_at_and_taken_out() {
        for (value, is_one) in [
            ("Basic YTpi", true),
            ("bASIC YTpi", true),
            ("Basic", true),
            ("Bearer YTpi", false),
            ("Basics YTpi", false),
        ] {
            let mut fields = fields(&[value]);
            assert_eq!(presented(&fields), Ok(is_one.then_some(value.as_bytes())));
            remove(&mut fields);
            assert_eq!(
                fields.get_all(&AUTHORIZATION).count() == 0,
                is_one,
                "{value}"
            );
        }
        assert!(presented(&fields(&["Basic YTpi", "Basic YTpi"])).is_err());
    }
}
