//! Entries as rows of a table.

use csv::{Terminator, WriterBuilder};
use serde_json::{Map, Value, json};

use super::AuditEntry;

/// The fields, as the first line names them.
pub(super) const FIELDS: [&str; 15] = [
    "sequence",
    "at",
    "action",
    "actor_kind",
    "actor_id",
    "actor_name",
    "subject_kind",
    "subject_id",
    "address",
    "agent",
    "request_id",
    "before",
    "after",
    "erased_by",
    "hash",
];

/// The lines of these entries (RFC 4180); before the first ones, that of the fields' names.
pub(super) fn lines(entries: &[AuditEntry], is_first: bool) -> Result<Vec<u8>, csv::Error> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    if is_first {
        writer.write_record(FIELDS)?;
    }
    for entry in entries {
        writer.write_record(cells(entry).map(defused))?;
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}

fn cells(entry: &AuditEntry) -> [String; FIELDS.len()] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let json = |members: &Option<Map<String, Value>>| match members {
        Some(members) => json!(members).to_string(),
        None => String::new(),
    };
    [
        entry.sequence.to_string(),
        entry.at.to_string(),
        entry.action.clone(),
        entry.actor_kind.clone(),
        text(&entry.actor_id),
        text(&entry.actor_name),
        entry.subject_kind.clone(),
        text(&entry.subject_id),
        text(&entry.address),
        text(&entry.agent),
        text(&entry.request_id),
        json(&entry.before),
        json(&entry.after),
        entry
            .erased_by
            .map_or_else(String::new, |by| by.to_string()),
        entry.hash.clone(),
    ]
}

/// Spreadsheets run cells that begin like a formula, and others decide what stands here: an apostrophe
/// before them makes them text.
fn defused(cell: String) -> String {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => format!("'{cell}"),
        false => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            sequence: 7,
            at: "2026-01-02T03:04:05.000006Z".parse().unwrap(),
            action: "role.create".to_owned(),
            actor_kind: "user".to_owned(),
            actor_id: None,
            actor_name: Some("=1+1@evil.example".to_owned()),
            subject_kind: "role".to_owned(),
            subject_id: None,
            address: Some("::1".to_owned()),
            agent: Some("say \"hi\", twice".to_owned()),
            request_id: None,
            before: None,
            after: json!({ "name": "a" }).as_object().cloned(),
            erased_by: None,
            hash: "00".to_owned(),
        }
    }

    #[test]
    fn rows_are_quoted_and_do_nothing_in_a_spreadsheet() {
        let text = String::from_utf8(lines(&[entry()], true).unwrap()).unwrap();
        let expected = [
            "sequence,at,action,actor_kind,actor_id,actor_name,subject_kind,subject_id,address,agent,\
             request_id,before,after,erased_by,hash",
            "7,2026-01-02T03:04:05.000006Z,role.create,user,,'=1+1@evil.example,role,,::1,\
             \"say \"\"hi\"\", twice\",,,\"{\"\"name\"\":\"\"a\"\"}\",,00",
            "",
        ];
        assert_eq!(text, expected.join("\r\n"));
        assert_eq!(lines(&[], false).unwrap(), b"");
        for begin in ['=', '+', '-', '@', '\t', '\r', '\n'] {
            assert_eq!(defused(format!("{begin}x")), format!("'{begin}x"));
        }
        assert_eq!(defused("a=b".to_owned()), "a=b");
    }

    #[test]
    fn the_columns_are_the_fields_of_the_other_forms() {
        let json = serde_json::to_value(entry()).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().collect();
        assert_eq!(names, FIELDS);
    }
}
