use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::{Folder, options, variables};
use crate::{
    LoadOptions, Loaded, Report, Resources, Severity, explain, explanations, load, load_text,
};

/// Pages about the file itself, for which an example cannot be written; `mistakes` and the tests
/// below cover them.
const WITHOUT_EXAMPLE: [&str; 3] = ["WR0001", "WR0002", "WR0003"];

#[test]
fn every_failing_example_reports_its_code_and_no_other() {
    let folder = Folder::new();
    for explanation in explanations() {
        let Some(example) = example(explanation.text, "## Fails") else {
            assert!(
                WITHOUT_EXAMPLE.contains(&explanation.code),
                "{}",
                explanation.code
            );
            continue;
        };
        let diagnostics = match load_example(&folder, example) {
            Ok(loaded) => loaded.warnings,
            Err(report) => report.diagnostics,
        };
        let codes: BTreeSet<_> = diagnostics
            .iter()
            .map(|diagnostic| diagnostic.code)
            .collect();
        assert_eq!(codes, [explanation.code].into(), "{diagnostics:#?}");
        for diagnostic in diagnostics {
            assert!(
                diagnostic
                    .message
                    .chars()
                    .all(|character| character != '\n')
            );
            assert!(!diagnostic.message.ends_with('.'), "{}", diagnostic.message);
        }
    }
}

#[test]
fn every_fixed_example_loads_without_a_warning() {
    let folder = Folder::new();
    for explanation in explanations() {
        let Some(example) = example(explanation.text, "## Loads") else {
            assert!(
                WITHOUT_EXAMPLE.contains(&explanation.code),
                "{}",
                explanation.code
            );
            continue;
        };
        let loaded = load_example(&folder, example)
            .unwrap_or_else(|report| panic!("{}: {report}", explanation.code));
        assert_eq!(loaded.warnings, [], "{}", explanation.code);
    }
}

#[test]
fn strict_loading_turns_warnings_into_errors_but_those_that_come_with_time() {
    let folder = Folder::new();
    let mut warnings = 0;
    for explanation in explanations() {
        let Some(example) = example(explanation.text, "## Fails") else {
            continue;
        };
        if load_example(&folder, example).is_err() {
            continue;
        }
        warnings += 1;
        let options = LoadOptions {
            strict: true,
            ..options_of(example)
        };
        let report = load_text(example, "weir.yaml", folder.path(), &options).unwrap_err();
        let is_error = |code: &str| {
            let mut found = report
                .diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.code == code);
            found.any(|diagnostic| diagnostic.severity == Severity::Error)
        };
        let is_advice = ["WR0213", "WR0215", "WR0307", "WR0309", "WR0310", "WR0316"]
            .contains(&explanation.code);
        assert_eq!(is_error(explanation.code), !is_advice, "{report}");
    }
    assert_eq!(warnings, 21);
}

#[test]
fn pages_begin_with_code_and_title_and_are_found_in_any_case() {
    for explanation in explanations() {
        let heading = format!("# {}: {}\n\n", explanation.code, explanation.title);
        assert!(
            explanation.text.starts_with(&heading),
            "{}",
            explanation.code
        );
        assert!(
            explanation.text.len() > heading.len() + 100,
            "{}",
            explanation.code
        );
    }
    assert_eq!(explain("wr0103").unwrap().code, "WR0103");
    assert!(explain("WR9999").is_none());
    let codes: Vec<_> = explanations()
        .iter()
        .map(|explanation| explanation.code)
        .collect();
    assert!(codes.is_sorted_by(|left, right| left < right));
}

#[test]
fn files_that_are_no_configuration_are_explained() {
    let folder = Folder::new();
    let report_of = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let report = load(&path, &options()).unwrap_err();
        assert_eq!(report.files, [path]);
        report
    };
    assert_eq!(
        report_of("latin.yaml", b"# caf\xe9\n").diagnostics[0].code,
        "WR0002"
    );
    assert_eq!(
        report_of("large.yaml", &vec![b'#'; (16 << 20) + 1]).diagnostics[0].code,
        "WR0003"
    );
    let missing = load(&folder.path().join("nowhere.yaml"), &options()).unwrap_err();
    assert_eq!(missing.diagnostics[0].code, "WR0001");
    assert_eq!(
        load(folder.path(), &options()).unwrap_err().diagnostics[0].code,
        "WR0001"
    );
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // Opening the pipe would wait for a writer.
    for endless in [pipe.as_path(), Path::new("/dev/zero")] {
        let report = load(endless, &options()).unwrap_err();
        assert_eq!(report.diagnostics[0].code, "WR0001");
        assert!(report.to_string().contains("not a regular file"));
    }
    let large = "#".repeat((16 << 20) + 1);
    let report = load_text(&large, "f", folder.path(), &options()).unwrap_err();
    assert_eq!(report.diagnostics[0].code, "WR0003");
}

fn load_example(folder: &Folder, example: &str) -> Result<Loaded, Report> {
    load_text(example, "weir.yaml", folder.path(), &options_of(example))
}

/// Settings of an example, from its comments: `# environment: NAME`, `# variable: NAME=VALUE`,
/// `# now: SECONDS`, `# upstream NAME: JSON` and the like for a resource.
fn options_of(example: &str) -> LoadOptions {
    let setting = |name: &str| {
        let lines = example.lines().map_while(|line| line.strip_prefix("# "));
        lines
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| *key == name)
    };
    let mut options = options();
    if let Some((_, environment)) = setting("environment") {
        options.environment = Some(environment.to_owned());
    }
    if let Some((_, pair)) = setting("variable") {
        options.variables = variables(&[pair.split_once('=').unwrap()]);
    }
    let comments = example.lines().map_while(|line| line.strip_prefix("# "));
    let settings = comments.filter_map(|line| line.split_once(": "));
    let resources: Vec<_> = settings
        .filter_map(|(key, text)| {
            let (kind, name) = key.split_once(' ')?;
            Some(super::resource(kind, name, text))
        })
        .collect();
    if !resources.is_empty() {
        options.resources = Some(Arc::new(Resources::new(1, resources)));
    }
    if let Some((_, seconds)) = setting("now") {
        let seconds = seconds.split(' ').next().unwrap().parse().unwrap();
        options.now = Some(UNIX_EPOCH + Duration::from_secs(seconds));
    }
    options
}

/// The YAML block under a heading.
fn example<'t>(page: &'t str, heading: &str) -> Option<&'t str> {
    let (_, rest) = page.split_once(heading)?;
    let (_, block) = rest.split_once("```yaml\n")?;
    Some(block.split_once("```").unwrap().0)
}
