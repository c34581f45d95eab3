//! Differences between revisions, and the way back.

use serde_json::json;
use weir_revisions::{Error, What, unified};

use crate::engines::{delete, fresh, on_both_engines, put, route, upstream};

on_both_engines! {
    any_two_revisions_can_be_compared,
    an_earlier_state_comes_back,
    a_long_history_is_compared_page_by_page,
    what_was_deleted_comes_back,
}

/// Four revisions that make, change, remove and make again.
async fn past(engine: &str) -> crate::engines::Fresh {
    let fresh = fresh(engine).await;
    let catalog = |port: u16| {
        put(
            upstream("catalog"),
            json!({"targets": [format!("127.0.0.1:{port}")]}),
        )
    };
    let items = || {
        put(
            route("items"),
            json!({"match": {"path": "/items"}, "upstream": "catalog"}),
        )
    };
    fresh.change(vec![catalog(9001), items()]).await.unwrap();
    fresh.change(vec![catalog(9002)]).await.unwrap();
    let changes = vec![
        delete(route("items")),
        put(route("x"), json!({"upstream": "catalog"})),
    ];
    fresh.change(changes).await.unwrap();
    fresh.change(vec![items(), catalog(9001)]).await.unwrap();
    fresh
}

async fn a_long_history_is_compared_page_by_page(engine: &str) {
    let fresh = fresh(engine).await;
    let document = |path: String| json!({"match": {"path": path}, "upstream": "of-file"});
    let routes = |prefix: &str| {
        let routes =
            (0..250).map(|at| put(route(&format!("r{at}")), document(format!("/{prefix}{at}"))));
        routes.collect::<Vec<_>>()
    };
    fresh.change(routes("a")).await.unwrap();
    fresh.change(routes("b")).await.unwrap();
    let gone = (0..250)
        .step_by(2)
        .map(|at| delete(route(&format!("r{at}"))));
    fresh.change(gone.collect()).await.unwrap();
    let differences = fresh.revisions.diff(0, 3).await.unwrap();
    assert_eq!(differences.len(), 125);
    let is_right = |one: &weir_revisions::Difference| {
        let at = &one.resource.name[1..];
        let path = &one.after.as_ref().unwrap()["match"]["path"];
        one.before.is_none() && *path == format!("/b{at}")
    };
    assert!(differences.iter().all(is_right));
    let back = fresh.make(What::Rollback(1)).await.unwrap();
    assert_eq!(back.differences.len(), 250);
    assert!(fresh.revisions.diff(1, 4).await.unwrap().is_empty());
}

async fn any_two_revisions_can_be_compared(engine: &str) {
    let fresh = past(engine).await;
    let diff = async |from, to| {
        let differences = fresh.revisions.diff(from, to).await.unwrap();
        let words = differences.iter();
        let words = words.map(|one| format!("{} {}", one.change.word(), one.resource));
        words.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(
        diff(0, 1).await,
        "create route `items`, create upstream `catalog`"
    );
    assert_eq!(
        diff(1, 3).await,
        "delete route `items`, create route `x`, update upstream `catalog`"
    );
    assert_eq!(
        diff(3, 1).await,
        "create route `items`, delete route `x`, update upstream `catalog`"
    );
    // What came and went, and what is as it was, is no difference.
    assert_eq!(diff(1, 4).await, "create route `x`");
    assert_eq!(diff(2, 2).await, "");
    for (from, to) in [(0, 5), (-1, 2), (9, 1)] {
        let error = fresh.revisions.diff(from, to).await.unwrap_err();
        assert!(matches!(error, Error::Missing(_)), "{error}");
    }
    let text = unified(&fresh.revisions.diff(1, 2).await.unwrap());
    assert!(
        text.contains("-    \"127.0.0.1:9001\"\n+    \"127.0.0.1:9002\"\n"),
        "{text}"
    );
}

async fn an_earlier_state_comes_back(engine: &str) {
    let fresh = past(engine).await;
    let now = fresh.wanted().await;
    let outcome = fresh.make(What::Rollback(2)).await.unwrap();
    let revision = outcome.revision.unwrap();
    assert_eq!((revision.number, revision.rolled_back_to), (5, Some(2)));
    assert_eq!(fresh.revisions.diff(2, 5).await.unwrap(), []);
    // A rollback is a revision: it can be rolled back, too.
    fresh.make(What::Rollback(4)).await.unwrap();
    assert_eq!(fresh.wanted().await, now);
    assert_eq!(fresh.make(What::Rollback(6)).await.unwrap().revision, None);
    fresh.make(What::Rollback(0)).await.unwrap();
    assert!(fresh.wanted().await.is_empty());
    assert!(matches!(
        fresh.make(What::Rollback(99)).await,
        Err(Error::Missing(_))
    ));
}

async fn what_was_deleted_comes_back(engine: &str) {
    let fresh = past(engine).await;
    let before = fresh.revisions.resource(&route("x")).await.unwrap();
    fresh.change(vec![delete(route("x"))]).await.unwrap();
    fresh.make(What::Restore(route("x"), None)).await.unwrap();
    let after = fresh.revisions.resource(&route("x")).await.unwrap();
    assert_eq!((after.document, after.revision), (before.document, 6));
    // Its name is taken by now.
    let error = fresh
        .make(What::Restore(route("x"), None))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Precondition {
                revision: Some(6),
                ..
            }
        ),
        "{error}"
    );
    let error = fresh
        .make(What::Restore(route("never"), None))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotInTrash(_)), "{error}");
}
