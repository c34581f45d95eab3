//! Where an issuer says that its keys are.

use serde::Deserialize;
use weir_outbound::HttpError;

use crate::fetch::Access;

/// Largest metadata, in bytes.
const LARGEST: usize = 256 * 1024;

/// Why an issuer's metadata lead nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetadataFault {
    #[error("{0}")]
    Http(#[from] HttpError),
    #[error("the metadata are not JSON with `issuer` and `jwks_uri`")]
    Form,
    #[error("the metadata are of another issuer, {0:?}: it must be written in the very same way")]
    Issuer(String),
    #[error("`jwks_uri` of the metadata is not https, as the issuer is")]
    Scheme,
}

/// What is read of the metadata (OpenID Connect Discovery §3, RFC 8414 §2).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// The URL of the issuer's keys: by OpenID Connect, or else by OAuth. If neither says it, the first fault.
pub(crate) async fn locate(issuer: &str, access: &Access<'_>) -> Result<String, MetadataFault> {
    let first = match ask(issuer, &openid_url(issuer), access).await {
        Ok(url) => return Ok(url),
        Err(fault) => fault,
    };
    ask(issuer, &oauth_url(issuer), access)
        .await
        .map_err(|_| first)
}

async fn ask(issuer: &str, url: &str, access: &Access<'_>) -> Result<String, MetadataFault> {
    let document = access.get(url, LARGEST).await?;
    judge(issuer, &document.body)
}

fn judge(issuer: &str, json: &[u8]) -> Result<String, MetadataFault> {
    let metadata: Metadata = serde_json::from_slice(json).map_err(|_| MetadataFault::Form)?;
    // Otherwise one issuer could vouch for another (RFC 8414 §3.3).
    if metadata.issuer != issuer {
        let said = metadata.issuer.chars().take(200).collect();
        return Err(MetadataFault::Issuer(said));
    }
    if issuer.starts_with("https://") && !metadata.jwks_uri.starts_with("https://") {
        return Err(MetadataFault::Scheme);
    }
    Ok(metadata.jwks_uri)
}

/// OpenID Connect appends (Discovery §4).
fn openid_url(issuer: &str) -> String {
    let issuer = issuer.trim_end_matches('/');
    format!("{issuer}/.well-known/openid-configuration")
}

/// OAuth inserts between host and path (RFC 8414 §3).
fn oauth_url(issuer: &str) -> String {
    let issuer = issuer.trim_end_matches('/');
    let host_begins = issuer.find("://").map_or(0, |at| at + 3);
    let path_begins = issuer[host_begins..].find('/');
    let (host, path) = issuer.split_at(path_begins.map_or(issuer.len(), |at| host_begins + at));
    format!("{host}/.well-known/oauth-authorization-server{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_where_the_standards_put_them() {
        assert_eq!(
            openid_url("https://a.test/tenants/b"),
            "https://a.test/tenants/b/.well-known/openid-configuration"
        );
        assert_eq!(
            oauth_url("https://a.test/tenants/b"),
            "https://a.test/.well-known/oauth-authorization-server/tenants/b"
        );
        for issuer in ["https://a.test", "https://a.test/"] {
            assert_eq!(
                oauth_url(issuer),
                "https://a.test/.well-known/oauth-authorization-server"
            );
            assert_eq!(
                openid_url(issuer),
                "https://a.test/.well-known/openid-configuration"
            );
        }
    }

    #[test]
    fn metadata_are_of_the_very_issuer() {
        let judged = |issuer: &str, json: &str| {
            judge(issuer, json.as_bytes()).map_err(|fault| fault.to_string())
        };
        let json = r#"{"issuer":"https://a.test","jwks_uri":"https://keys.test/jwks","x":1}"#;
        assert_eq!(
            judged("https://a.test", json).as_deref(),
            Ok("https://keys.test/jwks")
        );
        for other in [
            "https://a.test/",
            "https://A.test",
            "http://a.test",
            "https://b.test",
        ] {
            assert!(
                judged(other, json).unwrap_err().contains("another issuer"),
                "{other}"
            );
        }
        let down = r#"{"issuer":"https://a.test","jwks_uri":"http://a.test/jwks"}"#;
        assert!(
            judged("https://a.test", down)
                .unwrap_err()
                .contains("not https")
        );
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"issuer":"https://a.test"}"#,
            r#"{"issuer":"https://a.test","jwks_uri":1}"#,
        ] {
            assert!(
                judged("https://a.test", bad)
                    .unwrap_err()
                    .contains("not JSON"),
                "{bad}"
            );
        }
    }
}
