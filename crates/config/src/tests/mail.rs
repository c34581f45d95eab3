//! `mail` and the key of the installation.

use std::time::Duration;

use super::{BASE, options, variables};
use crate::model::MailTls;
use crate::{LoadOptions, load_text};

fn options_with(values: &[(&str, &str)]) -> LoadOptions {
    LoadOptions {
        variables: variables(values),
        ..options()
    }
}

fn codes(text: &str) -> Vec<&'static str> {
    let options = options_with(&[("PASSWORD", "canary-7f3a"), ("SHORT", "Zm9v")]);
    match load_text(&format!("{BASE}{text}"), "weir.yaml", "".as_ref(), &options) {
        Ok(loaded) => loaded.warnings.iter().map(|found| found.code).collect(),
        Err(report) => report.diagnostics.iter().map(|found| found.code).collect(),
    }
}

#[test]
fn a_mail_server_is_read_with_its_secret() {
    let text = format!(
        "{BASE}mail:\n  from: weir@example.com\n  smtp: {{ address: 'Mail.example.com:465', \
         tls: implicit, user: weir, password: env:PASSWORD, timeout: 3s }}\n"
    );
    let options = options_with(&[("PASSWORD", "canary-7f3a\n")]);
    let loaded = load_text(&text, "weir.yaml", "".as_ref(), &options).unwrap();
    assert_eq!(loaded.warnings, []);
    let mail = loaded.config.mail.unwrap();
    assert_eq!((mail.host.as_str(), mail.port), ("mail.example.com", 465));
    assert_eq!(mail.tls, MailTls::Implicit);
    assert_eq!(mail.timeout, Duration::from_secs(3));
    assert!(!format!("{mail:?}").contains("canary"));
    let (user, password) = mail.credentials.unwrap();
    assert_eq!(
        (user.as_str(), password.expose().as_str()),
        ("weir", "canary-7f3a")
    );
}

#[test]
fn what_cannot_send_mail_is_refused() {
    let server = "address: 'm:587'";
    for (text, expected) in [
        (format!("mail: {{ smtp: {{ {server} }} }}"), "WR0102"),
        ("mail: { from: a@b.example }".to_owned(), "WR0102"),
        (
            format!("mail: {{ from: Weir, smtp: {{ {server} }} }}"),
            "WR0109",
        ),
        (
            "mail: { from: a@b.example, smtp: { address: m } }".to_owned(),
            "WR0109",
        ),
        (
            format!("mail: {{ from: a@b.example, smtp: {{ {server}, user: u }} }}"),
            "WR0206",
        ),
        (
            format!("mail: {{ from: a@b.example, smtp: {{ {server}, user: u, password: p }} }}"),
            "WR0301",
        ),
        (
            format!(
                "mail: {{ from: a@b.example, smtp: {{ {server}, user: u, password: env:PASSWORD, tls: none }} }}"
            ),
            "WR0205",
        ),
        ("records: { key: env:SHORT }".to_owned(), "WR0304"),
        ("records: { key: 0707 }".to_owned(), "WR0301"),
        ("admin: { public_url: 'ftp://x' }".to_owned(), "WR0109"),
    ] {
        assert_eq!(codes(&text), [expected], "{text}");
    }
}

#[test]
fn a_key_is_read_in_each_of_its_forms() {
    let key = |written: &str| {
        let text = format!("{BASE}records: {{ key: env:KEY }}\n");
        let options = options_with(&[("KEY", written)]);
        let loaded = load_text(&text, "weir.yaml", "".as_ref(), &options).unwrap();
        *loaded.config.records.key.unwrap().expose()
    };
    assert_eq!(key(&"fb".repeat(32)), [0xfb; 32]);
    assert_eq!(
        key("+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s="),
        [0xfb; 32]
    );
    assert_eq!(
        key("-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s"),
        [0xfb; 32]
    );
}
