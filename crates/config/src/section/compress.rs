//! `compress` of a policy.

use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{Coding, Compress};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::value::media::{self, MEDIA_RANGE};

pub(super) static COMPRESS: Record = Record {
    name: "compress",
    about: "Compression of answers.",
    fields: &[
        field(
            "codings",
            Shape::OneOrMany(&Shape::Choice(&CODINGS)),
            "Codings on offer. Of those that a client likes equally, the first one here is taken.",
        )
        .default("[zstd, br, gzip]"),
        field("levels", Shape::Record(&LEVELS), "How much work each coding does.").default("{}"),
        field(
            "minimum",
            Shape::Size { least: 0, most: 1 << 30 },
            "Shorter answers are sent as they are.",
        )
        .default("1KiB"),
        field(
            "types",
            Shape::OneOrMany(&Shape::Text(&MEDIA_RANGE)),
            "Content types that are compressed.",
        )
        .default(
            "[text/*, application/json, application/*+json, application/javascript, application/xml, \
             application/*+xml, application/yaml, application/x-ndjson, application/wasm, image/svg+xml, \
             image/bmp, font/otf, font/ttf]",
        ),
        field(
            "event_streams",
            Shape::Boolean,
            "Whether `text/event-stream` is compressed, too: each event is sent at once all the same.",
        )
        .default("false"),
    ],
};

static CODINGS: [Choice; 3] = [
    choice("gzip", "Every client can read it."),
    choice("br", "Brotli: smaller, for more work."),
    choice("zstd", "Zstandard: small for little work; newer clients."),
];

static LEVELS: Record = Record {
    name: "compress_levels",
    about: "How much work each coding does: a higher level makes answers smaller and takes longer.",
    fields: &[
        field(
            "gzip",
            Shape::Integer { least: 1, most: 9 },
            "Level of gzip.",
        )
        .default("5"),
        field(
            "br",
            // Above it, tables take 8 MiB and more for each answer.
            Shape::Integer { least: 1, most: 6 },
            "Level of Brotli.",
        )
        .default("4"),
        field(
            "zstd",
            Shape::Integer { least: 1, most: 12 },
            "Level of Zstandard.",
        )
        .default("3"),
    ],
};

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Compress> {
    let object = Object::open(context, cursor)?;
    let codings = object.get("codings")?;
    let levels = decode_levels(context, &object.get("levels")?)?;
    let mut chosen = Vec::new();
    let mut places = Vec::new();
    for item in codings.items(context) {
        let Some(name) = item.choice(context) else {
            continue;
        };
        places.push((name, item.span()));
        chosen.push(match name {
            "gzip" => (Coding::Gzip, levels[0]),
            "br" => (Coding::Brotli, levels[1]),
            _ => (Coding::Zstd, levels[2]),
        });
    }
    context.report_repeated(places, |name, first| {
        Finding::error(codes::LISTED_TWICE, format!("`{name}` is listed twice"))
            .help(format!("the first is at {first}"))
    });
    let minimum = object.get("minimum")?.size(context);
    let mut types = Vec::new();
    for item in object.get("types")?.items(context) {
        types.extend(item.parse(context, media::media_range));
    }
    let event_streams = object.get("event_streams")?.boolean(context);
    Some(Compress {
        codings: chosen,
        minimum,
        types,
        event_streams: event_streams?,
    })
}

/// Of gzip, Brotli and Zstandard.
fn decode_levels(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<[u32; 3]> {
    let object = Object::open(context, cursor)?;
    let mut levels = [0; 3];
    for (level, key) in levels.iter_mut().zip(["gzip", "br", "zstd"]) {
        *level = object.get(key)?.number(context);
    }
    Some(levels)
}
