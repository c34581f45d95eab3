//! API keys: what they open, for whom, until when.

use std::time::Duration;

use jiff::Timestamp;
use weir_core::{ApiKeyText, Id, TenantId};
use weir_identity::{
    ApiKeyUpdate, BuiltIn, Caller, CredentialKind, Error, Expiry, Identity, KeyOwner, KeyRefusal,
    MadeApiKey, NewApiKey, Permission, Permissions, Settings, UserUpdate,
};
use weir_store::audit::Actor;
use weir_store::records::TenantTable;

use crate::engines::{Fresh, built_in, by, fresh, on_both_engines, operator};

on_both_engines! {
    a_key_is_told_once_and_found_by_its_public_part,
    what_is_not_the_key_opens_nothing,
    nobody_makes_a_key_with_more_than_they_have,
    a_key_never_does_more_than_its_owner_can,
    whoever_leaves_takes_their_keys_along,
    a_suspended_organization_has_no_keys,
    a_key_ends_when_it_was_to,
    a_key_is_replaced_while_it_still_works,
    a_revoked_key_never_works_again,
    a_key_can_only_be_made_less,
    being_used_is_written_down_in_batches,
    there_are_no_more_than_the_limit_allows,
    a_key_does_not_decide_on_its_owner,
    an_erased_persons_keys_are_gone,
    keys_are_listed_page_by_page,
}

const DAY: Duration = Duration::from_secs(86_400);

fn rights(permissions: &[Permission]) -> Permissions {
    permissions.iter().copied().collect()
}

fn new(name: &str, permissions: &[Permission], scopes: &[&str]) -> NewApiKey {
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    NewApiKey {
        name: name.to_owned(),
        permissions: rights(permissions),
        scopes: scopes.try_into().unwrap(),
        expires_at: Expiry::Usual,
    }
}

/// An organization's own key.
async fn service_key(identity: &Identity, tenant: &TenantId, name: &str) -> MadeApiKey {
    let new = new(name, &[Permission::RouteRead], &["catalog:read"]);
    identity
        .create_api_key(&operator(), tenant, KeyOwner::Organization, new)
        .await
        .unwrap()
}

async fn works(identity: &Identity, made: &MadeApiKey) -> bool {
    let holder = identity.authenticate_key(made.text.expose(), None).await;
    holder.unwrap().is_some()
}

async fn refused(identity: &Identity, made: &MadeApiKey) -> Option<KeyRefusal> {
    let text = ApiKeyText::parse(made.text.expose()).unwrap();
    let holder = identity.find_api_key(text.public_part()).await.unwrap();
    holder.unwrap().check(Timestamp::now()).err()
}

/// Moves a point in time of all keys, as if time had passed.
async fn set_time(fresh: &Fresh, tenant: &TenantId, column: &'static str, by: i64) {
    let rows = TenantTable::new("api_keys");
    let rows = rows.of(tenant);
    for row in fresh.records.all(rows.select()).await.unwrap() {
        let mut write = fresh.records.write_unaudited().await.unwrap();
        let time = row.int(column).unwrap() + by * 1_000_000;
        let id = row.id("id").unwrap();
        write
            .update(rows, &id, None, [(column, time.into())])
            .await
            .unwrap();
        write.commit().await.unwrap();
    }
}

async fn a_key_is_told_once_and_found_by_its_public_part(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let made = service_key(identity, &acme, "import").await;
    let text = made.text.expose();
    let shown = ApiKeyText::parse(text).unwrap();
    let holder = identity.find_api_key(shown.public_part()).await.unwrap();
    let holder = holder.unwrap();
    assert!(shown.is_of(&holder.hash));
    assert_eq!((&holder.id, &holder.tenant), (&made.key.id, &acme));
    assert_eq!(holder.permissions, rights(&[Permission::RouteRead]));
    assert!(holder.scopes.has("catalog:read"));
    assert_eq!(holder.rights_in(&acme), holder.permissions);
    assert_eq!(holder.rights_in(&TenantId::generate()), Default::default());
    assert_eq!(holder.check(Timestamp::now()), Ok(()));
    // Neither lists nor the audit nor any table has the key itself.
    let key = identity.api_key(&acme, &made.key.id).await.unwrap();
    assert_eq!(key, made.key);
    let secret = &text[text.len() - 39..];
    assert!(!serde_json::to_string(&key).unwrap().contains(secret));
    let told = format!("{:?}", fresh.audit(&acme).await);
    assert!(told.contains("api_key.create") && !told.contains(secret));
    if engine == "sqlite" {
        let bytes = fresh.bytes();
        let has = |needle: &str| {
            let mut windows = bytes.windows(needle.len());
            windows.any(|window| window == needle.as_bytes())
        };
        assert!(has(shown.public_part()) && !has(secret));
    }
}

async fn what_is_not_the_key_opens_nothing(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let made = service_key(identity, &acme, "import").await;
    let text = made.text.expose();
    let public_part = ApiKeyText::parse(text).unwrap().public_part();
    // The right public part, and a checksum that holds, with another secret.
    let public = public_part.bytes().fold(0_u64, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            _ => byte - b'a' + 36,
        };
        number * 62 + u64::from(digit)
    });
    let forged = ApiKeyText::compose(public, [1, 2, 3]);
    assert_eq!(
        ApiKeyText::parse(forged.expose()).unwrap().public_part(),
        public_part
    );
    let unknown = ApiKeyText::compose(1, [1, 2, 3]);
    let mistyped = format!("{}0", &text[..text.len() - 1]);
    let long = "weir_key_".repeat(10_000);
    for bad in [
        forged.expose().as_str(),
        unknown.expose(),
        if mistyped == *text { "" } else { &mistyped },
        &text[1..],
        &format!("{text} "),
        &format!("{text}\0"),
        "' OR 1=1 --",
        &long,
    ] {
        let holder = identity.authenticate_key(bad, None).await.unwrap();
        assert!(holder.is_none(), "{bad}");
    }
    for bad in ["", "' OR 1=1 --", "%", &public_part[1..]] {
        let holder = identity.find_api_key(bad).await.unwrap();
        assert!(holder.is_none(), "{bad}");
    }
}

async fn nobody_makes_a_key_with_more_than_they_have(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (admin, _) = fresh.member(&acme, "admin@a.example", BuiltIn::Admin).await;
    let (viewer, _) = fresh
        .member(&acme, "viewer@a.example", BuiltIn::Viewer)
        .await;
    let stranger = fresh.user("stranger@a.example").await;
    let make = async |caller: &Caller, owner: KeyOwner<'_>, new: NewApiKey| {
        identity.create_api_key(caller, &acme, owner, new).await
    };
    let own = KeyOwner::Organization;
    // No right that one does not have; not even an administrator gives the owner's.
    for (caller, right) in [
        (&by(&admin), Permission::OrganizationDelete),
        (&by(&viewer), Permission::RouteWrite),
        (&by(&stranger), Permission::RouteRead),
    ] {
        let made = make(caller, own, new("a", &[right], &[])).await;
        assert!(matches!(made, Err(Error::Forbidden(_))), "{right}");
    }
    make(
        &by(&admin),
        own,
        new("a", &[Permission::RouteWrite], &["catalog:write"]),
    )
    .await
    .unwrap();
    // Scopes are for those to give who may write keys.
    let viewers = KeyOwner::Member(&viewer.id);
    let scoped = make(&by(&viewer), viewers, new("a", &[], &["catalog:write"])).await;
    assert!(matches!(scoped, Err(Error::Forbidden(_))));
    make(
        &by(&viewer),
        viewers,
        new("a", &[Permission::RouteRead], &[]),
    )
    .await
    .unwrap();
    // A key of somebody else's would be somebody else.
    for caller in [&by(&admin), &operator(), &Caller::system()] {
        let made = make(caller, viewers, new("a", &[], &[])).await;
        assert!(matches!(made, Err(Error::Forbidden(_))));
    }
    let strangers = make(
        &by(&stranger),
        KeyOwner::Member(&stranger.id),
        new("a", &[], &[]),
    )
    .await;
    assert!(matches!(strangers, Err(Error::Missing(_))));
    // What only means something to the platform's members is none of an organization's.
    let platform = make(&operator(), own, new("a", &[Permission::UserRead], &[])).await;
    assert!(matches!(
        platform,
        Err(Error::Invalid {
            field: "permissions",
            ..
        })
    ));
}

async fn a_key_never_does_more_than_its_owner_can(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (zoe, member) = fresh.member(&acme, "zoe@a.example", BuiltIn::Admin).await;
    let all = new(
        "all",
        &[Permission::RouteRead, Permission::RouteWrite],
        &["catalog:write"],
    );
    let made = identity
        .create_api_key(&by(&zoe), &acme, KeyOwner::Member(&zoe.id), all)
        .await
        .unwrap();
    let holder = async || {
        let holder = identity.authenticate_key(made.text.expose(), None).await;
        holder.unwrap().unwrap()
    };
    let caller = Caller {
        actor: Actor::ApiKey(made.key.id.clone()),
        ..Caller::system()
    };
    let before = holder().await;
    assert!(before.permissions.has(Permission::RouteWrite) && before.scopes.has("catalog:write"));
    let seen = identity.latest_change().await.unwrap();
    identity
        .set_member_role(
            &operator(),
            &acme,
            &member,
            None,
            &built_in(BuiltIn::Viewer),
        )
        .await
        .unwrap();
    let after = holder().await;
    assert_eq!(after.permissions, rights(&[Permission::RouteRead]));
    assert!(after.scopes.is_empty());
    let present = identity.permissions(&caller, &acme).await.unwrap();
    assert_eq!(present, after.permissions);
    // Nodes that kept what the key could do hear of it.
    let changes = identity.changes_since(seen).await.unwrap();
    assert!(
        changes
            .iter()
            .any(|change| change.kind == CredentialKind::User && change.subject == zoe.id.as_str())
    );
}

async fn whoever_leaves_takes_their_keys_along(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    fresh.member(&acme, "owner@a.example", BuiltIn::Owner).await;
    let (zoe, member) = fresh.member(&acme, "zoe@a.example", BuiltIn::Admin).await;
    let made = identity
        .create_api_key(
            &by(&zoe),
            &acme,
            KeyOwner::Member(&zoe.id),
            new("own", &[], &[]),
        )
        .await
        .unwrap();
    let services = identity
        .create_api_key(
            &by(&zoe),
            &acme,
            KeyOwner::Organization,
            new("service", &[], &[]),
        )
        .await
        .unwrap();
    assert!(works(identity, &made).await);
    identity
        .suspend_user(&operator(), &zoe.id, None, "away")
        .await
        .unwrap();
    assert_eq!(refused(identity, &made).await, Some(KeyRefusal::Owner));
    assert!(!works(identity, &made).await);
    identity
        .resume_user(&operator(), &zoe.id, None)
        .await
        .unwrap();
    assert!(works(identity, &made).await);
    identity
        .delete_user(&operator(), &zoe.id, None)
        .await
        .unwrap();
    assert!(!works(identity, &made).await);
    identity.restore_user(&operator(), &zoe.id).await.unwrap();
    assert!(works(identity, &made).await);
    // Who comes back as a member later has to make new ones.
    identity
        .remove_member(&operator(), &acme, &member, None)
        .await
        .unwrap();
    assert!(!works(identity, &made).await);
    identity
        .add_member(&operator(), &acme, &zoe.id, &built_in(BuiltIn::Admin))
        .await
        .unwrap();
    assert_eq!(refused(identity, &made).await, Some(KeyRefusal::Revoked));
    // The organization's own stays.
    assert!(works(identity, &services).await);
}

async fn a_suspended_organization_has_no_keys(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let made = service_key(identity, &acme, "import").await;
    identity
        .suspend_organization(&operator(), &acme, None, "unpaid")
        .await
        .unwrap();
    assert_eq!(
        refused(identity, &made).await,
        Some(KeyRefusal::Organization)
    );
    assert!(!works(identity, &made).await);
    identity
        .resume_organization(&operator(), &acme, None)
        .await
        .unwrap();
    assert!(works(identity, &made).await);
    identity
        .delete_organization(&operator(), &acme, None)
        .await
        .unwrap();
    assert!(!works(identity, &made).await);
    identity
        .restore_organization(&operator(), &acme)
        .await
        .unwrap();
    assert!(works(identity, &made).await);
}

async fn a_key_ends_when_it_was_to(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let make = async |expires_at: Expiry| {
        let new = NewApiKey {
            expires_at,
            ..new("a", &[], &[])
        };
        identity
            .create_api_key(&operator(), &acme, KeyOwner::Organization, new)
            .await
    };
    let usual = make(Expiry::Usual).await.unwrap();
    assert_eq!(usual.key.expires_at, Some(usual.key.created_at + 365 * DAY));
    set_time(&fresh, &acme, "expires_at", -365 * 86_400 + 60).await;
    assert!(works(identity, &usual).await);
    set_time(&fresh, &acme, "expires_at", -61).await;
    assert_eq!(refused(identity, &usual).await, Some(KeyRefusal::Expired));
    assert!(!works(identity, &usual).await);
    let never = make(Expiry::Never).await.unwrap();
    assert_eq!(never.key.expires_at, None);
    assert!(works(identity, &never).await);
    let past = make(Expiry::At(Timestamp::now())).await;
    assert!(matches!(
        past,
        Err(Error::Invalid {
            field: "expires_at",
            ..
        })
    ));
}

async fn a_key_is_replaced_while_it_still_works(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (editor, _) = fresh
        .member(&acme, "editor@a.example", BuiltIn::Editor)
        .await;
    let made = service_key(identity, &acme, "import").await;
    let rotate = async |id: &Id, caller: &Caller, overlap: Duration| {
        identity
            .rotate_api_key(caller, &acme, id, None, overlap)
            .await
    };
    let id = &made.key.id;
    let too_long = rotate(id, &operator(), 30 * DAY + Duration::from_secs(1)).await;
    assert!(matches!(
        too_long,
        Err(Error::Invalid {
            field: "overlap",
            ..
        })
    ));
    // Nobody comes by scopes that they may not give by having a key replaced.
    let without = rotate(id, &by(&editor), DAY).await;
    assert!(matches!(without, Err(Error::Forbidden(_))));

    let seen = identity.latest_change().await.unwrap();
    let rotated = rotate(id, &operator(), DAY).await.unwrap();
    assert!(works(identity, &made).await && works(identity, &rotated.new).await);
    assert_eq!(
        rotated.former.replaced_by.as_ref(),
        Some(&rotated.new.key.id)
    );
    assert_eq!(rotated.new.key.scopes, made.key.scopes);
    let lifetime = |made: &MadeApiKey| {
        let end = made.key.expires_at.unwrap();
        end.duration_since(made.key.created_at)
    };
    assert_eq!(lifetime(&rotated.new), lifetime(&made));
    let changes = identity.changes_since(seen).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].kind, CredentialKind::ApiKey);
    assert_eq!(changes[0].subject, id.as_str());
    assert_eq!(fresh.actions(&acme).await.last().unwrap(), "api_key.rotate");

    let again = rotate(id, &operator(), DAY).await;
    assert!(matches!(again, Err(Error::Conflict(_))));
    set_time(&fresh, &acme, "expires_at", -86_400).await;
    assert!(!works(identity, &made).await && works(identity, &rotated.new).await);
    // An overlap of nothing ends the former at once, and never makes a key live longer.
    let second = rotate(&rotated.new.key.id, &operator(), Duration::ZERO).await;
    assert!(works(identity, &second.unwrap().new).await);
    assert!(!works(identity, &rotated.new).await);
    let over = rotate(&made.key.id, &operator(), DAY).await;
    assert!(matches!(over, Err(Error::Conflict(_))));
}

async fn a_revoked_key_never_works_again(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let (acme, other) = (
        fresh.organization("acme").await,
        fresh.organization("other").await,
    );
    let made = service_key(identity, &acme, "import").await;
    let id = &made.key.id;
    let elsewhere = identity.revoke_api_key(&operator(), &other, id, None).await;
    assert!(matches!(elsewhere, Err(Error::Missing(_))));
    assert!(works(identity, &made).await);
    let seen = identity.latest_change().await.unwrap();
    let revoked = identity.revoke_api_key(&operator(), &acme, id, None).await;
    let revoked = revoked.unwrap();
    assert!(!works(identity, &made).await);
    let again = identity.revoke_api_key(&operator(), &acme, id, None).await;
    assert_eq!(again.unwrap().revoked_at, revoked.revoked_at);
    let changes = identity.changes_since(seen).await.unwrap();
    assert!(changes.iter().all(|change| change.subject == id.as_str()));
    assert_eq!(changes.len(), 2);

    let second = service_key(identity, &acme, "export").await;
    let id = &second.key.id;
    identity
        .delete_api_key(&operator(), &acme, id, None)
        .await
        .unwrap();
    assert!(!works(identity, &second).await);
    let trash = identity.trash(&acme, &Default::default()).await.unwrap();
    assert_eq!(trash.items[0].kind, "api_key");
    assert_eq!(trash.items[0].name.as_deref(), Some("export"));
    identity.restore(&operator(), &acme, id).await.unwrap();
    assert!(
        identity
            .api_key(&acme, id)
            .await
            .unwrap()
            .revoked_at
            .is_some()
    );
    assert_eq!(refused(identity, &second).await, Some(KeyRefusal::Revoked));
    identity
        .delete_api_key(&operator(), &acme, id, None)
        .await
        .unwrap();
    identity.purge_one(&operator(), &acme, id).await.unwrap();
    let public_part = ApiKeyText::parse(second.text.expose()).unwrap();
    let found = identity.find_api_key(public_part.public_part()).await;
    assert_eq!(found.unwrap(), None);
}

async fn a_key_can_only_be_made_less(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let made = service_key(identity, &acme, "import").await;
    let update = async |update: ApiKeyUpdate, expected: Option<i64>| {
        identity
            .update_api_key(&operator(), &acme, &made.key.id, expected, update)
            .await
    };
    for more in [
        ApiKeyUpdate {
            permissions: Some(rights(&[Permission::RouteRead, Permission::RouteWrite])),
            ..Default::default()
        },
        ApiKeyUpdate {
            scopes: Some(vec!["catalog:write".to_owned()].try_into().unwrap()),
            ..Default::default()
        },
    ] {
        assert!(matches!(
            update(more, None).await,
            Err(Error::Invalid { .. })
        ));
    }
    let less = ApiKeyUpdate {
        name: Some("nightly".to_owned()),
        permissions: Some(rights(&[])),
        scopes: None,
    };
    let key = update(less.clone(), Some(1)).await.unwrap();
    assert_eq!(key.name, "nightly");
    assert_eq!(key.scopes, made.key.scopes);
    let holder = identity.authenticate_key(made.text.expose(), None).await;
    assert_eq!(holder.unwrap().unwrap().permissions, Permissions::default());
    assert!(matches!(
        update(less, Some(1)).await,
        Err(Error::Stale { version: 2 })
    ));
}

async fn being_used_is_written_down_in_batches(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let made = service_key(identity, &acme, "import").await;
    let text = made.text.expose();
    let address = Some("198.51.100.7");
    identity
        .authenticate_key(text, address)
        .await
        .unwrap()
        .unwrap();
    let key = async || identity.api_key(&acme, &made.key.id).await.unwrap();
    assert_eq!(key().await.last_used_at, None);
    let audited = fresh.actions(&acme).await.len();
    identity.flush_key_activity().await.unwrap();
    let used = key().await;
    assert!(used.last_used_at.is_some());
    assert_eq!(used.last_used_address.as_deref(), address);
    // Nobody's change fails for it, and nobody is told.
    assert_eq!(used.version, made.key.version);
    assert_eq!(fresh.actions(&acme).await.len(), audited);
    // What another node saw later stays.
    let earlier = used.last_used_at.unwrap() - Duration::from_secs(1);
    identity.note_key_used(&acme, &made.key.id, Some("192.0.2.1"), earlier);
    identity.flush_key_activity().await.unwrap();
    assert_eq!(key().await, used);
}

async fn there_are_no_more_than_the_limit_allows(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let mut settings = Settings::default();
    settings.limits.api_keys = Some(2);
    let update = weir_identity::OrganizationUpdate {
        settings: Some(settings),
        ..Default::default()
    };
    identity
        .update_organization(&operator(), &acme, None, update)
        .await
        .unwrap();
    let first = service_key(identity, &acme, "first").await;
    service_key(identity, &acme, "second").await;
    let third = async || {
        let new = new("third", &[], &[]);
        identity
            .create_api_key(&operator(), &acme, KeyOwner::Organization, new)
            .await
    };
    assert!(matches!(third().await, Err(Error::Conflict(_))));
    // One that does not work any more does not count.
    identity
        .revoke_api_key(&operator(), &acme, &first.key.id, None)
        .await
        .unwrap();
    third().await.unwrap();

    let other = fresh.organization("other").await;
    let (zoe, _) = fresh.member(&other, "zoe@a.example", BuiltIn::Viewer).await;
    let own = async || {
        let owner = KeyOwner::Member(&zoe.id);
        let new = new("own", &[], &[]);
        identity.create_api_key(&by(&zoe), &other, owner, new).await
    };
    for _ in 0..50 {
        own().await.unwrap();
    }
    assert!(matches!(own().await, Err(Error::Conflict(_))));
}

async fn a_key_does_not_decide_on_its_owner(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let platform = TenantId::platform();
    let (root, _) = fresh
        .member(&platform, "root@a.example", BuiltIn::Owner)
        .await;
    let everything = NewApiKey {
        permissions: Permissions::all(),
        ..new("all", &[], &[])
    };
    let owner = KeyOwner::Member(&root.id);
    let made = identity
        .create_api_key(&by(&root), &platform, owner, everything)
        .await
        .unwrap();
    let key = Caller {
        actor: Actor::ApiKey(made.key.id.clone()),
        ..Caller::system()
    };
    let other_address = UserUpdate {
        email: Some("thief@b.example".to_owned()),
        ..Default::default()
    };
    // Otherwise whoever steals a key has the account, and all that it may ever do.
    let stolen = identity
        .update_user(&key, &root.id, None, other_address.clone())
        .await;
    assert!(matches!(stolen, Err(Error::Forbidden(_))));
    assert!(matches!(
        identity.issue_reset(&key, &root.id).await,
        Err(Error::Forbidden(_))
    ));
    // On others with no more rights it decides as its owner would.
    let zoe = fresh.user("zoe@a.example").await;
    identity
        .update_user(&key, &zoe.id, None, other_address)
        .await
        .unwrap();
    let entry = fresh.audit(&platform).await.pop().unwrap();
    assert_eq!(
        (entry.action.as_str(), entry.actor_kind.as_str()),
        ("user.update", "api_key")
    );
    // A revoked one decides on nobody.
    identity
        .revoke_api_key(&operator(), &platform, &made.key.id, None)
        .await
        .unwrap();
    assert_eq!(
        identity.permissions(&key, &platform).await.unwrap(),
        Permissions::default()
    );
}

async fn an_erased_persons_keys_are_gone(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    fresh.member(&acme, "owner@a.example", BuiltIn::Owner).await;
    let (zoe, _) = fresh.member(&acme, "zoe@a.example", BuiltIn::Admin).await;
    let owner = KeyOwner::Member(&zoe.id);
    let made = identity
        .create_api_key(
            &by(&zoe),
            &acme,
            owner,
            new("laptop of zoe", &[Permission::RoleWrite], &[]),
        )
        .await
        .unwrap();
    // What was done with it names where the person was.
    let mut key = Caller {
        actor: Actor::ApiKey(made.key.id.clone()),
        ..Caller::system()
    };
    key.origin.address = Some("203.0.113.9".to_owned());
    let role = weir_identity::NewRole {
        name: "releaser".to_owned(),
        description: String::new(),
        permissions: Permissions::default(),
    };
    identity.create_role(&key, &acme, role).await.unwrap();
    let seen = identity.latest_change().await.unwrap();
    let certificate = identity.erase_user(&operator(), &zoe.id).await.unwrap();
    assert_eq!(certificate.users, [zoe.id.clone()]);
    assert_eq!(certificate.rows["api_keys"], 1);
    assert!(!works(identity, &made).await);
    let told = format!("{:?}", fresh.audit(&acme).await);
    assert!(
        !told.contains("203.0.113.9") && !told.contains("laptop of zoe"),
        "{told}"
    );
    let changes = identity.changes_since(seen).await.unwrap();
    assert!(
        changes
            .iter()
            .any(|change| change.subject == zoe.id.as_str())
    );
}

async fn keys_are_listed_page_by_page(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let other = fresh.organization("other").await;
    let (zoe, _) = fresh.member(&acme, "zoe@a.example", BuiltIn::Admin).await;
    for name in ["b", "a", "c"] {
        service_key(identity, &acme, name).await;
    }
    service_key(identity, &other, "elsewhere").await;
    let own = KeyOwner::Member(&zoe.id);
    identity
        .create_api_key(&by(&zoe), &acme, own, new("d", &[], &[]))
        .await
        .unwrap();
    let listing = weir_identity::Listing {
        limit: 2,
        ..Default::default()
    };
    let order = weir_identity::ApiKeyOrder::Name;
    let mut filter = weir_identity::ApiKeyFilter::default();
    let first = identity
        .api_keys(&acme, &filter, order, &listing)
        .await
        .unwrap();
    let after = weir_identity::Listing {
        after: first.next.clone(),
        ..listing
    };
    let second = identity
        .api_keys(&acme, &filter, order, &after)
        .await
        .unwrap();
    let names: Vec<_> = first.items.iter().chain(&second.items).collect();
    let names: Vec<_> = names.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert_eq!(second.next, None);
    filter.user = Some(zoe.id.clone());
    let listing = weir_identity::Listing::default();
    let of_zoe = identity
        .api_keys(&acme, &filter, order, &listing)
        .await
        .unwrap();
    let mine = identity.api_keys_of(&zoe.id, &listing).await.unwrap();
    assert_eq!(of_zoe.items, mine.items);
    assert_eq!(mine.items.len(), 1);
    let key = &mine.items[0];
    assert_eq!(identity.api_key_of(&zoe.id, &key.id).await.unwrap(), *key);
    let others = identity.api_key_of(&Id::new("usr"), &key.id).await;
    assert!(matches!(others, Err(Error::Missing(_))));
}
