//! Revisions are made, or refused and nothing is changed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use weir_config::ResourceKind;
use weir_revisions::{
    Action, Change, Discarded, Error, Judgement, Precondition, Proposal, Revisions, Trashed,
    Wanted, What,
};
use weir_store::audit::Query;
use weir_store::records::{Notice, Scope, Topic};

use crate::engines::{ada, delete, fresh, judge, on_both_engines, proposal, put, route, upstream};

on_both_engines! {
    a_revision_is_made_and_told,
    what_would_not_load_changes_nothing,
    a_trial_changes_nothing,
    what_changes_nothing_makes_no_revision,
    preconditions_are_held,
    two_at_once_cannot_combine_to_nonsense,
    judging_keeps_nobody_from_changing_records,
    what_another_node_made_meanwhile_is_judged_with_it,
    who_finds_no_turn_is_told,
    lists_go_on_where_they_ended,
    hostile_documents_are_refused,
}

async fn a_revision_is_made_and_told(engine: &str) {
    let fresh = fresh(engine).await;
    assert_eq!(fresh.revisions.latest().await.unwrap().number, 0);
    let mut notices = fresh.records.notices();
    assert_eq!(notices.next().await, Some(Notice::Anything));

    let author = ada();
    let what = What::Changes(vec![
        put(upstream("catalog"), json!({"targets": ["127.0.0.1:9002"]})),
        put(
            route("items"),
            json!({"match": {"path": "/items"}, "upstream": "catalog"}),
        ),
        put(
            route("more"),
            json!({"match": {"path": "/more"}, "upstream": "of-file"}),
        ),
    ]);
    let new = Proposal {
        comment: "the catalogue".to_owned(),
        ..proposal(what)
    };
    let outcome = fresh.revisions.apply(&author, new, judge).await.unwrap();
    let revision = outcome.revision.unwrap();
    assert_eq!((revision.number, revision.changes), (1, 3));
    assert_eq!(
        revision.author_id.as_deref(),
        author.actor.id().map(weir_core::Id::as_str)
    );
    assert_eq!(fresh.revisions.revision(1).await.unwrap(), revision);
    assert_eq!(
        notices.next().await,
        Some(Notice::Changed(Topic::Revisions))
    );

    let outcome = fresh
        .change(vec![
            put(
                route("items"),
                json!({"match": {"path": "/things"}, "upstream": "catalog"}),
            ),
            delete(route("more")),
        ])
        .await
        .unwrap();
    let words: Vec<_> = outcome
        .differences
        .iter()
        .map(|one| one.change.word())
        .collect();
    assert_eq!(words, ["update", "delete"]);
    assert_eq!(
        fresh.wanted().await,
        [
            r#"route `items` {"name":"items","match":{"path":"/things"},"upstream":"catalog"}"#,
            r#"upstream `catalog` {"targets":["127.0.0.1:9002"]}"#,
        ]
    );
    let items = fresh.revisions.resource(&route("items")).await.unwrap();
    assert_eq!(items.revision, 2);
    let catalog = fresh
        .revisions
        .resource(&upstream("catalog"))
        .await
        .unwrap();
    assert_eq!(catalog.revision, 1);
    let all = fresh.revisions.revisions(None, true, 10).await.unwrap();
    let numbers: Vec<_> = all.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(
        fresh
            .revisions
            .revisions(Some(2), true, 10)
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(matches!(
        fresh.revisions.revision(3).await,
        Err(Error::Missing(_))
    ));

    let told = fresh
        .records
        .audit(&Scope::Platform, &Query::default(), 10)
        .await
        .unwrap();
    let told: Vec<_> = told.iter().map(|one| one.action.to_string()).collect();
    assert_eq!(told, ["revision.create", "revision.create"]);
    let verified = fresh.records.verify_audit(&Scope::Platform, |_| ()).await;
    assert!(verified.unwrap().is_ok());
}

async fn what_would_not_load_changes_nothing(engine: &str) {
    let fresh = fresh(engine).await;
    let error = fresh
        .change(vec![
            put(upstream("catalog"), json!({"targets": ["127.0.0.1:9002"]})),
            put(route("items"), json!({"upstream": "catalogue"})),
        ])
        .await
        .unwrap_err();
    let Error::Refused { report, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(report.diagnostics[0].code, "WR0201");
    assert_eq!(report.diagnostics[0].file, "route `items`");
    assert_eq!(fresh.revisions.latest().await.unwrap().number, 0);
    assert!(fresh.wanted().await.is_empty());

    // What others rely on stays.
    fresh
        .change(vec![
            put(upstream("catalog"), json!({"targets": ["127.0.0.1:9002"]})),
            put(route("items"), json!({"upstream": "catalog"})),
        ])
        .await
        .unwrap();
    let error = fresh
        .change(vec![delete(upstream("catalog"))])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(fresh.wanted().await.len(), 2);
    let error = fresh
        .change(vec![delete(route("nowhere"))])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NoResource(_)), "{error}");
}

async fn a_trial_changes_nothing(engine: &str) {
    let fresh = fresh(engine).await;
    let what = What::Changes(vec![put(route("a"), json!({"upstream": "of-file"}))]);
    let trial = Proposal {
        dry_run: true,
        ..proposal(what)
    };
    let outcome = fresh.revisions.apply(&ada(), trial, judge).await.unwrap();
    assert_eq!((outcome.revision, outcome.latest), (None, 0));
    assert_eq!(outcome.differences.len(), 1);
    assert!(fresh.wanted().await.is_empty());
    let told = fresh
        .records
        .audit(&Scope::Platform, &Query::default(), 10)
        .await
        .unwrap();
    assert!(told.is_empty());
}

async fn what_changes_nothing_makes_no_revision(engine: &str) {
    let fresh = fresh(engine).await;
    let same = || vec![put(route("a"), json!({"upstream": "of-file"}))];
    fresh.change(same()).await.unwrap();
    let outcome = fresh.change(same()).await.unwrap();
    assert_eq!((outcome.revision, outcome.latest), (None, 1));
}

async fn preconditions_are_held(engine: &str) {
    let fresh = fresh(engine).await;
    let conditional = |path: &str, precondition| {
        let document = json!({"match": {"path": path}, "upstream": "of-file"});
        vec![Change {
            resource: route("a"),
            action: Action::Put(document),
            precondition,
        }]
    };
    let error = fresh
        .change(conditional("/0", Precondition::Present))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Precondition { revision: None, .. }),
        "{error}"
    );
    fresh
        .change(conditional("/1", Precondition::Absent))
        .await
        .unwrap();
    for wrong in [Precondition::Absent, Precondition::Revision(0)] {
        let error = fresh.change(conditional("/2", wrong)).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Precondition {
                    revision: Some(1),
                    ..
                }
            ),
            "{error}"
        );
    }
    fresh
        .change(conditional("/3", Precondition::Revision(1)))
        .await
        .unwrap();
    // One that was deleted and made anew is another one.
    fresh.change(vec![delete(route("a"))]).await.unwrap();
    fresh
        .change(conditional("/3", Precondition::None))
        .await
        .unwrap();
    let error = fresh
        .change(conditional("/4", Precondition::Revision(2)))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Precondition {
                revision: Some(4),
                ..
            }
        ),
        "{error}"
    );

    let stale = Proposal {
        expected: Some(3),
        ..proposal(What::Changes(conditional("/5", Precondition::None)))
    };
    let error = fresh
        .revisions
        .apply(&ada(), stale, judge)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Stale { latest: 4 }), "{error}");
}

async fn two_at_once_cannot_combine_to_nonsense(engine: &str) {
    let fresh = fresh(engine).await;
    fresh
        .change(vec![put(
            upstream("catalog"),
            json!({"targets": ["127.0.0.1:9002"]}),
        )])
        .await
        .unwrap();
    // Each is good by itself, and both together are not.
    let uses = fresh.change(vec![put(route("items"), json!({"upstream": "catalog"}))]);
    let removes = fresh.change(vec![delete(upstream("catalog"))]);
    let (uses, removes) = tokio::join!(uses, removes);
    assert!(uses.is_ok() != removes.is_ok(), "{uses:?} {removes:?}");
    let resources = fresh.revisions.snapshot().await.unwrap();
    judge(resources.into()).await.unwrap();

    // Many at once each get a number of their own.
    let mut many = JoinSet::new();
    for number in 0..20 {
        let name = format!("route-{number}");
        let document = json!({"match": {"path": format!("/{name}")}, "upstream": "of-file"});
        let revisions = fresh.revisions.clone();
        let what = What::Changes(vec![put(route(&name), document)]);
        many.spawn(async move { revisions.apply(&ada(), proposal(what), judge).await });
    }
    let many = many.join_all().await.into_iter();
    let mut numbers: Vec<_> = many.map(|outcome| outcome.unwrap().latest).collect();
    numbers.sort_unstable();
    assert!(
        numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "{numbers:?}"
    );
}

async fn judging_keeps_nobody_from_changing_records(engine: &str) {
    let fresh = fresh(engine).await;
    let (began, judging) = oneshot::channel();
    let (let_go, wait) = oneshot::channel::<()>();
    let (began, wait) = (Mutex::new(Some(began)), Mutex::new(Some(wait)));
    let slow = |resources| {
        let began = began.lock().unwrap().take().unwrap();
        let wait = wait.lock().unwrap().take().unwrap();
        async move {
            began.send(()).unwrap();
            wait.await.unwrap();
            judge(resources).await
        }
    };
    let what = What::Changes(vec![put(route("a"), json!({"upstream": "of-file"}))]);
    let author = ada();
    let making = fresh.revisions.apply(&author, proposal(what), slow);
    let meanwhile = async {
        judging.await.unwrap();
        // The scope under which revisions are made.
        let write = fresh.records.write(&Scope::Platform).await.unwrap();
        drop(write);
        let_go.send(()).unwrap();
    };
    let (made, ()) = tokio::join!(making, meanwhile);
    assert_eq!(made.unwrap().revision.unwrap().number, 1);
}

async fn what_another_node_made_meanwhile_is_judged_with_it(engine: &str) {
    let fresh = fresh(engine).await;
    let document = json!({"targets": ["127.0.0.1:9002"]});
    let both = vec![
        put(upstream("catalog"), document),
        put(route("a"), json!({"upstream": "catalog"})),
    ];
    fresh.change(both).await.unwrap();
    // This one takes the route away, so that nothing needs the upstream.
    fresh.change(vec![delete(route("a"))]).await.unwrap();
    let other = Revisions::new(fresh.records.clone(), fresh.revisions.secrets().clone());
    let again = vec![put(
        route("b"),
        json!({"upstream": "catalog", "match": {"path": "/b"}}),
    )];
    let times = AtomicUsize::new(0);
    let interrupted = |resources| {
        let is_first = times.fetch_add(1, Ordering::Relaxed) == 0;
        let (other, again) = (&other, &again);
        async move {
            let judged = judge(resources).await;
            if is_first {
                let what = What::Changes(again.clone());
                other.apply(&ada(), proposal(what), judge).await.unwrap();
            }
            judged
        }
    };
    let what = What::Changes(vec![delete(upstream("catalog"))]);
    let author = ada();
    let error = fresh
        .revisions
        .apply(&author, proposal(what), interrupted)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(times.load(Ordering::Relaxed), 2);
    assert_eq!(fresh.wanted().await.len(), 2);
}

async fn who_finds_no_turn_is_told(engine: &str) {
    let fresh = fresh(engine).await;
    let other = Revisions::new(fresh.records.clone(), fresh.revisions.secrets().clone());
    let times = AtomicUsize::new(0);
    // Another node is always faster.
    let overtaken = |resources| {
        let at = times.fetch_add(1, Ordering::Relaxed);
        let other = &other;
        async move {
            let name = format!("other-{at}");
            let document = json!({"match": {"path": format!("/{name}")}, "upstream": "of-file"});
            let what = What::Changes(vec![put(route(&name), document)]);
            other.apply(&ada(), proposal(what), judge).await.unwrap();
            judge(resources).await
        }
    };
    let what = What::Changes(vec![put(route("a"), json!({"upstream": "of-file"}))]);
    let author = ada();
    let made = fresh.revisions.apply(&author, proposal(what), overtaken);
    assert!(matches!(made.await, Err(Error::Busy(_))));
    assert_eq!(times.load(Ordering::Relaxed), 5);
    // With the revision that its caller knows, it is not tried anew.
    let stale = Proposal {
        expected: Some(5),
        ..proposal(What::Changes(vec![delete(route("other-0"))]))
    };
    let made = fresh.revisions.apply(&author, stale, |_| async {
        let what = What::Changes(vec![delete(route("other-4"))]);
        other.apply(&ada(), proposal(what), judge).await.unwrap();
        Ok(Judgement::default())
    });
    assert!(matches!(made.await, Err(Error::Stale { latest: 6 })));
}

async fn lists_go_on_where_they_ended(engine: &str) {
    let fresh = fresh(engine).await;
    let names = ["a", "b", "ba", "bb", "c"];
    let changes = names.map(|name| {
        let document = json!({"match": {"path": format!("/{name}")}, "upstream": "of-file"});
        put(route(name), document)
    });
    fresh.change(changes.to_vec()).await.unwrap();
    let list = async |prefix: &str, from: Option<&str>, descending, limit| {
        let wanted = Wanted {
            kind: ResourceKind::Route,
            prefix: prefix.to_owned(),
            from: from.map(str::to_owned),
            descending,
            limit,
        };
        let found = fresh.revisions.resources(&wanted).await.unwrap();
        found
            .into_iter()
            .map(|one| one.name.name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(list("", None, false, 10).await, "a b ba bb c");
    assert_eq!(list("b", None, false, 10).await, "b ba bb");
    assert_eq!(list("b", Some("ba"), false, 1).await, "ba");
    assert_eq!(list("", Some("bb"), true, 3).await, "bb ba b");
    fresh.change(vec![delete(route("b"))]).await.unwrap();
    assert_eq!(list("", None, false, 10).await, "a ba bb c");
    fresh.change(vec![delete(route("c"))]).await.unwrap();
    let trash = async |prefix: &str, after: Option<&Trashed>, limit| {
        let discarded = Discarded {
            kinds: vec![ResourceKind::Route],
            descending: true,
            prefix: prefix.to_owned(),
            after: after.map(|trashed| trashed.place.clone()),
            limit,
        };
        fresh.revisions.trashed(&discarded).await.unwrap()
    };
    let first = trash("", None, 1).await;
    assert_eq!(first[0].resource.name.name, "c");
    let second = trash("", first.last(), 10).await;
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].resource.name.name, "b");
    assert_eq!(trash("b", None, 10).await, second);
    // Not before its time.
    let hour = Duration::from_secs(3_600);
    assert_eq!(fresh.revisions.purge(&ada(), hour).await.unwrap(), 0);
    assert_eq!(
        fresh.revisions.purge(&ada(), Duration::ZERO).await.unwrap(),
        2
    );
    assert!(trash("", None, 10).await.is_empty());
}

async fn hostile_documents_are_refused(engine: &str) {
    let fresh = fresh(engine).await;
    let large =
        json!({"upstream": "of-file", "match": {"path": format!("/{}", "a".repeat(1 << 20))}});
    let other = json!({"name": "b", "upstream": "of-file"});
    let nul = json!({"upstream": "of-file", "headers": {"request": {"set": {"x": "\0"}}}});
    for document in [json!(null), json!([]), json!("a"), large, other, nul] {
        let error = fresh
            .change(vec![put(route("a"), document)])
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
    let twice = vec![delete(route("a")), delete(route("a"))];
    for changes in [Vec::new(), twice] {
        let error = fresh.change(changes).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
    let secret = json!({"respond": {"file": "file:/etc/passwd"}});
    let error = fresh
        .change(vec![put(route("a"), secret)])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    for comment in ["a\nb", &"a".repeat(501)] {
        let what = What::Changes(vec![put(route("a"), json!({"upstream": "of-file"}))]);
        let new = Proposal {
            comment: comment.to_owned(),
            ..proposal(what)
        };
        let error = fresh.revisions.apply(&ada(), new, judge).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
    assert_eq!(fresh.revisions.latest().await.unwrap().number, 0);
}
