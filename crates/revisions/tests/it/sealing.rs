//! Secrets of documents are kept sealed, and shown to nobody.

use serde_json::{Value as Json, json};
use weir_config::{ResourceKind, ResourceName, Severity};
use weir_core::{Secret, TenantId};
use weir_revisions::{Author, Discarded, Error, Revisions, Secrets, Wanted, What, unified};
use weir_store::audit::Query;
use weir_store::records::{PlatformTable, Row, Scope, TenantTable, Value};

use crate::engines::{
    Fresh, ada, back, delete, fresh, judge, named, on_both_engines, proposal, put,
};

on_both_engines! {
    a_secret_is_kept_sealed_and_shown_to_nobody,
    dots_keep_the_secret_that_is_there,
    what_comes_back_has_its_secrets,
    the_same_secret_again_is_no_change,
    what_was_kept_in_the_clear_is_hidden_and_sealed_when_written_anew,
    another_key_opens_nothing_and_is_told,
    secrets_of_present_and_past_open_after_a_rotation,
    hostile_documents_reach_no_secret,
    who_may_not_change_a_secret_does_not_have_it_sent_on,
}

const SECRET: &str = "cnry-2Hd8sVq1";
const OTHER: &str = "cnry-9Lw3xKz7";

fn policy() -> ResourceName {
    named(ResourceKind::Policy, "auth")
}

fn document(secret: &str, plain: &str) -> Json {
    json!({"headers": {"request": {"set": {"authorization": secret, "x-plain": plain}}}})
}

/// Everything that is kept of resources and of their past, as text.
async fn rows(fresh: &Fresh) -> String {
    let platform = TenantId::platform();
    let resources = TenantTable::new("resources").of(&platform).select();
    let mut rows = fresh.records.all(resources.with_trashed()).await.unwrap();
    let columns = |rows: &[Row], names: &[&str]| -> String {
        let of = |row: &Row, name: &str| row.optional_text(name).unwrap().unwrap_or_default();
        let texts = rows
            .iter()
            .flat_map(|row| names.iter().map(move |name| of(row, name)));
        texts.collect::<Vec<_>>().join("\n")
    };
    let mut text = columns(&rows, &["document"]);
    let changes = PlatformTable::new("revision_changes").rows().select();
    rows = fresh.records.all(changes).await.unwrap();
    text += &columns(&rows, &["document_before", "document_after"]);
    text
}

/// The secret as a node would use it.
async fn used(fresh: &Fresh) -> Json {
    let kept = fresh.revisions.snapshot().await.unwrap();
    let opened = fresh.revisions.secrets().open(&kept);
    let document: Json = serde_json::from_str(&opened.documents()[0].text).unwrap();
    document["headers"]["request"]["set"]["authorization"].clone()
}

async fn a_secret_is_kept_sealed_and_shown_to_nobody(engine: &str) {
    let fresh = fresh(engine).await;
    let made = fresh.change(vec![put(policy(), document(SECRET, "a"))]);
    let made = made.await.unwrap();
    let changed = fresh.change(vec![put(policy(), document(OTHER, "a"))]);
    let changed = changed.await.unwrap();
    assert_eq!(used(&fresh).await, OTHER);
    let shown = Some(document("•••", "a"));
    assert_eq!(made.differences[0].after, shown);
    assert_eq!(changed.differences[0].before, shown);
    assert_eq!(changed.differences[0].after, shown);
    let place = "/headers/request/set/authorization";
    assert_eq!(changed.differences[0].secrets, [place]);
    let resource = fresh.revisions.resource(&policy()).await.unwrap();
    assert_eq!(Some(resource.document), shown);
    let wanted = Wanted {
        kind: ResourceKind::Policy,
        prefix: String::new(),
        from: None,
        descending: false,
        limit: 10,
    };
    let listed = fresh.revisions.resources(&wanted).await.unwrap();
    assert_eq!(Some(&listed[0].document), shown.as_ref());
    let diff = fresh.revisions.diff(1, 2).await.unwrap();
    assert_eq!(diff, changed.differences);
    assert!(unified(&diff).ends_with(&format!("A secret is different: {place}\n")));

    fresh.change(vec![delete(policy())]).await.unwrap();
    let discarded = Discarded {
        kinds: vec![ResourceKind::Policy],
        descending: true,
        prefix: String::new(),
        after: None,
        limit: 10,
    };
    let trashed = fresh.revisions.trashed(&discarded).await;
    assert_eq!(Some(&trashed.unwrap()[0].resource.document), shown.as_ref());
    let all = Query::default();
    let audit = fresh.records.audit(&Scope::Platform, &all, 10);
    let kept = rows(&fresh).await;
    assert!(kept.contains("$sealed") && kept.contains("x-plain"));
    let texts = [
        kept,
        format!("{:?}", audit.await.unwrap()),
        format!("{made:?}{changed:?}{diff:?}{:?}", fresh.revisions),
    ];
    for text in texts {
        assert!(!text.contains(SECRET) && !text.contains(OTHER), "{text}");
    }
}

async fn dots_keep_the_secret_that_is_there(engine: &str) {
    let fresh = fresh(engine).await;
    let error = fresh
        .change(vec![put(policy(), document("•••", "a"))])
        .await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    assert!(error.to_string().contains("no secret is kept"), "{error}");

    fresh
        .change(vec![put(policy(), document(SECRET, "a"))])
        .await
        .unwrap();
    let changed = fresh.change(vec![put(policy(), document("•••", "b"))]);
    let changed = changed.await.unwrap();
    assert_eq!(changed.differences[0].secrets, [""; 0]);
    assert_eq!(used(&fresh).await, SECRET);
    let same = fresh
        .change(vec![put(policy(), document("•••", "b"))])
        .await;
    assert_eq!(same.unwrap().revision, None);
    // Nothing is tried that would not be made.
    let trial = weir_revisions::Proposal {
        dry_run: true,
        ..proposal(What::Changes(vec![put(policy(), document("•••", "c"))]))
    };
    let tried = fresh.revisions.apply(&ada(), trial, judge).await.unwrap();
    assert_eq!(tried.differences[0].after, Some(document("•••", "c")));
}

async fn what_comes_back_has_its_secrets(engine: &str) {
    let fresh = fresh(engine).await;
    fresh
        .change(vec![put(policy(), document(SECRET, "a"))])
        .await
        .unwrap();
    fresh
        .change(vec![put(policy(), document(OTHER, "a"))])
        .await
        .unwrap();
    fresh.make(back(1)).await.unwrap();
    assert_eq!(used(&fresh).await, SECRET);
    fresh.change(vec![delete(policy())]).await.unwrap();
    fresh.make(What::Restore(policy(), None)).await.unwrap();
    assert_eq!(used(&fresh).await, SECRET);
    fresh.make(back(2)).await.unwrap();
    assert_eq!(used(&fresh).await, OTHER);
    // There and back is no difference, however it was sealed.
    fresh
        .change(vec![put(policy(), document(SECRET, "a"))])
        .await
        .unwrap();
    let latest = fresh.revisions.latest().await.unwrap().number;
    assert_eq!(fresh.revisions.diff(1, latest).await.unwrap(), []);
    let same = fresh.make(back(1)).await.unwrap();
    assert_eq!(same.revision, None);
}

async fn the_same_secret_again_is_no_change(engine: &str) {
    let fresh = fresh(engine).await;
    fresh
        .change(vec![put(policy(), document(SECRET, "a"))])
        .await
        .unwrap();
    let kept = rows(&fresh).await;
    let same = fresh
        .change(vec![put(policy(), document(SECRET, "a"))])
        .await;
    assert_eq!(same.unwrap().revision, None);
    assert_eq!(rows(&fresh).await, kept);
}

async fn what_was_kept_in_the_clear_is_hidden_and_sealed_when_written_anew(engine: &str) {
    let fresh = fresh(engine).await;
    fresh
        .change(vec![put(policy(), document("x", "a"))])
        .await
        .unwrap();
    // As it was kept before.
    let mut write = fresh.records.write_unaudited().await.unwrap();
    let nothing: [Value; 0] = [];
    let clear = document(SECRET, "a").to_string();
    let platform = TenantId::platform();
    let resources = TenantTable::new("resources");
    let set = [("document", Value::from(&clear))];
    write
        .update_where(resources.of(&platform), "1 = 1", nothing.clone(), set)
        .await
        .unwrap();
    let set = [("document_after", Value::from(&clear))];
    let changes = PlatformTable::new("revision_changes");
    write
        .update_where(changes.rows(), "1 = 1", nothing, set)
        .await
        .unwrap();
    write.commit().await.unwrap();

    assert_eq!(used(&fresh).await, SECRET);
    let shown = document("•••", "a");
    let resource = fresh.revisions.resource(&policy()).await.unwrap();
    assert_eq!(resource.document, shown);
    let diff = fresh.revisions.diff(0, 1).await.unwrap();
    assert_eq!(diff[0].after.as_ref(), Some(&shown));
    let written = fresh.change(vec![put(policy(), document(SECRET, "a"))]);
    let written = written.await.unwrap();
    assert_eq!(written.differences[0].before.as_ref(), Some(&shown));
    assert_eq!(written.differences[0].after.as_ref(), Some(&shown));
    let kept = fresh.revisions.snapshot().await.unwrap();
    assert!(!kept.documents()[0].text.contains(SECRET));
    assert_eq!(used(&fresh).await, SECRET);
    // The way back seals it, too.
    fresh
        .change(vec![put(policy(), document(OTHER, "a"))])
        .await
        .unwrap();
    fresh.make(back(1)).await.unwrap();
    let kept = fresh.revisions.snapshot().await.unwrap();
    assert!(!kept.documents()[0].text.contains(SECRET));
    assert_eq!(used(&fresh).await, SECRET);
}

async fn another_key_opens_nothing_and_is_told(engine: &str) {
    let fresh = fresh(engine).await;
    fresh
        .change(vec![put(policy(), document(SECRET, "a"))])
        .await
        .unwrap();
    let secrets = Secrets::new(&Secret::new([8; 32])).unwrap();
    let other = Revisions::new(fresh.records.clone(), secrets);
    let name = named(ResourceKind::Policy, "more");
    let what = What::Changes(vec![put(name.clone(), document(OTHER, "b"))]);
    let error = other
        .apply(&ada(), proposal(what), judge)
        .await
        .unwrap_err();
    let Error::Refused { report, .. } = error else {
        panic!("{error}");
    };
    let errors = report.diagnostics.iter();
    let errors = errors.filter(|one| one.severity == Severity::Error);
    let errors: Vec<_> = errors.map(|one| (one.code, one.resource.clone())).collect();
    assert_eq!(errors, [("WR0315", Some(policy()))]);
    // Whoever writes it anew, or deletes it, goes on.
    let what = What::Changes(vec![
        put(name, document(OTHER, "b")),
        put(policy(), document(OTHER, "a")),
    ]);
    other.apply(&ada(), proposal(what), judge).await.unwrap();
}

async fn secrets_of_present_and_past_open_after_a_rotation(engine: &str) {
    let fresh = fresh(engine).await;
    let gone = named(ResourceKind::Policy, "gone");
    let first = vec![
        put(policy(), document(SECRET, "a")),
        put(gone.clone(), document(OTHER, "a")),
    ];
    fresh.change(first).await.unwrap();
    fresh
        .change(vec![put(policy(), document(OTHER, "a")), delete(gone)])
        .await
        .unwrap();
    let before = fresh.revisions.snapshot().await.unwrap();
    let (old, new) = (Secret::new([7; 32]), Secret::new([8; 32]));
    let with = |secrets| Revisions::new(fresh.records.clone(), secrets);
    let ahead = with(Secrets::with_former(&new, &[old]).unwrap());
    let done = ahead.rewrap(|_| ()).await.unwrap();
    // One in use, one in the trash, and five in the past.
    assert_eq!((done.seen, done.anew), (7, 7));
    assert_eq!((done.unreadable, done.left), (0, 0));
    assert_eq!(ahead.rewrap(|_| ()).await.unwrap().anew, 0);

    let alone = with(Secrets::new(&new).unwrap());
    let after = alone.snapshot().await.unwrap();
    assert_eq!(
        (after.revision(), after.digest()),
        (before.revision(), before.digest()),
        "a node that has taken it up has nothing to do"
    );
    assert_eq!(
        alone.secrets().open(&after),
        fresh.revisions.secrets().open(&before)
    );
    // What a node keeps of its own is sealed anew as well.
    let kept = ahead.secrets().resealed(&before);
    assert_ne!(kept, before);
    assert_eq!(alone.secrets().open(&kept), alone.secrets().open(&after));
    alone.apply(&ada(), proposal(back(1)), judge).await.unwrap();
    let both = alone.secrets().open(&alone.snapshot().await.unwrap());
    let texts: Vec<_> = both.documents().iter().map(|one| &*one.text).collect();
    assert!(texts.iter().any(|text| text.contains(SECRET)), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains(OTHER)), "{texts:?}");
}

async fn hostile_documents_reach_no_secret(engine: &str) {
    let fresh = fresh(engine).await;
    let pins = |pins: Json| {
        json!({
            "match": {"path": "/x"},
            "split": {"upstreams": {"of-file": 1, "catalog": 1}, "pin": pins},
        })
    };
    let route = named(ResourceKind::Route, "x");
    let catalog = put(
        named(ResourceKind::Upstream, "catalog"),
        json!({"targets": ["127.0.0.1:9002"]}),
    );
    let secret = json!([{"header": "x-api-key", "value": SECRET, "upstream": "catalog"}]);
    fresh
        .change(vec![catalog, put(route.clone(), pins(secret))])
        .await
        .unwrap();
    assert!(!rows(&fresh).await.contains(SECRET));
    let kept = fresh.revisions.snapshot().await.unwrap();
    let sealed: Json = serde_json::from_str(&kept.documents()[0].text).unwrap();
    let token = sealed["$sealed"]["/split/pin/0/value"].clone();
    assert!(token.is_string(), "{sealed}");
    let with = |members: Json| {
        let mut document = pins(json!([]));
        let object = document.as_object_mut().unwrap();
        object.extend(members.as_object().unwrap().clone());
        document
    };
    for document in [
        // Where it would be shown.
        pins(json!([{"header": "x-shown", "value": "•••", "upstream": "catalog"}])),
        pins(json!([{"cookie": "shown", "value": "•••", "upstream": "catalog"}])),
        with(json!({"name": "•••"})),
        // What is sealed elsewhere, or is no sealed text at all.
        with(json!({"$sealed": {"/name": token}})),
        with(json!({"$sealed": 7})),
        json!({"$sealed": {"": "x"}}),
        json!("•••"),
        json!(["•••"]),
    ] {
        let error = fresh
            .change(vec![put(route.clone(), document.clone())])
            .await;
        let error = error.unwrap_err();
        assert!(
            matches!(error, Error::Invalid { .. }),
            "{document}: {error}"
        );
    }
}

async fn who_may_not_change_a_secret_does_not_have_it_sent_on(engine: &str) {
    let fresh = fresh(engine).await;
    let grace = Author {
        lends: vec![ResourceKind::Route, ResourceKind::Upstream],
        ..ada()
    };
    let changes = |path: &str| {
        let route = json!({"match": {"path": path}, "upstream": "of-file", "policies": ["auth"]});
        What::Changes(vec![put(named(ResourceKind::Route, "a"), route)])
    };
    let secret = What::Changes(vec![put(policy(), document(SECRET, "x"))]);
    fresh.make(secret).await.unwrap();
    let by_grace = |what| fresh.revisions.apply(&grace, proposal(what), judge);
    let refused = by_grace(changes("/a")).await.unwrap_err();
    let said = refused.to_string();
    assert_eq!(
        said,
        "route `a` would have secrets of policy `auth` sent on"
    );
    let made = fresh.make(changes("/a")).await.unwrap();
    assert_eq!(made.lent, [ResourceKind::Policy].into());
    // Away, and back as a whole to what was allowed; but not by itself.
    let gone = What::Changes(vec![delete(named(ResourceKind::Route, "a"))]);
    assert!(by_grace(gone).await.unwrap().lent.is_empty());
    let restored = by_grace(What::Restore(named(ResourceKind::Route, "a"), None)).await;
    assert!(
        matches!(restored, Err(Error::NotLent { .. })),
        "{restored:?}"
    );
    by_grace(back(2)).await.unwrap();
    let refused = by_grace(changes("/b")).await;
    assert!(matches!(refused, Err(Error::NotLent { .. })), "{refused:?}");
}
