//! What an issuer says of an opaque token (RFC 7662).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use weir_core::Secret;
use weir_jose::Claims;
use weir_outbound::{Call, Endpoint, HttpError, Reach, Trust, secret_value};

/// Largest answer, in bytes.
const LARGEST: usize = 64 * 1024;
/// Questions that wait for one that is under way to end, for each of those.
const WAITING: usize = 16;

/// How an issuer is asked.
#[derive(Clone, Debug)]
pub struct Introspection {
    /// URL of its introspection endpoint.
    pub url: String,
    /// As whom it is asked.
    pub credentials: ClientCredentials,
    /// Which addresses may be connected to.
    pub reach: Reach,
    /// PEM bundle of the authorities that its certificate is held against; those of the operating system without one.
    pub authorities: Option<Arc<[u8]>>,
    /// Longest time for one question, waiting for others included.
    pub timeout: Duration,
    /// Most questions under way at once. Sixteen times as many may wait; more are turned down.
    pub at_once: usize,
}

/// As whom an issuer is asked (RFC 7662 §2.1).
#[derive(Clone, Debug)]
pub enum ClientCredentials {
    /// Id and secret in `Authorization: Basic`, each encoded as a form's (RFC 6749 §2.3.1).
    Basic(String, Secret<String>),
    /// Id and secret in the form.
    Post(String, Secret<String>),
    /// A token in `Authorization: Bearer`.
    Bearer(Secret<String>),
}

/// What the issuer says.
#[derive(Clone, Debug, PartialEq)]
pub enum Introspected {
    /// The token is good, with what is known of it.
    Active(Claims),
    /// It is not, or none of the issuer's.
    Inactive,
}

/// Nothing is known of the token: that is no fault of who holds it.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// The issuer gives no answer that can be used.
    #[error("the issuer at {url} cannot be asked about tokens: {source}")]
    Issuer {
        /// Its endpoint, without the query.
        url: String,
        /// Why.
        source: HttpError,
    },
    /// Too many questions wait already.
    #[error("too many questions about tokens wait for the issuer at {0}")]
    Busy(String),
}

/// Asks one issuer; clones are handles to the same. Answers are not remembered.
#[derive(Clone)]
pub struct Introspector(Arc<Asking>);

struct Asking {
    settings: Introspection,
    endpoint: Endpoint,
    path: String,
    trust: Trust,
    runtime: Handle,
    under_way: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Introspector {
    pub(crate) fn new(settings: Introspection, runtime: Handle) -> Result<Self, Unreachable> {
        let unusable = |source| Unreachable::Issuer {
            url: shown(&settings.url),
            source,
        };
        let (endpoint, path) = Endpoint::split(&settings.url).map_err(unusable)?;
        let trust = match endpoint.is_tls {
            true => Trust::new(settings.authorities.as_deref()).map_err(unusable)?,
            false => Trust::none(),
        };
        let at_once = settings.at_once.clamp(1, 10_000);
        Ok(Self(Arc::new(Asking {
            settings,
            endpoint,
            path,
            trust,
            runtime,
            under_way: Arc::new(Semaphore::new(at_once)),
            waiting: Arc::new(Semaphore::new(at_once * (1 + WAITING))),
        })))
    }

    /// Asks about a token. It may be called on any runtime; if the caller does not wait for the end, the question goes on.
    ///
    /// # Errors
    /// [`Unreachable`] if nothing is known of the token.
    pub async fn ask(&self, token: &str) -> Result<Introspected, Unreachable> {
        let asking = Arc::clone(&self.0);
        let Ok(place) = Arc::clone(&asking.waiting).try_acquire_owned() else {
            return Err(Unreachable::Busy(shown(&asking.settings.url)));
        };
        let token = Secret::new(token.to_owned());
        let patience = asking.settings.timeout;
        let runtime = asking.runtime.clone();
        let question = async move {
            let _place = place;
            let answer = timeout(patience, asking.question(&token)).await;
            let answer = answer.unwrap_or(Err(HttpError::Silent(patience)));
            answer.map_err(|source| asking.unreachable(source))
        };
        let answer = runtime.spawn(question).await;
        answer
            .unwrap_or_else(|ended| Err(self.0.unreachable(HttpError::Exchange(ended.to_string()))))
    }
}

impl Asking {
    async fn question(&self, token: &Secret<String>) -> Result<Introspected, HttpError> {
        let closed = |_| HttpError::Exchange("nobody is asked any more".to_owned());
        let _permit = self.under_way.acquire().await.map_err(closed)?;
        let headers = self.headers()?;
        let call = Call {
            endpoint: &self.endpoint,
            trust: &self.trust,
            reach: &self.settings.reach,
            path: &self.path,
            headers: &headers,
            form: Some(self.form(token)),
            patience: self.settings.timeout,
        };
        let answer = call.send().await?;
        if answer.status != http::StatusCode::OK {
            return Err(HttpError::Status(answer.status));
        }
        judge(&answer.whole(LARGEST, self.settings.timeout).await?)
    }

    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, HttpError> {
        let value = match &self.settings.credentials {
            ClientCredentials::Basic(id, secret) => {
                let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));
                format!("Basic {}", STANDARD.encode(pair))
            }
            ClientCredentials::Bearer(token) => format!("Bearer {}", token.expose()),
            ClientCredentials::Post(..) => return Ok(Vec::new()),
        };
        Ok(vec![(AUTHORIZATION, secret_value(&value)?)])
    }

    fn form(&self, token: &Secret<String>) -> Bytes {
        let mut form = Serializer::new(String::new());
        form.append_pair("token", token.expose());
        form.append_pair("token_type_hint", "access_token");
        if let ClientCredentials::Post(id, secret) = &self.settings.credentials {
            form.append_pair("client_id", id);
            form.append_pair("client_secret", secret.expose());
        }
        form.finish().into()
    }

    fn unreachable(&self, source: HttpError) -> Unreachable {
        Unreachable::Issuer {
            url: shown(&self.settings.url),
            source,
        }
    }
}

/// The answer (RFC 7662 §2.2): `active` must be there, and be true or false.
fn judge(json: &[u8]) -> Result<Introspected, HttpError> {
    let unexpected = || HttpError::Exchange("the answer is not JSON with `active`".to_owned());
    let claims = Claims::parse(json).map_err(|_| unexpected())?;
    let active = claims.get("active").and_then(serde_json::Value::as_bool);
    match active.ok_or_else(unexpected)? {
        true => Ok(Introspected::Active(claims)),
        false => Ok(Introspected::Inactive),
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn shown(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_the_token_is_active() {
        assert!(
            matches!(judge(br#"{"active":true,"sub":"ada"}"#), Ok(Introspected::Active(claims)) if claims.subject() == Some("ada"))
        );
        assert!(matches!(
            judge(br#"{"active":false}"#),
            Ok(Introspected::Inactive)
        ));
        for bad in [
            "",
            "{}",
            "true",
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            r#"{"active":false,"active":true}"#,
        ] {
            assert!(judge(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
