//! A person is erased: from records and from the audit, of which the chains hold.

use std::collections::BTreeSet;

use serde_json::json;
use weir_core::{Id, TenantId};
use weir_identity::{BuiltIn, Error, Listing, UserUpdate};

use weir_store::records::{PlatformTable, Value};

use crate::engines::{Fresh, by, fresh, on_both_engines, operator};

const KEYS: PlatformTable = PlatformTable::new("idempotency_keys");

on_both_engines! {
    nothing_of_the_person_is_left,
    an_erased_person_can_have_erased_others,
    who_is_in_the_trash_is_erased_as_well,
    answers_are_forgotten_in_batches,
    an_erasure_that_is_refused_forgets_nothing,
}

async fn nothing_of_the_person_is_left(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let platform = TenantId::platform();
    let acme = fresh.organization("acme").await;
    let (person, _) = fresh
        .member(&acme, "canary@a.example", BuiltIn::Admin)
        .await;
    let (other, _) = fresh
        .member(&acme, "xcanary@a.example", BuiltIn::Owner)
        .await;
    let update = UserUpdate {
        email: Some("moved@a.example".to_owned()),
        ..Default::default()
    };
    let person = identity
        .update_user(&by(&person), &person.id, None, update)
        .await
        .unwrap();
    // Something the person did to somebody else's things.
    let update = weir_identity::OrganizationUpdate {
        name: Some("Acme".to_owned()),
        ..Default::default()
    };
    identity
        .update_organization(&by(&person), &acme, None, update)
        .await
        .unwrap();
    let certificate = identity.erase_user(&operator(), &person.id).await.unwrap();
    assert_eq!(certificate.user, person.id);
    assert_eq!(certificate.rows["users"], 1);
    assert_eq!(certificate.rows["memberships"], 1);
    assert_eq!(certificate.digest.len(), 64);
    assert!(matches!(
        identity.user(&person.id).await,
        Err(Error::Missing("user"))
    ));
    assert!(matches!(
        identity.restore_user(&operator(), &person.id).await,
        Err(Error::Missing("user"))
    ));
    assert!(matches!(
        identity.erase_user(&operator(), &person.id).await,
        Err(Error::Missing("user"))
    ));

    let mut erased = 0;
    for tenant in [&platform, &acme] {
        let chain = certificate
            .audit
            .iter()
            .find(|chain| chain.scope == weir_store::records::Scope::of(tenant).name())
            .unwrap();
        for entry in fresh.audit(tenant).await {
            let text = format!("{:?}{:?}", entry.origin, entry.change);
            assert!(!text.contains("\"canary@"), "{entry:?}");
            assert!(!text.contains("moved@"), "{entry:?}");
            let is_erased = entry.erased_by == Some(chain.told_by);
            assert_eq!(chain.entries.contains(&entry.sequence), is_erased);
            assert_eq!(entry.change.is_none(), is_erased, "{entry:?}");
            erased += usize::from(is_erased);
            if entry.sequence == chain.told_by {
                let change = entry.change.unwrap();
                assert_eq!(change["after"]["entries"], json!(chain.entries));
            }
        }
    }
    // Made and moved, and the change of the organization's name in both chains.
    assert_eq!(erased, 4);
    // An address that only looks alike is somebody else's.
    let kept = fresh.audit(&platform).await;
    let others = |entry: &&weir_store::audit::Recorded| {
        entry.subject_id.as_deref() == Some(other.id.as_str())
    };
    assert!(kept.iter().find(others).unwrap().change.is_some());
    let last = kept.last().unwrap();
    assert_eq!(last.action, "user.erase");
    let change = last.change.as_ref().unwrap();
    assert_eq!(change["after"]["digest"], json!(certificate.digest));
}

async fn an_erased_person_can_have_erased_others(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let platform = TenantId::platform();
    let (eraser, _) = fresh
        .member(&platform, "eraser@a.example", BuiltIn::Owner)
        .await;
    fresh
        .member(&platform, "owner@a.example", BuiltIn::Owner)
        .await;
    let person = fresh.user("person@a.example").await;
    identity.erase_user(&by(&eraser), &person.id).await.unwrap();
    // Themselves: the entry of it tells nothing of them either.
    identity.erase_user(&by(&eraser), &eraser.id).await.unwrap();
    for entry in fresh.audit(&platform).await {
        let text = format!("{:?}{:?}", entry.origin, entry.change);
        assert!(
            !text.contains("eraser@") && !text.contains("person@"),
            "{entry:?}"
        );
    }
}

async fn who_is_in_the_trash_is_erased_as_well(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (person, _) = fresh
        .member(&acme, "person@a.example", BuiltIn::Viewer)
        .await;
    identity
        .delete_user(&operator(), &person.id, None)
        .await
        .unwrap();
    let certificate = identity.erase_user(&operator(), &person.id).await.unwrap();
    assert_eq!(certificate.rows["memberships"], 1);
    let trash = identity.trash(&acme, &Listing::default()).await.unwrap();
    assert!(trash.items.is_empty());
    fresh.audit(&acme).await;
}

/// Rows with an answer, as the admin API keeps them.
async fn keep_answers(fresh: &Fresh, count: usize) {
    let mut write = fresh.records.write_unaudited().await.unwrap();
    let until = write.now().as_microsecond() + 3_600_000_000;
    for row in 0..count {
        let values = [
            ("key_hash", Value::from(row.to_string().as_bytes())),
            ("fingerprint", Value::from(&[0_u8][..])),
            ("sealed_answer", Value::from(&[1_u8][..])),
            ("expires_at", Value::from(until)),
        ];
        let id = Id::new("idk");
        write.insert(KEYS.rows(), &id, values).await.unwrap();
    }
    write.commit().await.unwrap();
}

async fn kept_answers(fresh: &Fresh) -> usize {
    let nothing: [Value; 0] = [];
    let select = KEYS.rows().select();
    let kept = select.filter("sealed_answer IS NOT NULL", nothing);
    fresh.records.all(kept).await.unwrap().len()
}

async fn answers_are_forgotten_in_batches(engine: &str) {
    let fresh = fresh(engine).await;
    let person = fresh.user("person@a.example").await;
    keep_answers(&fresh, 1_201).await;
    let certificate = fresh
        .identity
        .erase_user(&operator(), &person.id)
        .await
        .unwrap();
    assert_eq!(certificate.rows["answers"], 1_201);
    assert_eq!(kept_answers(&fresh).await, 0);
    // Each batch was a transaction of its own, with a time of its own.
    let rows = fresh.records.all(KEYS.rows().select()).await.unwrap();
    let times: BTreeSet<_> = rows
        .iter()
        .map(|row| row.time("updated_at").unwrap())
        .collect();
    assert_eq!(times.len(), 3, "{times:?}");
}

async fn an_erasure_that_is_refused_forgets_nothing(engine: &str) {
    let fresh = fresh(engine).await;
    let platform = TenantId::platform();
    let (owner, _) = fresh
        .member(&platform, "owner@a.example", BuiltIn::Owner)
        .await;
    let stranger = fresh.user("stranger@a.example").await;
    keep_answers(&fresh, 3).await;
    let refused = fresh.identity.erase_user(&by(&stranger), &owner.id).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    let missing = fresh
        .identity
        .erase_user(&operator(), &Id::new("usr"))
        .await;
    assert!(
        matches!(missing, Err(Error::Missing("user"))),
        "{missing:?}"
    );
    assert_eq!(kept_answers(&fresh).await, 3);
}
