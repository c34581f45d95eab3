//! Issuers, and others who sign, whose keys the configuration asks for: found in it, followed, and put into it.

use weir_config::Config;
use weir_config::model::{Keys, PolicyKind, PublishedAt, PublishedKeys};
use weir_issuers::{Form, Issuers, Settings, Source};
use weir_outbound::Reach;

use super::own_tokens::OwnIssuer;

/// Follows all issuers of a configuration that is about to be used, and puts this installation into it. It reads
/// files: call it where blocking is allowed.
pub(super) fn fill(config: &mut Config, issuers: &Issuers, own: &OwnIssuer) {
    for policy in &mut config.policies {
        let PolicyKind::Jwt(jwt) = &mut policy.kind else {
            continue;
        };
        for issuer in &mut jwt.issuers {
            match &mut issuer.keys {
                Keys::Published(published) => {
                    published.followed = Some(issuers.follow(&settings(published)));
                }
                Keys::Own(keys) => {
                    *keys = Some(own.keys.clone());
                    issuer.issuer.clone_from(&own.name);
                }
                Keys::Set(_) => {}
            }
        }
    }
    let github = config.leaked_keys.github.as_mut();
    if let Some(Keys::Published(published)) = github.map(|github| &mut github.keys) {
        published.followed = Some(issuers.follow(&settings_of_github(published)));
    }
}

/// Follows no others any more, once it is used.
pub(super) fn retain(config: &Config, issuers: &Issuers) {
    let mut in_use = Vec::new();
    for policy in &config.policies {
        if let PolicyKind::Jwt(jwt) = &policy.kind {
            in_use.extend(jwt.issuers.iter().filter_map(|issuer| match &issuer.keys {
                Keys::Published(published) => Some(settings(published)),
                Keys::Set(_) | Keys::Own(_) => None,
            }));
        }
    }
    let github = config.leaked_keys.github.as_ref();
    if let Some(Keys::Published(published)) = github.map(|github| &github.keys) {
        in_use.push(settings_of_github(published));
    }
    issuers.retain(&in_use);
}

fn settings_of_github(published: &PublishedKeys) -> Settings {
    Settings {
        form: Form::Github,
        ..settings(published)
    }
}

fn settings(published: &PublishedKeys) -> Settings {
    Settings {
        source: match &published.source {
            PublishedAt::Url(url) => Source::Keys(url.clone()),
            PublishedAt::Issuer(url) => Source::Issuer(url.clone()),
        },
        form: Form::Jwks,
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
