//! `listeners`: addresses that accept traffic.

use crate::certificate;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{
    Certificate, ClientCertificate, Hsts, Listener, ListenerTls, Material, Source, TlsVersion,
};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::source::Span;
use crate::value::address::{self, LISTEN};
use crate::value::text::MATERIAL;

pub(super) static LISTENER: Record = Record {
    name: "listener",
    about: "One address that accepts traffic.",
    fields: &[
        field("address", Shape::Text(&LISTEN), "Where to listen.").required(),
        field(
            "tls",
            Shape::Record(&LISTENER_TLS),
            "TLS towards clients. Without it the listener speaks plain HTTP.",
        ),
        field(
            "proxy_protocol",
            Shape::Boolean,
            "Whether each connection must begin with a PROXY protocol header (v1 or v2).",
        )
        .default("false"),
        field("http2", Shape::Boolean, "Whether HTTP/2 is offered.").default("true"),
    ],
};

pub(super) static LISTENER_TLS: Record = Record {
    name: "listener_tls",
    about: "TLS towards clients: either `certificate` and `key`, or `certificates`, or none of its own.",
    fields: &[
        field("certificate", Shape::Text(&MATERIAL), "PEM certificate chain, leaf first."),
        field("key", Shape::Text(&MATERIAL), "PEM private key of the certificate."),
        field(
            "certificates",
            Shape::List { items: &Shape::Record(&CERTIFICATE), least: 1 },
            "Several certificates, picked by server name. The first answers clients that ask for no known name. Without any of its own, the listener has those under the top-level `certificates`.",
        ),
        field("min_version", Shape::Choice(&VERSIONS), "Oldest TLS version accepted.").default("'1.3'"),
        field(
            "client_certificate",
            Shape::Record(&CLIENT_CERTIFICATE),
            "Asks clients for certificates (mutual TLS).",
        ),
        field(
            "hsts",
            Shape::Either(&[Shape::Boolean, Shape::Record(&HSTS)]),
            "`Strict-Transport-Security` on every answer. `true` takes the defaults of its settings.",
        )
        .default("false"),
    ],
};

pub(super) static CERTIFICATE: Record = Record {
    name: "certificate",
    about: "A certificate chain and its private key.",
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
    ],
};

static CLIENT_CERTIFICATE: Record = Record {
    name: "client_certificate",
    about: "How clients prove who they are in the handshake.",
    fields: &[
        field(
            "authorities",
            Shape::Text(&MATERIAL),
            "PEM bundle of the authorities that may sign client certificates.",
        )
        .required(),
        field(
            "required",
            Shape::Boolean,
            "`false`: a client without a certificate is served, one with a bad certificate is not.",
        )
        .default("true"),
    ],
};

static HSTS: Record = Record {
    name: "hsts",
    about: "`Strict-Transport-Security` (RFC 6797).",
    fields: &[
        field(
            "max_age",
            Shape::Duration { zero: true },
            "How long browsers insist on HTTPS. `0s` makes them forget.",
        )
        .default("365d"),
        field(
            "include_subdomains",
            Shape::Boolean,
            "Whether it holds for subdomains too.",
        )
        .default("false"),
        field(
            "preload",
            Shape::Boolean,
            "Consents to browsers' built-in lists.",
        )
        .default("false"),
    ],
};

pub(super) static VERSIONS: [Choice; 2] = [
    choice("1.2", "RFC 5246, for old clients."),
    choice("1.3", "RFC 8446."),
];

/// Each listener with the place of its address.
pub(super) fn decode_all(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<(Listener, Span)> {
    let mut listeners = Vec::new();
    for item in cursor.items(context) {
        listeners.extend(decode(context, &item));
    }
    // Port 0 asks the system for a free one: those never clash.
    let addresses = listeners
        .iter()
        .filter(|(listener, _)| listener.address.port() != 0)
        .map(|(listener, span)| (listener.address, *span));
    context.report_repeated(addresses, |address, first| {
        Finding::error(
            codes::DUPLICATE_ADDRESS,
            format!("two listeners share the address {address}"),
        )
        .help(format!("the first is at {first}"))
    });
    listeners
}

fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<(Listener, Span)> {
    let object = Object::open(context, cursor)?;
    let address_cursor = object.written("address");
    let address = address_cursor.and_then(|cursor| cursor.parse(context, address::listen));
    let tls = object
        .written("tls")
        .and_then(|cursor| decode_tls(context, &cursor));
    let proxy_protocol = object
        .get("proxy_protocol")?
        .boolean(context)
        .unwrap_or_default();
    let http2 = object.get("http2")?.boolean(context).unwrap_or_default();
    let listener = Listener {
        address: address?,
        tls,
        proxy_protocol,
        http2,
    };
    Some((listener, object.written("address")?.span()))
}

fn decode_tls(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<ListenerTls> {
    let object = Object::open(context, cursor)?;
    let certificates = decode_certificates(context, &object);
    let version_cursor = object.get("min_version")?;
    let minimum_version = decode_version(context, &version_cursor);
    if minimum_version == TlsVersion::Tls12 {
        let finding = version_cursor
            .warning(codes::OLD_TLS, "TLS 1.2 is accepted")
            .help("every current client speaks TLS 1.3: leave `min_version` out if you can");
        context.report(finding);
    }
    let client_certificate = object
        .written("client_certificate")
        .and_then(|cursor| decode_client(context, &cursor));
    let hsts = decode_hsts(context, &object.get("hsts")?);
    Some(ListenerTls {
        certificates,
        named: Vec::new(),
        minimum_version,
        client_certificate,
        hsts,
    })
}

fn decode_certificates(context: &mut Context<'_>, object: &Object<'_>) -> Vec<Certificate> {
    let single = object
        .written("certificate")
        .or_else(|| object.written("key"));
    let Some(list) = object.written("certificates") else {
        return match single {
            Some(_) => decode_certificate(context, object).into_iter().collect(),
            None => Vec::new(),
        };
    };
    for key in ["certificate", "key"] {
        if object.written(key).is_some() {
            object.report_conflict(context, "certificates", key);
        }
    }
    let mut certificates = Vec::new();
    for item in list.items(context) {
        let Some(object) = Object::open(context, &item) else {
            continue;
        };
        certificates.extend(decode_certificate(context, &object));
    }
    certificates
}

/// Reads the `certificate` and `key` of an object.
pub(super) fn decode_certificate(
    context: &mut Context<'_>,
    object: &Object<'_>,
) -> Option<Certificate> {
    let (chain, key) = (object.written("certificate"), object.written("key"));
    // Where the table requires both, their absence is reported already.
    if object.record().name != CERTIFICATE.name {
        if chain.is_none() {
            object.report_missing(context, "certificate", "PEM certificate chain of the key");
        }
        if key.is_none() {
            object.report_missing(context, "key", "PEM private key of the certificate");
        }
    }
    // Who is a client shows what its authority asks for.
    let is_server = object.record().name != "upstream_tls";
    let chain = chain.and_then(|cursor| decode_chain(context, &cursor, is_server));
    let key = key.and_then(|cursor| decode_key(context, &cursor));
    Some(Certificate {
        chain: chain?,
        key: key?,
    })
}

fn decode_chain(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    is_server: bool,
) -> Option<Material> {
    let material = cursor.material(context)?;
    let pem = material.bytes.expose();
    let mut findings = certificate::check_chain(pem, context.materials.now);
    if is_server {
        findings.extend(certificate::check_names(pem));
    }
    cursor.report_about(context, findings);
    Some(material)
}

fn decode_key(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Material> {
    let material = cursor.material(context)?;
    cursor.report_about(context, certificate::check_key(material.bytes.expose()));
    if let Source::File(path) = &material.source {
        cursor.report_about(context, certificate::check_permissions(path));
    }
    Some(material)
}

/// Reads a bundle of authorities.
pub(super) fn decode_authorities(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<Material> {
    let material = cursor.material(context)?;
    cursor.report_about(
        context,
        certificate::check_authorities(material.bytes.expose()),
    );
    Some(material)
}

pub(super) fn decode_version(context: &mut Context<'_>, cursor: &Cursor<'_>) -> TlsVersion {
    match cursor.choice(context) {
        Some("1.2") => TlsVersion::Tls12,
        _ => TlsVersion::Tls13,
    }
}

fn decode_client(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<ClientCertificate> {
    let object = Object::open(context, cursor)?;
    let required = object.get("required")?.boolean(context).unwrap_or(true);
    let authorities = decode_authorities(context, &object.written("authorities")?)?;
    Some(ClientCertificate {
        authorities,
        required,
    })
}

fn decode_hsts(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Hsts> {
    cursor.switched(context, |context, object| {
        Some(Hsts {
            max_age: object.get("max_age")?.duration(context),
            include_subdomains: object
                .get("include_subdomains")?
                .boolean(context)
                .unwrap_or_default(),
            preload: object.get("preload")?.boolean(context).unwrap_or_default(),
        })
    })
}
