//! A person is erased: from records and from the audit, of which the chains hold.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use weir_core::{Id, TenantId};
use weir_identity::{BuiltIn, Error, Identity, Listing, User, UserUpdate};
use weir_store::audit::{Actor, Entry, Origin, Subject};
use weir_store::records::{PlatformTable, Scope, Value};

use crate::engines::{
    Fresh, PASSWORD, built_in, by, fresh, on_both_engines, operator, options, sign_in,
};

const KEYS: PlatformTable = PlatformTable::new("idempotency_keys");

on_both_engines! {
    nothing_of_the_person_is_left,
    an_erased_person_can_have_erased_others,
    who_is_in_the_trash_is_erased_as_well,
    answers_are_forgotten_in_batches,
    an_erasure_that_is_refused_forgets_nothing,
    whose_account_is_gone_is_erased_from_the_audit,
    who_never_had_an_account_is_erased_by_address,
    an_address_that_was_only_asked_for_is_not_theirs,
    what_was_interrupted_is_gone_on_with,
    an_address_that_nobody_has_is_told,
    whose_last_owner_it_is_is_named,
    twenty_at_once_are_in_nobodys_way,
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
        .update_user(&operator(), &person.id, None, update)
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
    assert_eq!(certificate.users, std::slice::from_ref(&person.id));
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
            .find(|chain| chain.scope == Scope::of(tenant).name())
            .unwrap();
        for entry in fresh.audit(tenant).await {
            let text = format!("{:?}{:?}", entry.origin, entry.change);
            assert!(!text.contains("\"canary@"), "{entry:?}");
            assert!(!text.contains("moved@"), "{entry:?}");
            let is_erased = entry.erased_by.is_some();
            assert!(entry.erased_by.is_none_or(|by| chain.told_by.contains(&by)));
            assert_eq!(chain.entries.contains(&entry.sequence), is_erased);
            assert_eq!(entry.change.is_none(), is_erased, "{entry:?}");
            erased += usize::from(is_erased);
            if chain.told_by.contains(&entry.sequence) {
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

/// No chain names an address, and each is whole.
async fn is_unknown(fresh: &Fresh, email: &str) -> bool {
    let quoted = format!("\"{email}\"");
    for scope in fresh.records.scopes().await.unwrap() {
        let tenant = match &scope {
            Scope::Platform => TenantId::platform(),
            Scope::Tenant(tenant) => tenant.clone(),
        };
        for entry in fresh.audit(&tenant).await {
            if format!("{:?}{:?}", entry.origin, entry.change).contains(&quoted) {
                return false;
            }
        }
    }
    true
}

async fn whose_account_is_gone_is_erased_from_the_audit(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let platform = TenantId::platform();
    let mut purged = Vec::new();
    for email in ["one@a.example", "two@a.example"] {
        let user = fresh.person(email).await;
        fresh.signed_in(email, PASSWORD).await;
        identity
            .delete_user(&operator(), &user.id, None)
            .await
            .unwrap();
        identity
            .purge_one(&operator(), &platform, &user.id)
            .await
            .unwrap();
        purged.push(user.id);
        assert!(!is_unknown(&fresh, email).await);
    }
    let certificate = identity.erase_user(&operator(), &purged[0]).await.unwrap();
    assert_eq!(certificate.users, purged[..1]);
    let certificate = identity
        .erase_email(&operator(), "Two@a.example")
        .await
        .unwrap();
    assert_eq!(certificate.users, purged[1..]);
    assert_eq!(certificate.rows["users"], 0);
    for email in ["one@a.example", "two@a.example"] {
        assert!(is_unknown(&fresh, email).await, "{email}");
    }
    for id in [&purged[0], &Id::new("usr")] {
        let again = identity.erase_user(&operator(), id).await;
        assert!(matches!(again, Err(Error::Missing("user"))), "{again:?}");
    }
}

async fn who_never_had_an_account_is_erased_by_address(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let email = "canary@a.example";
    let viewer = built_in(BuiltIn::Viewer);
    for email in [email, "xcanary@a.example"] {
        identity
            .invite(&operator(), &acme, email, &viewer)
            .await
            .unwrap();
    }
    // Mistyped at sign-in.
    assert!(sign_in(identity, email, PASSWORD).await.is_err());
    let certificate = identity.erase_email(&operator(), email).await.unwrap();
    assert!(certificate.users.is_empty());
    assert_eq!(certificate.rows["invitations"], 1);
    assert_eq!(certificate.rows["one_time_tokens"], 1);
    assert_eq!(certificate.rows["throttles"], 2);
    let chains: Vec<_> = certificate
        .audit
        .iter()
        .map(|chain| (chain.scope.as_str(), chain.entries.len()))
        .collect();
    assert_eq!(chains, [("platform", 1), (acme.as_str(), 1)]);
    assert!(is_unknown(&fresh, email).await);
    assert!(!is_unknown(&fresh, "xcanary@a.example").await);
    // Of an account, it is the account.
    let user = fresh.person("zoe@a.example").await;
    let certificate = identity
        .erase_email(&operator(), "zoe@a.example")
        .await
        .unwrap();
    assert_eq!(certificate.users, [user.id]);
    assert_eq!(certificate.rows["users"], 1);
    let nobody = identity.erase_email(&operator(), "zoe").await;
    assert!(matches!(nobody, Err(Error::Invalid { field: "email", .. })));
}

async fn an_address_that_was_only_asked_for_is_not_theirs(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let user = fresh.person("zoe@a.example").await;
    // As a change that waits for its link is told.
    let write = fresh.records.write(&Scope::Platform).await.unwrap();
    let mut entry = named(&user.id);
    entry.action = "email.change_request";
    entry
        .change
        .after
        .insert("email".to_owned(), json!("other@a.example"));
    write.commit(&Scope::Platform, &entry).await.unwrap();
    let viewer = built_in(BuiltIn::Viewer);
    identity
        .invite(&operator(), &acme, "other@a.example", &viewer)
        .await
        .unwrap();
    let certificate = identity.erase_user(&operator(), &user.id).await.unwrap();
    assert_eq!(certificate.rows["invitations"], 0);
    let invited = identity
        .invitations(&acme, Some("other@"), &Listing::default())
        .await;
    assert_eq!(invited.unwrap().items.len(), 1);
}

fn named(user: &Id) -> Entry {
    Entry {
        actor: Actor::User(user.clone()),
        origin: Origin {
            name: Some("canary@a.example".to_owned()),
            ..Origin::default()
        },
        action: "test.act",
        subject: Subject {
            kind: "user",
            id: Some(user.clone()),
        },
        change: Default::default(),
        request_id: None,
        once: None,
    }
}

async fn what_was_interrupted_is_gone_on_with(engine: &str) {
    let fresh = fresh(engine).await;
    let user = fresh.person("canary@a.example").await;
    let acme = fresh.organization("acme").await;
    for scope in [Scope::Platform, Scope::of(&acme)] {
        let mut write = fresh.records.write(&scope).await.unwrap();
        for _ in 0..4_000 {
            write.tell(&scope, &named(&user.id)).await.unwrap();
        }
        write.commit(&scope, &named(&user.id)).await.unwrap();
    }
    let erasures = PlatformTable::new("erasures").rows();
    let under_way = async || {
        let rows = fresh.records.all(erasures.select()).await.unwrap();
        rows.first().map(|row| row.int("version").unwrap())
    };
    let mut erasing = tokio::task::JoinSet::new();
    let (identity, id) = (fresh.identity.clone(), user.id.clone());
    erasing.spawn(async move { identity.erase_user(&operator(), &id).await });
    // Once something of it is written down, its process ends.
    while under_way().await.is_none_or(|version| version < 3) {
        assert!(erasing.try_join_next().is_none(), "it was too fast");
        tokio::task::yield_now().await;
    }
    erasing.shutdown().await;
    assert!(under_way().await.is_some(), "it was too fast");
    // What names the person while it waits is sealed.
    let row = fresh.records.first(erasures.select()).await.unwrap();
    let sealed = row.unwrap().bytes("sealed_state").unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("canary"));
    let other = Identity::new(fresh.records.clone(), options()).unwrap();
    let busy = other.erase_user(&operator(), &user.id).await;
    assert!(matches!(busy, Err(Error::Conflict(_))), "{busy:?}");
    assert_eq!(other.resume_erasures().await.unwrap(), 0);
    fresh.set_time("erasures", "leased_until", -120).await;
    assert_eq!(other.resume_erasures().await.unwrap(), 1);
    assert_eq!(under_way().await, None);
    assert_eq!(other.resume_erasures().await.unwrap(), 0);
    for scope in [Scope::Platform, Scope::of(&acme)] {
        let verified = fresh.records.verify_audit(&scope, |_| ()).await;
        assert!(verified.unwrap().unwrap().entries > 4_000);
        let left = weir_store::audit::Person {
            ids: vec![user.id.clone()],
            emails: vec!["canary@a.example".to_owned()],
        };
        let (mut at, mut clean) = (-1, 0);
        while clean > at {
            at = clean;
            let next = fresh.records.skip_unnamed(&scope, &left, at).await;
            clean = next.unwrap();
        }
        assert!(clean > 4_000, "{clean}");
    }
    let told = fresh.actions_latest(&TenantId::platform()).await;
    assert_eq!(told.first().map(String::as_str), Some("user.erase"));
}

async fn an_address_that_nobody_has_is_told(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    keep_answers(&fresh, 3).await;
    let before = fresh.audit(&TenantId::platform()).await.len();
    let nobody = identity.erase_email(&operator(), "grece@a.example").await;
    assert!(
        matches!(nobody, Err(Error::Missing("person"))),
        "{nobody:?}"
    );
    // Nothing was done, and nothing told.
    assert_eq!(kept_answers(&fresh).await, 3);
    assert_eq!(fresh.audit(&TenantId::platform()).await.len(), before);
    // Only an organization's audit still knows this one.
    let viewer = built_in(BuiltIn::Viewer);
    let invitation = identity
        .invite(&operator(), &acme, "grace@a.example", &viewer)
        .await
        .unwrap()
        .invitation
        .id;
    let mut write = fresh.records.write_unaudited().await.unwrap();
    for (table, column) in [
        ("one_time_tokens", "invitation_id = ?"),
        ("invitations", "id = ?"),
    ] {
        let rows = PlatformTable::new(table).rows();
        assert_eq!(write.remove(rows, column, [&invitation]).await.unwrap(), 1);
    }
    write.commit().await.unwrap();
    let certificate = identity.erase_email(&operator(), "grace@a.example").await;
    let certificate = certificate.unwrap();
    assert_eq!(certificate.users, []);
    let chains: Vec<_> = certificate
        .audit
        .iter()
        .map(|chain| &*chain.scope)
        .collect();
    assert_eq!(chains, [acme.as_str()]);
    let again = identity.erase_email(&operator(), "grace@a.example").await;
    assert!(matches!(again, Err(Error::Missing("person"))), "{again:?}");
}

async fn whose_last_owner_it_is_is_named(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let globex = fresh.organization("globex").await;
    let (owner, _) = fresh
        .member(&globex, "owner@a.example", BuiltIn::Owner)
        .await;
    let join = async |slug: &str, user: &User| {
        let organization = fresh.organization(slug).await;
        let role = built_in(BuiltIn::Owner);
        identity
            .add_member(&operator(), &organization, &user.id, &role)
            .await
            .unwrap();
        organization
    };
    join("acme", &owner).await;
    let shared = join("shared", &owner).await;
    let second = fresh.user("second@a.example").await;
    let role = built_in(BuiltIn::Owner);
    identity
        .add_member(&operator(), &shared, &second.id, &role)
        .await
        .unwrap();
    for refused in [
        identity.erase_user(&operator(), &owner.id).await,
        identity.erase_email(&operator(), "owner@a.example").await,
    ] {
        let error = refused.unwrap_err();
        assert_eq!(
            error.to_string(),
            "this is the last owner of `acme`, `globex`: somebody else must be owner there first"
        );
    }
    assert_eq!(identity.user(&owner.id).await.unwrap(), owner);
}

/// Each is in some of the same organizations, and invited to the others.
async fn twenty_at_once_are_in_nobodys_way(engine: &str) {
    let fresh = fresh(engine).await;
    let viewer = built_in(BuiltIn::Viewer);
    let mut shared = Vec::new();
    for number in 0..4 {
        shared.push(fresh.organization(&format!("shared-{number}")).await);
    }
    let mut people = Vec::new();
    for number in 0..20_usize {
        let email = format!("person-{number}@a.example");
        let user = fresh.person(&email).await;
        fresh.signed_in(&email, PASSWORD).await;
        assert!(sign_in(&fresh.identity, &email, "a guess").await.is_err());
        for (at, organization) in shared.iter().enumerate() {
            let identity = &fresh.identity;
            // Of every two, one is a member where the other one is invited.
            if (at + number) % 2 == 0 {
                identity
                    .add_member(&operator(), organization, &user.id, &viewer)
                    .await
                    .unwrap();
            } else {
                identity
                    .invite(&operator(), organization, &email, &viewer)
                    .await
                    .unwrap();
            }
        }
        people.push(user);
    }
    keep_answers(&fresh, 3_000).await;

    // Upkeep, and what goes on in the organizations meanwhile.
    let mut others = tokio::task::JoinSet::new();
    let identity = fresh.identity.clone();
    others.spawn(async move {
        loop {
            identity.flush_activity().await.unwrap();
            identity.sweep().await.unwrap();
        }
    });
    let (identity, organizations) = (fresh.identity.clone(), shared.clone());
    others.spawn(async move {
        for number in 0.. {
            for organization in &organizations {
                let email = format!("new-{number}@a.example");
                let viewer = built_in(BuiltIn::Viewer);
                identity
                    .invite(&operator(), organization, &email, &viewer)
                    .await
                    .unwrap();
            }
        }
    });
    let mut erasing = tokio::task::JoinSet::new();
    for user in &people {
        let (identity, id) = (fresh.identity.clone(), user.id.clone());
        erasing.spawn(async move { identity.erase_user(&operator(), &id).await });
    }
    let certificates = erasing.join_all().await;
    assert!(others.try_join_next().is_none(), "the others go on");
    others.shutdown().await;
    let mut answers = 0;
    for certificate in certificates {
        let certificate = certificate.unwrap();
        let counts = ["users", "memberships", "invitations", "sessions"];
        let counts = counts.map(|table| certificate.rows[table]);
        assert_eq!(counts, [1, 2, 2, 1]);
        answers += certificate.rows["answers"];
    }
    // Each was forgotten once, by whoever came first.
    assert_eq!(answers, 3_000);
    assert_eq!(kept_answers(&fresh).await, 0);
    for user in &people {
        assert!(is_unknown(&fresh, &user.email).await, "{}", user.email);
    }
}

/// Whoever goes on in one of its organizations is waited for without holding up another one.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_takes_organizations_up_in_one_order() {
    let fresh = fresh("postgres").await;
    let mut both = [
        fresh.organization("one").await,
        fresh.organization("two").await,
    ];
    both.sort_unstable();
    let [first, second] = &both;
    let viewer = built_in(BuiltIn::Viewer);
    let (user, _) = fresh
        .member(second, "person@a.example", BuiltIn::Viewer)
        .await;
    fresh
        .identity
        .invite(&operator(), first, "person@a.example", &viewer)
        .await
        .unwrap();
    let busy = fresh.records.write(&Scope::of(first)).await.unwrap();
    let (identity, id) = (fresh.identity.clone(), user.id.clone());
    let mut erasing = tokio::task::JoinSet::new();
    erasing.spawn(async move { identity.erase_user(&operator(), &id).await });
    // It has begun once it holds the platform.
    let a_moment = Duration::from_millis(300);
    while let Ok(free) = timeout(a_moment, fresh.records.write(&Scope::Platform)).await {
        drop(free.unwrap());
    }
    let scope = Scope::of(second);
    let other = timeout(Duration::from_secs(10), fresh.records.write(&scope)).await;
    drop(other.expect("the other organization is free").unwrap());
    drop(busy);
    erasing.join_all().await.remove(0).unwrap();
}

/// What the engine keeps is more than what it answers.
#[tokio::test(flavor = "multi_thread")]
async fn the_files_do_not_have_the_person_either() {
    let fresh = fresh("sqlite").await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let email = "a-canary-that-stands-nowhere-else@a.example";
    // Others before and after, so that pages are shared.
    for number in 0..200 {
        fresh.user(&format!("before{number}@a.example")).await;
    }
    let user = fresh.person(email).await;
    let viewer = built_in(BuiltIn::Viewer);
    let gone = identity
        .invite(&operator(), &acme, email, &viewer)
        .await
        .unwrap();
    identity
        .revoke_invitation(&operator(), &acme, &gone.invitation.id, None)
        .await
        .unwrap();
    identity
        .add_member(&operator(), &acme, &user.id, &viewer)
        .await
        .unwrap();
    fresh.signed_in(email, PASSWORD).await;
    assert!(sign_in(identity, email, "a guess").await.is_err());
    for number in 0..200 {
        fresh.user(&format!("after{number}@a.example")).await;
    }
    let stands = || {
        fresh
            .bytes()
            .windows(email.len())
            .filter(|window| *window == email.as_bytes())
            .count()
    };
    assert!(stands() > 0);
    identity.erase_user(&operator(), &user.id).await.unwrap();
    assert_eq!(stands(), 0);
    // Somebody who reads what was before is not waited for: it is done once they have gone.
    let other = "another-canary-of-its-own@a.example";
    let user = fresh.person(other).await;
    let mut read = fresh.records.read().await.unwrap();
    let users = PlatformTable::new("users").rows();
    read.all(users.select().limit(1)).await.unwrap();
    identity.erase_user(&operator(), &user.id).await.unwrap();
    drop(read);
    identity.resume_erasures().await.unwrap();
    let bytes = fresh.bytes();
    assert!(
        !bytes
            .windows(other.len())
            .any(|window| window == other.as_bytes())
    );
}
