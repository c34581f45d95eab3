//! Splits and mirrors, as the file has them.

use serde::{Deserialize, Serialize};
use weir_config::model::{Action, Config, Destination, HashKey, Mirror, PinBy, Split, Stickiness};
use weir_gateway::Fields;
use weir_gateway::traffic::pinned;

/// A split as it stands in the file; the running Weir may have other shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shares {
    /// In the order of the file.
    upstreams: Vec<Side>,
    /// What keeps a client on its side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sticky: Option<String>,
    /// Why this request goes where it goes whatever the shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pinned: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Side {
    upstream: String,
    weight: u32,
}

/// Copies of a route's requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Copies {
    upstream: String,
    percent: f64,
    body_bytes: u64,
}

/// The upstream that the request goes to: by a pin, or the first of a split.
pub(super) fn chosen(to: &Destination, fields: &Fields) -> usize {
    let by_pin = match to {
        Destination::Split(split) => pinned(split, fields).map(|at| split.backends[at].upstream),
        Destination::Upstream(_) => None,
    };
    by_pin.or_else(|| to.upstreams().next()).unwrap_or_default()
}

impl Shares {
    pub(super) fn of(to: &Destination, fields: &Fields, config: &Config) -> Option<Self> {
        let Destination::Split(split) = to else {
            return None;
        };
        let side = |backend: &weir_config::model::Backend| Side {
            upstream: config.upstreams[backend.upstream].name.clone(),
            weight: backend.weight,
        };
        Some(Self {
            upstreams: split.backends.iter().map(side).collect(),
            sticky: split.sticky.as_ref().map(sticky),
            pinned: pinned(split, fields).and_then(|_| pin(split, fields)),
        })
    }

    /// `blue 95, green 5; a client stays by the cookie side`
    pub(super) fn text(&self) -> String {
        let sides = self.upstreams.iter();
        let sides: Vec<String> = sides
            .map(|side| format!("{} {}", side.upstream, side.weight))
            .collect();
        let sides = sides.join(", ");
        match &self.sticky {
            Some(sticky) => format!("{sides}; a client stays by {sticky}"),
            None => sides,
        }
    }
}

impl Copies {
    pub(super) fn of(action: &Action, config: &Config) -> Option<Self> {
        let Action::Forward {
            mirror: Some(mirror),
            ..
        } = action
        else {
            return None;
        };
        let Mirror {
            upstream,
            share,
            body_bytes,
            ..
        } = *mirror;
        Some(Self {
            upstream: config.upstreams[upstream].name.clone(),
            percent: share.percent(),
            body_bytes,
        })
    }

    pub(super) fn text(&self) -> String {
        let Self {
            upstream,
            percent,
            body_bytes,
        } = self;
        format!("{percent}% to {upstream}, bodies up to {body_bytes} bytes")
    }
}

fn sticky(sticky: &Stickiness) -> String {
    match sticky {
        Stickiness::Cookie(cookie) => format!("the cookie {}, which Weir sets", cookie.name),
        Stickiness::Key(HashKey::Address) => "its address".to_owned(),
        Stickiness::Key(HashKey::Path) => "the path".to_owned(),
        Stickiness::Key(HashKey::Header(name)) => format!("the header {name}"),
        Stickiness::Key(HashKey::Cookie(name)) => format!("the cookie {name}"),
    }
}

/// The pin that holds. Its value may be a credential of sorts, and is not shown.
fn pin(split: &Split, fields: &Fields) -> Option<String> {
    let mut alone = split.clone();
    let holds = |pin: &&weir_config::model::Pin| {
        alone.pins = vec![(*pin).clone()];
        pinned(&alone, fields).is_some()
    };
    let pin = split.pins.iter().find(holds)?;
    Some(match &pin.by {
        PinBy::Header(name) => format!("header {name}"),
        PinBy::Cookie(name) => format!("cookie {name}"),
    })
}
