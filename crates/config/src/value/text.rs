//! Names and free text.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::Fault;
use crate::codes;
use crate::shape::Text;
use crate::suggest::quote;

/// The name of an upstream, policy, route or environment.
pub(crate) static NAME: Text = Text {
    what: "a name",
    pattern: Some("^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"),
    examples: &["catalog", "fair-use"],
    loose: true,
};

/// The name of an organization in addresses.
pub(crate) static SLUG: Text = Text {
    what: "the slug of an organization",
    pattern: Some("^[a-z0-9](-?[a-z0-9]){1,62}$"),
    examples: &["acme"],
    loose: true,
};

/// Text without a grammar.
pub(crate) static FREE: Text = Text {
    what: "text",
    pattern: None,
    examples: &[],
    loose: true,
};

/// A directory.
pub(crate) static DIRECTORY: Text = Text {
    what: "a directory",
    pattern: None,
    examples: &["/var/lib/weir"],
    loose: false,
};

/// A file that is read again and again.
pub(crate) static FILE: Text = Text {
    what: "the path of a file",
    pattern: None,
    examples: &["targets.yaml", "/run/weir/targets.json"],
    loose: false,
};

/// A value that the file does not show.
pub(crate) static SECRET: Text = Text {
    what: "a reference: `env:NAME` or `file:PATH`",
    pattern: Some("^(file:.+|env:[A-Za-z_][A-Za-z0-9_]*)$"),
    examples: &["env:CONSUL_TOKEN", "file:secrets/token"],
    loose: false,
};

/// A database.
pub(crate) static DATABASE: Text = Text {
    what: "the address of a PostgreSQL database, or `env:NAME` or `file:PATH`",
    pattern: Some("^(postgres(ql)?://.+|file:.+|env:[A-Za-z_][A-Za-z0-9_]*)$"),
    examples: &[
        "env:WEIR_DATABASE",
        "postgres://weir@db.internal/weir?sslmode=verify-full",
    ],
    loose: false,
};

/// An availability zone.
pub(crate) static ZONE: Text = Text {
    what: "a zone such as `eu-1`, or `env:NAME`",
    pattern: None,
    examples: &["eu-1", "env:ZONE"],
    loose: true,
};

/// A service or namespace of Kubernetes.
pub(crate) static KUBERNETES_NAME: Text = Text {
    what: "a name of Kubernetes",
    pattern: Some("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
    examples: &["catalog"],
    loose: true,
};

/// TLS material.
pub(crate) static MATERIAL: Text = Text {
    what: "a reference: `file:PATH` or `env:NAME`",
    pattern: Some("^(file:.+|env:[A-Za-z_][A-Za-z0-9_]*)$"),
    examples: &["file:tls.crt", "env:TLS_KEY"],
    loose: false,
};

/// Where log lines go.
pub(crate) static LOG_OUTPUT: Text = Text {
    what: "`stdout`, `stderr`, `file:PATH` or `otlp`",
    pattern: Some("^(stdout|stderr|otlp|file:.+)$"),
    examples: &["stdout", "stderr", "file:/var/log/weir/weir.log", "otlp"],
    loose: false,
};

/// An address of mail.
pub(crate) static EMAIL: Text = Text {
    what: "an address of mail such as `weir@example.com`",
    pattern: Some("^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$"),
    examples: &["weir@example.com"],
    loose: false,
};

/// A name to verify in a certificate.
pub(crate) static SERVER_NAME: Text = Text {
    what: "a host name",
    pattern: Some("^[A-Za-z0-9._:-]+$"),
    examples: &["catalog.internal"],
    loose: false,
};

pub(crate) fn name(text: &str) -> Result<String, Fault> {
    let is_allowed =
        |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    let fault = |message: String| {
        Fault::new(codes::BAD_NAME, message).help(
            "a name is up to 128 letters, digits, `.`, `_` and `-`, and begins with a letter or digit",
        )
    };
    if text.is_empty() || text.len() > 128 {
        return Err(fault("a name has 1 to 128 characters".into()));
    }
    if let Some(at) = text.find(|character| !is_allowed(character)) {
        return Err(fault(format!("{} is not a name", quote(text))).at(at));
    }
    if !text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return Err(fault(format!("{} is not a name", quote(text))).at(0));
    }
    Ok(text.to_owned())
}

/// The slug of an organization: a label of a host name (RFC 1123 §2.1) in lower case.
pub(crate) fn slug(text: &str) -> Result<String, Fault> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let has_stray_hyphen = text.starts_with('-') || text.ends_with('-') || text.contains("--");
    if (2..=63).contains(&text.len()) && text.bytes().all(is_allowed) && !has_stray_hyphen {
        return Ok(text.to_owned());
    }
    let message = format!("{} is not the slug of an organization", quote(text));
    Err(Fault::new(codes::BAD_NAME, message)
        .help("write 2 to 63 lower-case letters, digits and single hyphens, with none at its ends"))
}

/// Text that is not empty and has no control characters.
pub(crate) fn free(text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return Err(Fault::new(codes::BAD_TEXT, "the text is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::new(
            codes::BAD_TEXT,
            "the text has a control character",
        ));
    }
    Ok(text.to_owned())
}

pub(crate) fn server_name(text: &str) -> Result<String, Fault> {
    if super::address::is_host(text) {
        return Ok(text.to_ascii_lowercase());
    }
    let message = format!("{} is not a host name", quote(text));
    Err(Fault::new(codes::BAD_HOST, message).help("write the name that the certificate carries"))
}

/// The usual form alone, without a name or quotes: what servers take everywhere.
pub(crate) fn email(text: &str) -> Result<String, Fault> {
    let is_local = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte))
    };
    match text.rsplit_once('@') {
        Some((local, domain)) if is_local(local) && super::address::is_host(domain) => {
            Ok(text.to_owned())
        }
        _ => {
            let message = format!("{} is not an address of mail", quote(text));
            Err(Fault::new(codes::BAD_ADDRESS, message).help("write it as `weir@example.com`"))
        }
    }
}

/// A token that travels in a header: visible ASCII without white space.
pub(crate) fn token(text: &str) -> Option<String> {
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    (!text.is_empty() && is_visible).then(|| text.to_owned())
}

/// 32 bytes in hexadecimal or base64, of either alphabet.
pub(crate) fn key(text: &str) -> Option<[u8; 32]> {
    let bytes = match text.len() {
        64 => (0..32)
            .map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok())
            .collect::<Option<Vec<u8>>>()?,
        _ => {
            let text = text.trim_end_matches('=');
            STANDARD_NO_PAD
                .decode(text)
                .or_else(|_| URL_SAFE_NO_PAD.decode(text))
                .ok()?
        }
    };
    bytes.try_into().ok()
}

/// The path of a file, written without `file:`.
pub(crate) fn file_path(text: &str) -> Result<String, Fault> {
    let fault = |message: String| Fault::new(codes::BAD_TEXT, message);
    if let Some(path) = text.strip_prefix("file:") {
        let message = "the path of a file is written without `file:`";
        return Err(fault(message.into()).help(format!("write {}", quote(path))));
    }
    if text.trim() != text || text.ends_with('/') {
        return Err(fault(format!("{} is not the path of a file", quote(text))));
    }
    free(text)
}

/// A name of Kubernetes (RFC 1123 §2.1): it becomes part of a request's path.
pub(crate) fn kubernetes_name(text: &str) -> Result<String, Fault> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let has_ends = !text.starts_with('-') && !text.ends_with('-');
    if (1..=63).contains(&text.len()) && has_ends && text.bytes().all(is_allowed) {
        return Ok(text.to_owned());
    }
    let message = format!("{} is not a name of Kubernetes", quote(text));
    Err(Fault::new(codes::BAD_NAME, message)
        .help("write up to 63 lowercase letters, digits and `-`, not at the ends"))
}
