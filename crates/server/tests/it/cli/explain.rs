//! `weir explain` and `weir schema`

use super::Workspace;

#[test]
fn a_page_is_shown() {
    let workspace = Workspace::new();
    insta::assert_snapshot!(
        "explain",
        workspace.run(&["explain", "wr0103"]).transcript()
    );
    assert_eq!(
        workspace.run(&["explain", "103", "--json"]).json()["code"],
        "WR0103"
    );
}

#[test]
fn a_code_that_does_not_exist_has_a_neighbour() {
    let ran = Workspace::new().run(&["explain", "WR013"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr
            .contains("there is no code WR013; did you mean WR01"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_word_lists_what_is_about_it() {
    let ran = Workspace::new().run(&["explain", "certificate"]);
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.stdout
            .contains("WR0306  a certificate that is not valid now\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("WR0601  "), "{}", ran.stdout);
    assert!(!ran.stdout.contains("WR0103"), "{}", ran.stdout);
}

#[test]
fn all_codes_are_listed_in_order() {
    let ran = Workspace::new().run(&["explain"]);
    let codes: Vec<&str> = ran.stdout.lines().map(|line| &line[..6]).collect();
    assert!(
        codes.is_sorted() && codes.contains(&"WR0103") && codes.contains(&"WR0604"),
        "{codes:?}"
    );
}

#[test]
fn the_schema_goes_to_a_file_or_to_standard_output() {
    let workspace = Workspace::new();
    let printed = workspace.run(&["schema"]);
    assert!(printed.json()["$schema"].is_string());
    let ran = workspace.run(&["schema", "-o", "weir.schema.json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    let written = std::fs::read_to_string(workspace.directory.join("weir.schema.json")).unwrap();
    assert_eq!(written, printed.stdout);
    assert_eq!(
        workspace.run(&["schema", "-o", "nowhere/x.json"]).code,
        Some(1)
    );
}
