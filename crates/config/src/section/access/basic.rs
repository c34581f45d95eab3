//! `basic` of a policy: names and passwords of a users file.

use std::sync::Arc;

use weir_signatures::UsersFile;

use super::credential::{self, FORWARD, REQUIRED};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{Basic, Material};
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
    let file = users.material(context)?;
    Some(Basic {
        users: Arc::new(read(context, &users, &file)?),
        file,
        credential: credential?,
    })
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
