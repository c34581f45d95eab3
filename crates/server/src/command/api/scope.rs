//! What a command is about: an organization or the platform, a person, a moment.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{Api, List, path};
use crate::log::printable;

/// Of which organization; without one, of the platform.
#[derive(Clone, Debug, Args)]
pub(crate) struct Organization {
    /// Organization, by slug or identifier; otherwise the platform
    #[arg(long = "org", value_name = "ORG", env = "WEIR_ORG", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    organization: Option<String>,
}

/// In which organization, where there is no other place.
#[derive(Clone, Debug, Args)]
pub(crate) struct InOrganization {
    /// Organization, by slug or identifier; `platform` is the installation itself
    #[arg(long = "org", value_name = "ORG", env = "WEIR_ORG", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    organization: String,
}

impl Organization {
    /// Its slug or identifier.
    pub(crate) fn name(&self) -> Option<&str> {
        self.organization.as_deref()
    }

    /// A path below it.
    pub(crate) fn path(&self, segments: &[&str]) -> String {
        match self.name() {
            Some(name) => within(name, segments),
            None => path(segments),
        }
    }
}

impl InOrganization {
    /// Its slug or identifier.
    pub(crate) fn name(&self) -> &str {
        &self.organization
    }

    /// A path below it.
    pub(crate) fn path(&self, segments: &[&str]) -> String {
        within(&self.organization, segments)
    }
}

fn within(organization: &str, segments: &[&str]) -> String {
    path(&[&["organizations", organization], segments].concat())
}

/// The organization that a question is about, by its path or its body.
pub(super) fn organization_of<'q>(path: &'q str, body: Option<&'q Value>) -> Option<Cow<'q, str>> {
    let Some(rest) = path.strip_prefix("/v1/organizations/") else {
        return body?["organization"].as_str().map(Cow::Borrowed);
    };
    let segment = rest.split(['/', '?']).next()?;
    let name = percent_decode_str(segment).decode_utf8_lossy();
    Some(name).filter(|name| !name.is_empty())
}

/// The identifier of a person who is named by it or by their address: a member of the organization or,
/// without one, anybody.
pub(crate) fn person(api: &Api, organization: Option<&str>, named: &str) -> anyhow::Result<String> {
    match organization {
        Some(name) => by_address(api, List::at(within(name, &["members"])), "user_id", named),
        None => by_address(api, List::at(path(&["users"])), "id", named),
    }
}

/// The identifier of something in a list, which can be filtered by `email`, that is named by it or by an
/// e-mail address.
pub(crate) fn by_address(
    api: &Api,
    list: List,
    identifier: &str,
    named: &str,
) -> anyhow::Result<String> {
    if !named.contains('@') {
        return Ok(named.to_owned());
    }
    let email = named.to_lowercase();
    let list = list.with("email", Some(&email));
    let found = list.find(api, |one| one["email"] == *email)?;
    match found.as_ref().and_then(|one| one[identifier].as_str()) {
        Some(id) => Ok(id.to_owned()),
        None => bail!(
            "there is no {} here; what is in the trash is named by its identifier",
            printable(named)
        ),
    }
}

/// A moment, stated as such, as a day, or as a time that has passed since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(Timestamp);

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault =
            "expected a time such as 2026-11-21, 2026-11-21T14:00:00Z or, for so long ago, 24h";
        if let Ok(moment) = text.parse() {
            return Ok(Self(moment));
        }
        if let Ok(day) = text.parse::<Date>() {
            let midnight = day.to_zoned(TimeZone::UTC).map_err(|_| fault)?;
            return Ok(Self(midnight.timestamp()));
        }
        let passed = weir_config::parse_duration(text).map_err(|_| fault)?;
        let moment = Timestamp::now().checked_sub(passed).map_err(|_| fault)?;
        Ok(Self(moment))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn questions_are_about_an_organization_or_not() {
        let of = |path: &str, body: Value| organization_of(path, Some(&body)).map(Cow::into_owned);
        let acme = Some("acme".to_owned());
        let body = json!({ "organization": "acme", "who": "ada" });
        assert_eq!(of("/v1/organizations/acme", json!({})), acme);
        assert_eq!(of("/v1/organizations/acme?a=b", json!({})), acme);
        assert_eq!(of("/v1/organizations/acme/members?a=b", json!({})), acme);
        assert_eq!(of("/v1/access/explain", body), acme);
        assert_eq!(
            of("/v1/organizations/a%2Fb/roles", json!({})),
            Some("a/b".to_owned())
        );
        for (path, body) in [
            ("/v1/organizations", json!({})),
            ("/v1/organizations/", json!({})),
            ("/v1/access/explain", json!({ "organization": null })),
            ("/v1/users/usr_1", json!([1])),
        ] {
            assert_eq!(of(path, body), None, "{path}");
        }
    }

    #[test]
    fn moments_are_stated_in_three_ways() {
        let read = |text: &str| text.parse::<Moment>().map(|moment| moment.to_string());
        assert_eq!(read("2026-11-21").unwrap(), "2026-11-21T00:00:00Z");
        assert_eq!(
            read("2026-11-21T14:00:00+02:00").unwrap(),
            "2026-11-21T12:00:00Z"
        );
        let before = Timestamp::now().as_second() - 3600;
        let hour: Timestamp = read("1h").unwrap().parse().unwrap();
        assert!((hour.as_second() - before).abs() <= 5);
        for bad in ["", "yesterday", "2026-13-01", "-1h"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
