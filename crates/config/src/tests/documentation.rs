use std::path::Path;

use super::{Folder, options, variables};
use crate::{LoadOptions, load_text};

#[test]
fn every_example_of_the_guide_loads() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let folder = Folder::new();
    let variables = variables(&[
        ("CATALOG_ADDRESS", "127.0.0.1:9003"),
        ("CATALOG_TOKEN", "Bearer example"),
    ]);
    let mut examples = 0;
    for block in guide.split("```yaml\n").skip(1) {
        let example = block.split_once("```").unwrap().0;
        if !example.starts_with("# example: loads") {
            continue;
        }
        examples += 1;
        for environment in [None, Some("production".to_owned())] {
            if environment.is_some() && !example.contains("\nenvironments:") {
                continue;
            }
            let strict = environment.is_some();
            let options = LoadOptions {
                environment,
                strict,
                variables: variables.clone(),
                ..options()
            };
            let loaded = load_text(example, "weir.yaml", folder.path(), &options)
                .unwrap_or_else(|report| panic!("{report}"));
            assert_eq!(loaded.warnings, []);
        }
    }
    assert!(examples >= 3);
}
