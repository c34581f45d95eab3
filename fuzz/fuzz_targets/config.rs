//! Loading a configuration: whatever the text, it ends with a configuration or with findings that
//! can be shown, and the same text gives the same result.
#![no_main]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use weir_config::{LoadOptions, Variables, load_text};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // References to files outside of the base read this machine's files.
    if text.contains("file:/") || text.contains("..") {
        return;
    }
    let variables = BTreeMap::from([("NAME".to_owned(), "value".to_owned())]);
    for environment in [None, Some("production".to_owned())] {
        let options = LoadOptions {
            environment,
            variables: Variables::Only(variables.clone()),
            now: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
            ..LoadOptions::default()
        };
        let load = || load_text(text, "weir.yaml", Path::new("/nonexistent"), &options);
        match (load(), load()) {
            (Ok(one), Ok(other)) => {
                assert_eq!(one.digest, other.digest);
                assert!(!one.config.listeners.is_empty());
                assert!(one.config.routes.iter().all(|route| !route.name.is_empty()));
            }
            (Err(one), Err(other)) => {
                assert!(!one.diagnostics.is_empty());
                assert_eq!(one.render(false), other.render(false));
                let _ = one.render(true);
                let _ = one.to_json();
            }
            _ => panic!("the same text was judged in two ways"),
        }
    }
});
