//! Routes of an OpenAPI document.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use weir_config::pattern::PathPattern;
use weir_contract::openapi::{Loss, OutlinedPath, outline};
use weir_contract::{ApiOptions, Contract, Documents, SchemaOptions};

use super::{Imported, OpenApi};

/// Longest name of a route.
const LONGEST_NAME: usize = 64;

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Server {
    /// `host:port`
    target: String,
    tls: bool,
}

pub(super) fn import(wanted: &OpenApi) -> anyhow::Result<Imported> {
    let documents = weir_config::read_contract(&wanted.file).map_err(|reason| anyhow!(reason))?;
    let outline = outline(&documents).map_err(|fault| anyhow!(fault.to_string()))?;
    let mut losses = outline.losses;
    let given = wanted.upstream.as_deref().map(given).transpose()?;
    let default = match (&given, &outline.server) {
        (Some(given), _) => Some(given.clone()),
        (None, Some(url)) => server(url).ok(),
        (None, None) => None,
    };
    let mut upstreams: BTreeMap<Server, String> = BTreeMap::new();
    let mut names = HashSet::new();
    let mut routes = String::new();
    let mut count = 0;
    let policy = contract(wanted, &documents, &mut losses)?;
    for path in &outline.paths {
        let own = path.server.as_deref().filter(|_| given.is_none());
        let server = match own.map(server) {
            Some(server) => Some(server?),
            None => default.clone(),
        };
        let Some(server) = server else {
            bail!(
                "the document names no server with a host: say where requests go with --upstream URL"
            );
        };
        let Some(pattern) = pattern(&outline.prefix, path, &mut losses) else {
            continue;
        };
        if path.methods.is_empty() {
            losses.push(Loss::new(
                &path.pointer,
                "a path without operations becomes no route",
            ));
            continue;
        }
        let next = upstreams.len() + 1;
        let upstream = upstreams.entry(server).or_insert_with(|| match next {
            1 => "api".to_owned(),
            next => format!("api-{next}"),
        });
        let name = name(&path.template, &mut names);
        let methods = path.methods.join(", ");
        routes.push_str(&format!("  - name: {}\n", quoted(&name)));
        routes.push_str(&format!(
            "    match: {{ path: {}, methods: [{methods}] }}\n",
            quoted(&pattern)
        ));
        if policy.is_some() {
            routes.push_str("    policies: [contract]\n");
        }
        routes.push_str(&format!("    upstream: {upstream}\n    host: target\n"));
        count += 1;
    }
    if count == 0 {
        bail!("the document has no path that could become a route");
    }
    let title: String = outline
        .title
        .chars()
        .filter(|letter| !letter.is_control())
        .take(100)
        .collect();
    let mut text =
        format!("# Routes of {title}.\nlisteners:\n  - address: 127.0.0.1:8080\n\nupstreams:\n");
    for (server, name) in &upstreams {
        text.push_str(&format!(
            "  {name}:\n    targets: [{}]\n",
            quoted(&server.target)
        ));
        if server.tls {
            text.push_str("    tls: true\n");
        }
    }
    if let Some(policy) = policy {
        text.push_str(&format!(
            "\npolicies:\n  contract:\n    validate:\n{policy}"
        ));
    }
    text.push_str(&format!("\nroutes:\n{routes}"));
    Ok(Imported {
        text,
        routes: count,
        losses,
    })
}

/// The settings of a `validate` policy by the document, if it can be one.
fn contract(
    wanted: &OpenApi,
    documents: &Documents,
    losses: &mut Vec<Loss>,
) -> anyhow::Result<Option<String>> {
    let options = ApiOptions {
        prefix: None,
        refuses_undocumented: true,
        schemas: SchemaOptions { formats: true },
    };
    if let Err(fault) = Contract::of_openapi(documents, &options) {
        let what = format!(
            "messages are not checked, as the document cannot be a contract: {}",
            fault.message
        );
        losses.push(Loss {
            place: format!("{}#{}", fault.document, fault.pointer),
            what,
        });
        return Ok(None);
    }
    let place = from_output(wanted)?;
    Ok(Some(format!(
        "      openapi: {}\n",
        quoted(&format!("file:{}", place.display()))
    )))
}

/// The document's path as the configuration has to write it: from the configuration's directory.
fn from_output(wanted: &OpenApi) -> anyhow::Result<PathBuf> {
    let absolute = |path: &Path| {
        path.canonicalize()
            .with_context(|| format!("cannot find {}", path.display()))
    };
    let directory = match wanted.output.as_deref().and_then(Path::parent) {
        Some(parent) if !parent.as_os_str().is_empty() => absolute(parent)?,
        _ => absolute(Path::new("."))?,
    };
    let file = absolute(&wanted.file)?;
    Ok(file
        .strip_prefix(directory)
        .map(Path::to_owned)
        .unwrap_or(file))
}

/// What `--upstream` says.
fn given(url: &str) -> anyhow::Result<Server> {
    let server = server(url)?;
    let path = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'));
    if path.is_some_and(|(_, path)| !path.is_empty()) {
        bail!("--upstream takes a URL without a path: paths are those of the document");
    }
    Ok(server)
}

/// `https://example.com/v1` as a target.
fn server(url: &str) -> anyhow::Result<Server> {
    let wrong = || {
        anyhow!(
            "`{}` is not the URL of a server, as in http://127.0.0.1:9001",
            url.escape_debug()
        )
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (tls, port) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (false, 80),
        "https" => (true, 443),
        _ => return Err(wrong()),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') {
        return Err(wrong());
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(host, port)| {
        !port.is_empty()
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && (!host.contains(':') || host.ends_with(']'))
    });
    let target = if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:{port}")
    };
    if weir_config::target_address(&target).is_none() {
        return Err(wrong());
    }
    Ok(Server { target, tls })
}

/// The path as a route's pattern, in which captures have plain names.
fn pattern(prefix: &str, path: &OutlinedPath, losses: &mut Vec<Loss>) -> Option<String> {
    let mut names = HashSet::new();
    let segment = |segment: &str| {
        let inside = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match inside {
            Some(name) if !name.contains(['{', '}']) => {
                format!("{{{}}}", capture(name, &mut names))
            }
            _ => segment.to_owned(),
        }
    };
    let segments: Vec<String> = path.template.split('/').map(segment).collect();
    let pattern = format!("{prefix}{}", segments.join("/"));
    match PathPattern::parse(&pattern) {
        // A star at its end would take more than the document says.
        Ok(parsed) if parsed.tail.is_none() => Some(pattern),
        Ok(_) => {
            losses.push(Loss::new(
                &path.pointer,
                "a path that ends in `*` becomes no route",
            ));
            None
        }
        Err(error) => {
            losses.push(Loss::new(
                &path.pointer,
                format!("this path becomes no route: {error}"),
            ));
            None
        }
    }
}

fn capture(name: &str, names: &mut HashSet<String>) -> String {
    let mut plain: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    if !plain.starts_with(|first: char| first.is_ascii_alphabetic()) {
        plain.insert(0, 'p');
    }
    unique(&plain, '_', names)
}

/// `/orders/{id}` as `orders-id`.
fn name(template: &str, names: &mut HashSet<String>) -> String {
    let words = template.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let mut name = words.join("-");
    name.truncate(LONGEST_NAME);
    if name.is_empty() {
        name.push_str("root");
    }
    unique(&name, '-', names)
}

fn unique(name: &str, between: char, names: &mut HashSet<String>) -> String {
    let mut one = name.to_owned();
    let mut number = 1;
    while !names.insert(one.clone()) {
        number += 1;
        one = format!("{name}{between}{number}");
    }
    one
}

/// In double quotes, as JSON and YAML have them.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_targets() {
        let target = |url: &str| server(url).ok().map(|server| (server.target, server.tls));
        let some = |target: &str, tls| Some((target.to_owned(), tls));
        assert_eq!(
            target("https://api.example.com/v1"),
            some("api.example.com:443", true)
        );
        assert_eq!(
            target("HTTP://127.0.0.1:9001"),
            some("127.0.0.1:9001", false)
        );
        assert_eq!(target("http://[::1]"), some("[::1]:80", false));
        for url in [
            "/v1",
            "ftp://a",
            "https://",
            "https://a:b@c",
            "http://a b",
            "http://{host}/",
        ] {
            assert_eq!(target(url), None, "{url}");
        }
    }

    #[test]
    fn names_are_plain_and_differ() {
        let mut names = HashSet::new();
        assert_eq!(name("/", &mut names), "root");
        assert_eq!(name("/orders/{id}", &mut names), "orders-id");
        assert_eq!(name("/orders/id", &mut names), "orders-id-2");
        let mut names = HashSet::new();
        assert_eq!(capture("order-Id", &mut names), "order_id");
        assert_eq!(capture("order_id", &mut names), "order_id_2");
        assert_eq!(capture("2", &mut names), "p2");
    }
}
