//! The documentation: its examples are run, and no page of a feature goes without one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use weir_testkit::Postgres;

/// Pages that are about no feature, so that there is nothing to run: records, and how Weir is
/// measured beside others.
const WITHOUT_EXAMPLE: [&str; 2] = ["docs/decisions/", "docs/benchmarks.md"];
/// Pages that only lead to others.
const INDEX: &str = "docs/README.md";

/// Pages that go the same way on PostgreSQL, and a database for each configuration of theirs.
const WALKS: [(&str, &[&str]); 2] = [
    (
        "docs/walkthrough.md",
        &["walkthrough_weir", "walkthrough_other"],
    ),
    ("docs/who-is-calling.md", &["who_is_calling_weir"]),
];

struct Page {
    /// Seen from the repository's root.
    name: String,
    text: String,
}

/// A fenced block.
struct Block<'t> {
    /// What stands behind the fence: `yaml`, `console`, `yaml weir.yaml`.
    kind: &'t str,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// `README.md` and everything below `docs`, in the order of their names.
fn pages() -> Vec<Page> {
    let root = root();
    let mut files = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    let read = |path: PathBuf| Page {
        name: path.strip_prefix(&root).unwrap().display().to_string(),
        text: fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}")),
    };
    files.into_iter().map(read).collect()
}

impl Page {
    fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            // Blocks inside of lists are indented.
            let indent = line.len() - line.trim_start().len();
            let Some(kind) = line.trim_start().strip_prefix("```") else {
                continue;
            };
            let body = lines
                .by_ref()
                .take_while(|line| line.trim() != "```")
                .map(|line| line.get(indent..).unwrap_or_default());
            let text = body.flat_map(|line| [line, "\n"]).collect();
            let kind = kind.trim();
            blocks.push(Block { kind, text });
        }
        blocks
    }
}

impl Block<'_> {
    /// Whether it is a configuration that has to load by itself. `checks` says that it refers to
    /// certificates.
    fn is_configuration(&self) -> bool {
        let first = self.text.lines().next().unwrap_or_default();
        matches!(first, "# example: loads" | "# example: checks")
    }

    /// Whether a test runs it: this file's or `tests/docs.py`.
    fn is_run(&self) -> bool {
        self.is_configuration() || self.kind == "console"
    }
}

#[test]
fn every_page_of_a_feature_has_an_example_that_is_run() {
    for page in pages() {
        let is_excepted = WITHOUT_EXAMPLE
            .iter()
            .any(|name| page.name.starts_with(name));
        if is_excepted || page.name == INDEX {
            continue;
        }
        assert!(
            page.blocks().iter().any(Block::is_run),
            "{} has neither a ```console block nor one that begins with `# example: loads` or \
             `# example: checks`",
            page.name
        );
    }
}

#[test]
fn every_configuration_passes_the_check() {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path());
    let mut mistakes = Vec::new();
    let mut examples = 0;
    for page in pages() {
        for block in page.blocks() {
            // A misspelled marker would turn the test off for its block.
            let marked = block.text.starts_with("# example:");
            assert_eq!(
                marked,
                block.is_configuration(),
                "{}: {}",
                page.name,
                block.text
            );
            if !marked {
                continue;
            }
            examples += 1;
            fs::write(folder.path().join("weir.yaml"), &block.text).unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_weir"))
                .args(["check", "--color", "never"])
                .current_dir(folder.path())
                .env_remove("WEIR_CONFIG")
                .env_remove("WEIR_ENVIRONMENT")
                .env("CATALOG_ADDRESS", "127.0.0.1:9003")
                .env("CATALOG_TOKEN", "Bearer example")
                .output()
                .unwrap();
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                mistakes.push(format!("{}:\n{}\n{said}", page.name, block.text));
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert!(examples >= 10, "only {examples} examples were found");
}

#[test]
fn what_the_pages_show_at_the_prompt_is_what_comes_out() {
    run_pages(&[], "all_pages");
}

#[test]
fn the_walks_go_the_same_way_on_postgresql() {
    let server = Postgres::shared();
    let records = server.socket_url("DATABASE");
    for (number, (page, databases)) in WALKS.into_iter().enumerate() {
        for database in databases {
            server.psql("postgres", &format!("CREATE DATABASE {database}"));
        }
        let arguments = ["--page", page, "--records", &records];
        run_pages(&arguments, &format!("walk_{number}"));
    }
}

/// `shared` is the database of those nodes of a page that are on one server.
fn run_pages(arguments: &[&str], shared: &str) {
    let server = Postgres::shared();
    server.psql("postgres", &format!("CREATE DATABASE {shared}"));
    let output = Command::new("python3")
        .arg(root().join("tests/docs.py"))
        .args(["--weir", env!("CARGO_BIN_EXE_weir")])
        .args(arguments)
        .env_remove("WEIR_CONFIG")
        .env_remove("WEIR_DATA")
        .env_remove("WEIR_ENVIRONMENT")
        .env("WEIR_DATABASE", server.socket_url(shared))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// `cert.pem` with `key.pem`, signed by `ca.pem`; the same two as `tls.crt` and `tls.key`.
fn write_certificates(folder: &Path) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key).unwrap();
    fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();

    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["shop.internal".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    for (certificate, private) in [("cert.pem", "key.pem"), ("tls.crt", "tls.key")] {
        fs::write(folder.join(certificate), leaf.pem()).unwrap();
        fs::write(folder.join(private), key.serialize_pem()).unwrap();
    }
}
