use super::*;
use crate::log::tests::record;

fn redactor(query: &[&str], headers: &[&str], paths: &[&str]) -> Redactor {
    Redactor::new(&Redaction {
        query: query.iter().map(ToString::to_string).collect(),
        headers: headers.iter().map(|name| name.parse().unwrap()).collect(),
        paths: paths
            .iter()
            .map(|path| PathPattern::parse(path).unwrap())
            .collect(),
    })
}

fn path(redactor: &Redactor, path: &str) -> String {
    let record = AccessRecord {
        path: path.into(),
        ..record()
    };
    redactor.path(&record).into_owned()
}

#[test]
fn credentials_in_a_query_are_hidden_however_they_are_spelled() {
    let redactor = Redactor::default();
    for (query, shown) in [
        ("", ""),
        ("a=1&b=2", "a=1&b=2"),
        ("access_token=canary", "access_token=REDACTED"),
        ("a=1&TOKEN=canary&b=2", "a=1&TOKEN=REDACTED&b=2"),
        ("%74oken=canary", "%74oken=REDACTED"),
        ("a=1;password=canary;c", "a=1;password=REDACTED;c"),
        ("token=canary=&x", "token=REDACTED&x"),
        (
            "X-Amz-Signature=canary&Expires=1",
            "X-Amz-Signature=REDACTED&Expires=1",
        ),
        ("id_token=&a", "id_token=&a"),
        ("code=canary&state=x", "code=REDACTED&state=x"),
        ("next=eyJhbGciOiJub25lIn0.e30.canary", "next=REDACTED"),
        ("a=weir_key_canary&b=1", "a=REDACTED&b=1"),
        ("a=%77eir%5Fkey_canary", "a=REDACTED"),
        ("weir_key_canary", "REDACTED"),
        ("b=1;weir_key_canary=2", "b=1;REDACTED"),
        ("author=smith&zipcode=1", "author=smith&zipcode=1"),
        ("token&a=1", "token&a=1"),
    ] {
        assert_eq!(redactor.query(query), shown);
    }
    assert_eq!(
        redactor_query(&["E-Mail"], "e-mail=canary&a=1"),
        "e-mail=REDACTED&a=1"
    );
    assert_eq!(
        redactor_query(&["user name"], "user+name=canary"),
        "user+name=REDACTED"
    );
}

fn redactor_query(names: &[&str], query: &str) -> String {
    redactor(names, &[], &[]).query(query).into_owned()
}

#[test]
fn what_a_pattern_captures_of_a_path_is_hidden() {
    let redactor = redactor(
        &[],
        &[],
        &["/reset/{token}", "/u/{id}/mail", "/private/*", "/img-*"],
    );
    for (asked, shown) in [
        ("/reset/canary", "/reset/REDACTED"),
        ("/reset/canary/more", "/reset/canary/more"),
        ("/reset/", "/reset/"),
        ("/u/7/mail", "/u/REDACTED/mail"),
        ("/u/7/post", "/u/7/post"),
        ("/private/", "/private/"),
        ("/private/a/b", "/private/REDACTED"),
        ("/img-canary/x", "/img-REDACTED"),
        ("/", "/"),
        ("*", "*"),
        ("", ""),
        ("/a/weir_key_canary/b", "/a/REDACTED/b"),
        ("/a/x:weir%5fkey_canary", "/a/REDACTED"),
    ] {
        assert_eq!(path(&redactor, asked), shown, "{asked}");
    }
    let unreadable = AccessRecord {
        path: "/x/../reset/canary%zz".into(),
        reason: Some("bad_path"),
        ..record()
    };
    assert_eq!(redactor.path(&unreadable), HIDDEN);
    assert_eq!(
        Redactor::default().path(&unreadable),
        "/x/../reset/canary%zz"
    );
}

#[test]
fn headers_that_carry_credentials_are_hidden() {
    let redactor = redactor(&[], &["user-agent"], &[]);
    let shown = |name: &str, value: &str| {
        let shown = redactor.header(&name.parse().unwrap(), value.as_bytes());
        String::from_utf8(shown.into_owned()).unwrap()
    };
    for name in [
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-api-key",
        "x-csrf-token",
        "user-agent",
    ] {
        assert_eq!(shown(name, "canary"), HIDDEN, "{name}");
    }
    assert_eq!(shown("accept", "*/*"), "*/*");
    assert_eq!(shown("x-data", "eyJhbGciOiJub25lIn0.e30."), HIDDEN);
    assert_eq!(shown("x-data", "key weir_key_canary"), HIDDEN);
    assert_eq!(
        shown("referer", "https://a/b?c=1&token=canary"),
        "https://a/b?c=1&token=REDACTED"
    );
}
