//! Calls to a server that does as it is told.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that answers each connection in this way, and the requests that it got.
async fn server(answer: &'static str) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let serving = async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            request.truncate(length);
            let _ = tell.send(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    };
    // It ends with the test's runtime.
    drop(tokio::runtime::Handle::current().spawn(serving));
    (address, told)
}

fn call<'a>(endpoint: &'a Endpoint, trust: &'a Trust, reach: &'a Reach) -> Call<'a> {
    Call {
        endpoint,
        trust,
        reach,
        path: "/x?y=1",
        headers: &[],
        form: None,
        patience: Duration::from_secs(5),
    }
}

#[tokio::test]
async fn a_private_address_is_not_connected_to() {
    let (address, mut told) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let endpoint = Endpoint::parse(&address).unwrap();
    let (trust, public) = (Trust::none(), Reach::Public { allow: Vec::new() });
    let refused = call(&endpoint, &trust, &public).send().await;
    assert!(matches!(refused, Err(HttpError::Forbidden(host)) if host == "127.0.0.1"));
    // The same by a name.
    let by_name = Endpoint::parse(&address.replace("127.0.0.1", "localhost")).unwrap();
    let refused = call(&by_name, &trust, &public).send().await;
    assert!(matches!(refused, Err(HttpError::Forbidden(_))));
    assert!(told.try_recv().is_err());

    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    let answer = call(&endpoint, &trust, &Reach::Public { allow })
        .send()
        .await;
    assert_eq!(answer.unwrap().status, StatusCode::OK);
    assert!(
        told.recv()
            .await
            .unwrap()
            .starts_with("GET /x?y=1 HTTP/1.1\r\n")
    );
}

#[tokio::test]
async fn a_form_is_posted() {
    let (address, mut told) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let endpoint = Endpoint::parse(&format!("{address}/base")).unwrap();
    let (trust, reach) = (Trust::none(), Reach::Anywhere);
    let call = Call {
        form: Some(Bytes::from_static(b"token=a")),
        ..call(&endpoint, &trust, &reach)
    };
    let body = call
        .send()
        .await
        .unwrap()
        .whole(2, Duration::from_secs(5))
        .await;
    assert_eq!(body.unwrap(), "{}");
    let request = told.recv().await.unwrap();
    assert!(
        request.starts_with("POST /base/x?y=1 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("content-type: application/x-www-form-urlencoded\r\n"),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\ntoken=a"), "{request}");
}

#[tokio::test]
async fn redirects_are_not_followed_and_large_bodies_not_read() {
    let (address, _told) =
        server("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")
            .await;
    let endpoint = Endpoint::parse(&address).unwrap();
    let (trust, reach) = (Trust::none(), Reach::Anywhere);
    let redirect = call(&endpoint, &trust, &reach).send().await;
    assert!(matches!(
        redirect,
        Err(HttpError::Redirect(StatusCode::FOUND))
    ));

    let (address, _told) = server("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789").await;
    let endpoint = Endpoint::parse(&address).unwrap();
    let answer = call(&endpoint, &trust, &reach).send().await.unwrap();
    let large = answer.whole(9, Duration::from_secs(5)).await;
    assert!(matches!(large, Err(HttpError::TooLarge(9))));
}
