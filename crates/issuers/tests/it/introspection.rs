//! Issuers that are asked about opaque tokens.

use std::time::Duration;

use weir_core::Secret;
use weir_issuers::{
    ClientCredentials, Introspected, Introspection, Introspector, Issuers, Options, Unreachable,
};
use weir_outbound::Reach;

use crate::server::{Server, plain};

fn introspection(server: &Server, credentials: ClientCredentials) -> Introspection {
    Introspection {
        url: server.url("/introspect"),
        credentials,
        reach: Reach::Anywhere,
        authorities: None,
        timeout: Duration::from_secs(10),
        at_once: 2,
    }
}

fn bearer() -> ClientCredentials {
    ClientCredentials::Bearer(Secret::new("b".to_owned()))
}

fn introspector(settings: Introspection) -> (Issuers, Introspector, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_owned();
    let issuers = Issuers::run(Options { data }).unwrap();
    let introspector = issuers.introspector(settings).unwrap();
    (issuers, introspector, directory)
}

#[tokio::test]
async fn the_issuer_says_whether_a_token_is_active() {
    let server = Server::start();
    let active = r#"{"active":true,"sub":"ada","scope":"read"}"#;
    server.answer("/introspect", Some(plain("200 OK", active)));
    let (_issuers, introspector, _directory) = introspector(introspection(&server, bearer()));
    let Introspected::Active(claims) = introspector.ask("opaque&x=1").await.unwrap() else {
        panic!("not active");
    };
    assert_eq!(claims.subject(), Some("ada"));
    server.answer("/introspect", Some(plain("200 OK", r#"{"active":false}"#)));
    assert_eq!(
        introspector.ask("other").await.unwrap(),
        Introspected::Inactive
    );
    let requests = server.requests();
    assert_eq!(
        requests[0].body,
        "token=opaque%26x%3D1&token_type_hint=access_token"
    );
    assert_eq!(requests[0].authorization.as_deref(), Some("Bearer b"));
}

#[tokio::test]
async fn a_client_shows_who_it_is_in_three_ways() {
    let secret = || Secret::new("s:e c%".to_owned());
    for (credentials, authorization, form) in [
        (
            ClientCredentials::Basic("a:b".into(), secret()),
            Some("Basic YSUzQWI6cyUzQWUrYyUyNQ=="),
            "",
        ),
        (
            ClientCredentials::Post("a:b".into(), secret()),
            None,
            "&client_id=a%3Ab&client_secret=s%3Ae+c%25",
        ),
    ] {
        let server = Server::start();
        server.answer("/introspect", Some(plain("200 OK", r#"{"active":false}"#)));
        let (_issuers, introspector, _directory) =
            introspector(introspection(&server, credentials));
        introspector.ask("t").await.unwrap();
        let request = &server.requests()[0];
        assert_eq!(request.authorization.as_deref(), authorization);
        assert_eq!(
            request.body,
            format!("token=t&token_type_hint=access_token{form}")
        );
    }
}

#[tokio::test]
async fn what_is_no_answer_says_nothing_of_the_token() {
    for answer in [
        Some(plain("401 Unauthorized", "")),
        Some(plain("500 Internal Server Error", "")),
        Some(plain("200 OK", "{}")),
        Some(plain(
            "200 OK",
            &format!(r#"{{"active":true,"x":"{}"}}"#, "x".repeat(70_000)),
        )),
        Some(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n"
                .to_owned(),
        ),
        None,
    ] {
        let server = Server::start();
        server.answer("/introspect", answer);
        let settings = Introspection {
            timeout: Duration::from_millis(300),
            ..introspection(&server, bearer())
        };
        let (_issuers, introspector, _directory) = introspector(settings);
        let error = introspector.ask("canary-7f3a").await.unwrap_err();
        assert!(matches!(error, Unreachable::Issuer { .. }));
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn questions_at_once_are_bounded() {
    let server = Server::start();
    server.answer("/introspect", None);
    let (_issuers, introspector, _directory) = introspector(introspection(&server, bearer()));
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let introspector = introspector.clone();
        asking.spawn(async move { introspector.ask("t").await });
    }
    // Two are under way and 32 wait; the others hear of it at once.
    for _ in 0..6 {
        let refused = asking.join_next().await.unwrap().unwrap();
        assert!(matches!(refused, Err(Unreachable::Busy(_))));
    }
    assert!(server.requests().len() <= 2);
    server.answer("/introspect", Some(plain("200 OK", r#"{"active":false}"#)));
    while !asking.is_empty() {
        server.release(&plain("200 OK", r#"{"active":false}"#));
        if let Ok(answered) =
            tokio::time::timeout(Duration::from_millis(20), asking.join_next()).await
        {
            assert_eq!(answered.unwrap().unwrap().unwrap(), Introspected::Inactive);
        }
    }
    assert_eq!(server.requests().len(), 34);
}
