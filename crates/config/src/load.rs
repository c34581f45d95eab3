//! From a file or a text to a [`Config`].

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::codes;
use crate::decode::{Context, Mode};
use crate::diagnostic::{Diagnostic, Finding, Report, Severity, settle};
use crate::model::Config;
use crate::node::{Entry, Node};
use crate::place::Origin;
use crate::reference::{Materials, Variables, io_reason};
use crate::resources::{Placed, Resources};
use crate::section::Lending;
use crate::source::{Source, Span};
use crate::suggest::quote;
use crate::{contract, overlay, resources, section, suggest, value, yaml};

/// Largest configuration file.
const LARGEST: u64 = 16 << 20;
/// Warnings that stay warnings under strict loading: they come with time or from the machine, and a
/// configuration that was good must not be refused by the next restart because of them.
const ADVICE: [&str; 8] = [
    codes::SHADOWED_RESOURCE,
    codes::UNKNOWN_LISTENER,
    codes::NAME_TAKEN,
    codes::CERTIFICATE_OUTDATED,
    codes::NO_CERTIFICATE_YET,
    codes::CERTIFICATE_EXPIRES,
    codes::KEY_FILE_EXPOSED,
    codes::FILE_ABSENT,
];
/// Environments that are checked besides the selected one: each costs a pass over the whole.
const OTHERS_CHECKED: usize = 32;

/// How a configuration is loaded.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The environment whose overlay is applied.
    pub environment: Option<String>,
    /// Data directory that wins over the file's.
    pub data: Option<PathBuf>,
    /// Whether warnings refuse the configuration: for production.
    pub strict: bool,
    /// Where `env:` references look.
    pub variables: Variables,
    /// What is kept beside the file.
    pub resources: Option<Arc<Resources>>,
    /// The moment for which certificates are judged; the clock's if `None`.
    pub now: Option<SystemTime>,
}

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What was configured.
    pub config: Config,
    /// What should be looked at all the same.
    pub warnings: Vec<Diagnostic>,
    /// Every file that the result depends on: the configuration itself, then what it refers to.
    pub files: Vec<PathBuf>,
    /// SHA-256 over text, environment and everything referenced, hexadecimal: equal if and only if
    /// nothing changed.
    pub digest: String,
    /// The configuration's text.
    pub text: String,
    /// Which routes of resources send on secrets of resources.
    pub lendings: Vec<Lending>,
    pub(crate) origin: Origin,
}

/// Loads a configuration file.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, Report> {
    let name = path.display().to_string();
    let text = match read(path) {
        Ok(text) => text,
        Err(finding) => {
            let (diagnostics, omitted) = settle(vec![*finding], &Source::new(&name, ""), &[]);
            return Err(Report {
                diagnostics,
                omitted,
                files: vec![path.to_owned()],
            });
        }
    };
    let base = path.parent().unwrap_or(Path::new(""));
    let mut result = load_text(&text, &name, base, options);
    let files = match &mut result {
        Ok(loaded) => &mut loaded.files,
        Err(report) => &mut report.files,
    };
    files.insert(0, path.to_owned());
    result
}

/// Loads a text that is called `file_name` in diagnostics. Relative references start at `base`.
pub fn load_text(
    text: &str,
    file_name: &str,
    base: &Path,
    options: &LoadOptions,
) -> Result<Loaded, Report> {
    let shown = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut findings = Vec::new();
    let resources = options.resources.as_deref();
    let placed = resources.map_or_else(Vec::new, |all| resources::place(all, &mut findings));
    let source = Source::new(file_name, shown).beside(&placed);
    let root = if shown.len() as u64 > LARGEST {
        findings.push(too_large());
        None
    } else {
        yaml::parse(shown, &mut findings)
    };
    let now = options.now.unwrap_or_else(SystemTime::now);
    let mut materials = Materials::new(base, &options.variables, now);
    materials.digest_part(shown.as_bytes());
    materials.digest_part(
        options
            .environment
            .as_deref()
            .unwrap_or_default()
            .as_bytes(),
    );
    for document in resources.map_or(&[][..], Resources::documents) {
        materials.digest_part(document.id.kind.name().as_bytes());
        materials.digest_part(document.id.name.as_bytes());
        materials.digest_part(document.text.as_bytes());
    }
    let mut context = Context::new(&source, Mode::Full, options.strict, materials);

    // An empty file lacks everything; one that is no YAML has been reported.
    let root = match root {
        None if findings.is_empty() => Some(Node::mapping(Span::default(), Vec::new())),
        root => root,
    };
    let config = root.and_then(|root| decode(&mut context, &root, &placed, options));

    let Context {
        findings: decoded,
        hidden,
        lendings,
        materials,
        ..
    } = context;
    findings.extend(decoded);
    if options.strict {
        let refused = findings
            .iter_mut()
            .filter(|finding| !ADVICE.contains(&finding.code));
        for finding in refused {
            finding.severity = Severity::Error;
        }
    }
    let (files, digest) = materials.finish();
    let has_error = findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    let (diagnostics, omitted) = settle(findings, &source, &hidden);
    match config {
        Some(config) if !has_error => Ok(Loaded {
            config,
            warnings: diagnostics,
            files,
            digest,
            lendings,
            text: text.to_owned(),
            origin: Origin {
                name: file_name.to_owned(),
                hidden,
                resources: options.resources.clone(),
            },
        }),
        _ => Err(Report {
            diagnostics,
            omitted,
            files,
        }),
    }
}

/// A document that is no configuration by itself, such as one of a resource, as JSON. A text that is
/// called `file_name` in diagnostics.
pub fn read_document(text: &str, file_name: &str) -> Result<serde_json::Value, Report> {
    let shown = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Source::new(file_name, shown);
    let mut findings = Vec::new();
    let root = yaml::parse(shown, &mut findings);
    match root {
        Some(root) if findings.is_empty() => Ok(contract::to_json(&root)),
        _ => {
            if findings.is_empty() {
                findings.push(Finding::error(codes::SYNTAX, "the document is empty"));
            }
            let (diagnostics, omitted) = settle(findings, &source, &[]);
            Err(Report {
                diagnostics,
                omitted,
                files: Vec::new(),
            })
        }
    }
}

fn read(path: &Path) -> Result<String, Box<Finding>> {
    let unreadable = |error: std::io::Error| {
        let message = format!("the configuration cannot be read: {}", io_reason(&error));
        Box::new(Finding::error(codes::UNREADABLE, message))
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    // Opening a pipe or reading a device could wait forever; standard input was asked for.
    if !metadata.is_file() && path != Path::new("/dev/stdin") {
        let message = "the configuration cannot be read: it is not a regular file";
        return Err(Box::new(Finding::error(codes::UNREADABLE, message)));
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Box::new(too_large()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        let message = format!("the configuration is not UTF-8: line {line} is damaged");
        Box::new(Finding::error(codes::NOT_UTF8, message).help("save the file as UTF-8"))
    })
}

fn too_large() -> Finding {
    Finding::error(
        codes::TOO_LARGE,
        format!("the configuration is larger than {LARGEST} bytes"),
    )
}

/// Reads the base with the selected environment's overlay and the resources, and checks the other
/// environments.
fn decode(
    context: &mut Context<'_>,
    root: &Node,
    placed: &[Placed<'_>],
    options: &LoadOptions,
) -> Option<Config> {
    let (base, environments) = split_environments(context, root);
    let selected = options.environment.as_deref();
    let overlay = selected.and_then(|name| select(context, name, &environments));
    let merged = match overlay {
        Some(overlay) => overlay::apply(&base, &overlay.value, &mut context.findings),
        None => base.clone(),
    };
    let data = options.data.as_deref();
    let merged = match placed.is_empty() {
        true => merged,
        false if !stands_alone(context, &merged, selected, data) => return None,
        false => resources::merge(&merged, placed, &mut context.findings),
    };
    let config = section::decode(context, &merged, selected, data);
    let others = environments
        .iter()
        .filter(|entry| selected != Some(entry.key.as_ref()));
    for other in others.take(OTHERS_CHECKED) {
        check_other(context, &base, other);
    }
    // A stand-in must never leave.
    if context.has_errors() { None } else { config }
}

/// Whether the file can be used without resources, which it must not depend on: they may be gone when a
/// node starts anew. What the file lacks is reported as if there were none.
fn stands_alone(
    context: &mut Context<'_>,
    root: &Node,
    environment: Option<&str>,
    data: Option<&Path>,
) -> bool {
    let Materials {
        base,
        variables,
        now,
        ..
    } = context.materials;
    let materials = Materials::new(base, variables, now);
    let mut alone = Context::new(context.source, Mode::Full, context.strict, materials);
    section::decode(&mut alone, root, environment, data);
    if alone.has_errors() {
        context.findings.extend(alone.findings);
        context.hidden.extend(alone.hidden);
        context.materials = alone.materials;
        return false;
    }
    true
}

/// The configuration without `environments`, and their usable overlays.
fn split_environments(context: &mut Context<'_>, root: &Node) -> (Node, Vec<Entry>) {
    let Some(environments) = root.entry("environments") else {
        return (root.clone(), Vec::new());
    };
    let rest = root
        .entries()
        .iter()
        .filter(|entry| entry.key.as_ref() != "environments");
    let base = Node::mapping(root.span, rest.cloned().collect());
    let mut overlays = Vec::new();
    if !matches!(environments.value.value, crate::node::Value::Mapping(_)) {
        let message = format!("expected a mapping, found {}", environments.value.kind());
        let finding = Finding::error(codes::WRONG_TYPE, message).at(environments.value.head());
        context.report(finding.path("environments"));
    }
    for entry in environments.value.entries() {
        let path = format!("environments.{}", quote(&entry.key).trim_matches('`'));
        if let Err(fault) = value::text::name(&entry.key) {
            let finding = Finding::error(fault.code, fault.message).at(entry.key_span);
            context.report(finding.path(path.clone()));
        }
        if !matches!(entry.value.value, crate::node::Value::Mapping(_)) {
            let message = format!("expected a mapping, found {}", entry.value.kind());
            let finding = Finding::error(codes::WRONG_TYPE, message).at(entry.value.head());
            context.report(
                finding
                    .path(path)
                    .help("write `{}` for an environment without changes"),
            );
            continue;
        }
        if let Some(nested) = entry.value.entry("environments") {
            let finding = Finding::error(codes::UNKNOWN_KEY, "unknown key `environments`")
                .at(nested.key_span)
                .path(path)
                .help("an environment has no environments of its own");
            context.report(finding);
            continue;
        }
        overlays.push(entry.clone());
    }
    (base, overlays)
}

fn select<'e>(
    context: &mut Context<'_>,
    name: &str,
    environments: &'e [Entry],
) -> Option<&'e Entry> {
    let found = environments.iter().find(|entry| entry.key.as_ref() == name);
    if found.is_none() {
        let names = environments.iter().map(|entry| entry.key.as_ref());
        let message = format!("there is no environment {}", quote(name));
        let help = suggest::help(name, names, "environments");
        context.report(Finding::error(codes::UNKNOWN_ENVIRONMENT, message).help(help));
    }
    found
}

/// Finds mistakes inside the overlay of an environment that is not selected. What it refers to
/// need not exist on this machine, and warnings are for whoever selects it.
fn check_other(context: &mut Context<'_>, base: &Node, environment: &Entry) {
    let Materials {
        base: folder,
        variables,
        now,
        ..
    } = context.materials;
    let materials = Materials::new(folder, variables, now);
    let mut other = Context::new(context.source, Mode::Form, context.strict, materials);
    let merged = overlay::apply(base, &environment.value, &mut other.findings);
    section::decode(&mut other, &merged, Some(&environment.key), None);
    let overlay_span = environment.value.span;
    let is_own = |finding: &Finding| {
        let lies_within = finding.span.is_some_and(|span| overlay_span.contains(span));
        lies_within && finding.severity == Severity::Error
    };
    context
        .findings
        .extend(other.findings.into_iter().filter(is_own));
    context.hidden.extend(other.hidden);
}
