//! Registries that are asked for an upstream's servers: Consul and Kubernetes.

use super::listener::decode_authorities;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{ConsulSource, KubernetesSource};
use crate::shape::{Record, Shape, field};
use crate::suggest::quote;
use crate::value::Fault;
use crate::value::address::{self, ORIGIN};
use crate::value::text::{self, FILE, FREE, KUBERNETES_NAME, MATERIAL, SECRET};

pub(super) static CONSUL: Record = Record {
    name: "consul",
    about: "Healthy instances of a service, by Consul's HTTP API.",
    fields: &[
        field(
            "address",
            Shape::Text(&ORIGIN),
            "Where Consul's HTTP API is.",
        )
        .default("http://127.0.0.1:8500"),
        field("service", Shape::Text(&FREE), "Name of the service.").required(),
        field(
            "tag",
            Shape::Text(&FREE),
            "Only instances with this tag. Default: all.",
        ),
        field(
            "datacenter",
            Shape::Text(&FREE),
            "Which datacenter to ask for. Default: the agent's own.",
        ),
        field(
            "token",
            Shape::Text(&SECRET),
            "Reference to the token to send.",
        ),
        field(
            "authorities",
            Shape::Text(&MATERIAL),
            "PEM bundle of authorities to trust. Default: the system's.",
        ),
    ],
};

pub(super) static KUBERNETES: Record = Record {
    name: "kubernetes",
    about: "Ready endpoints of a service, by Kubernetes' API.",
    fields: &[
        field(
            "service",
            Shape::Text(&KUBERNETES_NAME),
            "Name of the service.",
        )
        .required(),
        field(
            "namespace",
            Shape::Text(&KUBERNETES_NAME),
            "Namespace of the service. Default: the pod's own.",
        ),
        field(
            "port",
            Shape::Text(&KUBERNETES_NAME),
            "Name or number of the port, needed if the service has several.",
        ),
        field(
            "api",
            Shape::Text(&ORIGIN),
            "Where the API server is. Default: as the pod's environment says.",
        ),
        field(
            "token",
            Shape::Text(&FILE),
            "File with the token to send, read anew as it changes. Default: the pod's own.",
        ),
        field(
            "authorities",
            Shape::Text(&MATERIAL),
            "PEM bundle of authorities to trust. Default: the pod's own.",
        ),
    ],
};

pub(super) fn decode_consul(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<ConsulSource> {
    let object = Object::open(context, cursor)?;
    let address = decode_origin(context, &object.get("address")?, address::origin);
    let service = parse_free(context, &object, "service");
    let tag = parse_free(context, &object, "tag");
    let datacenter = parse_free(context, &object, "datacenter");
    let token = object
        .written("token")
        .and_then(|cursor| cursor.secret(context));
    let authorities = object
        .written("authorities")
        .and_then(|cursor| decode_authorities(context, &cursor));
    report_unused_authorities(context, &object, address.as_deref());
    Some(ConsulSource {
        address: address?,
        service: service?,
        tag,
        datacenter,
        token,
        authorities,
    })
}

pub(super) fn decode_kubernetes(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<KubernetesSource> {
    let object = Object::open(context, cursor)?;
    let service = parse_name(context, &object, "service");
    let namespace = parse_name(context, &object, "namespace");
    let port = parse_name(context, &object, "port");
    let api = object
        .written("api")
        .and_then(|cursor| decode_origin(context, &cursor, api_origin));
    let token = object
        .written("token")
        .and_then(|cursor| cursor.later_file(context));
    let authorities = object
        .written("authorities")
        .and_then(|cursor| decode_authorities(context, &cursor));
    report_unused_authorities(context, &object, api.as_deref());
    Some(KubernetesSource {
        api,
        namespace,
        service: service?,
        port,
        token,
        authorities,
    })
}

fn parse_free(context: &mut Context<'_>, object: &Object<'_>, key: &'static str) -> Option<String> {
    object.written(key)?.parse(context, text::free)
}

fn parse_name(context: &mut Context<'_>, object: &Object<'_>, key: &'static str) -> Option<String> {
    object.written(key)?.parse(context, text::kubernetes_name)
}

fn decode_origin(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    grammar: fn(&str) -> Result<String, Fault>,
) -> Option<String> {
    // A password in front of the host.
    if cursor.text(context)?.contains('@') {
        context.hidden.push(cursor.node.span);
    }
    cursor.parse(context, grammar)
}

/// The API server gets a token: without TLS only on this machine, where `kubectl proxy` is.
fn api_origin(text: &str) -> Result<String, Fault> {
    let origin = address::origin(text)?;
    let Some(authority) = origin.strip_prefix("http://") else {
        return Ok(origin);
    };
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    if is_loopback || host == "localhost" {
        return Ok(origin);
    }
    let message = format!("{} would send the token unencrypted", quote(text));
    Err(Fault::new(codes::BAD_ADDRESS, message)
        .help("write `https://`; `http://` is for this machine alone"))
}

fn report_unused_authorities(
    context: &mut Context<'_>,
    object: &Object<'_>,
    address: Option<&str>,
) {
    let is_plain = address.is_some_and(|address| address.starts_with("http://"));
    if let Some(cursor) = object.written("authorities").filter(|_| is_plain) {
        let finding = cursor
            .warning(
                codes::WITHOUT_EFFECT,
                "over `http://` no certificate is verified",
            )
            .help("write `https://` in the address, or remove `authorities`");
        context.report(finding);
    }
}
