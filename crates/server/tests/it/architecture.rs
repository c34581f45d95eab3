//! The architecture: crates use crates of lower floors only, and the map names all of them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Each crate's floor; what stands on the same floor are siblings, which do not know each other.
const FLOORS: [(&str, u8); 16] = [
    ("weir-contract", 0),
    ("weir-core", 0),
    ("weir-files", 0),
    ("weir-jose", 0),
    ("weir-testkit", 0),
    ("weir-transform", 0),
    ("weir-config", 1),
    ("weir-store", 1),
    ("weir-gateway", 2),
    ("weir-discovery", 2),
    ("weir-identity", 2),
    ("weir-revisions", 2),
    ("weir-lake", 2),
    ("weir-work", 2),
    ("weir-sandbox", 2),
    ("weir-console", 3),
];
/// The binary puts everything together.
const TOP: (&str, u8) = ("weir-server", 4);

fn floor(name: &str) -> Option<u8> {
    let mut floors = FLOORS.iter().chain([&TOP]);
    floors
        .find(|(one, _)| *one == name)
        .map(|(_, floor)| *floor)
}

fn packages() -> Vec<Value> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let mut metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    serde_json::from_value(metadata["packages"].take()).unwrap()
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap()
}

/// What is wrong with a dependency, if anything.
fn fault(from: &str, to: &str) -> Option<String> {
    let Some(upper) = floor(from) else {
        return Some(format!("{from} has no floor: add it to FLOORS"));
    };
    // What has no floor is not ours.
    let lower = floor(to)?;
    match upper.cmp(&lower) {
        std::cmp::Ordering::Greater => None,
        std::cmp::Ordering::Equal => Some(format!("{from} knows its sibling {to}")),
        std::cmp::Ordering::Less => Some(format!("{from} climbs to {to}")),
    }
}

#[test]
fn dependencies_point_down() {
    let packages = packages();
    assert!(packages.iter().any(|package| name(package) == TOP.0));
    let mut faults = Vec::new();
    for package in &packages {
        let from = name(package);
        assert!(
            floor(from).is_some(),
            "{from} has no floor: add it to FLOORS"
        );
        // Those of tests and build scripts too: a sibling in a test is a sibling.
        let dependencies = package["dependencies"].as_array().unwrap();
        faults.extend(dependencies.iter().filter_map(|to| fault(from, name(to))));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn climbing_and_siblings_are_faults() {
    assert_eq!(fault("weir-gateway", "weir-config"), None);
    assert_eq!(fault("weir-gateway", "tokio"), None);
    assert!(fault("weir-config", "weir-gateway").is_some());
    assert!(fault("weir-lake", "weir-gateway").is_some());
    assert!(fault("weir-unknown", "weir-core").is_some());
}

#[test]
fn the_map_names_every_crate() {
    let map = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md");
    let map = std::fs::read_to_string(map).unwrap();
    for package in packages() {
        let folder = name(&package).trim_start_matches("weir-");
        let folder = format!("`crates/{folder}`");
        assert!(map.contains(&folder), "ARCHITECTURE.md lacks {folder}");
    }
}
