//! The official JSON-Schema-Test-Suite, through our own way of compiling and reading.
//!
//! `docs/validation.md` states the result; the test keeps it true.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::documents::Documents;
use crate::json::Json;
use crate::schema::{Schema, SchemaOptions};
use crate::violation::Place;

const PAGE: &str = include_str!("../../../../docs/validation.md");
const DRAFTS: [(&str, &str, &str); 5] = [
    ("4", "draft4", "http://json-schema.org/draft-04/schema#"),
    ("6", "draft6", "http://json-schema.org/draft-06/schema#"),
    ("7", "draft7", "http://json-schema.org/draft-07/schema#"),
    (
        "2019-09",
        "draft2019-09",
        "https://json-schema.org/draft/2019-09/schema",
    ),
    (
        "2020-12",
        "draft2020-12",
        "https://json-schema.org/draft/2020-12/schema",
    ),
];

/// Where `tests/install.sh` puts it.
fn suite() -> PathBuf {
    let tools = std::env::var_os("WEIR_TEST_TOOLS").map(PathBuf::from);
    let tools = tools.or_else(|| {
        let home = PathBuf::from(std::env::var_os("HOME")?);
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        Some(cache.unwrap_or_else(|| home.join(".cache")).join("weir"))
    });
    let suite = tools.unwrap_or_default().join("json-schema-test-suite");
    assert!(
        suite.is_dir(),
        "{suite:?} is not there: run tests/install.sh"
    );
    suite
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// Files below a directory, with their path from there.
fn files(directory: &Path, deep: bool) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && deep {
            let inner = files(&path, true).into_iter();
            found.extend(inner.map(|(inner, path)| (format!("{name}/{inner}"), path)));
        } else if name.ends_with(".json") {
            found.push((name, path));
        }
    }
    found.sort();
    found
}

#[derive(Clone, Copy, Default)]
struct Score {
    passed: usize,
    all: usize,
}

impl std::fmt::Display for Score {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {}", self.passed, self.all)
    }
}

struct Run<'r> {
    draft: &'r str,
    /// What the suite serves under `http://localhost:1234/`.
    remotes: &'r HashMap<String, Value>,
    formats: bool,
    failed: Vec<String>,
}

impl Run<'_> {
    fn file(&mut self, name: &str, path: &Path) -> Score {
        let mut score = Score::default();
        for group in read(path).as_array().unwrap() {
            let schema = self.compile(&group["schema"]);
            for test in group["tests"].as_array().unwrap() {
                score.all += 1;
                let text = test["data"].to_string();
                let json = Json::parse(text.as_bytes());
                let verdict = match (&schema, &json) {
                    (Ok(schema), Ok(json)) => Some(schema.check(json, Place::Body).is_ok()),
                    _ => None,
                };
                if verdict == test["valid"].as_bool() {
                    score.passed += 1;
                } else {
                    let why = schema.as_ref().err().map_or("", String::as_str);
                    let line = format!(
                        "{name}: {} / {} {why}",
                        group["description"], test["description"]
                    );
                    self.failed.push(line);
                }
            }
        }
        score
    }

    fn compile(&self, schema: &Value) -> Result<Schema, String> {
        let mut schema = schema.clone();
        if let Value::Object(members) = &mut schema {
            members
                .entry("$schema")
                .or_insert_with(|| json!(self.draft));
        }
        let mut documents = Documents {
            main: "schema.json".to_owned(),
            all: HashMap::from([("schema.json".to_owned(), schema)]),
        };
        documents.all.extend(self.remotes.clone());
        let options = SchemaOptions {
            formats: self.formats,
        };
        Schema::compile(&documents, options).map_err(|fault| fault.to_string())
    }
}

#[test]
fn the_page_states_the_result_of_the_official_suite() {
    let suite = suite();
    let remotes: HashMap<String, Value> = files(&suite.join("remotes"), true)
        .into_iter()
        .map(|(name, path)| (format!("http://localhost:1234/{name}"), read(&path)))
        .collect();
    let mut rows = String::new();
    let mut failed = BTreeMap::new();
    for (name, directory, draft) in DRAFTS {
        let tests = suite.join("tests").join(directory);
        let mut scores = [Score::default(); 3];
        let parts = [("", false), ("optional", false), ("optional/format", true)];
        for (score, (part, formats)) in scores.iter_mut().zip(parts) {
            let mut run = Run {
                draft,
                remotes: &remotes,
                formats,
                failed: Vec::new(),
            };
            for (file, path) in files(&tests.join(part), false) {
                let one = run.file(&file, &path);
                score.passed += one.passed;
                score.all += one.all;
            }
            failed.insert(format!("{directory} {part}"), run.failed);
        }
        let [required, optional, formats] = scores;
        rows.push_str(&format!(
            "| {name} | {required} | {optional} | {formats} |\n"
        ));
    }
    assert!(
        PAGE.contains(&rows),
        "the page must say:\n{rows}\n{failed:#?}"
    );
}
