//! Issuers whose keys the configuration asks for: found in it, followed, and put into it.

use weir_config::Config;
use weir_config::model::{Keys, PolicyKind, PublishedAt, PublishedKeys};
use weir_issuers::{Issuers, Settings, Source};
use weir_outbound::Reach;

/// Follows all issuers of a configuration that is about to be used. It reads files: call it where blocking is
/// allowed.
pub(super) fn fill(config: &mut Config, issuers: &Issuers) {
    for policy in &mut config.policies {
        let PolicyKind::Jwt(jwt) = &mut policy.kind else {
            continue;
        };
        for issuer in &mut jwt.issuers {
            if let Keys::Published(published) = &mut issuer.keys {
                published.followed = Some(issuers.follow(&settings(published)));
            }
        }
    }
}

/// Follows no others any more, once it is used.
pub(super) fn retain(config: &Config, issuers: &Issuers) {
    let mut in_use = Vec::new();
    for policy in &config.policies {
        if let PolicyKind::Jwt(jwt) = &policy.kind {
            in_use.extend(jwt.issuers.iter().filter_map(|issuer| match &issuer.keys {
                Keys::Published(published) => Some(settings(published)),
                Keys::Set(_) => None,
            }));
        }
    }
    issuers.retain(&in_use);
}

fn settings(published: &PublishedKeys) -> Settings {
    Settings {
        source: match &published.source {
            PublishedAt::Url(url) => Source::Keys(url.clone()),
            PublishedAt::Issuer(url) => Source::Issuer(url.clone()),
        },
        reach: Reach::Public {
            allow: published.allow.clone(),
        },
        authorities: published.authorities.clone(),
        refresh: published.refresh,
        stale: published.stale,
        damping: published.damping,
        timeout: published.timeout,
    }
}
