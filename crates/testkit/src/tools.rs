//! What `tests/install.sh` put into a directory of its own.

use std::path::PathBuf;

/// The program or file of this path there, such as `venv/bin/python`.
pub fn installed(path: &str) -> PathBuf {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let tools = home("WEIR_TEST_TOOLS")
        .or_else(|| home("XDG_CACHE_HOME").map(|cache| cache.join("weir")))
        .or_else(|| home("HOME").map(|home| home.join(".cache/weir")))
        .unwrap();
    let path = tools.join(path);
    assert!(
        path.exists(),
        "{} is not installed; `make test` installs what the tests need",
        path.display()
    );
    path
}
