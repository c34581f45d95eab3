//! The request that is asked about.

use std::borrow::Cow;

use http::header::HOST;
use http::{HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use weir_config::model::{Config, EncodedSlash};
use weir_core::Principal;
use weir_core::path::{PathError, Rules};
use weir_gateway::Fields;
use weir_gateway::router::{Caller, RouteRequest};

use super::claims::{self, Claim};
use super::target::{Target, host_of};

/// What is asked, as it is sent to a Weir that runs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    method: String,
    /// As the client sees it, or only its path.
    url: String,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claims: Vec<Claim>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    value: String,
}

/// The same, read.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(super) method: Method,
    pub(super) url: Target,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// What the credential says; nobody shows one if it says nothing.
    pub(super) claims: Vec<Claim>,
}

impl Question {
    pub(super) fn of(asked: &Asked, url: &str) -> Self {
        let headers = asked.headers.iter().map(|(name, value)| Header {
            name: name.to_string(),
            value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
        });
        Self {
            method: asked.method.to_string(),
            url: url.to_owned(),
            headers: headers.collect(),
            claims: asked.claims.clone(),
        }
    }

    /// Reads it; which part is wrong, and how, if one is.
    pub(crate) fn read(&self) -> Result<Asked, (String, String)> {
        let at = |place: &str| {
            let place = place.to_owned();
            move |why: String| (place, why)
        };
        let headers = self.headers.iter().enumerate().map(|(index, header)| {
            let name = header.name.parse::<HeaderName>();
            let name = name.map_err(|_| "is no name of a header".to_owned());
            let value = header.value.parse::<HeaderValue>();
            let value = value.map_err(|_| "has control characters".to_owned());
            Ok::<_, (String, String)>((
                name.map_err(at(&format!("/headers/{index}/name")))?,
                value.map_err(at(&format!("/headers/{index}/value")))?,
            ))
        });
        claims::principal(&self.claims).map_err(|(index, why)| {
            let place = format!("/claims/{index}/name");
            (place, why.to_owned())
        })?;
        Ok(Asked {
            claims: self.claims.clone(),
            method: method(&self.method).map_err(at("/method"))?,
            url: self
                .url
                .parse()
                .map_err(str::to_owned)
                .map_err(at("/url"))?,
            headers: headers.collect::<Result<_, _>>()?,
        })
    }
}

/// As it stands: methods are case-sensitive (RFC 9110 §9.1), and so is the gateway.
pub(super) fn method(text: &str) -> Result<Method, String> {
    text.parse().map_err(|_| "not a method".to_owned())
}

impl Asked {
    /// Host and port as the client writes them; empty if only a path was given.
    pub(super) fn authority(&self) -> &str {
        let mut hosts = self.headers.iter().filter(|(name, _)| name == HOST);
        match hosts.next_back() {
            Some((_, value)) => value.to_str().unwrap_or_default(),
            None => &self.url.authority,
        }
    }
}

/// The request as the gateway would see it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) scheme: &'static str,
    /// With port, as the client writes it.
    pub(super) authority: String,
    /// Lower case, without port.
    pub(super) host: String,
    /// Normalised.
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) fields: Fields,
    /// Who calls, if somebody shows a credential.
    principal: Option<Principal>,
}

impl Request {
    pub(super) fn new(asked: &Asked, config: &Config) -> Result<Self, PathError> {
        let Asked {
            method,
            url,
            headers,
            claims,
        } = asked;
        let mut fields = Fields::with_capacity(headers.len());
        for (name, value) in headers.iter().filter(|(name, _)| name != HOST) {
            fields.append(name.clone(), value.clone());
        }
        let rules = Rules {
            keep_encoded_slash: config.encoded_slash == EncodedSlash::Keep,
            ..Rules::default()
        };
        let path = weir_core::path::normalise(&url.path, rules)?.into_owned();
        let query = url.query.as_deref().map(weir_core::path::normalise_query);
        let query = query.transpose()?.map(Cow::into_owned);
        let authority = asked.authority().to_owned();
        Ok(Self {
            method: method.clone(),
            scheme: url.scheme,
            host: host_of(&authority),
            authority,
            path,
            query,
            fields,
            // Whoever asks was told of mistakes before.
            principal: claims::principal(claims).unwrap_or_default(),
        })
    }

    pub(super) fn caller(&self) -> Caller<'_> {
        self.principal
            .as_ref()
            .map_or(Caller::Nobody, Caller::Known)
    }

    pub(super) fn route_request(&self) -> RouteRequest<'_> {
        RouteRequest {
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            method: &self.method,
            fields: &self.fields,
        }
    }
}
