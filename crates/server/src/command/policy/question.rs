//! A question as people write it, at the command line or in a file of cases.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use weir_authorization::{
    Compiled, Decision, Domain, Kind, Organization, Principal, Question, Route, Strength, Target,
};

/// What somebody may or may not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    /// Who asks: `user:`, `key:`, `client:`, `certificate:` or `operator:` and their name; nobody known
    /// if this is left out
    #[arg(long = "as", value_name = "KIND:NAME")]
    #[serde(rename = "as")]
    who: Option<Who>,
    /// Who vouches for them, if that is another issuer
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The organization that they belong to
    #[arg(long, value_name = "ORGANIZATION")]
    member_of: Option<String>,
    /// What their credential is good for; may be given several times
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A role of theirs; may be given several times
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// What else is said of them; may be given several times
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    #[serde(deserialize_with = "claims")]
    claims: Vec<Claim>,
    /// How they proved who they are: none, password, key, token, certificate, two_factor
    #[arg(long)]
    #[serde(deserialize_with = "strength")]
    strength: Option<Strength>,
    /// Address of the client
    #[arg(long)]
    address: Option<IpAddr>,
    /// When they ask; otherwise now
    #[arg(long)]
    time: Option<Timestamp>,
    /// What recent failures come to, 0 to 100
    #[arg(long, value_parser = clap::value_parser!(u8).range(..=100))]
    risk: Option<u8>,
    /// Method of the request; otherwise GET
    #[arg(long)]
    method: Option<String>,
    /// Host of the request
    #[arg(long)]
    host: Option<String>,
    /// Path of the request; otherwise /
    #[arg(long)]
    path: Option<String>,
    /// Name of the route that it belongs to
    #[arg(long)]
    route: Option<String>,
    /// Host that the route is for
    #[arg(long, value_name = "HOST")]
    route_host: Option<String>,
    /// Path that the route is for; otherwise that of the request
    #[arg(long, value_name = "PATH")]
    route_path: Option<String>,
    /// The organization that the route belongs to; with --admin-api, the one that it is about, which is the
    /// platform otherwise
    #[arg(long, value_name = "ORGANIZATION")]
    organization: Option<String>,
    /// With --admin-api: the permission that is asked for
    #[arg(long)]
    permission: Option<String>,
    /// With --admin-api: a permission that their roles give them; may be given several times
    #[arg(long = "grant", value_name = "PERMISSION")]
    #[serde(rename = "grants")]
    grants: Vec<String>,
}

impl Asked {
    /// What the rules say to it, if it is asked now and names no other time.
    pub(super) fn put_to(&self, compiled: &Compiled, now: Timestamp) -> anyhow::Result<Decision> {
        let (kind, id) = match &self.who {
            Some(Who { kind, name }) => (*kind, name.as_str()),
            None => (Kind::Anonymous, ""),
        };
        let lists = [&self.scopes, &self.roles, &self.grants];
        let [scopes, roles, permissions] = lists.map(|list| texts(list));
        let claims = self.claims.iter();
        let claims: Vec<_> = claims.map(|claim| (&*claim.name, &*claim.value)).collect();
        Ok(compiled.decide(&Question {
            principal: Principal {
                kind,
                id,
                issuer: self.issuer.as_deref(),
                tenant: self.member_of.as_deref(),
                name: None,
                scopes: &scopes,
                roles: &roles,
                permissions: &permissions,
                claims: &claims,
            },
            target: self.target(compiled.domain())?,
            now: self.time.unwrap_or(now),
            address: self.address,
            strength: self.strength.unwrap_or_default(),
            risk: self.risk.unwrap_or_default(),
        }))
    }

    fn target(&self, domain: Domain) -> anyhow::Result<Target<'_>> {
        let organization = self.organization.as_deref();
        if domain == Domain::Administration {
            let permission = self.permission.as_deref();
            return Ok(Target::Administration {
                permission: permission
                    .context("with --admin-api, say which permission is asked for")?,
                organization: Organization {
                    id: organization.unwrap_or("platform"),
                    slug: organization.unwrap_or("platform"),
                    is_platform: organization.is_none(),
                },
            });
        }
        if self.permission.is_some() || !self.grants.is_empty() {
            bail!("permissions are of the admin API: add --admin-api");
        }
        let path = self.path.as_deref().unwrap_or("/");
        Ok(Target::Request {
            method: self.method.as_deref().unwrap_or("GET"),
            host: self.host.as_deref().unwrap_or_default(),
            path,
            route: Route {
                name: self.route.as_deref().unwrap_or_default(),
                host: self.route_host.as_deref(),
                path: self.route_path.as_deref().unwrap_or(path),
                tenant: organization,
            },
        })
    }
}

/// A kind of principal, and a name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Who {
    kind: Kind,
    name: String,
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, name) = text.split_once(':').unwrap_or((text, ""));
        let kind = match word {
            "user" => Kind::User,
            "key" => Kind::ApiKey,
            "client" => Kind::Client,
            "certificate" => Kind::Certificate,
            "operator" => Kind::Operator,
            "anonymous" => Kind::Anonymous,
            _ => return Err("write it as `user:ada`, with user, key, client, certificate, operator or anonymous".into()),
        };
        match (kind, name) {
            (Kind::Anonymous, "") => {}
            (Kind::Anonymous, _) => return Err("nobody has no name: write `anonymous`".into()),
            (_, "") => {
                return Err(format!(
                    "who is it? write a name behind it, as in `{word}:ada`"
                ));
            }
            _ => {}
        }
        Ok(Self {
            kind,
            name: name.to_owned(),
        })
    }
}

impl TryFrom<String> for Who {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    name: String,
    value: String,
}

impl FromStr for Claim {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("write it as `name=value`")?;
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

fn claims<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Claim>, D::Error> {
    let claims = BTreeMap::<String, String>::deserialize(deserializer)?;
    let claims = claims.into_iter();
    Ok(claims.map(|(name, value)| Claim { name, value }).collect())
}

fn strength<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Strength>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

fn texts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}
