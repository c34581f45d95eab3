//! A file's routes, upstreams, policies and certificates, as the changes of one revision.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use weir_config::ResourceKind;

use crate::command::api::{Api, List, path};
use crate::command::resource;

/// Everything that the file has.
pub(super) fn changes(file: &Path) -> anyhow::Result<Vec<Value>> {
    let document = resource::read(file)?;
    let shown = file.display();
    let sections = document.as_object().with_context(|| {
        format!("{shown} has none of `routes`, `upstreams`, `policies`, `certificates`")
    })?;
    let mut changes = Vec::new();
    for (key, section) in sections {
        let kind = ResourceKind::ALL
            .into_iter()
            .find(|kind| kind.section() == key);
        let put = |name: &str, document: &Value| {
            let kind = kind.map(ResourceKind::name);
            json!({ "kind": kind, "name": name, "document": document })
        };
        match (kind, section) {
            (Some(ResourceKind::Route), Value::Array(routes)) => {
                for (index, route) in routes.iter().enumerate() {
                    let name = route["name"].as_str();
                    let name = name.with_context(|| format!("routes[{index}] has no name"))?;
                    changes.push(put(name, route));
                }
            }
            (
                Some(ResourceKind::Upstream | ResourceKind::Policy | ResourceKind::Certificate),
                Value::Object(named),
            ) => {
                changes.extend(named.iter().map(|(name, document)| put(name, document)));
            }
            (Some(_), _) => bail!("{shown}: `{key}` is not written as in a configuration file"),
            (None, _) => bail!(
                "{shown}: `{}` stays in the configuration file; only `routes`, `upstreams`, `policies` and \
                 `certificates` can be kept beside it",
                crate::log::printable(key)
            ),
        }
    }
    Ok(changes)
}

/// What is kept beside the file of the node and is not among the changes, as deletions.
pub(super) fn superfluous(api: &Api, changes: &[Value]) -> anyhow::Result<Vec<Value>> {
    let named = |change: &Value| {
        let member = |name: &str| change[name].as_str().unwrap_or_default().to_owned();
        (member("kind"), member("name"))
    };
    let wanted: BTreeSet<_> = changes.iter().map(named).collect();
    let mut gone = Vec::new();
    let has_certificates = wanted.iter().any(|(kind, _)| kind == "certificate");
    for kind in ResourceKind::ALL {
        // Keys are rarely in a repository: a file without certificates says nothing about them.
        if kind == ResourceKind::Certificate && !has_certificates {
            continue;
        }
        let list = List::at(path(&["config", kind.section()])).with("owner", Some("api"));
        for resource in list.all(api)? {
            let (kind, name) = named(&resource);
            let deletion = json!({ "kind": kind, "name": name, "document": null });
            if !wanted.contains(&(kind, name)) {
                gone.push(deletion);
            }
        }
    }
    Ok(gone)
}
