//! How long people stay signed in, and where they are sent.

use std::time::Duration;

use super::{BASE, codes_of, loaded, refused};

#[test]
fn sessions_are_as_they_are_written() {
    let sessions = loaded(BASE).config.sessions;
    assert_eq!(sessions.idle, Duration::from_secs(900));
    assert_eq!(sessions.absolute, Duration::from_secs(86_400));
    assert_eq!(sessions.rotate_every, Duration::from_secs(3_600));
    assert_eq!(sessions.overlap, Duration::from_secs(30));
    // Each bound itself is let in.
    let text = format!(
        "{BASE}identity: {{ sessions: {{ idle: 30d, absolute: 30d, rotate_every: 30d, overlap: 5m }} }}\n"
    );
    let sessions = loaded(&text).config.sessions;
    assert_eq!(sessions.idle, sessions.absolute);
    assert_eq!(sessions.overlap, Duration::from_secs(300));
}

#[test]
fn sessions_that_contradict_themselves_are_refused() {
    for written in [
        "absolute: 721h",
        "absolute: 0s",
        "idle: 59s",
        "idle: 0s",
        "idle: 25h",
        "absolute: 14m, rotate_every: 10m",
        "rotate_every: 59s, overlap: 5s",
        "rotate_every: 25h",
        "overlap: 0s",
        "overlap: 301s",
        "rotate_every: 2m, overlap: 2m",
    ] {
        let text = format!("{BASE}identity: {{ sessions: {{ {written} }} }}\n");
        assert_eq!(codes_of(&refused(&text)), ["WR0105"], "{written}");
    }
}

#[test]
fn people_are_sent_to_origins_as_browsers_write_them() {
    let text = format!(
        "{BASE}identity: {{ return_origins: ['https://App.Example.com:443/', 'http://localhost:3000', \
         'https://[2001:DB8::1]:8443'] }}\n"
    );
    assert_eq!(
        loaded(&text).config.return_origins,
        [
            "https://app.example.com",
            "http://localhost:3000",
            "https://[2001:db8::1]:8443"
        ]
    );
    for written in [
        "https://app.example.com/path",
        "https://*.example.com",
        "https://user@app.example.com",
        "https://app.example.com?x",
        "javascript://x",
        "app.example.com",
        "https://a.example; script-src *",
        "",
    ] {
        let text = format!("{BASE}identity: {{ return_origins: ['{written}'] }}\n");
        assert_eq!(codes_of(&refused(&text)), ["WR0109"], "{written}");
    }
}

#[test]
fn pages_are_found_by_hosts_as_browsers_write_them() {
    let text = format!(
        "{BASE}identity: {{ sign_in_hosts: {{ Login.Acme.example: acme, 'login.globex.example:8443': globex }} }}\n"
    );
    let hosts = loaded(&text).config.sign_in_hosts;
    let hosts: Vec<_> = hosts
        .iter()
        .map(|(host, slug)| (&**host, &**slug))
        .collect();
    assert_eq!(
        hosts,
        [
            ("login.acme.example", "acme"),
            ("login.globex.example:8443", "globex")
        ]
    );
    for (written, code) in [
        ("'https://login.acme.example': acme", "WR0115"),
        ("'login.acme.example/': acme", "WR0115"),
        ("'*.acme.example': acme", "WR0115"),
        ("'user@login.acme.example': acme", "WR0115"),
        ("a.example: acme, A.example: globex", "WR0115"),
        ("a.example: acme, 'a.example:443': globex", "WR0115"),
        ("a.example: Acme", "WR0118"),
    ] {
        let text = format!("{BASE}identity: {{ sign_in_hosts: {{ {written} }} }}\n");
        assert_eq!(codes_of(&refused(&text)), [code], "{written}");
    }
}
