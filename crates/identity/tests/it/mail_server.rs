//! A real mail server: aiosmtpd.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use weir_core::Secret;
use weir_identity::{MailOptions, MailTls};
use weir_testkit::{free_port, installed};

const PATIENCE: Duration = Duration::from_secs(30);

/// Where a server is, or will be.
pub(crate) struct Place {
    directory: TempDir,
    port: u16,
    tls: MailTls,
    certificate: String,
    account: Option<(&'static str, &'static str)>,
}

/// A server that runs; it ends with this.
pub(crate) struct MailServer {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Place {
    pub(crate) fn new(tls: MailTls, account: Option<(&'static str, &'static str)>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let names = ["localhost".to_owned()];
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        let certificate = certified.cert.pem();
        std::fs::write(directory.path().join("cert.pem"), &certificate).unwrap();
        let key = certified.signing_key.serialize_pem();
        std::fs::write(directory.path().join("key.pem"), key).unwrap();
        Self {
            directory,
            port: free_port(),
            tls,
            certificate,
            account,
        }
    }

    /// How Weir reaches it.
    pub(crate) fn options(&self) -> MailOptions {
        let secret = |(account, password): (&str, &str)| {
            (account.to_owned(), Secret::new(password.to_owned()))
        };
        MailOptions {
            host: "localhost".to_owned(),
            port: self.port,
            tls: self.tls,
            authority: Some(self.certificate.clone().into_bytes()),
            credentials: self.account.map(secret),
            from: "weir@weir.example".to_owned(),
            timeout: Duration::from_secs(10),
        }
    }

    pub(crate) async fn start(&self) -> MailServer {
        let mut command = Command::new(installed("venv/bin/python"));
        command
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/it/mail_server.py"
            ))
            .arg(self.port.to_string())
            .arg(match self.tls {
                MailTls::None => "none",
                MailTls::StartTls => "starttls",
                MailTls::Implicit => "implicit",
            })
            .arg(self.directory.path().join("cert.pem"))
            .arg(self.directory.path().join("key.pem"))
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some((account, password)) = self.account {
            command.args([account, password]);
        }
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        assert_eq!(ready.unwrap().unwrap().as_deref(), Some("ready"));
        MailServer {
            _process: process,
            lines,
        }
    }
}

impl MailServer {
    /// The next letter that it took.
    pub(crate) async fn letter(&mut self) -> Json {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        serde_json::from_str(&line.unwrap().unwrap().unwrap()).unwrap()
    }
}

/// The link of a letter, without the marks of quoted-printable.
pub(crate) fn link_in(letter: &Json) -> Secret<String> {
    let content = letter["content"].as_str().unwrap();
    let text = content
        .replace("=\r\n", "")
        .replace("=\n", "")
        .replace("=3D", "=");
    let link = text
        .lines()
        .find(|line| line.starts_with("https://weir.example/"))
        .unwrap_or_else(|| panic!("no link: {text}"));
    Secret::new(link.trim().to_owned())
}
