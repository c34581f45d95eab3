//! Servers that the file lists.

use crate::codes;
use crate::decode::{Context, Cursor, Mode, Object};
use crate::model::Target;
use crate::reference::Reference;
use crate::shape::{Record, Shape, field};
use crate::value::address::{self, TARGET};
use crate::value::text::{self, FREE};

/// A list of servers.
pub(crate) const TARGETS: Shape = Shape::List {
    items: &Shape::Either(&[Shape::Text(&TARGET), Shape::Record(&TARGET_RECORD)]),
    least: 1,
};

static TARGET_RECORD: Record = Record {
    name: "target",
    about: "One server of an upstream.",
    fields: &[
        field(
            "address",
            Shape::Text(&TARGET),
            "Host and port, or `env:NAME`.",
        )
        .required(),
        field(
            "weight",
            Shape::Integer {
                least: 0,
                most: 1_000_000,
            },
            "Share of the traffic relative to the other servers. 0 takes none.",
        )
        .default("1"),
        field("zone", Shape::Text(&FREE), "Availability zone."),
    ],
};

pub(crate) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<Target> {
    let items = cursor.items(context);
    let mut targets = Vec::with_capacity(items.len());
    for item in &items {
        targets.extend(decode_target(context, item));
    }
    let is_complete = !targets.is_empty() && targets.len() == items.len();
    if is_complete && targets.iter().all(|target| target.weight == 0) {
        let finding = cursor
            .error(
                codes::EMPTY_LIST,
                "no target takes traffic: every weight is 0",
            )
            .help("give at least one target a weight");
        context.report(finding);
    }
    targets
}

fn decode_target(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Target> {
    let cursor = cursor.alternative(context)?;
    if matches!(cursor.shape, Shape::Text(_)) {
        let (host, port) = decode_address(context, &cursor)?;
        return Some(Target {
            host,
            port,
            weight: 1,
            zone: None,
        });
    }
    let object = Object::open(context, &cursor)?;
    let address = object
        .written("address")
        .and_then(|cursor| decode_address(context, &cursor));
    let weight = object.get("weight")?.number(context);
    let zone = object
        .written("zone")
        .and_then(|cursor| cursor.parse(context, text::free));
    let (host, port) = address?;
    Some(Target {
        host,
        port,
        weight,
        zone,
    })
}

fn decode_address(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<(String, u16)> {
    let text = cursor.text(context)?;
    match Reference::parse(text) {
        Some(Ok(reference @ Reference::Environment(_))) => {
            if context.mode == Mode::Form {
                return Some((String::new(), 0));
            }
            cursor.referenced_text(context, &reference, "a host and a port", |text| {
                address::target(text).ok()
            })
        }
        Some(Err(fault)) => {
            cursor.report_fault(context, text, fault);
            None
        }
        Some(Ok(Reference::File(_))) | None => cursor.parse(context, address::target),
    }
}
