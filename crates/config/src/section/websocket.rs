//! `websocket` of a route.

use super::origins;
use super::retry::check_cut_short;
use crate::decode::{Context, Cursor};
use crate::model::WebSocket;
use crate::origin::Origins;
use crate::shape::{Choice, Record, Shape, Text, choice, field};

const DEADLINE: Shape = Shape::Duration { zero: false };
const LIMIT: Shape = Shape::Size {
    least: 1,
    most: u64::MAX,
};

pub(super) const WEBSOCKET: Shape =
    Shape::Either(&[Shape::Boolean, Shape::Record(&WEBSOCKET_RECORD)]);

static WEBSOCKET_RECORD: Record = Record {
    name: "websocket",
    about: "WebSockets (RFC 6455, RFC 8441).",
    fields: &[
        field(
            "origins",
            Shape::Either(&[
                Shape::Choice(&ORIGINS),
                Shape::List {
                    items: &Shape::Text(&ORIGIN),
                    least: 1,
                },
            ]),
            "From whose pages browsers may open one: `same` host, `any`, or a list of origins.",
        )
        .default("same"),
        field(
            "max_message",
            LIMIT,
            "Payload bytes of a message, as they are sent: compressed, if they are. Default: unbounded.",
        ),
        field(
            "max_frame",
            LIMIT,
            "Payload bytes of a frame. Default: unbounded.",
        ),
        field(
            "check_text",
            Shape::Boolean,
            "Whether text messages that are not UTF-8 are refused (RFC 6455). Compressed ones are not looked at.",
        )
        .default("true"),
        field(
            "idle",
            DEADLINE,
            "Longest silence of both sides; with `ping`, of either side.",
        )
        .default("5m"),
        field(
            "ping",
            DEADLINE,
            "Silence of a side after which Weir sends it a ping. Default: none is sent.",
        ),
        field(
            "connections",
            Shape::Integer {
                least: 1,
                most: 10_000_000,
            },
            "Most WebSockets of the route that are open at a time. Default: unbounded.",
        ),
    ],
};

static ORIGINS: [Choice; 2] = [
    choice("same", "The host that is asked for."),
    choice("any", "Every host."),
];

static ORIGIN: Text = Text {
    what: "an origin such as `https://app.example.com`",
    pattern: Some(r"^[A-Za-z0-9+.-]+://[^/\s]+$"),
    examples: &["https://app.example.com", "https://*.example.com"],
    loose: false,
};

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<WebSocket> {
    cursor.switched(context, |context, object| {
        let idle = object.get("idle")?.duration(context);
        let ping = object.written("ping").map(|cursor| {
            let ping = cursor.duration(context);
            check_cut_short(context, &cursor, ping, Some(idle), "`idle`");
            ping
        });
        Some(WebSocket {
            origins: decode_origins(context, &object.get("origins")?)?,
            max_message: object
                .written("max_message")
                .map(|cursor| cursor.size(context)),
            max_frame: object
                .written("max_frame")
                .map(|cursor| cursor.size(context)),
            check_text: object.get("check_text")?.boolean(context)?,
            idle,
            ping,
            connections: object
                .written("connections")
                .map(|cursor| cursor.number(context)),
        })
    })
}

/// `same` is what holds where nothing is listed.
fn decode_origins(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Option<Origins>> {
    let cursor = cursor.alternative(context)?;
    if matches!(cursor.shape, Shape::Choice(_)) {
        return Some(match cursor.choice(context)? {
            "any" => Some(Origins::Any),
            _ => None,
        });
    }
    let items = cursor.items(context);
    origins::listed(context, items).map(Some)
}
