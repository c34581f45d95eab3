//! OpenAPI 3.0 and 3.1: a document compiled to what judges its operations.

mod content;
mod convert;
mod kinds;
mod operation;
mod outline;
mod parameter;
mod paths;
mod pointer;
mod styles;

use serde_json::Value;

use crate::body::BodyCheck;
use crate::contract::{Judgement, Request, Response};
use crate::documents::{Documents, Fault};
use crate::schema::SchemaOptions;
use crate::violation::{Place, Violation};
use convert::Converter;
use operation::Operation;
use paths::{Paths, Template};
use pointer::At;

pub(crate) use content::Form;
pub use outline::{Loss, Outline, OutlinedPath, outline};

/// How a document is read.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// What is in front of the document's paths; `None` takes it from the first server.
    pub prefix: Option<String>,
    /// Whether paths and methods that the document does not have are violations.
    pub refuses_undocumented: bool,
    /// How its schemas are read.
    pub schemas: SchemaOptions,
}

/// A compiled document.
#[derive(Debug)]
pub(crate) struct Api {
    prefix: String,
    refuses_undocumented: bool,
    paths: Paths,
    /// By path, the operations with their methods.
    methods: Vec<Vec<(String, usize)>>,
    operations: Vec<Operation>,
}

/// Which version a document is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 3.0: schemas have rules of their own.
    V30,
    /// 3.1: schemas are those of 2020-12.
    V31,
}

/// The version of the main document.
pub(crate) fn version(documents: &Documents) -> Result<Version, Fault> {
    let stated = match documents.main().get("openapi") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    match stated.get(..3) {
        Some("3.0") => Ok(Version::V30),
        Some("3.1") => Ok(Version::V31),
        _ => {
            let fault = Fault::new(
                &documents.main,
                "/openapi",
                "this is not a document of OpenAPI 3.0 or 3.1",
            );
            Err(fault.help("documents of Swagger 2.0 have to be converted first"))
        }
    }
}

impl Api {
    pub(crate) fn compile(
        documents: &Documents,
        options: &ApiOptions,
        checks: &mut Vec<BodyCheck>,
    ) -> Result<Self, Fault> {
        let version = version(documents)?;
        let root = At::root(documents);
        let mut converter = Converter::new(documents, version, options.schemas);
        let mut paths = Paths::default();
        let mut methods = Vec::new();
        let mut drafts = Vec::new();
        for (path, item) in pointer::members(documents, &root, "paths")? {
            if path.starts_with("x-") {
                continue;
            }
            let template = Template::parse(&path).map_err(|reason| item.fault(reason))?;
            let mut of_path = Vec::new();
            for (method, at) in pointer::methods_of(documents, &item)? {
                let draft = operation::draft(&mut converter, &item, &at, &template)?;
                of_path.push((method, drafts.len()));
                drafts.push(draft);
            }
            paths
                .insert(&template, methods.len())
                .map_err(|reason| item.fault(reason))?;
            methods.push(of_path);
        }
        let schemas = converter.compile()?;
        let mut operations = Vec::with_capacity(drafts.len());
        for draft in drafts {
            operations.push(draft.finish(&schemas, checks)?);
        }
        Ok(Self {
            prefix: match &options.prefix {
                Some(prefix) => prefix.trim_end_matches('/').to_owned(),
                None => pointer::server_path(documents.main()),
            },
            refuses_undocumented: options.refuses_undocumented,
            paths,
            methods,
            operations,
        })
    }

    pub(crate) fn judge(&self, request: &Request<'_>) -> Judgement {
        let mut judgement = Judgement::default();
        let refused = |violation| Judgement {
            violations: vec![violation],
            ..Judgement::default()
        };
        let path = request.path.strip_prefix(&*self.prefix);
        let path = path.filter(|path| path.starts_with('/') || path.is_empty());
        let path = path.map(|path| if path.is_empty() { "/" } else { path });
        let Some((at, captured)) = path.and_then(|path| self.paths.find(path)) else {
            if self.refuses_undocumented {
                return refused(Violation::new(Place::Path, "is not documented"));
            }
            return judgement;
        };
        let Some(index) = self.operation(at, request.method) else {
            if !self.refuses_undocumented {
                return judgement;
            }
            let allowed = self.methods[at].iter().map(|(method, _)| method.clone());
            return Judgement {
                allowed: allowed.collect(),
                ..refused(Violation::new(Place::Method, "is not documented"))
            };
        };
        judgement.operation = Some(index);
        self.operations[index].judge(request, &captured, &mut judgement);
        judgement
    }

    fn operation(&self, path: usize, method: &str) -> Option<usize> {
        let of = |method: &str| {
            let mut methods = self.methods[path].iter();
            methods
                .find(|(known, _)| known == method)
                .map(|(_, index)| *index)
        };
        // HEAD is GET without the body (RFC 9110 §9.3.2).
        of(method).or_else(|| if method == "HEAD" { of("GET") } else { None })
    }

    pub(crate) fn judge_response(
        &self,
        response: &Response<'_>,
        checks: &[BodyCheck],
    ) -> Result<(), Vec<Violation>> {
        match response.operation.and_then(|at| self.operations.get(at)) {
            Some(operation) => operation.judge_response(response, checks),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
