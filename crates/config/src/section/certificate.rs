//! `certificates`: certificates by name, for all listeners with TLS or for some.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::certificate::{self, CertificateFacts};
use crate::codes;
use crate::decode::{Context, Cursor, Mode, Named, Object};
use crate::diagnostic::{Finding, Severity};
use crate::model::{Certificate, Listener, Material, NamedCertificate, Source};
use crate::shape::{Record, Shape, field};
use crate::source::Span;
use crate::suggest::quote;
use crate::value::address::{self, LISTEN};
use crate::value::text::MATERIAL;

pub(super) static NAMED_CERTIFICATE: Record = Record {
    name: "named_certificate",
    about: "A certificate that listeners with TLS answer with where its names are asked for.",
    fields: &[
        field(
            "certificate",
            Shape::Text(&MATERIAL),
            "PEM certificate chain, leaf first.",
        )
        .required(),
        field(
            "key",
            Shape::Text(&MATERIAL),
            "PEM private key of the certificate.",
        )
        .required(),
        field(
            "listeners",
            Shape::List {
                items: &Shape::Text(&LISTEN),
                least: 1,
            },
            "Addresses of the listeners that it is for. Default: all with TLS.",
        ),
    ],
};

/// Reads all of them, and tells each listener which are for it.
pub(super) fn decode_all(
    context: &mut Context<'_>,
    entries: &[Named<'_>],
    listeners: &mut [(Listener, Span)],
) -> Vec<NamedCertificate> {
    let mut decoded = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(certificate) = decode(context, entry, listeners) {
            decoded.push((certificate, entry));
        }
    }
    // Where two are for one name, what the file has counts.
    decoded.sort_by(|(left, _), (right, _)| {
        (left.is_beside, &left.name).cmp(&(right.is_beside, &right.name))
    });
    for (index, (listener, span)) in listeners.iter_mut().enumerate() {
        let Some(tls) = &mut listener.tls else {
            continue;
        };
        let address = listener.address;
        let is_for = |one: &NamedCertificate| {
            let listeners = one.listeners.as_ref();
            listeners.is_none_or(|listeners| listeners.contains(&address))
        };
        let named: Vec<_> = decoded.iter().filter(|(one, _)| is_for(one)).collect();
        // Elsewhere nothing is known of what references lead to.
        let is_full = context.mode == Mode::Full;
        // One with a mistake is one.
        let has_none = tls.certificates.is_empty() && named.is_empty() && !context.has_errors();
        if is_full {
            report_taken(context, address, &tls.certificates, &named);
        }
        tls.named = named.into_iter().map(|(one, _)| one.clone()).collect();
        if is_full && has_none {
            let message = "no certificate is for this listener yet: every handshake is refused";
            let finding = Finding::warning(codes::NO_CERTIFICATE_YET, message)
                .at(*span)
                .path(format!("listeners[{index}].tls"))
                .help(
                    "write one here or under `certificates`, or keep one beside the file with \
                     `weir certificate put`",
                );
            context.report(finding);
        }
    }
    decoded.into_iter().map(|(one, _)| one).collect()
}

fn decode(
    context: &mut Context<'_>,
    entry: &Named<'_>,
    listeners: &[(Listener, Span)],
) -> Option<NamedCertificate> {
    let object = Object::open(context, &entry.value)?;
    let chain = object.written("certificate");
    let chain = chain.and_then(|cursor| decode_chain(context, &cursor));
    let key = object.written("key");
    let key = key.and_then(|cursor| decode_key(context, &cursor));
    let listeners = match object.written("listeners") {
        Some(cursor) => Some(decode_listeners(context, &cursor, listeners)?),
        None => None,
    };
    Some(NamedCertificate {
        name: entry.name.to_owned(),
        certificate: Certificate {
            chain: chain?,
            key: key?,
        },
        listeners,
        is_beside: entry.value.node.span.is_beside(),
    })
}

fn decode_chain(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Material> {
    let is_beside = cursor.node.span.is_beside();
    let material = cursor.pem(context)?;
    let pem = material.bytes.expose();
    let mut findings = certificate::check_chain(pem, context.materials.now);
    if is_beside {
        if let Some(finding) = certificate::check_no_key(pem) {
            context.hidden.push(cursor.node.span);
            findings = vec![finding];
        }
        findings.iter_mut().for_each(of_resource);
    }
    findings.extend(certificate::check_names(pem));
    findings.extend(certificate::check_size(pem));
    cursor.report_about(context, findings);
    Some(material)
}

/// A certificate beside the file that runs out must not keep a node from starting, nor others from changing
/// something else. Whoever puts one that is not valid is refused where the revision is made.
fn of_resource(finding: &mut Finding) {
    let is_about_time =
        [codes::CERTIFICATE_OUTDATED, codes::CERTIFICATE_EXPIRES].contains(&finding.code);
    if is_about_time {
        finding.severity = Severity::Warning;
        finding.help = Some("put a new one in its place: `weir certificate put`".into());
    }
}

fn decode_key(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Material> {
    if cursor.node.span.is_beside() {
        context.hidden.push(cursor.node.span);
    }
    let material = cursor.pem(context)?;
    cursor.report_about(context, certificate::check_key(material.bytes.expose()));
    if let Source::File(path) = &material.source {
        cursor.report_about(context, certificate::check_permissions(path));
    }
    Some(material)
}

fn decode_listeners(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    listeners: &[(Listener, Span)],
) -> Option<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for item in cursor.items(context) {
        let address = item.parse(context, address::listen)?;
        let mut with_tls = listeners.iter().filter(|(one, _)| one.tls.is_some());
        if !with_tls.any(|(listener, _)| listener.address == address) {
            let message = format!("no listener with TLS is at {address}");
            // Whoever runs the node may move a listener, whatever resources say.
            let finding = match item.node.span.is_beside() {
                true => item.warning(codes::UNKNOWN_LISTENER, message),
                false => item.error(codes::UNKNOWN_LISTENER, message),
            };
            let finding = finding
                .help("write the `address` of one, or leave `listeners` out for all with TLS");
            context.report(finding);
        }
        addresses.push(address);
    }
    Some(addresses)
}

/// Who answers for a name, by the kind of key: clients choose between kinds.
#[derive(Default)]
struct Answering {
    exact: HashMap<(String, String), String>,
    /// By what follows the `*.`.
    wildcard: HashMap<(String, String), String>,
}

impl Answering {
    /// Who answers for this name by itself.
    fn same(&self, name: &str, kind: &str) -> Option<&String> {
        match name.strip_prefix("*.") {
            Some(parent) => self.wildcard.get(&(parent.to_owned(), kind.to_owned())),
            None => self.exact.get(&(name.to_owned(), kind.to_owned())),
        }
    }

    /// Who answers for this name, by a wildcard if need be.
    fn any(&self, name: &str, kind: &str) -> Option<&String> {
        let by_wildcard = || {
            let (_, parent) = name.split_once('.')?;
            self.wildcard.get(&(parent.to_owned(), kind.to_owned()))
        };
        self.same(name, kind).or_else(by_wildcard)
    }

    fn add(&mut self, facts: &CertificateFacts, who: &str) {
        for name in facts.dns_names() {
            let kind = kind(facts).to_owned();
            let (map, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcard, parent.to_owned()),
                None => (&mut self.exact, name),
            };
            map.entry((name, kind)).or_insert_with(|| who.to_owned());
        }
    }
}

/// `ECDSA` or `RSA`.
fn kind(facts: &CertificateFacts) -> &str {
    let algorithm = facts.key_algorithm.as_str();
    algorithm.split(' ').next().unwrap_or(algorithm)
}

/// Warns of names for which another certificate answers.
fn report_taken(
    context: &mut Context<'_>,
    address: SocketAddr,
    own: &[Certificate],
    named: &[&(NamedCertificate, &Named<'_>)],
) {
    let of = |certificate: &Certificate| CertificateFacts::of_pem(certificate.chain.bytes.expose());
    let (mut listeners, mut others) = (Answering::default(), Answering::default());
    for facts in own.iter().filter_map(of) {
        listeners.add(&facts, &format!("the listener {address} has its own"));
    }
    for (certificate, entry) in named {
        let Some(facts) = of(&certificate.certificate) else {
            continue;
        };
        let kind = kind(&facts);
        let taken = |name: &String| {
            let who = listeners
                .any(name, kind)
                .or_else(|| others.same(name, kind));
            Some((name.clone(), who?.clone()))
        };
        let names: Vec<_> = facts.dns_names().collect();
        let taken: Vec<_> = names.iter().filter_map(taken).collect();
        if let Some((name, who)) = taken.first() {
            let more = match taken.len() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            let message = format!(
                "another certificate answers for {}{more}: {who}",
                quote(name)
            );
            let finding = Finding::warning(codes::NAME_TAKEN, message)
                .at(entry.value.node.head())
                .path(entry.value.path.to_string())
                .help("remove one of the two, or the name from one of them");
            context.report(finding);
        }
        others.add(&facts, &format!("{} has it", quote(&certificate.name)));
    }
}
