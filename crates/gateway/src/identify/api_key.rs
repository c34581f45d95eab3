//! API keys, which records hold.

use http::HeaderName;
use http::header::AUTHORIZATION;
use weir_core::{ApiKeyText, Secret};

use super::lookup::Question;
use super::{Bad, Verdict, Wanted, presented};
use crate::fields::Fields;

/// The key in a request: in its own field, or as a bearer token that says that it is a key.
///
/// # Errors
/// For two of them: the rule that the request broke.
pub(super) fn presented<'a>(
    fields: &'a Fields,
    header: &'a HeaderName,
) -> Result<Option<&'a [u8]>, &'static str> {
    let mut values = fields.get_all(header);
    let own = values.next().map(|value| value.as_bytes().trim_ascii());
    if values.next().is_some() {
        return Err("The field with the API key stands there twice.");
    }
    let bearer = presented::authorization(fields, "Bearer")?.filter(|token| is_meant(token));
    match (own, bearer) {
        (Some(_), Some(_)) => Err("There are two API keys."),
        (own, bearer) => Ok(own.or(bearer)),
    }
}

/// Takes it out, wherever it is; another bearer token stays.
pub(super) fn remove(fields: &mut Fields, header: &HeaderName) {
    fields.remove(header);
    if let Ok(Some(token)) = presented::authorization(fields, "Bearer")
        && is_meant(token)
    {
        fields.remove(&AUTHORIZATION);
    }
}

/// What is no key is known by its checksum; whose key it is must be asked.
pub(super) fn verify(credential: &[u8]) -> Verdict {
    match std::str::from_utf8(credential) {
        Ok(text) if ApiKeyText::parse(text).is_some() => Verdict::Ask(Wanted::Lookup(
            Question::ApiKey(Secret::new(text.to_owned())),
        )),
        _ => Verdict::Bad(bad("key_malformed")),
    }
}

/// The same for every reason: whether there is such a key is nobody's to know.
pub(super) fn bad(word: &'static str) -> Bad {
    Bad {
        word,
        sentence: "The API key is not good.".to_owned(),
    }
}

fn is_meant(token: &[u8]) -> bool {
    std::str::from_utf8(token).is_ok_and(ApiKeyText::is_meant)
}
