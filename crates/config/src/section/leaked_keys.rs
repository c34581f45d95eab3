//! `identity.leaked_keys`: who may report keys that were found where they do not belong.

use std::sync::Arc;

use weir_jose::KeySet;

use super::access::{decode_published, is_url, warn_of_open_net};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{GithubReports, Keys, LeakedKeys, PublishedAt};
use crate::reference::Reference;
use crate::shape::{Record, Shape, Text, field};
use crate::value::address::NETWORK;
use crate::value::text::{FREE, MATERIAL, free};

pub(super) static LEAKED_KEYS: Record = Record {
    name: "leaked_keys",
    about: "Who may report API keys that were found where they do not belong.",
    fields: &[
        field(
            "unsigned",
            Shape::Boolean,
            "Whether anybody may, a few at a time: who can show a whole key could use it as well.",
        )
        .default("true"),
        field(
            "github",
            Shape::Record(&GITHUB),
            "Reports that GitHub's secret scanning partner programme signs. Default: they are like anybody's.",
        ),
    ],
};

static GITHUB: Record = Record {
    name: "leaked_keys.github",
    about: "Reports that GitHub's secret scanning partner programme signs.",
    fields: &[
        field(
            "keys",
            Shape::Text(&PLACE),
            "The keys that GitHub signs with: where it publishes them, or a copy of that.",
        )
        .default("https://api.github.com/meta/public_keys/secret_scanning"),
        field(
            "types",
            Shape::List { items: &Shape::Text(&FREE), least: 1 },
            "The names by which GitHub knows this installation's keys. It signs reports for others with the same keys.",
        )
        .default("[weir_api_key]"),
        field(
            "allow",
            Shape::List { items: &Shape::Text(&NETWORK), least: 0 },
            "Networks that the URL may lead to beside the public internet.",
        )
        .default("[]"),
        field(
            "authorities",
            Shape::Text(&MATERIAL),
            "PEM bundle of the authorities that its certificate is held against. Default: the system's.",
        ),
        field(
            "refresh",
            Shape::Duration { zero: false },
            "From one look to the next. GitHub answers 60 questions an hour.",
        )
        .default("1h"),
        field(
            "stale",
            Shape::Duration { zero: false },
            "How long the last keys are used while GitHub cannot be reached.",
        )
        .default("7d"),
        field(
            "damping",
            Shape::Duration { zero: false },
            "Least time between two questions for keys that are not known, however many reports name such.",
        )
        .default("5m"),
        field(
            "timeout",
            Shape::Duration { zero: false },
            "Longest time for one look.",
        )
        .default("10s"),
    ],
};

static PLACE: Text = Text {
    what: "`file:PATH`, `env:NAME` or a URL",
    pattern: Some("^(file:.+|env:[A-Za-z_][A-Za-z0-9_]*|https?://.+)$"),
    examples: &["file:github-keys.json"],
    loose: false,
};

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<LeakedKeys> {
    let object = Object::open(context, cursor)?;
    let unsigned = object.get("unsigned")?.boolean(context)?;
    let github = match object.written("github") {
        Some(cursor) => Some(decode_github(context, &cursor)?),
        None => None,
    };
    if !unsigned && github.is_none() {
        let finding = object
            .get("unsigned")?
            .error(codes::NOTHING_CHOSEN, "nobody could report a leaked key")
            .help("write `github: {}` beside it, or `unsigned: true`");
        context.report(finding);
    }
    Some(LeakedKeys { unsigned, github })
}

fn decode_github(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<GithubReports> {
    let object = Object::open(context, cursor)?;
    let types = object.get("types")?;
    let types = types.items(context);
    let types = types
        .iter()
        .filter_map(|item| item.parse(context, free))
        .collect();
    let keys = decode_keys(context, &object);
    Some(GithubReports { keys: keys?, types })
}

fn decode_keys(context: &mut Context<'_>, object: &Object<'_>) -> Option<Keys> {
    let cursor = object.get("keys")?;
    let allow = object.get("allow")?.networks(context);
    let text = cursor.text(context)?;
    let is_published = Reference::parse(text).is_none() && is_url(text);
    let source = is_published.then(|| PublishedAt::Url(text.to_owned()));
    let published = decode_published(context, object, source, allow);
    if !is_published {
        let material = cursor.material(context)?;
        return parse(context, &cursor, material.bytes.expose());
    }
    warn_of_open_net(context, &cursor, text);
    published.map(Keys::Published)
}

fn parse(context: &mut Context<'_>, cursor: &Cursor<'_>, text: &[u8]) -> Option<Keys> {
    let fault = match KeySet::parse_github(text) {
        Ok((set, skipped)) if !set.is_empty() => {
            for one in &skipped {
                let message = format!(
                    "the key at {} of the file is left out: {}",
                    one.index, one.fault
                );
                let finding = cursor.warning(codes::KEY_LEFT_OUT, message);
                context.report(finding.help("reports that were signed with it are refused"));
            }
            return Some(Keys::Set(Arc::new(set)));
        }
        Ok(_) => "it has no key of ECDSA on P-256".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!("these are not keys of GitHub that can be used: {fault}");
    let help =
        "it is what GitHub publishes at https://api.github.com/meta/public_keys/secret_scanning";
    context.report(cursor.error(codes::BAD_KEY_SET, message).help(help));
    None
}
