//! Parts of HTTP messages.

use std::ops::RangeInclusive;
use std::str::FromStr;

use ::http::uri::Authority;
use ::http::{HeaderName, HeaderValue, Method};

use super::{Fault, quantity};
use crate::codes;
use crate::pattern::{HostPattern, PathPattern};
use crate::shape::Text;
use crate::source::printable;
use crate::suggest::quote;
use crate::template::{Template, TemplateError};

pub(crate) static METHOD: Text = Text {
    what: "a method such as `GET`",
    pattern: Some("^[A-Z][A-Z0-9-]*$"),
    examples: &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
    loose: false,
};

pub(crate) static HEADER_NAME: Text = Text {
    what: "a header name",
    pattern: Some("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"),
    examples: &["x-request-id", "cache-control"],
    loose: false,
};

pub(crate) static HEADER_VALUE: Text = Text {
    what: "a header value: text, a template or a reference",
    pattern: None,
    examples: &[
        "{client.address}",
        "env:CATALOG_TOKEN",
        "file:secrets/token",
    ],
    loose: true,
};

pub(crate) static HOST_PATTERN: Text = Text {
    what: "a host such as `api.example.com` or `*.example.com`",
    pattern: Some("^[^/\\s]+$"),
    examples: &["api.example.com", "*.example.com"],
    loose: false,
};

pub(crate) static PATH_PATTERN: Text = Text {
    what: "a path such as `/catalog/*` or `/items/{id}`",
    pattern: Some("^/"),
    examples: &["/catalog/*", "/items/{id}", "/healthz"],
    loose: false,
};

pub(crate) static TEMPLATE: Text = Text {
    what: "a text with variables such as `{request.path}`",
    pattern: None,
    examples: &["https://{request.host}{request.path}", "/items/{path.id}"],
    loose: false,
};

pub(crate) static PATH_PREFIX: Text = Text {
    what: "a path such as `/v2/`",
    pattern: Some("^/[^?#\\s]*$"),
    examples: &["/", "/v2/"],
    loose: false,
};

pub(crate) static HOST_HEADER: Text = Text {
    what: "`preserve`, `target` or a host",
    pattern: Some("^[^/@\\s]+$"),
    examples: &["preserve", "target", "catalog.internal"],
    loose: false,
};

pub(crate) static COOKIE_NAME: Text = Text {
    what: "the name of a cookie",
    pattern: Some("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"),
    examples: &["canary", "weir-target"],
    loose: true,
};

pub(crate) static REQUEST_TARGET: Text = Text {
    what: "a path such as `/healthz`",
    pattern: Some("^/[^#\\s]*$"),
    examples: &["/healthz", "/health?full=1"],
    loose: false,
};

pub(crate) static STATUS_RANGE: Text = Text {
    what: "a status such as `204` or a range such as `200-399`",
    pattern: Some("^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"),
    examples: &["204", "200-399"],
    loose: true,
};

pub(crate) fn method(text: &str) -> Result<Method, Fault> {
    let fault = || {
        Fault::new(
            codes::BAD_METHOD,
            format!("{} is not a method", quote(text)),
        )
    };
    let upper = text.to_ascii_uppercase();
    if upper != text {
        return Err(fault().help(format!("methods are case-sensitive: {}", quote(&upper))));
    }
    Method::from_bytes(text.as_bytes())
        .map_err(|_| fault().help("a method is a word such as GET, POST or DELETE"))
}

pub(crate) fn header_name(text: &str) -> Result<HeaderName, Fault> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        let at = text.find(|character: char| !is_token(character));
        let fault = Fault::new(
            codes::BAD_HEADER_NAME,
            format!("{} is not a header name", quote(text)),
        )
        .help("a name is letters, digits and `-`, without spaces or a colon");
        match at {
            Some(at) => fault.at(at),
            None => fault,
        }
    })
}

/// A header name that rules may change: not one that is `reserved`.
pub(crate) fn changeable_header(
    text: &str,
    reserved: fn(&HeaderName) -> bool,
) -> Result<HeaderName, Fault> {
    let name = header_name(text)?;
    if !reserved(&name) {
        return Ok(name);
    }
    let fault = Fault::new(
        codes::RESERVED_HEADER,
        format!("rules may not change {}", quote(name.as_str())),
    );
    Err(match name.as_str() {
        "host" => fault.help("the route's `host` key decides what is sent as Host"),
        _ => fault.help("it frames messages or belongs to one connection; Weir writes it itself"),
    })
}

/// Checks that a text can be sent as a header value (RFC 9110 §5.5).
pub(crate) fn header_value(text: &str) -> Result<(), Fault> {
    let is_padded = text.trim_matches([' ', '\t']) != text;
    // The text may be a secret: it is not repeated.
    if HeaderValue::from_str(text).is_err() || is_padded {
        let message = "the header value has a control character, or white space around it";
        return Err(Fault::new(codes::BAD_HEADER_VALUE, message));
    }
    Ok(())
}

pub(crate) fn host_pattern(text: &str) -> Result<HostPattern, Fault> {
    HostPattern::parse(text).map_err(|error| {
        Fault::new(codes::BAD_HOST, printable_text(&error.to_string())).at(error.at)
    })
}

pub(crate) fn path_pattern(text: &str) -> Result<PathPattern, Fault> {
    PathPattern::parse(text).map_err(|error| {
        Fault::new(codes::BAD_PATH, printable_text(&error.to_string())).at(error.at)
    })
}

pub(crate) fn template(text: &str) -> Result<Template, Fault> {
    Template::parse(text).map_err(|error| {
        Fault::new(codes::BAD_TEMPLATE, printable_text(&error.to_string())).at(error.at)
    })
}

/// A template whose literal parts can stand in a header.
pub(crate) fn header_template(text: &str) -> Result<Template, Fault> {
    header_value(text)?;
    template(text)
}

/// A template that writes a request path, perhaps with a query.
pub(crate) fn path_template(text: &str) -> Result<Template, Fault> {
    let template = template(text)?;
    let fault =
        |error: TemplateError| Fault::new(codes::BAD_PATH, printable_text(&error.to_string()));
    template.check_path().map_err(fault)?;
    Ok(template)
}

/// A template that writes a `Location` (RFC 9110 §10.2.2).
pub(crate) fn location_template(text: &str) -> Result<Template, Fault> {
    let template = template(text)?;
    let fault =
        |error: TemplateError| Fault::new(codes::BAD_TEMPLATE, printable_text(&error.to_string()));
    template.check_location().map_err(fault)?;
    Ok(template)
}

/// The path that replaces a pattern's literal front.
pub(crate) fn path_prefix(text: &str) -> Result<String, Fault> {
    let fault = |message: String| Fault::new(codes::BAD_PATH, message);
    if !text.starts_with('/') {
        return Err(fault(format!("{} does not begin with `/`", quote(text))).at(0));
    }
    let wrong =
        |character: char| !character.is_ascii_graphic() || matches!(character, '?' | '#' | '\\');
    if let Some(at) = text.find(wrong) {
        return Err(
            fault("a path has visible ASCII characters without `?`, `#` and `\\`".into())
                .help("percent-encode all others")
                .at(at),
        );
    }
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(fault("a path has no `.` or `..` segments".into()));
    }
    Ok(text.to_owned())
}

/// A path, perhaps with a query, as it is sent.
pub(crate) fn request_target(text: &str) -> Result<String, Fault> {
    let fault = |message: String| Fault::new(codes::BAD_PATH, message);
    if !text.starts_with('/') {
        return Err(fault(format!("{} does not begin with `/`", quote(text))).at(0));
    }
    let wrong = |character: char| !character.is_ascii_graphic() || matches!(character, '#' | '\\');
    if let Some(at) = text.find(wrong) {
        let message = "a path has visible ASCII characters without `#` and `\\`";
        return Err(fault(message.into())
            .help("percent-encode all others")
            .at(at));
    }
    Ok(text.to_owned())
}

/// The name of a cookie (RFC 6265 §4.1.1).
pub(crate) fn cookie_name(text: &str) -> Result<String, Fault> {
    let at = text.find(|character| !is_token(character));
    if !text.is_empty() && at.is_none() {
        return Ok(text.to_owned());
    }
    let message = format!("{} is not the name of a cookie", quote(text));
    let fault = Fault::new(codes::BAD_COOKIE_NAME, message)
        .help("a name is letters, digits, `-` and `_`, without spaces, `=` or `;`");
    Err(match at {
        Some(at) => fault.at(at),
        None => fault,
    })
}

/// `204` or `200-399`.
pub(crate) fn status_range(text: &str) -> Result<RangeInclusive<u16>, Fault> {
    let status = |text: &str| {
        let number = quantity::integer(text, 100, 599).ok()?;
        u16::try_from(number).ok()
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (status(first), status(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        (Some(first), Some(last)) => {
            let message = format!("there is no status in {}", quote(text));
            Err(Fault::new(codes::BAD_NUMBER, message)
                .help(format!("write the smaller one first: `{last}-{first}`")))
        }
        _ => {
            let message = format!("{} is no status and no range of them", quote(text));
            Err(Fault::new(codes::BAD_NUMBER, message)
                .help("write a number from 100 to 599, or two of them as in `200-399`"))
        }
    }
}

/// A host, perhaps with a port, as it is sent.
pub(crate) fn host_text(text: &str) -> Result<String, Fault> {
    let authority = Authority::from_str(text).ok().filter(|authority| {
        let host = authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        !text.contains('@') && super::address::is_host(host)
    });
    let authority = authority.ok_or_else(|| {
        Fault::new(codes::BAD_HOST, format!("{} is not a host", quote(text)))
            .help("write `preserve`, `target`, or a host such as `catalog.internal`")
    })?;
    Ok(authority.to_string())
}

/// The errors of patterns and templates may quote the text.
fn printable_text(message: &str) -> String {
    message.chars().map(printable).collect()
}

fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}
