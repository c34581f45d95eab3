//! Places in documents, and what stands there.

use serde_json::{Map, Value};

use crate::documents::{Documents, Fault, decode, escaped, shown, target_file};

/// Longest chain of references that lead to references.
const LONGEST_CHAIN: usize = 32;

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Keys of a path item that are operations.
fn methods() -> impl Iterator<Item = &'static str> {
    METHODS.into_iter()
}

/// A place in a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct At {
    pub(crate) document: String,
    pub(crate) pointer: String,
}

impl At {
    pub(crate) fn root(documents: &Documents) -> Self {
        Self {
            document: documents.main.clone(),
            pointer: String::new(),
        }
    }

    pub(crate) fn join(&self, name: &str) -> Self {
        Self {
            document: self.document.clone(),
            pointer: format!("{}/{}", self.pointer, escaped(name)),
        }
    }

    pub(crate) fn index(&self, at: usize) -> Self {
        self.join(&at.to_string())
    }

    pub(crate) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(&self.document, &self.pointer, message)
    }

    /// What stands here.
    pub(crate) fn value<'d>(&self, documents: &'d Documents) -> Option<&'d Value> {
        documents.get(&self.document).pointer(&self.pointer)
    }

    /// Where a reference that stands here leads to; there is something.
    pub(crate) fn follow(&self, documents: &Documents, reference: &str) -> Result<Self, Fault> {
        let file = target_file(&self.document, reference).map_err(|reason| self.fault(reason))?;
        let fragment = reference
            .split_once('#')
            .map_or("", |(_, fragment)| fragment);
        let pointer = decode(fragment).filter(|text| text.is_empty() || text.starts_with('/'));
        let Some(pointer) = pointer else {
            let message = format!("`{}` does not end with a JSON Pointer", shown(reference));
            return Err(self.fault(message));
        };
        let target = Self {
            document: file.unwrap_or_else(|| self.document.clone()),
            pointer,
        };
        match target.value(documents) {
            Some(_) => Ok(target),
            None => Err(self.fault(format!("`{}` leads to nothing", shown(reference)))),
        }
    }
}

/// An object with its place, behind all references.
pub(crate) fn resolve<'d>(
    documents: &'d Documents,
    at: &At,
) -> Result<(At, &'d Map<String, Value>), Fault> {
    let mut at = at.clone();
    for _ in 0..LONGEST_CHAIN {
        let Some(Value::Object(object)) = at.value(documents) else {
            return Err(at.fault("expected an object"));
        };
        match object.get("$ref") {
            Some(Value::String(reference)) => at = at.join("$ref").follow(documents, reference)?,
            Some(_) => return Err(at.fault("`$ref` must be text")),
            None => return Ok((at, object)),
        }
    }
    Err(at.fault("references lead in a circle"))
}

/// Members of an object under a key, in order; none if the key is not there.
pub(crate) fn members(
    documents: &Documents,
    at: &At,
    key: &str,
) -> Result<Vec<(String, At)>, Fault> {
    let at = at.join(key);
    match at.value(documents) {
        None => Ok(Vec::new()),
        Some(Value::Object(members)) => Ok(members
            .keys()
            .map(|name| (name.clone(), at.join(name)))
            .collect()),
        Some(_) => Err(at.fault("expected an object")),
    }
}

/// Operations of a path item, by method in capitals.
pub(crate) fn methods_of(documents: &Documents, item: &At) -> Result<Vec<(String, At)>, Fault> {
    let (at, object) = resolve(documents, item)?;
    let present = methods().filter(|method| object.contains_key(*method));
    Ok(present
        .map(|method| (method.to_ascii_uppercase(), at.join(method)))
        .collect())
}

/// URL of the first server (OpenAPI §4.8.5), with the defaults of its variables.
pub(crate) fn server_url(of: &Value) -> Option<String> {
    let server = of.pointer("/servers/0")?;
    let mut url = server["url"].as_str()?.to_owned();
    if let Some(variables) = server["variables"].as_object() {
        for (name, variable) in variables {
            let value = variable["default"].as_str().unwrap_or_default();
            url = url.replace(&format!("{{{name}}}"), value);
        }
    }
    Some(url)
}

/// Path of the first server, without a slash at its end.
pub(crate) fn server_path(of: &Value) -> String {
    let url = server_url(of).unwrap_or_default();
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => url.as_str(),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    match path.trim_matches('/') {
        "" => String::new(),
        path => format!("/{path}"),
    }
}
