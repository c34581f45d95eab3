//! `mail`: how letters to people leave.

use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{Mail, MailTls};
use crate::section::listener::decode_authorities;
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::value::address::{self, MAIL_SERVER};
use crate::value::text::{EMAIL, FREE, MATERIAL, SECRET, email, free};

pub(super) static MAIL: Record = Record {
    name: "mail",
    about: "How letters to people leave: invitations, links to verify an address or to set a password anew.",
    fields: &[
        field("from", Shape::Text(&EMAIL), "From whom letters come.").required(),
        field("smtp", Shape::Record(&SMTP), "The server that takes them.").required(),
    ],
};

static SMTP: Record = Record {
    name: "smtp",
    about: "A mail server that takes letters for everybody (RFC 5321).",
    fields: &[
        field(
            "address",
            Shape::Text(&MAIL_SERVER),
            "Its name and port. Its certificate must have the name.",
        )
        .required(),
        field("tls", Shape::Choice(&TLS), "How it is spoken to.").default("starttls"),
        field(
            "authorities",
            Shape::Text(&MATERIAL),
            "PEM bundle of an authority to trust beside the system's.",
        ),
        field("user", Shape::Text(&FREE), "Account there. Default: none."),
        field(
            "password",
            Shape::Text(&SECRET),
            "Its password: a reference. It is only sent over TLS.",
        ),
        field(
            "timeout",
            Shape::Duration { zero: false },
            "How long each step may take.",
        )
        .default("10s"),
    ],
};

static TLS: [Choice; 3] = [
    choice(
        "starttls",
        "With TLS after a first exchange, or not at all; most often on port 587.",
    ),
    choice(
        "implicit",
        "With TLS from the first byte; most often on port 465.",
    ),
    choice("none", "In the clear: a server on the same machine."),
];

pub(super) fn decode(context: &mut Context<'_>, root: &Object<'_>) -> Option<Mail> {
    let object = Object::open(context, &root.written("mail")?)?;
    let from = object
        .written("from")
        .and_then(|cursor| cursor.parse(context, email));
    decode_smtp(context, &object.written("smtp")?, from)
}

fn decode_smtp(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    from: Option<String>,
) -> Option<Mail> {
    let object = Object::open(context, cursor)?;
    let address = object
        .written("address")
        .and_then(|cursor| cursor.parse(context, address::target));
    let tls = match object.get("tls")?.choice(context) {
        Some("implicit") => MailTls::Implicit,
        Some("none") => MailTls::None,
        _ => MailTls::StartTls,
    };
    let authorities = object
        .written("authorities")
        .and_then(|cursor| decode_authorities(context, &cursor));
    let user = object
        .written("user")
        .and_then(|cursor| cursor.parse(context, free));
    let password = object
        .written("password")
        .and_then(|cursor| cursor.secret(context));
    let timeout = object.get("timeout")?.duration(context);
    check_account(context, &object, tls);
    let (host, port) = address?;
    Some(Mail {
        from: from?,
        host,
        port,
        tls,
        authorities,
        credentials: user.zip(password),
        timeout,
    })
}

/// An account needs both, and a way on which its password is not seen.
fn check_account(context: &mut Context<'_>, object: &Object<'_>, tls: MailTls) {
    for (one, other) in [("user", "password"), ("password", "user")] {
        if let Some(cursor) = object.written(one)
            && object.written(other).is_none()
        {
            let message = format!("`{one}` is of no use without `{other}`");
            let finding = Finding::error(codes::NOTHING_CHOSEN, message)
                .help(format!("add `{other}`, or remove `{one}`"));
            cursor.report_about(context, [finding]);
        }
    }
    if tls == MailTls::None
        && let Some(cursor) = object.written("password")
    {
        let message = "a password is not sent in the clear";
        let finding = Finding::error(codes::CONFLICT, message)
            .help("write `tls: starttls` or `tls: implicit`, or remove `user` and `password`");
        cursor.report_about(context, [finding]);
    }
}
