//! Cross-origin requests (Fetch §3.2): which sites' scripts may call, and read the answers.

use std::collections::HashMap;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderName, HeaderValue, Method};
use weir_config::model::{self, CorsHeaders};
use weir_config::origin::{self, Origin, OriginPattern};

use super::joined;
use crate::failure::Failure;
use crate::fields::Fields;

/// Longer ones are nobody's: a host name has at most 253 characters.
const LONGEST_ORIGIN: usize = 300;
/// Fields that a preflight may ask for where every one is allowed.
const MOST_FIELDS: usize = 64;

const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");
const TRUE: HeaderValue = HeaderValue::from_static("true");

pub(super) struct Cors {
    origins: Origins,
    methods: Vec<Method>,
    allow_methods: Option<HeaderValue>,
    /// `None`: every one.
    headers: Option<Vec<HeaderName>>,
    allow_headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
    private_network: bool,
}

enum Origins {
    Any,
    These {
        /// With the value that is answered, ready to send.
        exact: HashMap<Box<[u8]>, HeaderValue>,
        /// Those that are not one alone.
        patterns: Vec<OriginPattern>,
    },
}

/// The method that a preflight asks about; `None` if the request is no preflight.
pub(super) fn asked_method(method: &Method, fields: &Fields) -> Option<Method> {
    if *method != Method::OPTIONS || !fields.contains(&ORIGIN) {
        return None;
    }
    let asked = fields.get(&ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(asked.as_bytes()).ok()
}

impl Cors {
    pub(super) fn compile(model: &model::Cors) -> Self {
        let origins = match &model.origins {
            origin::Origins::Any => Origins::Any,
            origin::Origins::These(patterns) => Origins::these(patterns),
        };
        let (headers, allow_headers) = match &model.headers {
            CorsHeaders::Any => (None, None),
            CorsHeaders::These(names) => (Some(names.clone()), joined(names)),
        };
        Self {
            origins,
            methods: model.methods.clone(),
            allow_methods: joined(&model.methods),
            headers,
            allow_headers,
            expose: joined(&model.expose),
            credentials: model.credentials,
            max_age: HeaderValue::from(model.max_age.as_secs()),
            private_network: model.private_network,
        }
    }

    /// What answers say to a request of this origin; `None` if its scripts may not read them.
    pub(super) fn allowed_origin(&self, fields: &Fields) -> Option<HeaderValue> {
        let (exact, patterns) = match &self.origins {
            Origins::Any => return Some(HeaderValue::from_static("*")),
            Origins::These { exact, patterns } => (exact, patterns),
        };
        let mut values = fields.get_all(&ORIGIN);
        let origin = values.next()?.as_bytes();
        if values.next().is_some() || origin.len() > LONGEST_ORIGIN {
            return None;
        }
        if let Some(value) = exact.get(origin) {
            return Some(value.clone());
        }
        // Browsers write origins in one way, and whoever reads the answer compares it byte by byte.
        let text = std::str::from_utf8(origin).ok()?;
        let stated =
            Origin::parse(text).filter(|_| !text.bytes().any(|b| b.is_ascii_uppercase()))?;
        let is_among = patterns.iter().any(|pattern| pattern.matches(&stated));
        // Copied: a slice of the head's buffer would keep it until the answer's end.
        is_among
            .then(|| HeaderValue::from_bytes(origin).ok())
            .flatten()
    }

    /// Writes what the policy says in the place of what the upstream did.
    pub(super) fn mark(&self, origin: Option<&HeaderValue>, fields: &mut Fields) {
        fields.retain(|name, _| !is_answered_here(name));
        if let Some(origin) = origin {
            self.allow(origin, fields);
            if let Some(expose) = &self.expose {
                fields.append(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
            }
        }
        // Where every origin gets the same answer, caches need not tell them apart.
        if !matches!(self.origins, Origins::Any) {
            super::add_vary(fields, "Origin");
        }
    }

    fn allow(&self, origin: &HeaderValue, fields: &mut Fields) {
        fields.append(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            fields.append(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
    }

    /// The fields of the answer to a preflight, or why the request that it asks about is not allowed.
    pub(super) fn preflight(
        &self,
        asked: &Method,
        origin: Option<&HeaderValue>,
        request: &Fields,
    ) -> Result<Fields, Failure> {
        let origin = origin.ok_or(Failure::PreflightRefused("origin"))?;
        if !self.methods.contains(asked) {
            return Err(Failure::PreflightRefused("method"));
        }
        let mut fields = Fields::with_capacity(8);
        self.allow(origin, &mut fields);
        if let Some(methods) = &self.allow_methods {
            fields.append(ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
        }
        if let Some(headers) = self.allowed_headers(request)? {
            fields.append(ACCESS_CONTROL_ALLOW_HEADERS, headers);
        }
        if request
            .get(&REQUEST_PRIVATE_NETWORK)
            .is_some_and(|value| *value == TRUE)
        {
            if !self.private_network {
                return Err(Failure::PreflightRefused("private network"));
            }
            fields.append(ALLOW_PRIVATE_NETWORK, TRUE);
        }
        fields.append(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, \
                    Access-Control-Request-Private-Network";
        fields.append(VARY, HeaderValue::from_static(vary));
        Ok(fields)
    }

    fn allowed_headers(&self, request: &Fields) -> Result<Option<HeaderValue>, Failure> {
        let refused = Failure::PreflightRefused("header");
        let mut asked = Vec::new();
        for value in request.get_all(&ACCESS_CONTROL_REQUEST_HEADERS) {
            for name in value.as_bytes().split(|byte| *byte == b',') {
                let name = name.trim_ascii();
                if name.is_empty() {
                    continue;
                }
                let name = HeaderName::from_bytes(name).map_err(|_| refused)?;
                match &self.headers {
                    Some(allowed) if !allowed.contains(&name) => return Err(refused),
                    Some(_) => {}
                    None if asked.len() == MOST_FIELDS => return Err(refused),
                    None => asked.push(name),
                }
            }
        }
        // Written out: `*` would be a field's name to a request with credentials, and does not stand
        // for `Authorization` to any (Fetch §4.8).
        Ok(match &self.headers {
            Some(_) => self.allow_headers.clone(),
            None => joined(&asked),
        })
    }
}

impl Origins {
    fn these(listed: &[OriginPattern]) -> Self {
        let mut exact = HashMap::new();
        let mut patterns = Vec::new();
        for pattern in listed {
            match pattern.exact() {
                Some(origin) => {
                    if let Ok(value) = HeaderValue::from_str(&origin) {
                        exact.insert(origin.as_bytes().into(), value);
                    }
                }
                None => patterns.push(pattern.clone()),
            }
        }
        Self::These { exact, patterns }
    }
}

fn is_answered_here(name: &HeaderName) -> bool {
    let rest = name.as_str().strip_prefix("access-control-");
    rest.is_some_and(|rest| {
        rest.starts_with("allow-") || matches!(rest, "expose-headers" | "max-age")
    })
}

#[cfg(test)]
mod tests;
