//! What belongs to its moment: it comes into no backup, and back from none.

use crate::records::Statement;

/// Tables, and which of their rows are to stay out. A session that was ended since must not live again, nor
/// a link that was used, nor a key that somebody else may have: tokens are signed with new ones. What is counted against
/// guesses, letters that waited, and answers for whoever asks again, are of that time. What nodes are told of credentials
/// has its reader within the moment.
const PASSING: [(&str, &str); 11] = [
    ("credential_changes", "1 = 1"),
    ("familiar_places", "1 = 1"),
    ("former_session_tokens", "1 = 1"),
    ("idempotency_keys", "1 = 1"),
    ("mail_outbox", "1 = 1"),
    ("one_time_tokens", "kind <> 'invitation'"),
    ("refresh_families", "1 = 1"),
    ("revocations", "1 = 1"),
    ("sessions", "1 = 1"),
    ("signing_keys", "1 = 1"),
    ("throttles", "1 = 1"),
];

/// What each start makes by itself: a database with nothing else is nobody's yet.
const BORN: [(&str, &str); 5] = [
    ("audit", "scope = 'platform'"),
    ("credential_feed", "1 = 1"),
    ("installation", "1 = 1"),
    ("organizations", "slug = 'platform'"),
    ("scopes", "id = 'platform'"),
];

/// Which rows of a table are of the moment.
pub(super) fn passing(table: &str) -> Option<&'static str> {
    find(&PASSING, table)
}

/// Adds the condition of a row that is kept, behind `WHERE` or `AND`.
pub(super) fn push_kept(statement: &mut Statement, table: &str) {
    match passing(table) {
        Some(condition) => statement.push("NOT (").push(condition).push(")"),
        None => statement.push("1 = 1"),
    };
}

/// Adds the condition of a row that somebody made.
pub(super) fn push_made(statement: &mut Statement, table: &str) {
    push_kept(statement, table);
    if let Some(condition) = find(&BORN, table) {
        statement.push(" AND NOT (").push(condition).push(")");
    }
}

fn find(tables: &[(&str, &'static str)], table: &str) -> Option<&'static str> {
    let mut tables = tables.iter();
    tables.find(|(name, _)| *name == table).map(|found| found.1)
}
