//! `basic` of a policy: names and passwords of a users file.

use std::sync::Arc;

use weir_signatures::UsersFile;

use super::credential::{self, FORWARD, REQUIRED};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{Basic, Material};
use crate::node::Value;
use crate::reference::Reference;
use crate::shape::{Record, Shape, field};
use crate::suggest::quote;
use crate::value::text::MATERIAL;

pub(in crate::section) static BASIC: Record = Record {
    name: "basic",
    about: "Takes names and passwords (RFC 7617) that a users file has.",
    fields: &[
        field(
            "users",
            Shape::Text(&MATERIAL),
            "Names with hashes of their passwords, `name:hash`, one a line: Argon2id (`weir password-hash`) or bcrypt (`htpasswd -B`).",
        )
        .required(),
        REQUIRED,
        FORWARD.default("false"),
    ],
};

pub(in crate::section) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Basic> {
    let object = Object::open(context, cursor)?;
    let credential = credential::decode(context, &object);
    let users = object.written("users")?;
    if report_pasted(context, &users) {
        return None;
    }
    let file = users.material(context)?;
    Some(Basic {
        users: Arc::new(read(context, &users, &file)?),
        file,
        credential: credential?,
    })
}

/// Reports a line of such a file in place of its name: it may have a password, which is not shown.
fn report_pasted(context: &mut Context<'_>, cursor: &Cursor<'_>) -> bool {
    let Value::Scalar { text, .. } = &cursor.node.value else {
        return false;
    };
    let pasted = text.split_once(':').map(|(name, _)| name);
    let Some(name) = pasted.filter(|_| Reference::parse(text).is_none()) else {
        return false;
    };
    context.hidden.push(cursor.node.span);
    let name = quote(name.trim());
    let finding = cursor.error(codes::NOT_A_REFERENCE, "expected `file:PATH` or `env:NAME`");
    context.report(finding.help(format!(
        "write the line to a file, hashed by `weir password-hash {}`, and name that: `file:users.htpasswd`",
        name.trim_matches('`')
    )));
    true
}

/// Reports every line with a mistake.
fn read(context: &mut Context<'_>, cursor: &Cursor<'_>, file: &Material) -> Option<UsersFile> {
    let place = quote(&file.source.to_string());
    let Ok(text) = std::str::from_utf8(file.bytes.expose()) else {
        let message = format!("{place} is not UTF-8");
        let finding = cursor.error(codes::BAD_USERS, message);
        context.report(finding.help("write one `name:hash` a line"));
        return None;
    };
    match UsersFile::parse(text) {
        Ok(users) => Some(users),
        Err(bad) => {
            for (line, mistake) in bad.0 {
                let message = format!("line {line} of {place}: {mistake}");
                let finding = cursor.error(codes::BAD_USERS, message);
                context.report(finding.help(
                    "`weir password-hash NAME` reads a password and prints a line for this file",
                ));
            }
            None
        }
    }
}
