//! Documents of contracts: read, and their mistakes shown where the configuration names them.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, Number, Value as Json};
use weir_contract::{Documents, Fault};

use crate::codes;
use crate::decode::{Context, Cursor, Mode};
use crate::diagnostic::Finding;
use crate::node::{Node, Value};
use crate::reference::{Materials, Reference, Variables};
use crate::shape::Shape;
use crate::suggest::quote;
use crate::yaml;

/// How an inline document is called in messages.
const INLINE: &str = "here";

/// The document that a value refers to, or is, with all that it refers to; `None` after a report, or
/// if references are not resolved.
pub(crate) fn documents(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Documents> {
    if let Value::Mapping(_) = cursor.node.value {
        if !matches!(cursor.shape, Shape::Anything) {
            cursor.report_wrong_type(context);
            return None;
        }
        let base = context.materials.base.to_owned();
        let document = to_json(cursor.node);
        return gather(context, cursor, &base, INLINE, document);
    }
    let text = match &cursor.node.value {
        Value::Scalar { text, .. } if !cursor.node.is_null() => text,
        _ => {
            let message = "expected `file:PATH` or a mapping";
            context.report(cursor.error(codes::WRONG_TYPE, message));
            return None;
        }
    };
    let path = match Reference::parse(text) {
        Some(Ok(Reference::File(path))) => path,
        Some(Err(fault)) => {
            cursor.report_fault(context, text, fault);
            return None;
        }
        Some(Ok(Reference::Environment(_))) | None => {
            let finding = cursor.error(codes::NOT_A_REFERENCE, "expected `file:PATH`");
            let help = format!(
                "write `file:{}` to read a file",
                quote(text).trim_matches('`')
            );
            context.report(finding.help(help));
            return None;
        }
    };
    if cursor.refers_from_beside(context) || context.mode == Mode::Form {
        return None;
    }
    let (root, name) = root(context.materials.base, path)?;
    match read(&mut context.materials, &root, &name) {
        Ok(document) => gather(context, cursor, &root, &name, document),
        Err(reason) => {
            let message = format!("{} cannot be used: {reason}", quote(path));
            let finding = cursor
                .error(codes::BAD_CONTRACT, message)
                .help("relative paths start at the configuration file's directory");
            context.report(finding);
            None
        }
    }
}

/// Reads a document and all that it refers to, as a configuration beside it would.
pub fn read_contract(file: &Path) -> Result<Documents, String> {
    let shown = || quote(&file.display().to_string());
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| format!("{} is not a file", shown()))?;
    let root = file.parent().unwrap_or(Path::new(""));
    let variables = Variables::Only(BTreeMap::new());
    let mut materials = Materials::new(root, &variables, SystemTime::UNIX_EPOCH);
    let document = read(&mut materials, root, name)
        .map_err(|reason| format!("{} cannot be used: {reason}", shown()))?;
    Documents::gather(name, document, &mut |path| read(&mut materials, root, path))
        .map_err(|fault| fault.to_string())
}

/// Reports a document's mistake.
pub(crate) fn report(context: &mut Context<'_>, cursor: &Cursor<'_>, fault: Fault) {
    let Fault {
        document,
        pointer,
        message,
        help,
    } = fault;
    let message = format!("{document}#{pointer}: {message}");
    let mut finding: Finding = cursor.error(codes::BAD_CONTRACT, message);
    finding.help = help;
    context.report(finding);
}

fn gather(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    root: &Path,
    name: &str,
    document: Json,
) -> Option<Documents> {
    let materials = &mut context.materials;
    let is_beside = cursor.node.span.is_beside();
    let gathered = Documents::gather(name, document, &mut |path| match is_beside {
        true => Err("a resource cannot refer to a file".to_owned()),
        false => read(materials, root, path),
    });
    gathered
        .map_err(|fault| report(context, cursor, fault))
        .ok()
}

/// The directory that references may not leave, and the document's path from there: the
/// configuration's directory, or that of a document elsewhere.
fn root(base: &Path, path: &str) -> Option<(PathBuf, String)> {
    let is_below = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if is_below {
        let parts = Path::new(path).components().filter_map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        });
        return Some((base.to_owned(), parts.collect::<Vec<_>>().join("/")));
    }
    let path = base.join(path);
    let name = path.file_name()?.to_str()?.to_owned();
    Some((path.parent()?.to_owned(), name))
}

fn read(materials: &mut Materials<'_>, root: &Path, path: &str) -> Result<Json, String> {
    let bytes = materials.read_below(root, path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        // JSON may be indented with tabs, which YAML forbids.
        return serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"));
    }
    let mut findings = Vec::new();
    let node = yaml::parse(text, &mut findings);
    if let Some(finding) = findings.first() {
        let at = finding.span.map_or(0, |span| span.start);
        let line = text.as_bytes()[..at]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        return Err(format!("{} in its line {line}", finding.message));
    }
    node.map(|node| to_json(&node))
        .ok_or_else(|| "it is empty".to_owned())
}

/// A YAML value in JSON (YAML 1.2 §10.3): without quotes, `true`, `null` and numbers are that.
pub(crate) fn to_json(node: &Node) -> Json {
    match &node.value {
        _ if node.is_null() => Json::Null,
        Value::Scalar { text, plain: true } => match text.as_ref() {
            "true" | "True" | "TRUE" => Json::Bool(true),
            "false" | "False" | "FALSE" => Json::Bool(false),
            text => match text.parse::<Number>() {
                Ok(number) => Json::Number(number),
                Err(_) => Json::from(text),
            },
        },
        Value::Scalar { text, .. } => Json::from(text.as_ref()),
        Value::Sequence(items) => items.iter().map(to_json).collect(),
        Value::Mapping(entries) => {
            let member =
                |entry: &crate::node::Entry| (entry.key.to_string(), to_json(&entry.value));
            Json::Object(entries.iter().map(member).collect::<Map<_, _>>())
        }
    }
}
