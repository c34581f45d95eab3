//! "Did you mean": the known word that is nearest to an unknown one.

use crate::source::printable;

/// Longer words are not compared: a hostile file would pay for itself in our time.
const LONGEST: usize = 64;

/// The candidate with the fewest edits, if they are few for the word's length.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let folded = fold(word);
    let allowed = match folded.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (strsim::osa_distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| {
            *distance <= allowed && *distance < candidate.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?``, or the list of what is possible when nothing is near.
pub fn help<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
    what: &str,
) -> String {
    if let Some(candidate) = nearest(word, candidates.clone()) {
        return format!("did you mean `{candidate}`?");
    }
    all(candidates, what)
}

/// The list of what is possible, behind what it is.
pub(crate) fn all<'a>(candidates: impl IntoIterator<Item = &'a str>, what: &str) -> String {
    const SHOWN: usize = 24;
    let all: Vec<&str> = candidates.into_iter().collect();
    if all.is_empty() {
        return format!("there are no {what}");
    }
    let shown: Vec<String> = all.iter().take(SHOWN).map(|one| quote(one)).collect();
    let more = if all.len() > SHOWN {
        format!(" and {} more", all.len() - SHOWN)
    } else {
        String::new()
    };
    format!("{what}: {}{more}", shown.join(", "))
}

/// A text of the file as messages show it: in backquotes, cut, without control characters.
pub(crate) fn quote(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut quoted = String::from("`");
    for (index, character) in text.chars().enumerate() {
        if index == SHOWN {
            quoted.push('…');
            break;
        }
        quoted.push(printable(character));
    }
    quoted.push('`');
    quoted
}

/// Case and the choice between `-` and `_` are not what a person gets wrong.
fn fold(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 5] = ["upstream", "redirect", "rewrite", "host", "to"];

    #[test]
    fn finds_what_was_meant() {
        assert_eq!(nearest("upstreem", KEYS), Some("upstream"));
        assert_eq!(nearest("Upstreams", KEYS), Some("upstream"));
        assert_eq!(nearest("redirct", KEYS), Some("redirect"));
        assert_eq!(nearest("hsot", KEYS), Some("host"));
        assert_eq!(
            nearest("least-request", ["least_request"]),
            Some("least_request")
        );
    }

    #[test]
    fn suggests_nothing_far_fetched() {
        assert_eq!(nearest("banana", KEYS), None);
        assert_eq!(nearest("xy", KEYS), None);
        assert_eq!(nearest(&"u".repeat(100_000), KEYS), None);
        assert_eq!(nearest("", KEYS), None);
    }

    #[test]
    fn quotes_are_cut_and_clean() {
        assert_eq!(quote("a\u{1b}b"), "`a\u{fffd}b`");
        assert_eq!(quote(&"é".repeat(100)), format!("`{}…`", "é".repeat(60)));
    }
}
