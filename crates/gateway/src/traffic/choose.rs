//! The upstream for a request.

use http::HeaderValue;
use weir_config::model::{Destination, Stickiness};

use super::place::{Facts, Placed, place};
use crate::cookies;
use crate::failure::Failure;
use crate::hop::states_https;
use crate::message::RequestHead;
use crate::record::Recorder;
use crate::transform::Matched;

/// What was chosen.
pub(crate) struct Chosen {
    /// Index of the upstream.
    pub(crate) upstream: usize,
    /// A `Set-Cookie` for the answer.
    pub(crate) cookie: Option<HeaderValue>,
}

/// Chooses by the route's split, if it has one. `is_trusted` tells whether the peer is a trusted proxy,
/// whose word on how its client came is believed. A cookie of the split ends here: it is nothing to the
/// target.
pub(crate) fn choose(
    to: &Destination,
    matched: &Matched<'_>,
    head: &mut RequestHead,
    is_trusted: bool,
    record: &mut Recorder,
) -> Result<Chosen, Failure> {
    let (Destination::Split(split), Some(running)) = (to, &matched.route.split) else {
        let upstream = to.upstreams().next().ok_or(Failure::NoTarget)?;
        record.upstream = Some(upstream);
        return Ok(Chosen {
            upstream,
            cookie: None,
        });
    };
    let facts = Facts {
        fields: &head.fields,
        address: record.client_address,
        path: matched.path,
        is_secure: matched.client.tls.is_some() || (is_trusted && states_https(&head.fields)),
    };
    let random = || fastrand::u32(..);
    let Placed { backend, cookie } = place(split, &facts, |at| running.side(at), random);
    if let Some(Stickiness::Cookie(sticky)) = &split.sticky {
        cookies::remove(&mut head.fields, &sticky.name);
    }
    let upstream = split.backends[backend].upstream;
    record.upstream = Some(upstream);
    record.backend = Some(backend);
    Ok(Chosen { upstream, cookie })
}
