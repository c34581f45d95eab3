//! Differences between revisions, and the way back.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value as Json, json};
use weir_config::{ResourceKind, ResourceName};
use weir_revisions::{Change, Error, Judgement, Proposal, Staying, What, Why, unified};

use crate::engines::{
    Fresh, ada, back, delete, fresh, judge, named, on_both_engines, proposal, put, route, upstream,
};

on_both_engines! {
    any_two_revisions_can_be_compared,
    an_earlier_state_comes_back,
    a_renewed_certificate_stays_unless_it_is_asked_for,
    a_certificate_that_has_run_out_does_not_come_back,
    a_long_history_is_compared_page_by_page,
    what_was_deleted_comes_back,
}

/// Four revisions that make, change, remove and make again.
async fn past(engine: &str) -> Fresh {
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
    let back = fresh.make(back(1)).await.unwrap();
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
    let outcome = fresh.make(back(2)).await.unwrap();
    let revision = outcome.revision.unwrap();
    assert_eq!((revision.number, revision.rolled_back_to), (5, Some(2)));
    assert_eq!(fresh.revisions.diff(2, 5).await.unwrap(), []);
    // A rollback is a revision: it can be rolled back, too.
    fresh.make(back(4)).await.unwrap();
    assert_eq!(fresh.wanted().await, now);
    assert_eq!(fresh.make(back(6)).await.unwrap().revision, None);
    fresh.make(back(0)).await.unwrap();
    assert!(fresh.wanted().await.is_empty());
    assert!(matches!(fresh.make(back(99)).await, Err(Error::Missing(_))));
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

fn shop() -> ResourceName {
    named(ResourceKind::Certificate, "shop")
}

/// A certificate for a name, that is valid until the end of a year.
fn certificate(name: &str, until: i32) -> Json {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(until, 12, 31);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    json!({"certificate": certificate.pem(), "key": key.serialize_pem()})
}

/// As when all of them were valid.
async fn change_then(fresh: &Fresh, changes: Vec<Change>) {
    let proposal = proposal(What::Changes(changes));
    let then = async |_| Ok(Judgement::default());
    let made = fresh.revisions.apply(&ada(), proposal, then).await;
    made.unwrap();
}

async fn served(fresh: &Fresh, resource: &ResourceName) -> Json {
    let resource = fresh.revisions.resource(resource).await.unwrap();
    resource.document["certificate"].clone()
}

const fn all(to: i64) -> What {
    What::Rollback {
        to,
        certificates: true,
    }
}

async fn a_renewed_certificate_stays_unless_it_is_asked_for(engine: &str) {
    let fresh = fresh(engine).await;
    let to = |path: &str| json!({"match": {"path": path}, "upstream": "of-file"});
    let (first, second) = (certificate("a", 2090), certificate("b", 2090));
    let changes = vec![put(shop(), first.clone()), put(route("x"), to("/1"))];
    fresh.change(changes).await.unwrap();
    let changes = vec![put(shop(), second.clone()), put(route("x"), to("/2"))];
    fresh.change(changes).await.unwrap();
    let renewed = [Staying {
        resource: shop(),
        why: Why::Renewed,
    }];
    let trial = Proposal {
        dry_run: true,
        ..proposal(back(1))
    };
    let tried = fresh.revisions.apply(&ada(), trial, judge).await.unwrap();
    let gone_back = fresh.make(back(1)).await.unwrap();
    for outcome in [&tried, &gone_back] {
        assert_eq!(outcome.staying, renewed);
        let changed = outcome.differences.iter().map(|one| &one.resource);
        assert_eq!(changed.collect::<Vec<_>>(), [&route("x")]);
    }
    assert_eq!(served(&fresh, &shop()).await, second["certificate"]);
    // Nothing else is left to go back to, and it is told why.
    let nothing = fresh.make(back(1)).await.unwrap();
    assert_eq!(
        (nothing.revision, &nothing.staying[..]),
        (None, &renewed[..])
    );

    let outcome = fresh.make(all(1)).await.unwrap();
    assert_eq!(outcome.staying, []);
    assert_eq!(served(&fresh, &shop()).await, first["certificate"]);
    // The same one for other listeners is no other certificate.
    let mut narrowed = first.clone();
    narrowed["key"] = json!("•••");
    narrowed["listeners"] = json!(["127.0.0.1:8443"]);
    change_then(&fresh, vec![put(shop(), narrowed)]).await;
    assert_eq!(fresh.make(back(4)).await.unwrap().staying, []);
    assert_eq!(fresh.revisions.diff(4, 6).await.unwrap(), []);
}

async fn a_certificate_that_has_run_out_does_not_come_back(engine: &str) {
    let fresh = fresh(engine).await;
    let [gone, late] = ["gone", "late"].map(|name| named(ResourceKind::Certificate, name));
    let good = certificate("late", 2090);
    let changes = vec![
        put(shop(), certificate("a", 2010)),
        put(gone.clone(), certificate("b", 2010)),
        put(late.clone(), good.clone()),
        put(upstream("x"), json!({"targets": ["127.0.0.1:9002"]})),
    ];
    change_then(&fresh, changes).await;
    let renewed = certificate("a", 2090);
    let changes = vec![
        put(shop(), renewed.clone()),
        delete(gone.clone()),
        put(late.clone(), certificate("late", 2011)),
        delete(upstream("x")),
    ];
    change_then(&fresh, changes).await;
    let outdated = |resource| Staying {
        resource,
        why: Why::Outdated,
    };
    // Asked for again, nothing is left to do.
    for what in [back(1), all(1)] {
        let outcome = fresh.make(what).await.unwrap();
        assert_eq!(outcome.staying, [outdated(gone.clone()), outdated(shop())]);
        assert_eq!(outcome.latest, 3);
        assert_eq!(served(&fresh, &shop()).await, renewed["certificate"]);
        // What is there has run out, and what was there has not.
        assert_eq!(served(&fresh, &late).await, good["certificate"]);
        fresh.revisions.resource(&upstream("x")).await.unwrap();
    }
}
