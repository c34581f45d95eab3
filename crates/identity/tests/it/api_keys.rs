//! API keys: what they open, for whom, until when.

use std::time::Duration;

use jiff::Timestamp;
use weir_core::{ApiKeyText, Id, TenantId};
use weir_identity::{
    ApiKeyUpdate, BuiltIn, Caller, CredentialKind, Error, Expiry, Identity, KeyOwner, KeyRefusal,
    MadeApiKey, NewApiKey, Permission, Permissions, Settings,
};
use weir_store::records::TenantTable;

use crate::engines::{Fresh, by, fresh, on_both_engines, operator};

on_both_engines! {
    a_key_is_told_once_and_found_by_its_public_part,
    what_is_not_the_key_opens_nothing,
    a_key_ends_when_it_was_to,
    a_key_is_replaced_while_it_still_works,
    a_revoked_key_never_works_again,
    a_key_can_only_be_made_less,
    being_used_is_written_down_in_batches,
    there_are_no_more_than_the_limit_allows,
    keys_are_listed_page_by_page,
}

const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn rights(permissions: &[Permission]) -> Permissions {
    permissions.iter().copied().collect()
}

pub(crate) fn new(name: &str, permissions: &[Permission], scopes: &[&str]) -> NewApiKey {
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    NewApiKey {
        name: name.to_owned(),
        permissions: rights(permissions),
        scopes: scopes.try_into().unwrap(),
        expires_at: Expiry::Usual,
    }
}

/// An organization's own key.
pub(crate) async fn service_key(identity: &Identity, tenant: &TenantId, name: &str) -> MadeApiKey {
    let new = new(name, &[Permission::RouteRead], &["catalog:read"]);
    identity
        .create_api_key(&operator(), tenant, KeyOwner::Organization, new)
        .await
        .unwrap()
}

pub(crate) async fn works(identity: &Identity, made: &MadeApiKey) -> bool {
    let holder = identity.authenticate_key(made.text.expose(), None).await;
    holder.unwrap().is_some()
}

pub(crate) async fn refused(identity: &Identity, made: &MadeApiKey) -> Option<KeyRefusal> {
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
    let end = made.key.expires_at.unwrap();
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
        ApiKeyUpdate {
            expires_at: Some(Expiry::Never),
            ..Default::default()
        },
        ApiKeyUpdate {
            expires_at: Some(Expiry::At(end + DAY)),
            ..Default::default()
        },
        // It ends now by being revoked, which is told to the audit as that.
        ApiKeyUpdate {
            expires_at: Some(Expiry::At(Timestamp::now() - DAY)),
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
        expires_at: Some(Expiry::At(end - DAY)),
    };
    let key = update(less.clone(), Some(1)).await.unwrap();
    assert_eq!(key.name, "nightly");
    assert_eq!(key.scopes, made.key.scopes);
    assert_eq!(key.expires_at, Some(end - DAY));
    assert_eq!(identity.api_key(&acme, &key.id).await.unwrap(), key);
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
