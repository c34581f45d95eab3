//! `split` of a route: several upstreams behind it.

use std::time::Duration;

use super::balance::{self, HASH_KEYS, MAX_AGE};
use super::check::{Declared, find_upstream};
use super::headers::is_secret_name;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{Backend, Guard, GuardAction, HashKey, Pin, PinBy, Share, Split, Stickiness};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::suggest::quote;
use crate::value::http::{self as grammar, COOKIE_NAME, HEADER_NAME};
use crate::value::quantity::{self, SHARE};
use crate::value::text::{self, FREE, NAME};

pub(super) static SPLIT: Record = Record {
    name: "split",
    about: "Shares of a route's requests for several upstreams.",
    fields: &[
        field(
            "upstreams",
            Shape::Map {
                names: &NAME,
                values: &Shape::Either(&[
                    Shape::Integer {
                        least: 0,
                        most: 1_000_000,
                    },
                    Shape::Text(&SHARE),
                ]),
            },
            "Names of upstreams and their shares: numbers relative to each other, or percentages that add up to 100%. The first is the stable one, which a rollback returns to; 0 takes pinned requests only.",
        )
        .required(),
        field(
            "pin",
            Shape::List {
                items: &Shape::Record(&PIN),
                least: 0,
            },
            "Requests that have a fixed place whatever the shares. The first that holds decides.",
        )
        .default("[]"),
        field(
            "sticky",
            Shape::Either(&[Shape::Choice(&HASH_KEYS), Shape::Record(&STICKY)]),
            "What keeps a client on its side: a cookie that Weir sets, `address`, `path` or a header. Default: each request is placed by itself.",
        ),
        field(
            "guard",
            Shape::Record(&GUARD),
            "Watches every upstream but the first. Default: nothing does.",
        ),
    ],
};

static PIN: Record = Record {
    name: "pin",
    about: "Requests with a fixed place: by exactly one of `header` and `cookie`.",
    fields: &[
        field("header", Shape::Text(&HEADER_NAME), "Looks at this header."),
        field("cookie", Shape::Text(&COOKIE_NAME), "Looks at this cookie."),
        field(
            "value",
            Shape::Text(&FREE),
            "The value that must be there. Default: any.",
        ),
        field(
            "upstream",
            Shape::Text(&NAME),
            "Which of the split's upstreams answers.",
        )
        .required(),
    ],
};

static STICKY: Record = Record {
    name: "split_sticky",
    about: "What keeps a client on its side: exactly one of `cookie` and `header`.",
    fields: &[
        field(
            "cookie",
            Shape::Text(&COOKIE_NAME),
            "Name of a cookie that Weir sets.",
        ),
        field(
            "max_age",
            MAX_AGE,
            "How long browsers keep the cookie. Default: to the end of the browser's session.",
        ),
        field(
            "header",
            Shape::Text(&HEADER_NAME),
            "A header that the request has already.",
        ),
    ],
};

static GUARD: Record = Record {
    name: "guard",
    about: "What makes a shift halt or roll back by itself: `error_rate`, `latency` or both.",
    fields: &[
        field(
            "error_rate",
            Shape::Text(&SHARE),
            "Share of requests that may end with 5xx.",
        ),
        field(
            "latency",
            WINDOW,
            "Longest 99th percentile of the time to the response's head.",
        ),
        field("window", WINDOW, "Time over which both are taken.").default("30s"),
        field(
            "min_requests",
            Shape::Integer {
                least: 1,
                most: 1_000_000,
            },
            "Requests in that time below which they say nothing.",
        )
        .default("50"),
        field(
            "then",
            Shape::Choice(&ACTIONS),
            "What happens when one is exceeded.",
        )
        .default("rollback"),
    ],
};

/// Latencies of splits are known up to this long.
const MEASURED: Duration = Duration::from_secs(3600);

const WINDOW: Shape = Shape::Duration { zero: false };

static ACTIONS: [Choice; 2] = [
    choice("rollback", "All traffic goes back to the first upstream."),
    choice("halt", "A gradual shift stops where it is."),
];

pub(super) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    declared: &mut Declared,
) -> Option<Split> {
    let object = Object::open(context, cursor)?;
    let upstreams = object.written("upstreams");
    let mut names = Vec::new();
    let mut backends = Vec::new();
    if let Some(cursor) = &upstreams {
        let findings_before = context.findings.len();
        let mut percentages = 0;
        for entry in cursor.entries(context) {
            let weight = decode_weight(context, &entry.value, &mut percentages);
            let upstream = find_upstream(context, declared, entry.name, |finding| {
                let path = entry.value.path.to_string();
                finding.at(entry.name_span).path(path)
            });
            // A name that leads nowhere keeps its place, so that pins to it are not wrong as well.
            names.push(entry.name);
            backends.push(upstream.map(|upstream| Backend { upstream, weight }));
        }
        if context.findings.len() == findings_before && percentages > 0 {
            check_percentages(context, cursor, percentages, &mut backends);
        }
        let takes_none = |backend: &Option<Backend>| backend.is_some_and(|one| one.weight == 0);
        if context.findings.len() == findings_before && backends.iter().all(takes_none) {
            let finding = cursor
                .error(codes::EMPTY_LIST, "no upstream of the split has a share")
                .help("give at least one of them a weight");
            context.report(finding);
        }
    }
    let pins = decode_pins(context, &object.get("pin")?, &names);
    let sticky = object
        .written("sticky")
        .and_then(|cursor| decode_sticky(context, &cursor));
    if names.len() == 1 && sticky.is_some() {
        let message = "nothing is to be kept: the split has one upstream";
        let finding = Finding::warning(codes::WITHOUT_EFFECT, message)
            .help("to keep clients at one of its servers, write `sticky` into the upstream");
        object.report(context, object.key_span("sticky"), finding);
    }
    let guard = object.written("guard").and_then(|cursor| {
        if names.len() == 1 {
            let message = "the guard watches nothing: the split has one upstream";
            let finding = Finding::warning(codes::WITHOUT_EFFECT, message)
                .help("it watches every upstream but the first");
            object.report(context, object.key_span("guard"), finding);
        }
        decode_guard(context, &cursor)
    });
    let backends: Option<Vec<Backend>> = backends.into_iter().collect();
    Some(Split {
        backends: backends.filter(|backends| !backends.is_empty())?,
        pins,
        sticky,
        guard,
    })
}

/// A number, or a percentage, which is counted, in millionths.
fn decode_weight(context: &mut Context<'_>, cursor: &Cursor<'_>, percentages: &mut usize) -> u32 {
    let Some(number) = cursor.alternative(context) else {
        return 0;
    };
    let is_percentage = number.text(context).is_some_and(|text| text.ends_with('%'));
    if !is_percentage {
        return number.number(context);
    }
    *percentages += 1;
    let share = number.parse(context, quantity::share);
    share.map_or(0, Share::millionths)
}

/// Of shares of a whole none may be missing. Makes them numbers as small as they can be written: 99.5 and
/// 0.5 become 995 and 5.
fn check_percentages(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    percentages: usize,
    backends: &mut [Option<Backend>],
) {
    if percentages < backends.len() {
        let message = "numbers and percentages stand side by side";
        let finding = cursor
            .error(codes::CONFLICT, message)
            .help("write percentages for all upstreams of the split, or for none");
        context.report(finding);
        return;
    }
    let weights = backends.iter().flatten().map(|backend| backend.weight);
    let sum = weights.map(u64::from).sum::<u64>();
    if sum != u64::from(Share::ALL.millionths()) {
        let message = format!("the percentages add up to {}%", sum as f64 / 1e4);
        let finding = cursor
            .error(codes::BAD_PERCENTAGE, message)
            .help("they have to add up to 100%; numbers without `%` are relative to each other");
        context.report(finding);
    }
    let mut unit = 10_000;
    let divides = |unit: u32, backend: &Backend| backend.weight.is_multiple_of(unit);
    while !backends.iter().flatten().all(|one| divides(unit, one)) {
        unit /= 10;
    }
    for backend in backends.iter_mut().flatten() {
        backend.weight /= unit;
    }
}

fn decode_latency(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Duration {
    let latency = cursor.duration(context);
    if latency > MEASURED {
        let message = "the guard's latency is longer than an hour";
        let finding = cursor
            .error(codes::BAD_DURATION, message)
            .help("latencies are told from each other up to an hour");
        context.report(finding);
    }
    latency
}

fn decode_pins(context: &mut Context<'_>, cursor: &Cursor<'_>, names: &[&str]) -> Vec<Pin> {
    let mut pins: Vec<Pin> = Vec::new();
    let mut places = Vec::new();
    for item in cursor.items(context) {
        let Some(pin) = decode_pin(context, &item, names) else {
            continue;
        };
        places.push((format!("{:?} {:?}", pin.by, pin.value), item.span()));
        pins.push(pin);
    }
    let path = cursor.path.to_string();
    context.report_repeated(places, |_, first| {
        Finding::error(codes::LISTED_TWICE, "an earlier pin takes these requests")
            .help(format!("it is at {first}"))
            .path(path.clone())
    });
    pins
}

fn decode_pin(context: &mut Context<'_>, cursor: &Cursor<'_>, names: &[&str]) -> Option<Pin> {
    let object = Object::open(context, cursor)?;
    let kind = object.one_of(context, &["header", "cookie"]);
    if kind.is_none() && !object.has_unknown() {
        let finding = Finding::error(codes::NOTHING_CHOSEN, "the pin looks at nothing")
            .help("write `header` or `cookie`");
        object.report(context, cursor.span(), finding);
    }
    let header = object
        .written("header")
        .and_then(|cursor| cursor.parse(context, grammar::header_name));
    let cookie = object
        .written("cookie")
        .and_then(|cursor| cursor.parse(context, grammar::cookie_name));
    let value = object.written("value").map(|cursor| {
        let is_secret = |name: &http::HeaderName| is_secret_name(name.as_str());
        if header.as_ref().is_some_and(is_secret) {
            context.hidden.push(cursor.node.span);
        }
        cursor.parse(context, text::free)
    });
    let backend = object
        .written("upstream")
        .and_then(|cursor| decode_backend(context, &cursor, names));
    let by = match kind? {
        "header" => PinBy::Header(header?),
        _ => PinBy::Cookie(cookie?),
    };
    Some(Pin {
        by,
        value: match value {
            Some(value) => Some(value?),
            None => None,
        },
        backend: backend?,
    })
}

fn decode_backend(context: &mut Context<'_>, cursor: &Cursor<'_>, names: &[&str]) -> Option<usize> {
    let name = cursor.text(context)?;
    let index = names.iter().position(|known| *known == name);
    // Where none could be read, no pin is to blame.
    if index.is_none() && !names.is_empty() {
        let help = context.suggest(name, names.iter().copied(), "upstreams of the split");
        let message = format!("the split has no upstream {}", quote(name));
        context.report(cursor.error(codes::UNKNOWN_BACKEND, message).help(help));
    }
    index
}

fn decode_sticky(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Stickiness> {
    let cursor = cursor.alternative(context)?;
    if matches!(cursor.shape, Shape::Choice(_)) {
        return balance::decode_word(context, &cursor).map(Stickiness::Key);
    }
    let object = Object::open(context, &cursor)?;
    let kind = object.one_of(context, &["cookie", "header"]);
    if kind.is_none() && !object.has_unknown() {
        let finding = Finding::error(codes::NOTHING_CHOSEN, "nothing keeps a client on its side")
            .help("write `address`, `path`, or one of `cookie` and `header`");
        object.report(context, cursor.span(), finding);
    }
    if kind == Some("cookie") {
        return balance::read_sticky(context, &object).map(Stickiness::Cookie);
    }
    if kind.is_some() && object.written("max_age").is_some() {
        object.report_conflict(context, "header", "max_age");
    }
    let header = object.written("header")?;
    let name = header.parse(context, grammar::header_name)?;
    Some(Stickiness::Key(HashKey::Header(name)))
}

fn decode_guard(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Guard> {
    let object = Object::open(context, cursor)?;
    let error_rate = object.written("error_rate");
    let latency = object.written("latency");
    if error_rate.is_none() && latency.is_none() && !object.has_unknown() {
        let finding = Finding::error(codes::NOTHING_CHOSEN, "the guard watches nothing")
            .help("write `error_rate`, `latency` or both");
        object.report(context, object.node.head(), finding);
    }
    let error_share = error_rate.and_then(|cursor| cursor.parse(context, quantity::share));
    if error_share == Some(Share::ALL) {
        let message = "the guard never acts on errors: more than all cannot fail";
        let finding = Finding::warning(codes::WITHOUT_EFFECT, message)
            .help("write how many may fail, for example 5%, or remove `error_rate`");
        object.report(context, object.key_span("error_rate"), finding);
    }
    Some(Guard {
        error_rate: error_share,
        latency: latency.map(|cursor| decode_latency(context, &cursor)),
        window: object.get("window")?.duration(context),
        minimum_requests: object.get("min_requests")?.number(context),
        then: match object.get("then")?.choice(context) {
            Some("halt") => GuardAction::Halt,
            _ => GuardAction::Rollback,
        },
    })
}
