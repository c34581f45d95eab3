//! What a gateway can do with a document: its paths and servers, and what that leaves out.

use serde_json::Value;

use super::pointer::{At, members, methods_of, resolve, server_path, server_url};
use crate::documents::{Documents, Fault, shown};

/// Most losses that are listed; a document with more has them of a kind.
const MOST_LOSSES: usize = 200;

/// A document, as far as routes are about it.
#[derive(Debug)]
pub struct Outline {
    /// `info.title`
    pub title: String,
    /// URL of the first server, with the defaults of its variables.
    pub server: Option<String>,
    /// Path of that server, without a slash at its end.
    pub prefix: String,
    /// Paths in the document's order.
    pub paths: Vec<OutlinedPath>,
    /// What the document says beyond this.
    pub losses: Vec<Loss>,
}

/// A path template with its methods.
#[derive(Debug)]
pub struct OutlinedPath {
    /// As it stands in the document.
    pub template: String,
    /// In capitals.
    pub methods: Vec<String>,
    /// Where it stands (RFC 6901).
    pub pointer: String,
    /// URL of its own first server, if it has some.
    pub server: Option<String>,
}

/// Something that a document says and routes do not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where it stands: `#/info`, or `parts.yaml#/info` in another document.
    pub place: String,
    /// What it is, and what is done instead.
    pub what: String,
}

impl Loss {
    /// Something in the main document.
    pub fn new(pointer: &str, what: impl Into<String>) -> Self {
        Self {
            place: format!("#{pointer}"),
            what: what.into(),
        }
    }
}

/// Reads a document for its paths and servers.
pub fn outline(documents: &Documents) -> Result<Outline, Fault> {
    super::version(documents)?;
    let root = At::root(documents);
    let document = documents.main();
    let mut losses = Losses {
        main: documents.main.clone(),
        all: Vec::new(),
    };
    let mut paths = Vec::new();
    for (template, item) in members(documents, &root, "paths")? {
        if template.starts_with("x-") {
            losses.add(&item, "an extension is not understood");
            continue;
        }
        let (place, object) = resolve(documents, &item)?;
        let operations = methods_of(documents, &item)?;
        for (_, operation) in &operations {
            losses.of_operation(documents, operation)?;
        }
        losses.of_extensions(&place, object.keys());
        losses.of_servers(&place, object.get("servers"));
        let own = Value::Object(object.clone());
        if object.contains_key("servers") && server_path(&own) != server_path(document) {
            let what = "the path of this server: that of the document's first server is used";
            losses.add(&place.join("servers"), what);
        }
        paths.push(OutlinedPath {
            template,
            methods: operations.into_iter().map(|(method, _)| method).collect(),
            pointer: item.pointer,
            server: server_url(&own),
        });
    }
    if let Some(object) = document.as_object() {
        losses.of_extensions(&root, object.keys());
        losses.of_servers(&root, object.get("servers"));
        losses.of_security(&root, object.get("security"));
    }
    for (name, at) in members(documents, &root, "webhooks")? {
        losses.add(
            &at,
            format!(
                "the webhook `{}` is called by the service, not through a gateway",
                shown(&name)
            ),
        );
    }
    Ok(Outline {
        title: document
            .pointer("/info/title")
            .and_then(Value::as_str)
            .unwrap_or("API")
            .to_owned(),
        server: server_url(document),
        prefix: server_path(document),
        paths,
        losses: losses.all,
    })
}

struct Losses {
    /// The main document.
    main: String,
    all: Vec<Loss>,
}

impl Losses {
    fn add(&mut self, at: &At, what: impl Into<String>) {
        if self.all.len() < MOST_LOSSES {
            let document = if at.document == self.main {
                ""
            } else {
                &at.document
            };
            self.all.push(Loss {
                place: format!("{document}#{}", at.pointer),
                what: what.into(),
            });
        }
    }

    fn of_operation(&mut self, documents: &Documents, at: &At) -> Result<(), Fault> {
        let (at, object) = resolve(documents, at)?;
        self.of_extensions(&at, object.keys());
        self.of_security(&at, object.get("security"));
        if object.contains_key("servers") {
            self.add(
                &at.join("servers"),
                "servers of one operation: those of its path are used",
            );
        }
        if object.contains_key("callbacks") {
            self.add(
                &at.join("callbacks"),
                "callbacks are sent by the service, not through a gateway",
            );
        }
        Ok(())
    }

    fn of_extensions<'k>(&mut self, at: &At, keys: impl Iterator<Item = &'k String>) {
        for key in keys.filter(|key| key.starts_with("x-")) {
            self.add(&at.join(key), "an extension is not understood");
        }
    }

    fn of_servers(&mut self, at: &At, servers: Option<&Value>) {
        let servers = servers
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let at = at.join("servers");
        for (index, server) in servers.iter().enumerate() {
            let url = shown(server["url"].as_str().unwrap_or_default());
            if index > 0 {
                self.add(
                    &at.index(index),
                    format!("the server `{url}`: only the first one is used"),
                );
            } else if server.get("variables").is_some() {
                let what = "variables of the server: their defaults are used";
                self.add(&at.index(index).join("variables"), what);
            }
        }
    }

    fn of_security(&mut self, at: &At, security: Option<&Value>) {
        let Some(requirements) = security.and_then(Value::as_array) else {
            return;
        };
        let names = requirements
            .iter()
            .filter_map(Value::as_object)
            .flat_map(|one| one.keys());
        let mut names: Vec<String> = names.map(|name| format!("`{}`", shown(name))).collect();
        names.sort();
        names.dedup();
        if !names.is_empty() {
            let what = format!(
                "security by {}: requests are not authenticated",
                names.join(", ")
            );
            self.add(&at.join("security"), what);
        }
    }
}
