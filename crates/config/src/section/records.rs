//! `records`: where what must outlive the process is kept.

use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::Records;
use crate::reference::Reference;
use crate::shape::{Record, Shape, field};
use crate::value::Fault;
use crate::value::text::{DATABASE, SECRET};
use weir_core::Secret;

pub(super) static RECORDS: Record = Record {
    name: "records",
    about: "Where organizations, people, revisions and audit are kept.",
    fields: &[
        field(
            "url",
            Shape::Text(&DATABASE),
            "Address of a PostgreSQL database, or a reference to it; with a password it must be a reference. Default: SQLite, in `weir.db` of the data directory.",
        ),
        field(
            "connections",
            Shape::Integer {
                least: 2,
                most: 1000,
            },
            "Connections to the database at once.",
        )
        .default("10"),
        field(
            "acquire_timeout",
            Shape::Duration { zero: false },
            "How long to wait for a connection.",
        )
        .default("5s"),
        field(
            "statement_timeout",
            Shape::Duration { zero: false },
            "How long a statement may take, waiting for locks included.",
        )
        .default("30s"),
        field(
            "key",
            Shape::Text(&SECRET),
            "Key of the installation, under which secrets in the records are sealed: a reference to 32 bytes in base64 or hexadecimal, the same on every node. Default: made once, in `installation.key` of the data directory.",
        ),
        field(
            "former_keys",
            Shape::List {
                items: &Shape::Text(&SECRET),
                least: 0,
            },
            "Keys under which secrets in the records may still be sealed, or will be: references as for `key`. What is under them opens; nothing is sealed under them. `weir keys rewrap` seals everything under `key`.",
        )
        .default("[]"),
    ],
};

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Records> {
    let object = Object::open(context, cursor)?;
    Some(Records {
        url: object
            .written("url")
            .and_then(|cursor| decode_url(context, &cursor)),
        connections: object.get("connections")?.number(context),
        acquire_timeout: object.get("acquire_timeout")?.duration(context),
        statement_timeout: object.get("statement_timeout")?.duration(context),
        key: object
            .written("key")
            .and_then(|cursor| cursor.secret_key(context)),
        former_keys: {
            let listed = object.get("former_keys")?;
            let keys = listed.items(context);
            let keys = keys.iter().filter_map(|key| key.secret_key(context));
            keys.collect()
        },
    })
}

fn decode_url(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Secret<String>> {
    let text = cursor.text(context)?;
    match Reference::parse(text) {
        Some(Ok(reference)) => {
            cursor.referenced_text(context, &reference, "the address of a database", |text| {
                url(text).ok()
            })
        }
        Some(Err(fault)) => {
            cursor.report_fault(context, text, fault);
            None
        }
        None if has_password(text) => {
            context.hidden.push(cursor.node.span);
            let finding = cursor
                .error(
                    codes::NOT_A_REFERENCE,
                    "an address with a password must not stand in the file",
                )
                .help("refer to it: `env:NAME` or `file:PATH`");
            context.report(finding);
            None
        }
        None => cursor.parse(context, url),
    }
}

/// Whether a password stands before the host or among the parameters.
fn has_password(text: &str) -> bool {
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let before_host = authority.rsplit_once('@').map_or("", |(user, _)| user);
    before_host.contains(':') || text.contains("password=")
}

/// Only its form; the server and the database show themselves when they are spoken to.
fn url(text: &str) -> Result<Secret<String>, Fault> {
    let rest = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    match rest {
        Some(rest) if !rest.is_empty() && is_visible => Ok(Secret::new(text.to_owned())),
        _ => Err(Fault::new(
            codes::BAD_ADDRESS,
            "this is not the address of a PostgreSQL database",
        )
        .help(
            "write postgres://USER@HOST:5432/DATABASE, with `?sslmode=verify-full` over a network",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_seen_wherever_they_stand() {
        for text in [
            "postgres://weir:secret@db/weir",
            "postgres://weir:se@cret@db:5432/weir",
            "postgres://db/weir?user=weir&password=secret",
        ] {
            assert!(has_password(text), "{text}");
        }
        for text in [
            "postgres://weir@db:5432/weir",
            "postgres://db:5432/weir",
            "postgres:///weir?host=/run/postgresql",
            "postgres://weir@db/a:b@c",
        ] {
            assert!(!has_password(text), "{text}");
            assert!(url(text).is_ok(), "{text}");
        }
        for text in [
            "mysql://db/weir",
            "postgres://",
            "weir.db",
            "postgres://d b/",
        ] {
            assert!(url(text).is_err(), "{text}");
        }
    }
}
