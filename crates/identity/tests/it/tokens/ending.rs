//! When tokens end, and with what.

use weir_core::Secret;
use weir_identity::{Error, Identity, MailTls, Options, Wanted};
use weir_store::records::PlatformTable;

use super::{is_good, past_grace, refresh, refused, sign_in, wanted, zoe};
use crate::engines::{by, client, fresh, fresh_with, on_both_engines, operator, options, proof};
use crate::mail_server::Place;

on_both_engines! {
    families_end_with_what_they_came_from,
    a_change_of_password_leaves_the_session_that_made_it,
    an_access_token_is_refused_by_itself,
    only_new_revocations_are_read_whatever_clock_they_have,
    what_is_over_is_swept,
    an_owner_hears_of_a_token_that_was_used_twice,
}

async fn families_end_with_what_they_came_from(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let identity = &fresh.identity;
    let own = by(&zoe.user);
    // A session, and what was asked for to outlive it.
    let bound = zoe.issued(&fresh, wanted()).await;
    let offline = Wanted {
        is_offline: true,
        ..wanted()
    };
    let offline = zoe.issued(&fresh, offline).await;
    let session = &zoe.who.session.id;
    identity
        .revoke_session(&own, &zoe.user.id, session)
        .await
        .unwrap();
    assert!(refused(identity, &bound.refresh_token).await);
    let offline = refresh(identity, &offline.refresh_token).await.unwrap();
    settle(identity).await;
    assert!(!is_good(identity, &bound) && is_good(identity, &offline));

    // Membership: only what was for that organization.
    let who = sign_in(&fresh).await;
    let in_acme = identity
        .issue(&client(), &who, zoe.in_acme(""))
        .await
        .unwrap();
    let member = identity.member_of(&zoe.acme, &zoe.user.id).await.unwrap();
    identity
        .remove_member(&operator(), &zoe.acme, &member.id, None)
        .await
        .unwrap();
    settle(identity).await;
    assert!(refused(identity, &in_acme.refresh_token).await);
    assert!(!is_good(identity, &in_acme) && is_good(identity, &offline));

    // One by one, by its owner and by nobody else.
    let family = identity.issue(&client(), &who, wanted()).await.unwrap();
    let stranger = fresh.user("max@a.example").await;
    let as_stranger = by(&stranger);
    let other = identity.revoke_family(&as_stranger, &stranger.id, &family.family);
    assert!(matches!(other.await, Err(Error::Missing(_))));
    assert!(is_good(identity, &family));
    let revoked = identity.revoke_family(&own, &zoe.user.id, &family.family);
    revoked.await.unwrap();
    assert!(refused(identity, &family.refresh_token).await && !is_good(identity, &family));

    // All that somebody has.
    let last = identity.issue(&client(), &who, wanted()).await.unwrap();
    identity
        .suspend_user(&operator(), &zoe.user.id, None, "away")
        .await
        .unwrap();
    settle(identity).await;
    for issued in [&offline, &last] {
        assert!(refused(identity, &issued.refresh_token).await && !is_good(identity, issued));
    }
    identity
        .resume_user(&operator(), &zoe.user.id, None)
        .await
        .unwrap();
    assert!(
        refused(identity, &last.refresh_token).await,
        "it does not come back"
    );
    assert!(
        identity
            .token_families(&zoe.user.id)
            .await
            .unwrap()
            .is_empty()
    );
    identity
        .erase_user(&operator(), &zoe.user.id)
        .await
        .unwrap();
    let rows = PlatformTable::new("refresh_families").rows();
    assert!(fresh.records.all(rows.select()).await.unwrap().is_empty());
}

async fn a_change_of_password_leaves_the_session_that_made_it(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let identity = &fresh.identity;
    let kept = zoe.issued(&fresh, wanted()).await;
    let elsewhere = sign_in(&fresh).await;
    let other = identity
        .issue(&client(), &elsewhere, wanted())
        .await
        .unwrap();
    let offline = Wanted {
        is_offline: true,
        ..wanted()
    };
    let offline = zoe.issued(&fresh, offline).await;
    let password = "another horse battery".into();
    identity
        .change_password(
            &by(&zoe.user),
            &zoe.user.id,
            Some(&zoe.who.session.id),
            &proof(),
            &password,
        )
        .await
        .unwrap();
    settle(identity).await;
    assert!(is_good(identity, &kept));
    refresh(identity, &kept.refresh_token).await.unwrap();
    for issued in [&other, &offline] {
        assert!(refused(identity, &issued.refresh_token).await && !is_good(identity, issued));
    }
}

async fn an_access_token_is_refused_by_itself(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let identity = &fresh.identity;
    let first = zoe.issued(&fresh, wanted()).await;
    let second = refresh(identity, &first.refresh_token).await.unwrap();
    identity
        .revoke_token(&client(), &first.access_token)
        .await
        .unwrap();
    assert!(!is_good(identity, &first) && is_good(identity, &second));
    // Another node, which begins now, knows of it.
    let records = fresh.beside();
    let other = Identity::new(records, options()).unwrap();
    other.prepare().await.unwrap();
    assert!(!is_good(&other, &first) && is_good(&other, &second));
    // Without records, what the process before it had kept.
    let kept = identity.revocations().all.clone();
    let alone = Identity::new(fresh.records.clone(), options()).unwrap();
    alone.recall_revocations(kept);
    assert_eq!(
        alone.revocations().all.len(),
        identity.revocations().all.len()
    );
    // Of a refresh token, the family.
    identity
        .revoke_token(&client(), &second.refresh_token)
        .await
        .unwrap();
    assert!(!is_good(identity, &second));
    assert!(refused(identity, &second.refresh_token).await);
    // What is no token needs no revoking, and says nothing.
    for text in [
        "",
        "a.b.c",
        "weir_refresh_AAAA",
        &format!("weir_refresh_{}", "A".repeat(64)),
    ] {
        let token = Secret::new(text.to_owned());
        identity.revoke_token(&client(), &token).await.unwrap();
    }
}

async fn only_new_revocations_are_read_whatever_clock_they_have(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let identity = &fresh.identity;
    let other = Identity::new(fresh.beside(), options()).unwrap();
    other.prepare().await.unwrap();
    let (first, second) = (
        zoe.issued(&fresh, wanted()).await,
        zoe.issued(&fresh, wanted()).await,
    );
    let own = by(&zoe.user);
    let revoke = |family| identity.revoke_family(&own, &zoe.user.id, family);
    revoke(&first.family).await.unwrap();
    other.refresh_credentials().await.unwrap();
    assert!(!is_good(&other, &first) && is_good(&other, &second));
    // Were all read again, this one would be gone.
    let known = ["family", first.family.as_str()];
    let mut write = fresh.records.write_unaudited().await.unwrap();
    let rows = PlatformTable::new("revocations").rows();
    let gone = write.remove(rows, "kind = ? AND subject = ?", known);
    assert_eq!(gone.await.unwrap(), 1);
    write.commit().await.unwrap();
    // As if a node had made the next one whose clock is an hour behind.
    revoke(&second.family).await.unwrap();
    for table in ["revocations", "credential_changes"] {
        fresh.set_time(table, "created_at", -3_600).await;
    }
    other.refresh_credentials().await.unwrap();
    assert!(!is_good(&other, &second) && !is_good(&other, &first));
    // With nothing new, nothing is read.
    let before = other.revocations();
    other.refresh_credentials().await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&before, &other.revocations()));
}

async fn what_is_over_is_swept(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let first = zoe.issued(&fresh, wanted()).await;
    refresh(&fresh.identity, &first.refresh_token)
        .await
        .unwrap();
    let rows = || PlatformTable::new("refresh_families").rows().select();
    let sealed = async || {
        let rows = fresh.records.all(rows()).await.unwrap();
        rows.iter()
            .any(|row| row.optional_bytes("sealed_successor").unwrap().is_some())
    };
    assert!(sealed().await);
    past_grace(&fresh).await;
    fresh.identity.sweep().await.unwrap();
    assert!(
        !sealed().await,
        "a successor is kept for no longer than its window"
    );
    fresh
        .set_time("refresh_families", "expires_at", -2 * 86_400)
        .await;
    assert!(refused(&fresh.identity, &first.refresh_token).await);
    fresh.identity.sweep().await.unwrap();
    assert!(fresh.records.all(rows()).await.unwrap().is_empty());
}

async fn an_owner_hears_of_a_token_that_was_used_twice(engine: &str) {
    let place = Place::new(MailTls::None, None);
    let options = Options {
        mail: Some(place.options()),
        ..options()
    };
    let fresh = fresh_with(engine, options).await;
    let zoe = zoe(&fresh).await;
    let first = zoe.issued(&fresh, wanted()).await;
    refresh(&fresh.identity, &first.refresh_token)
        .await
        .unwrap();
    past_grace(&fresh).await;
    let outbox = async || {
        let rows = PlatformTable::new("mail_outbox").rows().select();
        fresh.records.all(rows).await.unwrap().len()
    };
    let before = outbox().await;
    assert!(refused(&fresh.identity, &first.refresh_token).await);
    assert!(refused(&fresh.identity, &first.refresh_token).await);
    assert_eq!(
        outbox().await,
        before + 1,
        "one letter, however often it is tried"
    );
}

/// Has a node hear what was committed, as upkeep does.
async fn settle(identity: &Identity) {
    identity.refresh_credentials().await.unwrap();
}
