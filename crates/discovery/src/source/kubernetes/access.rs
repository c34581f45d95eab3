//! How the API server is reached, and as whom.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderName;
use http::header::AUTHORIZATION;
use weir_config::model::KubernetesSource;

use weir_outbound::{self as client, Answer, Endpoint, HttpError, Trust, encode};

/// Largest token or bundle.
const LARGEST: u64 = 1 << 20;

/// What a pod is given to reach the API server.
#[derive(Clone, Debug)]
pub struct Pod {
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`, if this is a pod.
    pub api: Option<(String, String)>,
    /// Where `token`, `ca.crt` and `namespace` of the pod's service account are.
    pub account: PathBuf,
}

impl Pod {
    /// The pod that this process runs in.
    pub fn of_this_process() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let host = variable("KUBERNETES_SERVICE_HOST");
        Self {
            api: host.zip(variable("KUBERNETES_SERVICE_PORT")),
            account: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount"),
        }
    }
}

/// All that a request needs.
pub(super) struct Access {
    endpoint: Endpoint,
    trust: Trust,
    token: Option<String>,
    /// Path of the slices of the service, with the selector.
    path: String,
}

impl Access {
    /// Reads anew what can change: the kubelet replaces a pod's token every hour.
    pub(super) async fn of(source: &KubernetesSource, pod: &Pod) -> Result<Self, String> {
        let (source, pod) = (source.clone(), pod.clone());
        tokio::task::spawn_blocking(move || Self::read(&source, &pod))
            .await
            .map_err(|error| error.to_string())?
    }

    fn read(source: &KubernetesSource, pod: &Pod) -> Result<Self, String> {
        let api = api(source, pod)?;
        let endpoint = Endpoint::parse(&api).map_err(|error| error.to_string())?;
        let own = |name: &str| text(&pod.account.join(name));
        let namespace = match &source.namespace {
            Some(namespace) => namespace.clone(),
            None => own("namespace")?.ok_or("this is no pod: set `namespace`")?,
        };
        let token = match &source.token {
            Some(path) => {
                let missing = || format!("the token {} is not there", path.display());
                Some(text(path)?.ok_or_else(missing)?)
            }
            // A pod's own token is for its own API server, and not for whoever reads along.
            None if endpoint.is_tls => own("token")?,
            None => None,
        };
        let trust = match (&source.authorities, endpoint.is_tls) {
            (_, false) => Ok(Trust::none()),
            (Some(material), true) => Trust::new(Some(material.bytes.expose())),
            (None, true) => Trust::new(own("ca.crt")?.as_deref().map(str::as_bytes)),
        };
        let selector = format!("kubernetes.io/service-name={}", source.service);
        Ok(Self {
            endpoint,
            trust: trust.map_err(|error| error.to_string())?,
            token,
            path: format!(
                "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices?labelSelector={}",
                encode(&namespace),
                encode(&selector)
            ),
        })
    }

    /// Asks for the slices; `query` comes behind the selector.
    pub(super) async fn get(&self, query: &str, patience: Duration) -> Result<Answer, HttpError> {
        let mut headers: Vec<(HeaderName, _)> = Vec::new();
        if let Some(token) = &self.token {
            headers.push((
                AUTHORIZATION,
                client::secret_value(&format!("Bearer {token}"))?,
            ));
        }
        let path = format!("{}&{query}", self.path);
        client::get(&self.endpoint, &self.trust, &path, &headers, patience).await
    }
}

fn api(source: &KubernetesSource, pod: &Pod) -> Result<String, String> {
    match (&source.api, &pod.api) {
        (Some(api), _) => Ok(api.clone()),
        (None, Some((host, port))) if host.contains(':') => Ok(format!("https://[{host}]:{port}")),
        (None, Some((host, port))) => Ok(format!("https://{host}:{port}")),
        (None, None) => Err("this is no pod: set `api`".to_owned()),
    }
}

/// What a file says, without the white space around; `None` if it is not there.
fn text(path: &Path) -> Result<Option<String>, String> {
    let unreadable =
        |error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", path.display());
    let Some(content) = weir_files::read(path, LARGEST).map_err(|error| unreadable(&error))? else {
        return Ok(None);
    };
    let content = String::from_utf8(content).map_err(|_| unreadable(&"it is not UTF-8"))?;
    Ok(Some(content.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> KubernetesSource {
        KubernetesSource {
            api: None,
            namespace: None,
            service: "catalog".into(),
            port: None,
            token: None,
            authorities: None,
        }
    }

    #[test]
    fn a_pod_brings_everything() {
        let directory = tempfile::tempdir().unwrap();
        let account = directory.path().to_owned();
        let certificate = rcgen::generate_simple_self_signed(vec!["api".into()]).unwrap();
        std::fs::write(account.join("ca.crt"), certificate.cert.pem()).unwrap();
        std::fs::write(account.join("token"), "canary-7f3a\n").unwrap();
        std::fs::write(account.join("namespace"), "shop").unwrap();
        let api = Some(("fd00::1".to_owned(), "443".to_owned()));
        let pod = Pod { api, account };
        let access = Access::read(&source(), &pod).unwrap();
        assert_eq!(access.endpoint.authority, "[fd00::1]:443");
        assert_eq!(access.token.as_deref(), Some("canary-7f3a"));
        assert_eq!(
            access.path,
            "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices\
             ?labelSelector=kubernetes.io%2Fservice-name%3Dcatalog"
        );
        // It does not go out in the clear.
        let plain = KubernetesSource {
            api: Some("http://127.0.0.1:8001".into()),
            ..source()
        };
        assert_eq!(Access::read(&plain, &pod).unwrap().token, None);
    }

    #[test]
    fn outside_of_a_pod_what_is_missing_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let pod = Pod {
            api: None,
            account: directory.path().to_owned(),
        };
        let error = |source: &KubernetesSource| match Access::read(source, &pod) {
            Ok(_) => panic!("accepted"),
            Err(error) => error,
        };
        assert_eq!(error(&source()), "this is no pod: set `api`");
        let api = KubernetesSource {
            api: Some("http://127.0.0.1:1".into()),
            ..source()
        };
        assert_eq!(error(&api), "this is no pod: set `namespace`");
        let token = KubernetesSource {
            namespace: Some("shop".into()),
            token: Some(directory.path().join("none")),
            ..api
        };
        assert!(error(&token).ends_with("none is not there"));
    }
}
