//! `mtls` of a policy: certificates that clients show.

use super::credential::REQUIRED;
use crate::codes;
use crate::decode::{Context, Cursor, Named, Object};
use crate::diagnostic::Finding;
use crate::model::{
    CertificateFact, CertificateName, Credential, Listener, Mtls, Policy, PolicyKind,
};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::source::Span;
use crate::suggest::quote;
use crate::value::Fault;
use crate::value::text::{self, FREE};

pub(in crate::section) static MTLS: Record = Record {
    name: "mtls",
    about: "Takes the certificates that clients show. Listeners verify them (`client_certificate`); of what is listed here, a certificate must have one thing. Without any list, every verified one is good.",
    fields: &[
        field(
            "subjects",
            Shape::OneOrMany(&Shape::Text(&FREE)),
            "Subjects as RFC 4514 writes them: `CN=billing,O=Acme`.",
        ),
        field(
            "fingerprints",
            Shape::OneOrMany(&Shape::Text(&FREE)),
            "SHA-256 of certificates in hexadecimal digits, with or without colons.",
        ),
        field(
            "names",
            Shape::OneOrMany(&Shape::Text(&FREE)),
            "Names that certificates are for: `dns:NAME`, `uri:URI`, `email:ADDRESS`, `ip:ADDRESS`.",
        ),
        field(
            "subject",
            Shape::Choice(&FACTS),
            "What of the certificate says who it is.",
        )
        .default("subject"),
        REQUIRED,
    ],
};

static FACTS: [Choice; 6] = [
    choice("subject", "The whole subject, as RFC 4514 writes it."),
    choice("common_name", "The subject's common name."),
    choice("dns", "The first DNS name that it is for."),
    choice("uri", "The first URI that it is for."),
    choice("email", "The first e-mail address that it is for."),
    choice("fingerprint", "SHA-256 of the certificate."),
];

pub(in crate::section) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Mtls> {
    let object = Object::open(context, cursor)?;
    let subjects = list(context, &object, "subjects", text::free);
    let fingerprints = list(context, &object, "fingerprints", fingerprint);
    let names = list(context, &object, "names", name);
    let subject = match object.get("subject")?.choice(context)? {
        "common_name" => CertificateFact::CommonName,
        "dns" => CertificateFact::Dns,
        "uri" => CertificateFact::Uri,
        "email" => CertificateFact::Email,
        "fingerprint" => CertificateFact::Fingerprint,
        _ => CertificateFact::Subject,
    };
    Some(Mtls {
        subjects,
        fingerprints,
        names,
        subject,
        credential: Credential {
            is_required: object.get("required")?.boolean(context)?,
            // It is the connection's: nothing of a request has to be taken out.
            is_forwarded: true,
        },
    })
}

/// Warns of policies that nobody can satisfy, for no listener asks for certificates.
pub(in crate::section) fn report_unasked(
    context: &mut Context<'_>,
    entries: &[Named<'_>],
    policies: &[Policy],
    listeners: &[(Listener, Span)],
) {
    let asks = |listener: &Listener| {
        let tls = listener.tls.as_ref();
        tls.is_some_and(|tls| tls.client_certificate.is_some())
    };
    if listeners.iter().any(|(listener, _)| asks(listener)) {
        return;
    }
    for policy in policies {
        let entry = entries.iter().find(|entry| entry.name == policy.name);
        if let (PolicyKind::Mtls(_), Some(entry)) = (&policy.kind, entry) {
            let message = format!(
                "no listener asks clients for certificates, which {} is about",
                quote(&policy.name)
            );
            let finding = Finding::warning(codes::WITHOUT_EFFECT, message)
                .at(entry.name_span)
                .path(entry.value.path.to_string())
                .help("write `client_certificate: { authorities: file:ca.pem }` into `tls` of a listener");
            context.report(finding);
        }
    }
}

fn list<T>(
    context: &mut Context<'_>,
    object: &Object<'_>,
    key: &'static str,
    parse: impl Fn(&str) -> Result<T, Fault>,
) -> Vec<T> {
    let Some(cursor) = object.written(key) else {
        return Vec::new();
    };
    let items = cursor.items(context).into_iter();
    items
        .filter_map(|item| item.parse(context, &parse))
        .collect()
}

fn fingerprint(text: &str) -> Result<String, Fault> {
    let digits = text.replace(':', "").to_ascii_lowercase();
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    let message = format!("{} is not the SHA-256 of a certificate", quote(text));
    Err(Fault::new(codes::BAD_TEXT, message)
        .help("`openssl x509 -in client.crt -noout -fingerprint -sha256` prints it"))
}

fn name(text: &str) -> Result<CertificateName, Fault> {
    let (kind, value) = text.split_once(':').unwrap_or_default();
    let is_usable = !value.is_empty() && !value.chars().any(char::is_control);
    match kind {
        "dns" if is_usable => Ok(CertificateName::Dns(value.to_ascii_lowercase())),
        "uri" if is_usable => Ok(CertificateName::Uri(value.to_owned())),
        "email" if is_usable => Ok(CertificateName::Email(value.to_owned())),
        "ip" if let Ok(address) = value.parse() => Ok(CertificateName::Address(address)),
        _ => {
            let message = format!("{} is not a name of a certificate", quote(text));
            Err(Fault::new(codes::BAD_TEXT, message).help(
                "write `dns:billing.example`, `uri:spiffe://example/billing`, `email:a@example.com` or `ip:192.0.2.1`",
            ))
        }
    }
}
