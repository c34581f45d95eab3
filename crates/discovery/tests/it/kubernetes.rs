//! A server that speaks as Kubernetes' API server does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use weir_config::model::{Discovery, DiscoverySource, KubernetesSource, Material, Source};
use weir_core::Secret;

use crate::harness::{Api, Asked, Reply, Running, from, kubernetes, wait_until};

fn slice(name: &str, version: u32, addresses: &[&str]) -> String {
    let each = addresses.iter().map(|address| {
        format!(
            r#"{{"addresses": ["{address}"], "conditions": {{"ready": true}}, "zone": "eu-1a"}}"#
        )
    });
    let text = format!(
        r#"{{"metadata": {{"name": "{name}", "resourceVersion": "{version}"}},
            "addressType": "IPv4", "endpoints": [{}],
            "ports": [{{"name": "http", "port": 8080, "protocol": "TCP"}}]}}"#,
        each.collect::<Vec<_>>().join(",")
    );
    // One line, as events are.
    text.replace('\n', " ")
}

fn list(version: u32, next: &str, slices: &[String]) -> Reply {
    Reply::json(format!(
        r#"{{"metadata": {{"resourceVersion": "{version}", "continue": "{next}"}},
            "items": [{}]}}"#,
        slices.join(",")
    ))
}

fn event(kind: &str, object: &str) -> String {
    format!(r#"{{"type": "{kind}", "object": {object}}}"#)
}

fn is_watch(asked: &Asked) -> bool {
    asked.parameter("watch") == Some("true")
}

fn settings(api: &Api) -> Discovery {
    from(DiscoverySource::Kubernetes(kubernetes(api)))
}

#[tokio::test]
async fn slices_are_listed_page_by_page_then_watched() {
    let api = Api::start(
        |asked| match (is_watch(asked), asked.parameter("continue")) {
            (true, _) => Reply::Stream(vec![
                event("MODIFIED", &slice("b", 11, &["10.0.0.3"])),
                event("ADDED", &slice("c", 12, &["10.0.0.4"])),
                event("DELETED", &slice("a", 13, &["10.0.0.1"])),
                event("BOOKMARK", r#"{"metadata": {"resourceVersion": "20"}}"#),
            ]),
            (false, None) => list(10, "a&b", &[slice("a", 1, &["10.0.0.1"])]),
            (false, Some("a%26b")) => list(10, "", &[slice("b", 2, &["10.0.0.2"])]),
            (false, Some(_)) => panic!("{asked:?}"),
        },
    )
    .await;
    let mut running = Running::start(settings(&api));
    assert_eq!(running.next().await, ["10.0.0.1:8080", "10.0.0.2:8080"]);
    running.find(&["10.0.0.3:8080", "10.0.0.4:8080"]).await;
    // The watch ends; the next one goes on from the bookmark.
    api.now(|asked| match is_watch(asked) {
        true if asked.parameter("resourceVersion") == Some("20") => {
            Reply::Stream(vec![event("DELETED", &slice("c", 21, &[]))])
        }
        _ => panic!("{asked:?}"),
    });
    assert_eq!(running.next().await, ["10.0.0.3:8080"]);
    let asked = api.asked();
    assert!(
        asked[0].target.starts_with(
            "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices\
             ?labelSelector=kubernetes.io%2Fservice-name%3Dcatalog&limit="
        ),
        "{asked:?}"
    );
    assert_eq!(asked[2].parameter("resourceVersion"), Some("10"));
    assert_eq!(asked[2].parameter("allowWatchBookmarks"), Some("true"));
}

#[tokio::test]
async fn a_version_that_is_gone_is_listed_anew_which_is_no_loss() {
    let api = Api::start(|asked| match is_watch(asked) {
        false => list(10, "", &[slice("a", 1, &["10.0.0.1"])]),
        true => Reply::Hold,
    })
    .await;
    let mut running = Running::start(settings(&api));
    assert_eq!(running.next().await, ["10.0.0.1:8080"]);
    // As the answer first.
    api.now(|asked| match is_watch(asked) {
        true => Reply::Whole(410, String::new(), r#"{"code": 410}"#.into()),
        false => Reply::Hold,
    });
    wait_until("it lists anew", || api.asked().len() == 3).await;
    assert!(!is_watch(&api.asked()[2]));
    assert_eq!(running.status().lost, None);
    // Then as an event, after another one.
    api.now(|asked| match is_watch(asked) {
        false => list(20, "", &[slice("a", 11, &["10.0.0.2"])]),
        true => Reply::Hold,
    });
    assert_eq!(running.next().await, ["10.0.0.2:8080"]);
    api.now(|asked| match is_watch(asked) {
        true => Reply::Stream(vec![
            event("MODIFIED", &slice("a", 21, &["10.0.0.3"])),
            event("ERROR", r#"{"code": 410, "message": "too old"}"#),
        ]),
        false => Reply::Hold,
    });
    assert_eq!(running.next().await, ["10.0.0.3:8080"]);
    wait_until("it lists once more", || api.asked().len() == 5).await;
    assert_eq!(running.status().lost, None);
}

#[tokio::test]
async fn versions_that_are_always_gone_are_a_loss_and_no_storm() {
    let api = Api::start(|asked| match is_watch(asked) {
        false => list(10, "", &[slice("a", 1, &["10.0.0.1"])]),
        true => Reply::Whole(410, String::new(), r#"{"code": 410}"#.into()),
    })
    .await;
    let began = Instant::now();
    let running = Running::start(settings(&api));
    let lost = running.lost().await;
    assert_eq!(lost.error, "kubernetes: the resource version is too old");
    wait_until("it was asked eight times", || api.asked().len() >= 8).await;
    // Two pauses at least, of half a second and of one.
    assert!(began.elapsed() >= Duration::from_millis(1_400));
}

#[tokio::test]
async fn a_service_without_endpoints_leaves_what_was_known() {
    let api = Api::start(|asked| match is_watch(asked) {
        false => list(10, "", &[slice("a", 1, &["10.0.0.1"])]),
        true => Reply::Stream(vec![event("MODIFIED", &slice("a", 11, &[]))]),
    })
    .await;
    let mut running = Running::start(settings(&api));
    running.next().await;
    let lost = running.lost().await;
    assert_eq!(lost.error, "the answer has no targets");
    running.expect_nothing_new();
    api.now(|asked| match is_watch(asked) {
        true => Reply::Stream(vec![event("MODIFIED", &slice("a", 12, &["10.0.0.2"]))]),
        false => panic!("{asked:?}"),
    });
    assert_eq!(running.next().await, ["10.0.0.2:8080"]);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words() {
    let api = Api::start(|_| {
        let status = r#"{"kind": "Status", "code": 403, "message": "no access to endpointslices"}"#;
        Reply::Whole(403, String::new(), status.into())
    })
    .await;
    let running = Running::start(settings(&api));
    let lost = running.lost().await;
    assert_eq!(
        lost.error,
        "kubernetes: answered 403: no access to endpointslices"
    );
}

/// An authority of its own, and a server's certificate from it.
fn pki() -> (String, TlsAcceptor) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}

fn material(pem: &str) -> Material {
    Material {
        bytes: Secret::new(pem.as_bytes().into()),
        source: Source::File("ca.crt".into()),
    }
}

#[tokio::test]
async fn the_token_is_read_anew_and_goes_out_over_tls_only_to_whom_the_authorities_vouch_for() {
    let (authority, tls) = pki();
    let api = Api::start_tls(tls, |asked| match is_watch(asked) {
        false => list(10, "", &[slice("a", 1, &["10.0.0.1"])]),
        true => Reply::Hold,
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "canary-one\n").unwrap();
    let source = KubernetesSource {
        api: Some(format!("https://{}", api.address)),
        token: Some(token.clone()),
        authorities: Some(material(&authority)),
        ..kubernetes(&api)
    };
    let mut running = Running::start(from(DiscoverySource::Kubernetes(source.clone())));
    assert_eq!(running.next().await, ["10.0.0.1:8080"]);
    wait_until("it watches", || api.asked().len() == 2).await;
    std::fs::write(&token, "canary-two\n").unwrap();
    // This watch ends at once; the next one has the new token.
    let one = "authorization: Bearer canary-one".to_owned();
    api.now(move |asked| match asked.has(&one) {
        true => Reply::Lines(Vec::new()),
        false => Reply::Hold,
    });
    wait_until("the new token is used", || {
        let asked = api.asked();
        asked
            .iter()
            .any(|one| one.has("authorization: Bearer canary-two"))
    })
    .await;

    let before = api.asked().len();
    let (stranger, _) = pki();
    let source = KubernetesSource {
        authorities: Some(material(&stranger)),
        ..source
    };
    let running = Running::start(from(DiscoverySource::Kubernetes(source)));
    let lost = running.lost().await;
    assert!(lost.error.starts_with("kubernetes: TLS: "), "{lost:?}");
    assert_eq!(api.asked().len(), before);
}
