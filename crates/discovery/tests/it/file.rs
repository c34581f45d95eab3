//! Files.

use weir_config::model::DiscoverySource;

use crate::harness::{Running, from, replace, wait_until};

#[tokio::test]
async fn a_file_is_followed_and_a_broken_one_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("targets.yaml");
    std::fs::write(
        &path,
        "- 10.0.0.1:80\n- { address: 10.0.0.2:80, weight: 3 }\n",
    )
    .unwrap();
    let settings = from(DiscoverySource::File { path: path.clone() });
    let mut running = Running::start(settings);
    assert_eq!(running.next().await, ["10.0.0.1:80", "10.0.0.2:80"]);

    replace(&path, "- 10.0.0.1:80\n- { address: 10.0.");
    let lost = running.lost().await;
    assert!(lost.error.contains("targets.yaml:2:"), "{lost:?}");
    assert_eq!(running.status().targets, 2);

    replace(&path, r#"{"targets": ["10.0.0.3:80"]}"#);
    assert_eq!(running.next().await, ["10.0.0.3:80"]);
    assert_eq!(running.status().lost, None);

    replace(&path, "[]");
    let lost = running.lost().await;
    assert!(lost.error.contains("at least 1 item"), "{lost:?}");

    std::fs::remove_file(&path).unwrap();
    wait_until("the file is missed", || {
        let lost = running.status().lost;
        lost.is_some_and(|lost| lost.error.contains("No such file"))
    })
    .await;
    // The same content as before the breakage.
    replace(&path, r#"{"targets": ["10.0.0.3:80"]}"#);
    wait_until("the source is back", || running.status().lost.is_none()).await;
    running.expect_nothing_new();
}

#[tokio::test]
async fn a_pipe_in_place_of_a_file_holds_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("targets.yaml");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let running = Running::start(from(DiscoverySource::File { path }));
    let lost = running.lost().await;
    assert!(lost.error.contains("not a regular file"), "{lost:?}");
}
